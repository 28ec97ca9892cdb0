//go:build vm

package v4l2

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// loadGrabber loads a vivid with HDMI, a tuner and S-Video.
func loadGrabber(t *testing.T) string {
	return vm.Load(t, "vivid", "node_types=0x1", "num_inputs=3", "input_types=0x27")[0]
}

// The choices of vivid's control "DV Timings Signal Mode".
const (
	signalCurrent  = 0
	signalNone     = 1
	signalNoLock   = 2
	signalOutside  = 3
	signalSelected = 4
)

// menuItem returns the choice of a menu whose name begins with prefix.
func menuItem(t *testing.T, path, control, prefix string) int32 {
	t.Helper()
	controls, err := OpenControls(path)
	if err != nil {
		t.Fatal(err)
	}
	defer controls.Close()
	c := controlNamed(t, controls, control)
	i := slices.IndexFunc(c.Menu, func(m capture.ControlMenuItem) bool { return strings.HasPrefix(m.Name, prefix) })
	if i < 0 {
		t.Fatalf("%s has no %s", control, prefix)
	}
	return int32(c.Menu[i].Index)
}

// changeSignal changes what an HDMI input receives, by its control, and waits for
// the source to end because of it.
func changeSignal(t *testing.T, s *Source, control string, value int32) {
	t.Helper()
	next(t, s)
	setControl(t, s.path, control, value)
	if err := readToTheEnd(s); !errors.Is(err, capture.ErrSignalChanged) {
		t.Errorf("Read ended with %v", err)
	}
	s.Close()
}

// TestSignalIsFollowed: another size ends the source, and the camera then is of
// that size; a signal that is lost is named until it returns.
func TestSignalIsFollowed(t *testing.T) {
	path := loadGrabber(t)
	const mode, timings = "DV Timings Signal Mode", "DV Timings"
	before := describeGrabber(t, path)
	changeSignal(t, openFirst(t, before), mode, signalSelected)
	changeSignal(t, openFirst(t, describeGrabber(t, path)), timings, menuItem(t, path, timings, "1920x1080p"))
	if m := before.Modes[0]; m.Width != 1280 || m.Height != 720 {
		t.Errorf("before, it is %v", m)
	}
	full := openFirst(t, describeGrabber(t, path))
	if f := full.Format(); f.Width != 1920 || f.Height != 1080 {
		t.Errorf("it is %v, after %v", f, before.Modes[0])
	}
	changeSignal(t, full, mode, signalNone)
	for value, want := range map[int32]string{signalNone: "no signal on input 0", signalNoLock: "that is steady", signalOutside: "with timings"} {
		setControl(t, path, mode, value)
		_, err := Open(path, before.Modes[0], new(capture.Pool))
		if !errors.Is(err, capture.ErrNoSignal) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open without a signal: %v, want %q", err, want)
		}
		if in := describeGrabber(t, path).Inputs[0]; !strings.Contains(in.String(), want) {
			t.Errorf("the input is %v, want %q", in, want)
		}
	}
	setControl(t, path, mode, signalCurrent)
	next(t, openFirst(t, describeGrabber(t, path)))
}

func describeGrabber(t *testing.T, path string) capture.Device {
	t.Helper()
	c, err := Describe(path)
	if err != nil || len(c.Inputs) != 3 {
		t.Fatalf("%v, %v", c, err)
	}
	return c
}

// openFirst opens a camera in its first mode that tbcam can use.
func openFirst(t *testing.T, c capture.Device) *Source {
	t.Helper()
	mode, err := capture.ChooseMode(c.Modes, capture.Want{Pixel: capture.YUYV})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, c.Path, mode)
}

// TestSelectInput: what was selected is what is captured, with the fields of the
// standard.
func TestSelectInput(t *testing.T) {
	c := describeGrabber(t, loadGrabber(t))
	if !c.Inputs[0].Current || c.Inputs[0].Standards != nil || !slices.Contains(c.Inputs[2].Standards, "pal") {
		t.Errorf("inputs %v", c.Inputs)
	}
	for _, want := range []struct {
		input, standard string
		height          int
		field           capture.Field
	}{
		{"s-video", "ntsc", 480, capture.BottomFirst},
		{"2", "pal", 576, capture.TopFirst},
		{"", "ntsc", 480, capture.BottomFirst},
		{"", "", 480, capture.BottomFirst},
	} {
		selected, err := driver.SelectInput(c, want.input, want.standard)
		if err != nil {
			t.Fatal(err)
		}
		if in := selected.Inputs[2]; want.standard != "" && (!in.Current || in.Standard != want.standard) {
			t.Errorf("the input is %v, want %s", in, want.standard)
		}
		s := start(t, c.Path, capture.Mode{Pixel: capture.YUYV, Width: 720, Height: want.height})
		next(t, s)
		if m := s.Mode(); m.Height != want.height || m.Field != want.field {
			t.Errorf("%q %q: %v, want %v", want.input, want.standard, m, want.field)
		}
		s.Close()
	}
	for name, standard := range map[string]string{"composite": "", "2": "pal-x", "0": "pal"} {
		if _, err := driver.SelectInput(c, name, standard); !errors.Is(err, capture.ErrNoMode) {
			t.Errorf("%q %q: %v", name, standard, err)
		}
	}
}
