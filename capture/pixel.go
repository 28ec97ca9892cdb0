package capture

import (
	"fmt"
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
	YUV422P = PixelFormat('4' | '2'<<8 | '2'<<16 | 'P'<<24)
	NV16    = PixelFormat('N' | 'V'<<8 | '1'<<16 | '6'<<24)
	NV61    = PixelFormat('N' | 'V'<<8 | '6'<<16 | '1'<<24)
	NV12    = PixelFormat('N' | 'V'<<8 | '1'<<16 | '2'<<24)
	YUV420  = PixelFormat('Y' | 'U'<<8 | '1'<<16 | '2'<<24)
	NV21    = PixelFormat('N' | 'V'<<8 | '2'<<16 | '1'<<24)
	YVU420  = PixelFormat('Y' | 'V'<<8 | '1'<<16 | '2'<<24)
	YUV444  = PixelFormat('Y' | 'M'<<8 | '2'<<16 | '4'<<24)
	NV24    = PixelFormat('N' | 'V'<<8 | '2'<<16 | '4'<<24)
	NV42    = PixelFormat('N' | 'V'<<8 | '4'<<16 | '2'<<24)
	RGB24   = PixelFormat('R' | 'G'<<8 | 'B'<<16 | '3'<<24)
	BGR24   = PixelFormat('B' | 'G'<<8 | 'R'<<16 | '3'<<24)
	XBGR32  = PixelFormat('X' | 'R'<<8 | '2'<<16 | '4'<<24)
	ABGR32  = PixelFormat('A' | 'R'<<8 | '2'<<16 | '4'<<24)
	BGR32   = PixelFormat('B' | 'G'<<8 | 'R'<<16 | '4'<<24)
	RGBX32  = PixelFormat('X' | 'B'<<8 | '2'<<16 | '4'<<24)
	RGBA32  = PixelFormat('A' | 'B'<<8 | '2'<<16 | '4'<<24)
	XRGB32  = PixelFormat('B' | 'X'<<8 | '2'<<16 | '4'<<24)
	ARGB32  = PixelFormat('B' | 'A'<<8 | '2'<<16 | '4'<<24)
	RGB32   = PixelFormat('R' | 'G'<<8 | 'B'<<16 | '4'<<24)
	BGRX32  = PixelFormat('R' | 'X'<<8 | '2'<<16 | '4'<<24)
	BGRA32  = PixelFormat('R' | 'A'<<8 | '2'<<16 | '4'<<24)
	RGB565  = PixelFormat('R' | 'G'<<8 | 'B'<<16 | 'P'<<24)
	GREY    = PixelFormat('G' | 'R'<<8 | 'E'<<16 | 'Y'<<24)
	Y10     = PixelFormat('Y' | '1'<<8 | '0'<<16 | ' '<<24)
	Y12     = PixelFormat('Y' | '1'<<8 | '2'<<16 | ' '<<24)
	Y14     = PixelFormat('Y' | '1'<<8 | '4'<<16 | ' '<<24)
	Y16     = PixelFormat('Y' | '1'<<8 | '6'<<16 | ' '<<24)
)

// Layout is how the samples of a format lie in memory.
type Layout uint8

// The layouts. Each but Coded needs its own conversion to planes (package codec).
const (
	Coded      Layout = iota // a JPEG file
	Planar                   // a plane for each component
	SemiPlanar               // a plane of luma, and one of Cb and Cr in turns
	Packed422                // luma and chroma in turns; two pixels share Cb and Cr
	PackedRGB                // a byte each of red, green and blue, and perhaps one without meaning
	RGB16                    // 5, 6 and 5 bits of red, green and blue in a little-endian word
	Words                    // luma alone, in the low bits of little-endian 16-bit words
)

// plane describes one plane of a raw format: bytes per sample group, and the
// horizontal and vertical subsampling of these groups.
type plane struct{ bytes, subX, subY int }

