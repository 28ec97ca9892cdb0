package v4l2

import (
	"slices"
	"testing"

	"github.com/blackjack/webcam"

	"github.com/tbcam/tbcam/capture"
)

func TestSizesOfAnEntry(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry webcam.FrameSize
		want  []size
	}{
		{"discrete", webcam.FrameSize{MinWidth: 176, MaxWidth: 176, MinHeight: 144, MaxHeight: 144}, []size{{176, 144}}},
		{"stepwise", webcam.FrameSize{MinWidth: 32, MaxWidth: 1280, StepWidth: 2, MinHeight: 32, MaxHeight: 720, StepHeight: 2},
			[]size{{160, 120}, {320, 180}, {320, 240}, {352, 288}, {640, 360}, {640, 480}, {800, 600}, {960, 540}, {1280, 720}}},
		{"coarse steps", webcam.FrameSize{MinWidth: 640, MaxWidth: 1920, StepWidth: 640, MinHeight: 480, MaxHeight: 1080, StepHeight: 120},
			[]size{{640, 480}, {1280, 720}, {1280, 960}, {1920, 1080}}},
		{"only the width varies", webcam.FrameSize{MinWidth: 320, MaxWidth: 640, StepWidth: 320, MinHeight: 480, MaxHeight: 480},
			[]size{{640, 480}}},
		{"nothing", webcam.FrameSize{MinWidth: 1, MaxWidth: 2, StepWidth: 1, MinHeight: 1, MaxHeight: 1}, nil},
	} {
		if got := standardSizesIn(c.entry); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestReceivedSize: a grabber that scales offers what it receives.
func TestReceivedSize(t *testing.T) {
	scaler := webcam.FrameSize{MinWidth: 16, MaxWidth: 4096, StepWidth: 2, MinHeight: 16, MaxHeight: 2160, StepHeight: 2}
	fixed := webcam.FrameSize{MinWidth: 640, MaxWidth: 640, MinHeight: 480, MaxHeight: 480}
	for _, c := range []struct {
		entry    webcam.FrameSize
		received size
		want     []size
	}{
		{scaler, size{1366, 768}, []size{{1366, 768}}},
		{scaler, size{}, standardSizes},
		{scaler, size{8192, 4320}, standardSizes},
		{fixed, size{1366, 768}, []size{{640, 480}}},
	} {
		if got := sizesIn(c.entry, c.received); !slices.Equal(got, c.want) {
			t.Errorf("%v of %v: %v, want %v", c.received, c.entry, got, c.want)
		}
	}
}

func TestRatesOfAnEntry(t *testing.T) {
	whole := func(fps ...uint32) (rates []capture.Rate) {
		for _, n := range fps {
			rates = append(rates, capture.Rate{Num: n, Den: 1})
		}
		return rates
	}
	for _, c := range []struct {
		name              string
		shortest, longest fract
		want              []capture.Rate
	}{
		{"discrete", fract{1, 30}, fract{1, 30}, whole(30)},
		{"discrete and not whole", fract{1001, 30000}, fract{1001, 30000}, []capture.Rate{{Num: 30000, Den: 1001}}},
		{"discrete and fractional", fract{2, 15}, fract{2, 15}, []capture.Rate{{Num: 15, Den: 2}}},
		{"range", fract{1, 30}, fract{1, 10}, whole(10, 15, 20, 24, 25, 30)},
		{"range with odd ends", fract{1001, 30000}, fract{1, 14}, whole(15, 20, 24, 25)},
		{"all of v4l2loopback's", fract{1, 1000}, fract{1, 1}, whole(standardRates...)},
		{"range without a standard rate", fract{10, 40}, fract{10, 30}, []capture.Rate{{Num: 40, Den: 10}}},
	} {
		if got := standardRatesIn(c.shortest, c.longest); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBayerFormats(t *testing.T) {
	for _, code := range []string{"BA81", "GBRG", "GRBG", "RGGB", "BG10", "GB10", "BA10", "RG10", "pBAA", "pgCC", "aBA8",
		"bgA8", "BD10", "BG12", "GR14", "pREE", "BYR2", "RG16", "ip3r"} {
		if !isBayer(fourCC(code)) {
			t.Errorf("%s is not taken for raw sensor data", code)
		}
	}
	for _, p := range append(capture.RawFormats(), capture.MJPEG, capture.JPEG) {
		if isBayer(p) {
			t.Errorf("%v is taken for raw sensor data", p)
		}
	}
	for _, code := range []string{"BGR4", "RGBP", "Y10 ", "Y16 ", "H264", "BA24", "RGB4", "AR24", "GRBP"} {
		if isBayer(fourCC(code)) {
			t.Errorf("%s is taken for raw sensor data", code)
		}
	}
}

func fourCC(code string) capture.PixelFormat {
	return capture.PixelFormat(uint32(code[0]) | uint32(code[1])<<8 | uint32(code[2])<<16 | uint32(code[3])<<24)
}
