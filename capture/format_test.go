package capture

import (
	"encoding/json"
	"strings"
	"testing"
)

// formats pins the names and the codes of include/uapi/linux/videodev2.h, and
// the planes of a 4x4 frame as Documentation/userspace-api/media/v4l/pixfmt-*.rst
// draw them.
var formats = []struct {
	name   string
	format PixelFormat
	code   uint32
	fourcc string
	planes []Plane
	size   int
}{
	{"mjpeg", MJPEG, 0x47504a4d, "MJPG", nil, 0},
	{"jpeg", JPEG, 0x4745504a, "JPEG", nil, 0},
	{"yuyv", YUYV, 0x56595559, "YUYV", []Plane{{0, 8, 4}}, 32},
	{"uyvy", UYVY, 0x59565955, "UYVY", []Plane{{0, 8, 4}}, 32},
	{"yvyu", YVYU, 0x55595659, "YVYU", []Plane{{0, 8, 4}}, 32},
	{"nv12", NV12, 0x3231564e, "NV12", []Plane{{0, 4, 4}, {16, 4, 2}}, 24},
	{"nv21", NV21, 0x3132564e, "NV21", []Plane{{0, 4, 4}, {16, 4, 2}}, 24},
	{"yu12", YUV420, 0x32315559, "YU12", []Plane{{0, 4, 4}, {16, 2, 2}, {20, 2, 2}}, 24},
	{"yv12", YVU420, 0x32315659, "YV12", []Plane{{0, 4, 4}, {16, 2, 2}, {20, 2, 2}}, 24},
	{"422p", YUV422P, 0x50323234, "422P", []Plane{{0, 4, 4}, {16, 2, 4}, {24, 2, 4}}, 32},
	{"444p", YUV444, 0x34324d59, "YM24", []Plane{{0, 4, 4}, {16, 4, 4}, {32, 4, 4}}, 48},
	{"grey", GREY, 0x59455247, "GREY", []Plane{{0, 4, 4}}, 16},
	{"rgb24", RGB24, 0x33424752, "RGB3", []Plane{{0, 12, 4}}, 48},
	{"bgr24", BGR24, 0x33524742, "BGR3", []Plane{{0, 12, 4}}, 48},
	{"nv16", NV16, 0x3631564e, "NV16", []Plane{{0, 4, 4}, {16, 4, 4}}, 32},
	{"nv61", NV61, 0x3136564e, "NV61", []Plane{{0, 4, 4}, {16, 4, 4}}, 32},
	{"nv24", NV24, 0x3432564e, "NV24", []Plane{{0, 4, 4}, {16, 8, 4}}, 48},
	{"nv42", NV42, 0x3234564e, "NV42", []Plane{{0, 4, 4}, {16, 8, 4}}, 48},
	{"xr24", XBGR32, 0x34325258, "XR24", []Plane{{0, 16, 4}}, 64},
	{"ar24", ABGR32, 0x34325241, "AR24", []Plane{{0, 16, 4}}, 64},
	{"bgr4", BGR32, 0x34524742, "BGR4", []Plane{{0, 16, 4}}, 64},
	{"xb24", RGBX32, 0x34324258, "XB24", []Plane{{0, 16, 4}}, 64},
	{"ab24", RGBA32, 0x34324241, "AB24", []Plane{{0, 16, 4}}, 64},
	{"bx24", XRGB32, 0x34325842, "BX24", []Plane{{0, 16, 4}}, 64},
	{"ba24", ARGB32, 0x34324142, "BA24", []Plane{{0, 16, 4}}, 64},
	{"rgb4", RGB32, 0x34424752, "RGB4", []Plane{{0, 16, 4}}, 64},
	{"rx24", BGRX32, 0x34325852, "RX24", []Plane{{0, 16, 4}}, 64},
	{"ra24", BGRA32, 0x34324152, "RA24", []Plane{{0, 16, 4}}, 64},
	{"rgb565", RGB565, 0x50424752, "RGBP", []Plane{{0, 8, 4}}, 32},
	{"y10", Y10, 0x20303159, "Y10 ", []Plane{{0, 8, 4}}, 32},
	{"y12", Y12, 0x20323159, "Y12 ", []Plane{{0, 8, 4}}, 32},
	{"y14", Y14, 0x20343159, "Y14 ", []Plane{{0, 8, 4}}, 32},
	{"y16", Y16, 0x20363159, "Y16 ", []Plane{{0, 8, 4}}, 32},
}

