package codec

/*
#cgo pkg-config: libturbojpeg libjpeg
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lyuv
#cgo noescape tb_encode
#cgo nocallback tb_encode
#cgo noescape tb_encode_strips
#cgo nocallback tb_encode_strips
#cgo noescape tb_decode
#cgo nocallback tb_decode
#cgo noescape tb_decode_part
#cgo nocallback tb_decode_part
#cgo noescape tb_from_rgb
#cgo nocallback tb_from_rgb
#cgo noescape tb_rescale
#cgo nocallback tb_rescale
#cgo noescape tb_bgra
#cgo nocallback tb_bgra
#cgo noescape ScalePlane
#cgo nocallback ScalePlane
#cgo noescape RotatePlane
#cgo nocallback RotatePlane
#cgo noescape Convert16To8Plane
#cgo nocallback Convert16To8Plane
#cgo noescape RGB565ToARGB
#cgo nocallback RGB565ToARGB
#cgo noescape SplitUVPlane
#cgo nocallback SplitUVPlane
#cgo noescape MergeUVPlane
#cgo nocallback MergeUVPlane
#cgo noescape YUY2ToI422
#cgo nocallback YUY2ToI422
#cgo noescape UYVYToI422
#cgo nocallback UYVYToI422
#cgo noescape I422ToYUY2
#cgo nocallback I422ToYUY2
#cgo noescape I422ToUYVY
#cgo nocallback I422ToUYVY
#include "native.h"
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// This file is the only one that calls C. The callers of its functions see to
// it that the planes have room for their sizes.

// subsamplings are the TJSAMPs.
var subsamplings = [...]C.int{
	jfif.Grey: C.TJSAMP_GRAY,
	jfif.S444: C.TJSAMP_444,
	jfif.S422: C.TJSAMP_422,
	jfif.S420: C.TJSAMP_420,
	jfif.S440: C.TJSAMP_440,
	jfif.S411: C.TJSAMP_411,
}

func (p plane) c() *C.uint8_t { return bytesToC(p.data) }

func bytesToC(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }

// turbo is a TurboJPEG handle, for one goroutine. Without one, every call fails.
type turbo struct{ handle C.tjhandle }

// newCompressor returns a handle for fromRGB.
func newCompressor() turbo { return turbo{C.tjInitCompress()} }

// closeHandle frees the handle. It may be called twice.
func (t *turbo) closeHandle() {
	if t.handle != nil {
		C.tjDestroy(t.handle)
	}
	t.handle = nil
}

// err returns what the last call complained of.
func (t *turbo) err() error {
	return errors.New(C.GoString(C.tjGetErrorStr2(t.handle)))
}

// jpegBound returns the largest size of a JPEG of a frame, in bytes.
func jpegBound(f capture.Format, sub jfif.Subsampling) int {
	return int(C.tjBufSize(C.int(f.Width), C.int(f.Height), subsamplings[sub]))
}

// compressor encodes JPEGs by libjpeg. It is for one goroutine at a time.
type compressor struct {
	handle *C.struct_tb_encoder // nil is closed
	raw    C.struct_tb_raw
	strips C.struct_tb_strips
}

func (c *compressor) open() error {
	if c.handle = C.tb_encoder_new(); c.handle == nil {
		return errors.New("no memory")
	}
	return nil
}

func (c *compressor) close() {
	if c.handle != nil {
		C.tb_encoder_free(c.handle)
	}
	c.handle = nil
}

// compress encodes rows of a raw frame to out, which has room for jpegBound, and
// returns the length. Their layout isDirect.
func (c *compressor) compress(out []byte, r rawRows, quality int) (int, error) {
	p := c.describeRows(r, quality)
	n := C.tb_encode(c.handle, &c.raw, p[0].c(), p[1].c(), p[2].c(), bytesToC(out), C.ulong(len(out)))
	if n < 0 {
		return 0, c.err()
	}
	return int(n), nil
}

// compressStrips encodes strips of a raw frame of a layout that isDirect, as long as there
// are some left that no other goroutine has taken by next: each to its room in out, which
// has as much for each. It notes their lengths.
//
// One call does this, since the runtime takes its processor from each call that lasts, and
// has another thread look for work on it: that takes time from those who encode.
func (c *compressor) compressStrips(out []byte, lengths []int64, next *atomic.Int32, rows int, r rawRows, quality int) error {
	p := c.describeRows(r, quality)
	c.strips = C.struct_tb_strips{rows: C.int(rows), count: C.int(len(lengths)), room: C.ulong(len(out) / len(lengths))}
	if C.tb_encode_strips(c.handle, &c.raw, p[0].c(), p[1].c(), p[2].c(), &c.strips,
		(*C.int32_t)(unsafe.Pointer(next)), bytesToC(out), (*C.int64_t)(unsafe.SliceData(lengths))) < 0 {
		return c.err()
	}
	return nil
}

// err returns what the last call complained of.
func (c *compressor) err() error { return errors.New(C.GoString(C.tb_encoder_message(c.handle))) }

// describeRows makes c.raw describe rows, and returns their planes as C gets them.
func (c *compressor) describeRows(r rawRows, quality int) frameView {
	info := r.format.Pixel.Info()
	sub := jfif.SubsamplingOf(info.Planar)
	subX, subY := sub.Factors()
	c.raw = C.struct_tb_raw{
		layout: layoutOf(info), width: C.int(r.format.Width), height: C.int(r.format.Height),
		components: C.int(sub.Components()), sub_x: C.int(subX), sub_y: C.int(subY), quality: C.int(quality),
	}
	if info.CrFirst {
		c.raw.cr_first = 1
	}
	p := r.planes
	if info.Layout == capture.Planar {
		p = r.ordered()
	}
	for i := range p {
		c.raw.stride[i] = C.int(p[i].stride)
	}
	return p
}

func layoutOf(info *capture.PixelInfo) uint32 {
	switch {
	case info.Layout == capture.SemiPlanar:
		return C.TB_PAIRS
	case info.Layout == capture.Packed422 && info.ChromaFirst:
		return C.TB_UYVY
	case info.Layout == capture.Packed422:
		return C.TB_YUYV
	}
	return C.TB_PLANAR
}

// maxScans bounds the work that a small JPEG can ask for. Progressive ones have
// about ten.
const maxScans = 16

// libjpeg decodes JPEGs. It is for one goroutine.
type libjpeg struct {
	stopped *atomic.Uint32 // if not 0, each decode ends; may be set by any goroutine
	shapes  [3]C.struct_tb_shape
	message [200]byte // JMSG_LENGTH_MAX of jpeglib.h
}

// decodePlanes fills p, whose planes have the size of the JPEG's components.
func (l *libjpeg) decodePlanes(p frameView, jpeg []byte) error {
	l.preparePlanes(p)
	return l.checkResult(C.tb_decode(bytesToC(jpeg), C.ulong(len(jpeg)), &l.shapes[0], p[0].c(), p[1].c(), p[2].c(), maxScans,
		(*C.uint32_t)(unsafe.Pointer(l.stopped)), (*C.char)(unsafe.Pointer(&l.message[0]))))
}

// decodePart fills p with a part of a JPEG, of which header has the part's height.
func (l *libjpeg) decodePart(p frameView, header, data []byte, restart int, last bool) error {
	var ends C.int
	if last {
		ends = 1
	}
	l.preparePlanes(p)
	return l.checkResult(C.tb_decode_part(bytesToC(header), C.ulong(len(header)), bytesToC(data), C.ulong(len(data)),
		C.int(restart), ends, &l.shapes[0], p[0].c(), p[1].c(), p[2].c(),
		(*C.uint32_t)(unsafe.Pointer(l.stopped)), (*C.char)(unsafe.Pointer(&l.message[0]))))
}

func (l *libjpeg) preparePlanes(p frameView) {
	for i, q := range p {
		l.shapes[i] = C.struct_tb_shape{width: C.uint32_t(q.width), height: C.uint32_t(q.height), stride: C.uint32_t(q.stride)}
	}
	l.message[0] = 0
}

// checkResult returns what a tb_result means.
func (l *libjpeg) checkResult(result C.int) error {
	switch result {
	case C.TB_OK:
		return nil
	case C.TB_MALFORMED:
		return fmt.Errorf("%w: %w", jfif.Malformed, l.err())
	case C.TB_UNSUPPORTED:
		return jfif.Unsupported
	case C.TB_STOPPED:
		return errClosed
	}
	return fmt.Errorf("%w: %w", jfif.BadData, l.err())
}

var errClosed = errors.New("the decoder is closed")

// err returns what the last call complained of.
func (l *libjpeg) err() error {
	text, _, _ := bytes.Cut(l.message[:], []byte{0})
	return errors.New(string(text))
}

// pixelOrders are the TJPFs, by the offsets of red, green and blue and the bytes
// of a pixel.
var pixelOrders = map[[4]int]C.int{
	{0, 1, 2, 3}: C.TJPF_RGB,
	{2, 1, 0, 3}: C.TJPF_BGR,
	{0, 1, 2, 4}: C.TJPF_RGBX,
	{2, 1, 0, 4}: C.TJPF_BGRX,
	{1, 2, 3, 4}: C.TJPF_XRGB,
	{3, 2, 1, 4}: C.TJPF_XBGR,
}

// fromRGB converts packed RGB pixels of an order that pixelOrders has to
// full-range BT.601 planes of 4:4:4.
func (t *turbo) fromRGB(dst frameView, rgb []byte, order [4]int) error {
	if C.tb_from_rgb(t.handle, pixelOrders[order], bytesToC(rgb), C.int(dst[0].width), C.int(dst[0].height),
		dst[0].c(), C.int(dst[0].stride), dst[1].c(), C.int(dst[1].stride), dst[2].c(), C.int(dst[2].stride)) < 0 {
		return t.err()
	}
	return nil
}

// scalePlane fills dst with src: a copy where the sizes are equal.
func scalePlane(dst, src plane) {
	C.ScalePlane(src.c(), C.int(src.stride), C.int(src.width), C.int(src.height),
		dst.c(), C.int(dst.stride), C.int(dst.width), C.int(dst.height), C.kFilterBox)
}

// rotatePlane writes src to dst turned clockwise by 0, 90, 180 or 270 degrees, and then
// mirrored. dst has the size of the result.
func rotatePlane(dst, src plane, degrees int, mirror bool) {
	height := src.height
	if mirror {
		// A negative height turns src upside down first. That is the same as
		// mirroring it afterwards, with half a turn more if it lies not on its side.
		height = -height
		if degrees%180 == 0 {
			degrees = 180 - degrees
		}
	}
	C.RotatePlane(src.c(), C.int(src.stride), dst.c(), C.int(dst.stride),
		C.int(src.width), C.int(height), C.enum_RotationMode(degrees))
}

// rescaleSamples writes ((sample - offset) * factor + bias) >> 14 of each sample.
func rescaleSamples(dst, src plane, offset, factor, bias int) {
	C.tb_rescale(src.c(), C.int(src.stride), dst.c(), C.int(dst.stride),
		C.int(dst.width), C.int(dst.height), C.int16_t(offset), C.int16_t(factor), C.int(bias))
}

// narrowWords writes the upper 8 bits of samples that have so many in the lower bits
// of little-endian words.
func narrowWords(dst, src plane, bits int) {
	C.Convert16To8Plane((*C.uint16_t)(unsafe.Pointer(src.c())), C.int(src.stride/2), dst.c(), C.int(dst.stride),
		C.int(1)<<(24-bits), C.int(dst.width), C.int(dst.height))
}

// expandRGB565 writes pixels of 32 bits in the order of bgrx.
func expandRGB565(dst, src plane) {
	C.RGB565ToARGB(src.c(), C.int(src.stride), dst.c(), C.int(dst.stride), C.int(dst.width), C.int(dst.height))
}

// splitPairs writes the even bytes of src to even and the odd ones to odd.
func splitPairs(even, odd plane, src plane) {
	C.SplitUVPlane(src.c(), C.int(src.stride), even.c(), C.int(even.stride), odd.c(), C.int(odd.stride),
		C.int(even.width), C.int(even.height))
}

// mergePairs is the reverse of split.
func mergePairs(dst plane, even, odd plane) {
	C.MergeUVPlane(even.c(), C.int(even.stride), odd.c(), C.int(odd.stride), dst.c(), C.int(dst.stride),
		C.int(even.width), C.int(even.height))
}

// unpack422 splits packed 4:2:2 pixels in the order Y 0 Y 1, or 0 Y 1 Y if chroma
// comes first, into luma and the two kinds of chroma.
func unpack422(luma, chroma0, chroma1 plane, src plane, chromaFirst bool) {
	s, ss := src.c(), C.int(src.stride)
	y, ys := luma.c(), C.int(luma.stride)
	u, us, v, vs := chroma0.c(), C.int(chroma0.stride), chroma1.c(), C.int(chroma1.stride)
	w, h := C.int(luma.width), C.int(luma.height)
	if chromaFirst {
		C.UYVYToI422(s, ss, y, ys, u, us, v, vs, w, h)
	} else {
		C.YUY2ToI422(s, ss, y, ys, u, us, v, vs, w, h)
	}
}

// pack422 is the reverse of unpack.
func pack422(dst plane, luma, chroma0, chroma1 plane, chromaFirst bool) {
	d, ds := dst.c(), C.int(dst.stride)
	y, ys := luma.c(), C.int(luma.stride)
	u, us, v, vs := chroma0.c(), C.int(chroma0.stride), chroma1.c(), C.int(chroma1.stride)
	w, h := C.int(luma.width), C.int(luma.height)
	if chromaFirst {
		C.I422ToUYVY(y, ys, u, us, v, vs, d, ds, w, h)
	} else {
		C.I422ToYUY2(y, ys, u, us, v, vs, d, ds, w, h)
	}
}

// bgra writes a frame without subsampling as BGRA; see tb_bgra.
func bgra(dst plane, src frameView, offset int, factors *[5]int32) {
	C.tb_bgra(src[0].c(), C.int(src[0].stride), src[1].c(), C.int(src[1].stride), src[2].c(), C.int(src[2].stride),
		dst.c(), C.int(dst.stride), C.int(src[0].width), C.int(src[0].height),
		C.int(offset), (*C.int32_t)(&factors[0]))
}