// PixelInfo is a row of the table of pixel formats: all that capture, codec, the
// containers, the window and V4L2 know of one. To add a format, add a row; a new
// Layout also needs its conversion in codec.
type PixelInfo struct {
	Pixel  PixelFormat
	Name   string // what users type, and what is on the wire
	Layout Layout
	// Planar is the planar format of 8 bits that holds the same chroma; it is
	// itself for the four that JPEGs decode to.
	Planar PixelFormat
	Bits   int // of a sample of luma, red or green
	// CrFirst: Cr comes before Cb.
	CrFirst bool
	// ChromaFirst: in Packed422, chroma comes before luma.
	ChromaFirst bool
	// RGB holds the offsets of red, green and blue in a pixel of PackedRGB, and
	// its bytes.
	RGB [4]int
	// Separate is V4L2's code of the same format with each plane in a buffer of
	// its own; 0 where there is none.
	Separate PixelFormat
	// Matroska is the UncompressedFourCC. No registry has them: these are the ones
	// that ffmpeg knows, most of them from AVI; empty where it knows none.
	// GStreamer (1.22) knows neither NV12, NV21 and YVYU nor planar 4:2:2 and 4:4:4.
	Matroska string
	// SPA is PipeWire's enum spa_video_format (spa/param/video/raw.h), where 1 is any
	// encoded one; 0 where it has none.
	SPA uint32

	planes []plane // in the order of memory (Documentation/userspace-api/media/v4l/pixfmt-*.rst)
}

var (
	onePlane  = []plane{{1, 1, 1}}
	planes444 = []plane{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}}
	planes422 = []plane{{1, 1, 1}, {1, 2, 1}, {1, 2, 1}}
	planes420 = []plane{{1, 1, 1}, {1, 2, 2}, {1, 2, 2}}
	pairs444  = []plane{{1, 1, 1}, {2, 1, 1}}
	pairs422  = []plane{{1, 1, 1}, {2, 2, 1}}
	pairs420  = []plane{{1, 1, 1}, {2, 2, 2}}
	packed422 = []plane{{4, 2, 1}}
	words     = []plane{{2, 1, 1}}
)