func TestFormats(t *testing.T) {
	for _, f := range formats {
		if uint32(f.format) != f.code || f.format.FourCC() != f.fourcc || f.format.String() != f.name {
			t.Errorf("%s: it is %#x %s %v", f.name, uint32(f.format), f.format.FourCC(), f.format)
		}
		if !f.format.Supported() || f.format.Compressed() != (f.planes == nil) {
			t.Errorf("%s: supported %t, compressed %t", f.name, f.format.Supported(), f.format.Compressed())
		}
		frame := Format{Pixel: f.format, Width: 4, Height: 4}
		planes, n := frame.Planes()
		if n != len(f.planes) || frame.Size() != f.size {
			t.Errorf("%s: %d planes, %d bytes, want %d, %d", f.name, n, frame.Size(), len(f.planes), f.size)
			continue
		}
		for i, p := range planes[:n] {
			if p != f.planes[i] {
				t.Errorf("%s: plane %d is %+v, want %+v", f.name, i, p, f.planes[i])
			}
		}
	}
	if len(formats) != len(pixelTable) || len(RawFormats()) != len(pixelTable)-2 {
		t.Errorf("%d formats of %d are in the table, %d are raw", len(formats), len(pixelTable), len(RawFormats()))
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		format        PixelFormat
		width, height int
		want          int
	}{
		{YUYV, 1920, 1080, 4147200}, {NV12, 1920, 1080, 3110400}, {RGB24, 1920, 1080, 6220800}, {YUV444, 1920, 1080, 6220800},
		// A group of samples that the edge cuts counts as a whole one.
		{YUYV, 3, 1, 8}, {NV12, 5, 3, 5*3 + 6*2}, {YUV420, 5, 3, 5*3 + 2*3*2}, {YUV422P, 5, 3, 5*3 + 2*3*3}, {YUV420, 1, 1, 3},
	} {
		if got := (Format{Pixel: c.format, Width: c.width, Height: c.height}).Size(); got != c.want {
			t.Errorf("%v %dx%d: got %d, want %d", c.format, c.width, c.height, got, c.want)
		}
	}
}

func TestParsePixelFormat(t *testing.T) {
	for _, f := range formats {
		for _, s := range []string{f.name, strings.ToUpper(f.name), f.fourcc} {
			if got, err := ParsePixelFormat(s); got != f.format || err != nil {
				t.Errorf("%q: got %v, %v", s, got, err)
			}
		}
	}
	for _, s := range []string{"", "h264", "mjpe", "mjpg", "YUYV "} {
		if got, err := ParsePixelFormat(s); err == nil || !strings.Contains(err.Error(), "known are mjpeg, jpeg, yuyv") {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
}

func TestPixelFormatJSON(t *testing.T) {
	for _, code := range []PixelFormat{MJPEG, YUV420, 'H' | '2'<<8 | '6'<<16 | '4'<<24, 'Y' | '1'<<8 | '6'<<16 | ' '<<24} {
		text, err := json.Marshal(code)
		if err != nil {
			t.Fatal(err)
		}
		var back PixelFormat
		if err := json.Unmarshal(text, &back); err != nil || back != code {
			t.Errorf("%s: got %v, %v", text, back, err)
		}
	}
	var p PixelFormat
	if err := json.Unmarshal([]byte(`"something"`), &p); err == nil {
		t.Errorf("got %v", p)
	}
	if s := PixelFormat(0x0a1b00ff).String(); s != "...." {
		t.Errorf("got %q, which is not printable", s)
	}
}

func TestFormatCheck(t *testing.T) {
	good := Format{Pixel: YUYV, Width: 640, Height: 480, Matrix: BT709, Range: Full}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for cause, change := range map[string]func(*Format){
		"pixel format H264": func(f *Format) { f.Pixel = 'H' | '2'<<8 | '6'<<16 | '4'<<24 },
		"size 0x480":        func(f *Format) { f.Width = 0 },
		"size 640x-1":       func(f *Format) { f.Height = -1 },
		"size 8193x480":     func(f *Format) { f.Width = MaxDimension + 1 },
		"size 640x8193":     func(f *Format) { f.Height = MaxDimension + 1 },
		"matrix 2":          func(f *Format) { f.Matrix = 2 },
		"range 2":           func(f *Format) { f.Range = 2 },
	} {
		bad := good
		change(&bad)
		if err := bad.Check(); err == nil || !strings.HasPrefix(err.Error(), cause) {
			t.Errorf("%+v: got %v, want %q", bad, err, cause)
		}
	}
}
