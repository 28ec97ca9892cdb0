package capture

import (
	"fmt"
	"slices"
	"strings"
)

// PixelFormat is a V4L2 fourcc (include/uapi/linux/videodev2.h, V4L2_PIX_FMT_*).
type PixelFormat uint32

// The pixel formats that tbcam captures, sends and writes. YUV444 is V4L2's
// YM24 (three planes, no subsampling); here its planes lie in one buffer.
const (
	MJPEG   = PixelFormat('M' | 'J'<<8 | 'P'<<16 | 'G'<<24)
	JPEG    = PixelFormat('J' | 'P'<<8 | 'E'<<16 | 'G'<<24)
	YUYV    = PixelFormat('Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24)
	UYVY    = PixelFormat('U' | 'Y'<<8 | 'V'<<16 | 'Y'<<24)
	YVYU    = PixelFormat('Y' | 'V'<<8 | 'Y'<<16 | 'U'<<24)
	NV12    = PixelFormat('N' | 'V'<<8 | '1'<<16 | '2'<<24)
	NV21    = PixelFormat('N' | 'V'<<8 | '2'<<16 | '1'<<24)
	YUV420  = PixelFormat('Y' | 'U'<<8 | '1'<<16 | '2'<<24)
	YVU420  = PixelFormat('Y' | 'V'<<8 | '1'<<16 | '2'<<24)
	YUV422P = PixelFormat('4' | '2'<<8 | '2'<<16 | 'P'<<24)
	YUV444  = PixelFormat('Y' | 'M'<<8 | '2'<<16 | '4'<<24)
	GREY    = PixelFormat('G' | 'R'<<8 | 'E'<<16 | 'Y'<<24)
	RGB24   = PixelFormat('R' | 'G'<<8 | 'B'<<16 | '3'<<24)
	BGR24   = PixelFormat('B' | 'G'<<8 | 'R'<<16 | '3'<<24)
)

// plane describes one plane of a raw format: bytes per sample group, and the
// horizontal and vertical subsampling of these groups.
type plane struct{ bytes, subX, subY int }

// layouts holds the planes of every raw format in the order in which they lie
// in memory (Documentation/userspace-api/media/v4l/pixfmt-*.rst).
var layouts = map[PixelFormat][]plane{
	YUYV:    {{4, 2, 1}},
	UYVY:    {{4, 2, 1}},
	YVYU:    {{4, 2, 1}},
	NV12:    {{1, 1, 1}, {2, 2, 2}},
	NV21:    {{1, 1, 1}, {2, 2, 2}},
	YUV420:  {{1, 1, 1}, {1, 2, 2}, {1, 2, 2}},
	YVU420:  {{1, 1, 1}, {1, 2, 2}, {1, 2, 2}},
	YUV422P: {{1, 1, 1}, {1, 2, 1}, {1, 2, 1}},
	YUV444:  {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
	GREY:    {{1, 1, 1}},
	RGB24:   {{3, 1, 1}},
	BGR24:   {{3, 1, 1}},
}

// names are what users type; the first format of a name is the one it means.
var names = []struct {
	name   string
	format PixelFormat
}{
	{"mjpeg", MJPEG}, {"jpeg", JPEG}, {"yuyv", YUYV}, {"uyvy", UYVY}, {"yvyu", YVYU},
	{"nv12", NV12}, {"nv21", NV21}, {"yu12", YUV420}, {"yv12", YVU420}, {"422p", YUV422P},
	{"444p", YUV444}, {"grey", GREY}, {"rgb24", RGB24}, {"bgr24", BGR24},
}

// ParsePixelFormat reads the name of a format as users type it, or a fourcc.
func ParsePixelFormat(s string) (PixelFormat, error) {
	known := make([]string, len(names))
	for i, n := range names {
		if strings.EqualFold(s, n.name) || s == n.format.FourCC() {
			return n.format, nil
		}
		known[i] = n.name
	}
	return 0, fmt.Errorf("pixel format %q is unknown; known are %s", s, strings.Join(known, ", "))
}

// String returns the name that ParsePixelFormat reads.
func (p PixelFormat) String() string {
	for _, n := range names {
		if n.format == p {
			return n.name
		}
	}
	return p.FourCC()
}

// FourCC returns the four characters of the code, unprintable ones as dots.
func (p PixelFormat) FourCC() string {
	b := []byte{byte(p), byte(p >> 8), byte(p >> 16), byte(p >> 24)}
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '.'
		}
	}
	return string(b)
}

