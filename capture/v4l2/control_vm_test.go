//go:build vm

package v4l2

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// controlNamed returns the control of that name as it is now.
func controlNamed(t testing.TB, controls *Controls, name string) capture.Control {
	t.Helper()
	list, err := controls.List()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(c capture.Control) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no control %q", name)
	}
	return list[i]
}

// vividSettings are values for the controls of vivid, and what is granted.
var vividSettings = []struct {
	name, value string
	want        string // what is granted, in the words of a person
	err         error
}{
	{"Brightness", "77", "77", nil},
	{"brightness", "default", "128", nil},
	{"Brightness", "256", "", capture.ErrControlValue},
	{"boolean", "off", "off", nil},
	{"boolean", "perhaps", "", capture.ErrControlValue},
	{"button", "", "pressed", nil},
	{"integer_32_bits", "-2147483648", "-2147483648", nil},
	{"integer_64_bits", "0x7fffffffffffffff", "9223372036854775807", nil},
	{"string", "ab ", "ab ", nil},
	{"string", "a", "", capture.ErrControlValue},
	{"string", "abcde", "", capture.ErrControlValue},
	{"bitmask", "0x80000010", "0x80000010", nil},
	{"bitmask", "1", "", capture.ErrControlValue},
	{"menu", "menu item 4", "Menu Item 4", nil},
	{"menu", "1", "Menu Item 1", nil},
	{"menu", "2", "", capture.ErrControlValue}, // the driver leaves this one out
	{"integer_menu", "42", "42", nil},
	{"read_only_integer_32_bits", "1", "", capture.ErrControlLocked},
}

// Values of every type are set and read back, and what no driver would take is
// refused with the reason.
func TestSetControls(t *testing.T) {
	before := descriptors(t)
	controls, err := OpenControls(loadVivid(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range vividSettings {
		list, err := controls.List()
		if err != nil {
			t.Fatal(err)
		}
		control, err := capture.FindControl(list, c.name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := control.Parse(c.value)
		if err == nil {
			s, err = controls.Set(s)
		}
		if !errors.Is(err, c.err) || err == nil && control.Format(s) != c.want {
			t.Errorf("%s=%s: %q, %v; want %q, %v", c.name, c.value, control.Format(s), err, c.want, c.err)
		}
		if again := controlNamed(t, controls, control.Name); err == nil && !control.WriteOnly && control.Format(again.Setting()) != c.want {
			t.Errorf("%s: read back is %q, want %q", c.name, control.Format(again.Setting()), c.want)
		}
	}
	const class = 0x00980001 // V4L2_CID_USER_CLASS; what follows it is Brightness
	for _, id := range []uint32{math.MaxInt32, class, ctrlFlagNextCtrl | class} {
		if _, err := controls.Set(capture.Setting{ID: id}); !errors.Is(err, capture.ErrNoControl) {
			t.Errorf("ID %#x: %v", id, err)
		}
	}
	for range 2 {
		if err := controls.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := controls.List(); !errors.Is(err, capture.ErrClosed) {
		t.Errorf("List after Close: %v", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// A control that an automatic overrides is inactive until that is off.
func TestInactiveControl(t *testing.T) {
	controls, err := OpenControls(loadVivid(t))
	if err != nil {
		t.Fatal(err)
	}
	defer controls.Close()
	gain, auto := controlNamed(t, controls, "Gain"), controlNamed(t, controls, "Gain, Automatic")
	for value, inactive := range []bool{false, true} {
		if _, err := controls.Set(capture.Setting{ID: auto.ID, Value: int64(value)}); err != nil {
			t.Fatal(err)
		}
		_, err := controls.Set(capture.Setting{ID: gain.ID, Value: 50})
		if now := controlNamed(t, controls, "Gain"); now.Inactive != inactive || errors.Is(err, capture.ErrControlLocked) != inactive {
			t.Errorf("automatic %d: inactive %t, set: %v", value, now.Inactive, err)
		}
	}
}

// What another program changes is reported, with and without a stream, and polling
// for it prevents no other program from streaming.
func TestControlChangesAreTold(t *testing.T) {
	path := loadVivid(t)
	controls, err := OpenControls(path)
	if err != nil {
		t.Fatal(err)
	}
	defer controls.Close()
	changes := make(chan error)
	go func() {
		for {
			err := controls.Wait()
			changes <- err
			if err != nil {
				return
			}
		}
	}()
	expect := func(want error) {
		t.Helper()
		for {
			select {
			case err := <-changes:
				if errors.Is(err, want) {
					return
				}
				if err != nil { // a stream changes flags, which is reported, too
					t.Fatalf("Wait: %v, want %v", err, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("nothing was reported")
			}
		}
	}
	setControl(t, path, "Contrast", 12)
	expect(nil)
	next(t, start(t, path, small))
	setControl(t, path, "Contrast", 13)
	expect(nil)
	if c := controlNamed(t, controls, "Contrast"); c.Value != 13 {
		t.Errorf("the value is %d", c.Value)
	}
	controls.Close()
	expect(capture.ErrClosed)
}

// A camera that is pulled out ends Wait.
func TestControlsOfAnUnpluggedCamera(t *testing.T) {
	path := loadVivid(t)
	controls, err := OpenControls(path)
	if err != nil {
		t.Fatal(err)
	}
	defer controls.Close()
	go func() {
		time.Sleep(100 * time.Millisecond)
		setControl(t, path, "Disconnect", 1)
	}()
	if err := controls.Wait(); !errors.Is(err, capture.ErrGone) {
		t.Errorf("Wait: %v", err)
	}
}
