package v4l2

import "unsafe"

// The structs of include/uapi/linux/videodev2.h as 64-bit kernels lay them out.
// Only the members of a union that this package uses are spelled out.

type fract struct {
	numerator, denominator uint32
}

type capability struct {
	driver       [16]byte
	card         [32]byte
	busInfo      [32]byte
	version      uint32
	capabilities uint32 // of all nodes of the device together
	deviceCaps   uint32 // of this node
	_            [3]uint32
}

type pixFormat struct {
	width, height uint32
	pixelFormat   uint32
	field         uint32
	bytesPerLine  uint32 // of the first plane
	sizeImage     uint32
	colorspace    uint32
	priv          uint32
	_             uint32 // flags
	ycbcrEnc      uint32
	quantization  uint32
	_             uint32 // xfer_func
}

type format struct {
	typ uint32
	_   uint32 // the union holds pointers
	pix pixFormat
	_   [152]byte
}

// maxPlanes is the number of planes for which the kernel has room.
const maxPlanes = 8

type planePixFormat struct {
	sizeImage    uint32
	bytesPerLine uint32
	_            [6]uint16
}

type pixFormatMPlane struct {
	width, height uint32
	pixelFormat   uint32
	field         uint32
	colorspace    uint32
	planes        [maxPlanes]planePixFormat
	numPlanes     uint8
	_             uint8 // flags
	ycbcrEnc      uint8
	quantization  uint8
	_             uint8 // xfer_func
	_             [7]uint8
}

// formatMPlane is struct v4l2_format with the other member of its union.
type formatMPlane struct {
	typ uint32
	_   uint32
	pix pixFormatMPlane
	_   [8]byte
}

type fmtDesc struct {
	index       uint32
	typ         uint32
	_           uint32   // flags
	_           [32]byte // description
	pixelFormat uint32
	_           [4]uint32
}

type frmSizeEnum struct {
	index       uint32
	pixelFormat uint32
	typ         uint32
	stepwise    struct {
		minWidth, maxWidth, stepWidth    uint32
		minHeight, maxHeight, stepHeight uint32
	}
	_ [2]uint32
}

type frmIvalEnum struct {
	index         uint32
	pixelFormat   uint32
	width, height uint32
	typ           uint32
	stepwise      struct{ min, max, step fract }
	_             [2]uint32
}

type streamParm struct {
	typ          uint32
	_            [2]uint32
	timePerFrame fract
	_            [184]byte
}

type requestBuffers struct {
	count, typ, memory uint32
	_                  [2]uint32
}

type buffer struct {
	index     uint32
	typ       uint32
	bytesUsed uint32
	flags     uint32
	field     uint32
	_         uint32
	timestamp struct{ sec, usec int64 }
	_         [16]byte // timecode
	sequence  uint32
	memory    uint32
	m         uint64 // an offset, or where the planes are
	length    uint32 // bytes, or the number of planes
	_         [3]uint32
}

type bufPlane struct {
	bytesUsed  uint32
	length     uint32
	offset     uint32
	_          uint32 // the union holds pointers
	dataOffset uint32
	_          [11]uint32
}

type queryExtCtrl struct {
	id       uint32
	typ      uint32
	name     [32]byte
	minimum  int64
	maximum  int64
	step     uint64
	def      int64
	flags    uint32
	elemSize uint32 // bytes of a string, with its NUL
	_        [38]uint32
}

// queryMenu and extControl are packed: their 64-bit values are not aligned.
type queryMenu struct {
	id    uint32
	index uint32
	name  [32]byte // or an int64
	_     uint32
}

type extControl struct {
	id    uint32
	size  uint32 // bytes behind the pointer of a string
	_     uint32
	value [8]byte // or a pointer
}

type extControls struct {
	which    uint32
	count    uint32
	_        [4]uint32
	controls *extControl
}

type eventSubscription struct {
	typ   uint32
	id    uint32
	flags uint32
	_     [5]uint32
}

type event struct {
	typ     uint32
	_       uint32 // the union holds 64-bit values
	count   uint32 // of a v4l2_event_client_usage, which v4l2loopback has; or what changed of a source
	_       [60]byte
	pending uint32
	_       uint32   // sequence
	_       [2]int64 // timestamp
	_       [9]uint32
}