// pixelTable lists the formats: coded ones, then raw ones in the order in which
// they are preferred where size and rate are equal. Grey comes last.
var pixelTable = []PixelInfo{
	{Pixel: MJPEG, Name: "mjpeg", SPA: 1, Bits: 8},
	{Pixel: JPEG, Name: "jpeg", Bits: 8},

	{Pixel: YUYV, Name: "yuyv", SPA: 4, Layout: Packed422, Planar: YUV422P, Bits: 8, planes: packed422, Matroska: "YUY2"},
	{Pixel: UYVY, Name: "uyvy", SPA: 5, Layout: Packed422, Planar: YUV422P, Bits: 8, planes: packed422, ChromaFirst: true, Matroska: "UYVY"},
	{Pixel: YVYU, Name: "yvyu", SPA: 19, Layout: Packed422, Planar: YUV422P, Bits: 8, planes: packed422, CrFirst: true, Matroska: "YVYU"},
	{Pixel: YUV422P, Name: "422p", SPA: 18, Layout: Planar, Planar: YUV422P, Bits: 8, planes: planes422, Separate: fourCC("YM16"), Matroska: "Y42B"},
	{Pixel: NV16, Name: "nv16", SPA: 51, Layout: SemiPlanar, Planar: YUV422P, Bits: 8, planes: pairs422, Separate: fourCC("NM16")},
	{Pixel: NV61, Name: "nv61", SPA: 60, Layout: SemiPlanar, Planar: YUV422P, Bits: 8, planes: pairs422, CrFirst: true, Separate: fourCC("NM61")},
	{Pixel: NV12, Name: "nv12", SPA: 23, Layout: SemiPlanar, Planar: YUV420, Bits: 8, planes: pairs420, Separate: fourCC("NM12"), Matroska: "NV12"},
	{Pixel: YUV420, Name: "yu12", SPA: 2, Layout: Planar, Planar: YUV420, Bits: 8, planes: planes420, Separate: fourCC("YM12"), Matroska: "I420"},
	{Pixel: NV21, Name: "nv21", SPA: 24, Layout: SemiPlanar, Planar: YUV420, Bits: 8, planes: pairs420, CrFirst: true, Separate: fourCC("NM21"), Matroska: "NV21"},
	{Pixel: YVU420, Name: "yv12", SPA: 3, Layout: Planar, Planar: YUV420, Bits: 8, planes: planes420, CrFirst: true, Separate: fourCC("YM21"), Matroska: "YV12"},
	{Pixel: YUV444, Name: "444p", SPA: 20, Layout: Planar, Planar: YUV444, Bits: 8, planes: planes444, Separate: YUV444, Matroska: "444P"},
	{Pixel: NV24, Name: "nv24", SPA: 52, Layout: SemiPlanar, Planar: YUV444, Bits: 8, planes: pairs444},
	{Pixel: NV42, Name: "nv42", Layout: SemiPlanar, Planar: YUV444, Bits: 8, planes: pairs444, CrFirst: true},

	rgbInfo(RGB24, "rgb24", 15, [4]int{0, 1, 2, 3}, "RGB\x18"),
	rgbInfo(BGR24, "bgr24", 16, [4]int{2, 1, 0, 3}, "BGR\x18"),
	rgbInfo(XBGR32, "xr24", 8, [4]int{2, 1, 0, 4}, "BGR\x00"),
	rgbInfo(ABGR32, "ar24", 12, [4]int{2, 1, 0, 4}, "BGR\x00"),
	rgbInfo(BGR32, "bgr4", 0, [4]int{2, 1, 0, 4}, "BGR\x00"),
	rgbInfo(RGBX32, "xb24", 7, [4]int{0, 1, 2, 4}, "RGB\x00"),
	rgbInfo(RGBA32, "ab24", 11, [4]int{0, 1, 2, 4}, "RGB\x00"),
	rgbInfo(XRGB32, "bx24", 9, [4]int{1, 2, 3, 4}, "\x00RGB"),
	rgbInfo(ARGB32, "ba24", 13, [4]int{1, 2, 3, 4}, "\x00RGB"),
	rgbInfo(RGB32, "rgb4", 0, [4]int{1, 2, 3, 4}, "\x00RGB"),
	rgbInfo(BGRX32, "rx24", 10, [4]int{3, 2, 1, 4}, "\x00BGR"),
	rgbInfo(BGRA32, "ra24", 14, [4]int{3, 2, 1, 4}, "\x00BGR"),
	{Pixel: RGB565, Name: "rgb565", SPA: 29, Layout: RGB16, Planar: YUV444, Bits: 6, planes: words, Matroska: "RGB\x10"},

	{Pixel: GREY, Name: "grey", SPA: 25, Layout: Planar, Planar: GREY, Bits: 8, planes: onePlane, Matroska: "Y800"},
	{Pixel: Y10, Name: "y10", Layout: Words, Planar: GREY, Bits: 10, planes: words, Matroska: "Y1\x00\x0a"},
	{Pixel: Y12, Name: "y12", Layout: Words, Planar: GREY, Bits: 12, planes: words, Matroska: "Y1\x00\x0c"},
	{Pixel: Y14, Name: "y14", Layout: Words, Planar: GREY, Bits: 14, planes: words, Matroska: "Y1\x00\x0e"},
	{Pixel: Y16, Name: "y16", SPA: 27, Layout: Words, Planar: GREY, Bits: 16, planes: words, Matroska: "Y1\x00\x10"},
}

// rgbInfo returns the row of a format of PackedRGB.
func rgbInfo(pixel PixelFormat, name string, spa uint32, order [4]int, matroska string) PixelInfo {
	return PixelInfo{
		Pixel: pixel, Name: name, SPA: spa, Layout: PackedRGB, Planar: YUV444, Bits: 8,
		RGB: order, planes: []plane{{order[3], 1, 1}}, Matroska: matroska,
	}
}

