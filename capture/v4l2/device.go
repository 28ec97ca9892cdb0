package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// callDriver calls the driver, again where a signal interrupted it.
func callDriver(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// openNode opens a device node. A plain descriptor, never an os.File: the
// runtime's poller would poll a queue before it streams, which vb2 answers with
// an error or by starting its read emulation.
func openNode(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, explainError("open", path, err)
		}
	}
}

// explainError returns what failed and why, with the error that callers act on.
func explainError(op, path string, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s %s: %w%s", op, path, capture.ErrBusy, heldBy(path))
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%s %s: %w", op, path, capture.ErrNoCamera)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s %s: %w", op, path, capture.ErrGone)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		err = &deniedError{err}
	}
	return fmt.Errorf("%s %s: %w", op, path, err)
}

// deniedError is an errno that is a capture.ErrNotAllowed, too.
type deniedError struct{ error }

func (e *deniedError) Unwrap() []error { return []error{e.error, capture.ErrNotAllowed} }

// queryCap asks what the node is.
func queryCap(fd int) (c capability, err error) {
	err = callDriver(fd, vidiocQueryCap, unsafe.Pointer(&c))
	return c, err
}

// nodeCaps returns the capabilities of this node alone, where the driver reports them.
func (c *capability) nodeCaps() uint32 {
	if c.capabilities&capDeviceCaps != 0 {
		return c.deviceCaps
	}
	return c.capabilities
}

// getFmt returns the current format of one direction of the node.
func getFmt(fd int, bufType uint32) (pixFormat, error) {
	f := format{typ: bufType}
	err := callDriver(fd, vidiocGFmt, unsafe.Pointer(&f))
	return f.pix, err
}

// setFmt asks for a format and returns what the driver made of it.
func setFmt(fd int, bufType uint32, pix pixFormat) (pixFormat, error) {
	pix.priv = pixFmtPrivMagic
	f := format{typ: bufType, pix: pix}
	err := callDriver(fd, vidiocSFmt, unsafe.Pointer(&f))
	return f.pix, err
}

// grant is a capture format as the driver granted it.
type grant struct {
	pix pixFormat
	// strides holds the bytes per line of each buffer that a frame has. There is
	// one, unless the planes of a multi-planar device are in buffers of their own.
	strides []int
}

// captureType returns the type of the buffers of a node that captures.
func captureType(caps uint32) uint32 {
	if caps&capVideoCapture == 0 {
		return bufTypeVideoCaptureMPlane
	}
	return bufTypeVideoCapture
}

// getCaptureFmt returns the current format of a node that captures.
func getCaptureFmt(fd int, bufType uint32) (pixFormat, error) {
	if bufType != bufTypeVideoCaptureMPlane {
		return getFmt(fd, bufType)
	}
	f := formatMPlane{typ: bufType}
	err := callDriver(fd, vidiocGFmt, unsafe.Pointer(&f))
	return f.toGrant().pix, err
}

// setCaptureFmt is setFmt for a node that captures, of either API. Where a
// multi-planar device does not have the format with its planes one after the
// other, it is asked for the one with its planes apart.
func setCaptureFmt(fd int, bufType uint32, pix pixFormat) (grant, error) {
	if bufType != bufTypeVideoCaptureMPlane {
		got, err := setFmt(fd, bufType, pix)
		return grant{got, []int{int(got.bytesPerLine)}}, err
	}
	g, err := setFmtMPlane(fd, pix)
	separate := capture.PixelFormat(pix.pixelFormat).Info().Separate
	if separate == 0 || err == nil && g.pix.pixelFormat == pix.pixelFormat {
		return g, err
	}
	want := pix
	want.pixelFormat = uint32(separate)
	return setFmtMPlane(fd, want)
}

func setFmtMPlane(fd int, pix pixFormat) (grant, error) {
	f := formatMPlane{typ: bufTypeVideoCaptureMPlane, pix: pixFormatMPlane{
		width: pix.width, height: pix.height, pixelFormat: pix.pixelFormat, field: pix.field,
	}}
	f.pix.planes[0].bytesPerLine = pix.bytesPerLine
	err := callDriver(fd, vidiocSFmt, unsafe.Pointer(&f))
	return f.toGrant(), err
}

// toGrant returns the format as a single-planar device would report it.
func (f *formatMPlane) toGrant() grant {
	g := grant{pix: pixFormat{
		width: f.pix.width, height: f.pix.height, field: f.pix.field,
		pixelFormat:  uint32(capture.PixelFormat(f.pix.pixelFormat).Joined()),
		bytesPerLine: f.pix.planes[0].bytesPerLine, sizeImage: f.pix.planes[0].sizeImage,
		colorspace: f.pix.colorspace, ycbcrEnc: uint32(f.pix.ycbcrEnc), quantization: uint32(f.pix.quantization),
	}}
	for _, p := range f.pix.planes[:min(int(f.pix.numPlanes), maxPlanes)] {
		g.strides = append(g.strides, int(p.bytesPerLine))
	}
	return g
}

// getRate returns the current frame rate, zero where the driver has none.
func getRate(fd int, bufType uint32) capture.Rate {
	p := streamParm{typ: bufType}
	if callDriver(fd, vidiocGParm, unsafe.Pointer(&p)) != nil {
		return capture.Rate{}
	}
	return rateOf(p.timePerFrame)
}

// setRate asks for a frame rate and returns the one granted, zero where the
// driver has none.
func setRate(fd int, bufType uint32, rate capture.Rate) capture.Rate {
	p := streamParm{typ: bufType, timePerFrame: fract{rate.Den, rate.Num}}
	if rate.Num == 0 || rate.Den == 0 || callDriver(fd, vidiocSParm, unsafe.Pointer(&p)) != nil {
		return getRate(fd, bufType)
	}
	return rateOf(p.timePerFrame)
}

// rateOf turns the time per frame into frames per second.
func rateOf(interval fract) capture.Rate {
	if interval.numerator == 0 || interval.denominator == 0 {
		return capture.Rate{}
	}
	return capture.Rate{Num: interval.denominator, Den: interval.numerator}
}

// cString returns a C string in a fixed array.
func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(bytes.TrimSpace(b))
}