// MarshalText returns the name that users type.
func (p PixelFormat) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote, also of a format that tbcam cannot
// handle: a camera's list may hold such.
func (p *PixelFormat) UnmarshalText(text []byte) error {
	known, err := ParsePixelFormat(string(text))
	if err != nil && len(text) == 4 {
		known, err = PixelFormat(text[0])|PixelFormat(text[1])<<8|PixelFormat(text[2])<<16|PixelFormat(text[3])<<24, nil
	}
	*p = known
	return err
}

// Compressed reports whether a picture of this format is a JPEG file.
func (p PixelFormat) Compressed() bool { return p == MJPEG || p == JPEG }

// Supported reports whether tbcam can handle the format.
func (p PixelFormat) Supported() bool { return p.Compressed() || layouts[p] != nil }

// RawFormats lists the uncompressed formats, in a fixed order.
func RawFormats() []PixelFormat {
	var raw []PixelFormat
	for _, n := range names {
		if !n.format.Compressed() {
			raw = append(raw, n.format)
		}
	}
	return raw
}

// Matrix is the matrix between R'G'B' and Y'CbCr.
type Matrix uint8

// The matrices; BT.601 is the one of JPEG (JFIF) and of almost every webcam.
const (
	BT601 Matrix = iota
	BT709
)

// Range is the quantization range of Y'CbCr samples.
type Range uint8

// Limited is 16..235 for Y' and 16..240 for Cb and Cr, Full is 0..255.
const (
	Limited Range = iota
	Full
)

// Format describes the pictures of a stream. Raw pictures are packed: a line
// follows the last at once, without the padding that a driver may add.
type Format struct {
	Pixel  PixelFormat `json:"format"`
	Width  int         `json:"width"`  // pixels
	Height int         `json:"height"` // pixels
	Matrix Matrix      `json:"matrix"`
	Range  Range       `json:"range"`
}

// String returns for instance "mjpeg 1920x1080".
func (f Format) String() string { return fmt.Sprintf("%v %dx%d", f.Pixel, f.Width, f.Height) }

// Plane is one plane of a raw picture.
type Plane struct {
	Offset int // of its first byte in the picture
	Stride int // bytes per line
	Lines  int
}

// Planes returns where the planes of a raw format lie, in the order of memory:
// for YVU420 the second is Cr. It returns none for a compressed format.
func (f Format) Planes() (planes [3]Plane, n int) {
	offset := 0
	for i, p := range layouts[f.Pixel] {
		stride := (f.Width + p.subX - 1) / p.subX * p.bytes
		lines := (f.Height + p.subY - 1) / p.subY
		planes[i] = Plane{offset, stride, lines}
		offset += stride * lines
		n++
	}
	return planes, n
}

// Size returns the bytes of a raw picture, 0 for a compressed format.
func (f Format) Size() int {
	planes, n := f.Planes()
	if n == 0 {
		return 0
	}
	last := planes[n-1]
	return last.Offset + last.Stride*last.Lines
}

// MaxDimension is the largest width and height accepted anywhere.
const MaxDimension = 8192

// Check reports what makes the format unusable, if anything.
func (f Format) Check() error {
	switch {
	case !f.Pixel.Supported():
		return fmt.Errorf("pixel format %s is not supported", f.Pixel.FourCC())
	case f.Width < 1 || f.Height < 1 || f.Width > MaxDimension || f.Height > MaxDimension:
		return fmt.Errorf("size %dx%d is outside 1x1..%dx%d", f.Width, f.Height, MaxDimension, MaxDimension)
	case !slices.Contains([]Matrix{BT601, BT709}, f.Matrix):
		return fmt.Errorf("matrix %d is unknown", f.Matrix)
	case !slices.Contains([]Range{Limited, Full}, f.Range):
		return fmt.Errorf("range %d is unknown", f.Range)
	}
	return nil
}