func fourCC(code string) PixelFormat {
	return PixelFormat(code[0]) | PixelFormat(code[1])<<8 | PixelFormat(code[2])<<16 | PixelFormat(code[3])<<24
}

// ranks holds where each format is in pixelTable.
var ranks = func() map[PixelFormat]int {
	m := make(map[PixelFormat]int)
	for i := range pixelTable {
		m[pixelTable[i].Pixel] = i
	}
	return m
}()

// unknownPixel is the row of every format that is not in the table.
var unknownPixel PixelInfo

// Info returns what is known of the format; an empty row, of Pixel 0, where tbcam
// cannot handle it. The row must not be changed.
func (p PixelFormat) Info() *PixelInfo {
	if i, ok := ranks[p]; ok {
		return &pixelTable[i]
	}
	return &unknownPixel
}

// IsRGB reports whether the samples are red, green and blue.
func (i *PixelInfo) IsRGB() bool { return i.Layout == PackedRGB || i.Layout == RGB16 }

// Subsampling returns how many pixels share a sample of chroma, across and down.
func (i *PixelInfo) Subsampling() (x, y int) {
	planes := i.Planar.Info().planes
	if len(planes) == 0 {
		return 1, 1
	}
	last := planes[len(planes)-1]
	return last.subX, last.subY
}

// FromSPA returns the format of PipeWire's enum spa_video_format, 0 where tbcam
// cannot handle it.
func FromSPA(format uint32) PixelFormat {
	for i := range pixelTable {
		if format != 0 && pixelTable[i].SPA == format {
			return pixelTable[i].Pixel
		}
	}
	return 0
}

// Joined returns the format whose planes lie one after the other where V4L2's
// code is of one with each plane in a buffer of its own, and else p itself.
func (p PixelFormat) Joined() PixelFormat {
	for i := range pixelTable {
		if pixelTable[i].Separate == p {
			return pixelTable[i].Pixel
		}
	}
	return p
}

// ParsePixelFormat reads the name of a format as users type it, or a fourcc.
func ParsePixelFormat(s string) (PixelFormat, error) {
	known := make([]string, len(pixelTable))
	for i, row := range pixelTable {
		if strings.EqualFold(s, row.Name) || s == row.Pixel.FourCC() {
			return row.Pixel, nil
		}
		known[i] = row.Name
	}
	return 0, fmt.Errorf("pixel format %q is unknown; known are %s", s, strings.Join(known, ", "))
}

// String returns the name that ParsePixelFormat reads, of a format that tbcam
// cannot handle the fourcc.
func (p PixelFormat) String() string {
	if name := p.Info().Name; name != "" {
		return name
	}
	return strings.TrimSpace(p.FourCC())
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

// MarshalText returns the name that users type, or the fourcc.
func (p PixelFormat) MarshalText() ([]byte, error) {
	if name := p.Info().Name; name != "" {
		return []byte(name), nil
	}
	return []byte(p.FourCC()), nil
}

// UnmarshalText reads what MarshalText wrote, also of a format that tbcam cannot
// handle: a camera's list may hold such.
func (p *PixelFormat) UnmarshalText(text []byte) error {
	known, err := ParsePixelFormat(string(text))
	if err != nil && len(text) == 4 {
		known, err = fourCC(string(text)), nil
	}
	*p = known
	return err
}

// Compressed reports whether a frame of this format is a JPEG file.
func (p PixelFormat) Compressed() bool {
	info := p.Info()
	return info.Pixel != 0 && info.Layout == Coded
}

// Supported reports whether tbcam can handle the format.
func (p PixelFormat) Supported() bool { return p.Info().Pixel != 0 }

// RawFormats lists the uncompressed formats, in a fixed order.
func RawFormats() []PixelFormat {
	var raw []PixelFormat
	for _, row := range pixelTable {
		if row.Layout != Coded {
			raw = append(raw, row.Pixel)
		}
	}
	return raw
}
