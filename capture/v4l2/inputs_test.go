package v4l2

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func TestMatchInput(t *testing.T) {
	grabber := capture.Device{Name: "Grabber", Inputs: []capture.Input{
		{Number: 0, Name: "Composite"}, {Number: 1, Name: "S-Video"}, {Number: 2, Name: "HDMI 2"}, {Number: 3, Name: "HDMI 1"},
	}}
	for name, want := range map[string]int{"1": 1, "2": 2, "composite": 0, "s-v": 1, "hdmi 1": 3} {
		if got, err := matchInput(grabber, name); err != nil || got.Number != want {
			t.Errorf("%q: input %d, %v; want %d", name, got.Number, err, want)
		}
	}
	for name, want := range map[string]string{"hdmi": "0 Composite, 1 S-Video", "4": `input "4"`, "tv": "3 HDMI 1"} {
		if _, err := matchInput(grabber, name); !errors.Is(err, capture.ErrNoMode) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	if _, err := matchInput(capture.Device{Name: "Webcam"}, "0"); err == nil || !strings.Contains(err.Error(), "no choice of inputs") {
		t.Errorf("a webcam: %v", err)
	}
}

func TestMatchStandard(t *testing.T) {
	all := input{std: 0xffffff}
	for name, want := range map[string]uint64{"pal": 0xff, "NTSC": 0xb000, "secam": 0xff0000, "pal-m": 0x100, "ntsc-443": 0x4000} {
		if got, err := matchStandard(all, name); err != nil || got != want {
			t.Errorf("%s: %#x, %v; want %#x", name, got, err, want)
		}
		if got := standardName(want); got != strings.ToLower(name) {
			t.Errorf("%#x is %q, want %q", want, got, name)
		}
	}
	few := input{std: 0x1007}
	if got, err := matchStandard(few, "pal"); err != nil || got != 7 {
		t.Errorf("pal of few: %#x, %v", got, err)
	}
	for in, name := range map[*input]string{&few: "secam", {}: "pal"} {
		if _, err := matchStandard(*in, name); !errors.Is(err, capture.ErrNoMode) {
			t.Errorf("%s of %#x: %v", name, in.std, err)
		}
	}
	if got := standardName(0x1001); got != "" {
		t.Errorf("a mixture is %q", got)
	}
}

func TestFieldOrder(t *testing.T) {
	for _, c := range []struct {
		field    uint32
		standard uint64
		want     capture.Field
	}{
		{fieldNone, 0xff, capture.Progressive},
		{fieldAny, 0, capture.Progressive},
		{fieldInterlaced, 0xff, capture.TopFirst},      // PAL
		{fieldInterlaced, 0xb000, capture.BottomFirst}, // NTSC
		{fieldInterlaced, 0, capture.TopFirst},         // HDMI
		{fieldInterlacedTB, 0xb000, capture.TopFirst},  // the driver knows better
		{fieldInterlacedBT, 0xff, capture.BottomFirst},
	} {
		if got := fieldOrder(c.field, c.standard); got != c.want {
			t.Errorf("field %d of standard %#x: %v, want %v", c.field, c.standard, got, c.want)
		}
	}
}
