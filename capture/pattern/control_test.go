package pattern_test

import (
	"errors"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
)

// set sets a control by its name and value, and back when the test is over.
func set(t *testing.T, c capture.Controls, name, value string) (capture.Control, capture.Setting, error) {
	t.Helper()
	list, _ := c.List()
	control, err := capture.FindControl(list, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := control.Parse(value)
	if err == nil {
		s, err = c.Set(s)
	}
	t.Cleanup(func() { c.Set(capture.Setting{ID: control.ID, Value: control.Default}) })
	return control, s, err
}

func openControls(t *testing.T) capture.Controls {
	t.Helper()
	c, err := pattern.Driver{}.OpenControls(pattern.Camera())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestControls(t *testing.T) {
	c, other := openControls(t), openControls(t)
	defer c.Close()
	if control, s, err := set(t, c, "block_speed", "11"); err != nil || s.Value != 8 {
		t.Errorf("%s: granted %+v, %v; want 8", control.Key(), s, err)
	}
	if err := other.Wait(); err != nil {
		t.Error("another opening is not notified:", err)
	}
	if _, _, err := set(t, c, "block", "still"); err != nil {
		t.Error(err)
	}
	if _, _, err := set(t, c, "block_speed", "4"); !errors.Is(err, capture.ErrControlLocked) {
		t.Errorf("an inactive one: %v", err)
	}
	if _, err := c.Set(capture.Setting{ID: 1}); !errors.Is(err, capture.ErrNoControl) {
		t.Errorf("an unknown one: %v", err)
	}
	for range 2 {
		other.Close()
	}
	for other.Wait() == nil { // of changes before
	}
	if err := other.Wait(); !errors.Is(err, capture.ErrClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
	if now := pattern.Camera().Controls[1]; now.Value != 2 {
		t.Errorf("the camera is listed with %+v", now)
	}
}

// What is set is seen.
func TestBrightnessAndBlock(t *testing.T) {
	c := openControls(t)
	defer c.Close()
	s, _ := openCamera(t, capture.Mode{Pixel: capture.YUYV, Width: 160, Height: 120, Rate: capture.Rate{Num: 60, Den: 1}})
	at := func() (bar, block byte) {
		f, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Release()
		return luma(f)(5, 110), luma(f)(5, 65)
	}
	set(t, c, "block", "Still")
	if bar, block := at(); bar != 180 || block != 235 {
		t.Errorf("bar %d, block %d; want 180, 235", bar, block)
	}
	set(t, c, "block", "none")
	set(t, c, "brightness", "-20")
	if bar, block := at(); bar != 160 || block != 160 {
		t.Errorf("darker and without a block: %d and %d, want 160", bar, block)
	}
}