type input struct {
	index        uint32
	name         [32]byte
	_            [3]uint32 // type, audioset, tuner
	std          uint64    // the analogue standards that it has
	status       uint32    // of the current input
	capabilities uint32
	_            [3]uint32
}

// dvTimings is packed: its type, the width and the height come first.
type dvTimings [132]byte

// These lines do not compile where a struct has not the kernel's size.
var (
	_ [104]byte = [unsafe.Sizeof(capability{})]byte{}
	_ [208]byte = [unsafe.Sizeof(format{})]byte{}
	_ [208]byte = [unsafe.Sizeof(formatMPlane{})]byte{}
	_ [192]byte = [unsafe.Sizeof(pixFormatMPlane{})]byte{}
	_ [64]byte  = [unsafe.Sizeof(bufPlane{})]byte{}
	_ [64]byte  = [unsafe.Sizeof(fmtDesc{})]byte{}
	_ [44]byte  = [unsafe.Sizeof(frmSizeEnum{})]byte{}
	_ [52]byte  = [unsafe.Sizeof(frmIvalEnum{})]byte{}
	_ [204]byte = [unsafe.Sizeof(streamParm{})]byte{}
	_ [20]byte  = [unsafe.Sizeof(requestBuffers{})]byte{}
	_ [88]byte  = [unsafe.Sizeof(buffer{})]byte{}
	_ [232]byte = [unsafe.Sizeof(queryExtCtrl{})]byte{}
	_ [44]byte  = [unsafe.Sizeof(queryMenu{})]byte{}
	_ [20]byte  = [unsafe.Sizeof(extControl{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(extControls{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(eventSubscription{})]byte{}
	_ [136]byte = [unsafe.Sizeof(event{})]byte{}
	_ [80]byte  = [unsafe.Sizeof(input{})]byte{}
)

// Directions of an ioctl (include/uapi/asm-generic/ioctl.h).
const (
	write = 1
	read  = 2
)

// ioctlNumber returns the number of an ioctl of videodev2.h, as the macro _IOC does.
func ioctlNumber(direction, nr, size uintptr) uintptr {
	return direction<<30 | size<<16 | 'V'<<8 | nr
}

var (
	vidiocQueryCap           = ioctlNumber(read, 0, unsafe.Sizeof(capability{}))
	vidiocEnumFmt            = ioctlNumber(read|write, 2, unsafe.Sizeof(fmtDesc{}))
	vidiocGFmt               = ioctlNumber(read|write, 4, unsafe.Sizeof(format{}))
	vidiocSFmt               = ioctlNumber(read|write, 5, unsafe.Sizeof(format{}))
	vidiocReqBufs            = ioctlNumber(read|write, 8, unsafe.Sizeof(requestBuffers{}))
	vidiocQueryBuf           = ioctlNumber(read|write, 9, unsafe.Sizeof(buffer{}))
	vidiocQBuf               = ioctlNumber(read|write, 15, unsafe.Sizeof(buffer{}))
	vidiocDQBuf              = ioctlNumber(read|write, 17, unsafe.Sizeof(buffer{}))
	vidiocStreamOn           = ioctlNumber(write, 18, unsafe.Sizeof(uint32(0)))
	vidiocStreamOff          = ioctlNumber(write, 19, unsafe.Sizeof(uint32(0)))
	vidiocGParm              = ioctlNumber(read|write, 21, unsafe.Sizeof(streamParm{}))
	vidiocSParm              = ioctlNumber(read|write, 22, unsafe.Sizeof(streamParm{}))
	vidiocGStd               = ioctlNumber(read, 23, unsafe.Sizeof(uint64(0)))
	vidiocSStd               = ioctlNumber(write, 24, unsafe.Sizeof(uint64(0)))
	vidiocEnumInput          = ioctlNumber(read|write, 26, unsafe.Sizeof(input{}))
	vidiocGInput             = ioctlNumber(read, 38, unsafe.Sizeof(uint32(0)))
	vidiocSInput             = ioctlNumber(read|write, 39, unsafe.Sizeof(uint32(0)))
	vidiocSDVTimings         = ioctlNumber(read|write, 87, unsafe.Sizeof(dvTimings{}))
	vidiocGDVTimings         = ioctlNumber(read|write, 88, unsafe.Sizeof(dvTimings{}))
	vidiocQueryDVTimings     = ioctlNumber(read, 99, unsafe.Sizeof(dvTimings{}))
	vidiocQueryMenu          = ioctlNumber(read|write, 37, unsafe.Sizeof(queryMenu{}))
	vidiocGExtCtrls          = ioctlNumber(read|write, 71, unsafe.Sizeof(extControls{}))
	vidiocSExtCtrls          = ioctlNumber(read|write, 72, unsafe.Sizeof(extControls{}))
	vidiocEnumFrameSizes     = ioctlNumber(read|write, 74, unsafe.Sizeof(frmSizeEnum{}))
	vidiocEnumFrameIntervals = ioctlNumber(read|write, 75, unsafe.Sizeof(frmIvalEnum{}))
	vidiocDQEvent            = ioctlNumber(read, 89, unsafe.Sizeof(event{}))
	vidiocSubscribeEvent     = ioctlNumber(write, 90, unsafe.Sizeof(eventSubscription{}))
	vidiocUnsubscribeEvent   = ioctlNumber(write, 91, unsafe.Sizeof(eventSubscription{}))
	vidiocQueryExtCtrl       = ioctlNumber(read|write, 103, unsafe.Sizeof(queryExtCtrl{}))
)

// Capabilities of a node.
const (
	capVideoCapture       = 0x00000001
	capVideoOutput        = 0x00000002
	capVideoCaptureMPlane = 0x00001000
	capVideoM2MMPlane     = 0x00004000
	capVideoM2M           = 0x00008000
	capMetaCapture        = 0x00800000
	capStreaming          = 0x04000000
	capIOMC               = 0x20000000 // set up through the media controller
	capDeviceCaps         = 0x80000000 // device_caps is filled in
)

const (
	bufTypeVideoCapture       = 1
	bufTypeVideoOutput        = 2
	bufTypeVideoCaptureMPlane = 9
	memoryMMap                = 1

	// pixFmtPrivMagic marks that the members after priv are valid.
	pixFmtPrivMagic = 0xfeedcafe

	bufFlagError              = 0x00000040
	bufFlagTimestampMask      = 0x0000e000
	bufFlagTimestampMonotonic = 0x00002000
)

// Order of the lines of a frame. The orders omitted give half a frame each,
// or both one after the other.
const (
	fieldAny          = 0
	fieldNone         = 1
	fieldInterlaced   = 4
	fieldInterlacedTB = 8
	fieldInterlacedBT = 9
)

const (
	frmSizeTypeDiscrete   = 1
	frmIvalTypeDiscrete   = 1
	frmIvalTypeContinuous = 2
)

const (
	colorspaceDefault   = 0
	colorspaceSMPTE170M = 1
	colorspaceRec709    = 3
	colorspaceJPEG      = 7
	colorspaceSRGB      = 8
	colorspaceBT2020    = 10
	colorspaceDCIP3     = 12
	colorspaceSMPTE240M = 2

	ycbcrEncDefault   = 0
	ycbcrEnc601       = 1
	ycbcrEnc709       = 2
	ycbcrEncXV601     = 3
	ycbcrEncXV709     = 4
	ycbcrEncSYCC      = 5
	ycbcrEncBT2020    = 6
	ycbcrEncBT2020CL  = 7
	ycbcrEncSMPTE240M = 8

	quantizationDefault   = 0
	quantizationFullRange = 1
	quantizationLimRange  = 2
)

const (
	ctrlTypeInteger     = 1
	ctrlTypeBoolean     = 2
	ctrlTypeMenu        = 3
	ctrlTypeButton      = 4
	ctrlTypeInteger64   = 5
	ctrlTypeString      = 7
	ctrlTypeBitmask     = 8
	ctrlTypeIntegerMenu = 9

	ctrlFlagDisabled  = 0x00000001
	ctrlFlagReadOnly  = 0x00000004
	ctrlFlagInactive  = 0x00000010
	ctrlFlagWriteOnly = 0x00000040
	ctrlFlagNextCtrl  = 0x80000000

	eventCtrl         = 3
	eventSourceChange = 5

	srcChangeResolution = 1

	inCapDVTimings   = 2
	inStatusNoPower  = 1
	inStatusNoSignal = 2
)
