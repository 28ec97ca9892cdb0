package capture

import (
	"errors"
	"strings"
	"testing"
)

var testControls = []Control{
	{ID: 1, Name: "Brightness", Type: "int", Min: -64, Max: 64, Step: 1, Default: 5},
	{ID: 2, Name: "White Balance, Automatic", Type: "bool", Max: 1, Default: 1},
	{ID: 3, Name: "Power Line Frequency", Type: "menu", Max: 2, Default: 1, Menu: []ControlMenuItem{{0, "Disabled"}, {1, "50 Hz"}, {2, "60 Hz"}}},
	{ID: 4, Name: "Link Frequency", Type: "intmenu", Max: 1, Menu: []ControlMenuItem{{0, "450000000"}, {1, "2"}}},
	{ID: 5, Name: "Mask", Type: "bitmask", Max: 0xf0},
	{ID: 6, Name: "Label", Type: "string", Min: 1, Max: 4},
	{ID: 7, Name: "Reset", Type: "button", WriteOnly: true},
	{ID: 8, Name: "Gain", Type: "int", Max: 9, Inactive: true},
	{ID: 9, Name: "Temperature (C)", Type: "int", Max: 9, ReadOnly: true},
}

func TestKey(t *testing.T) {
	for name, want := range map[string]string{ // as v4l2-ctl has them
		"Exposure, Dynamic Framerate": "exposure_dynamic_framerate",
		"Integer 64 Bits":             "integer_64_bits",
		"  Zoom -- Absolute. ":        "zoom_absolute",
		"":                            "",
	} {
		if got := (Control{Name: name}).Key(); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestFindControl(t *testing.T) {
	for _, name := range []string{"white_balance_automatic", "White Balance, Automatic", "WHITE-BALANCE automatic"} {
		if c, err := FindControl(testControls, name); err != nil || c.ID != 2 {
			t.Errorf("%q: %+v, %v", name, c, err)
		}
	}
	for name, near := range map[string]string{"brigthness": "nearest: brightness,", "frequency": "nearest: power_line_frequency, link_frequency,"} {
		if _, err := FindControl(testControls, name); !errors.Is(err, ErrNoControl) || !strings.Contains(err.Error(), near) {
			t.Errorf("%q: %v, want %q", name, err, near)
		}
	}
	if _, err := FindControl(nil, "x"); !errors.Is(err, ErrNoControl) || !strings.Contains(err.Error(), "has none") {
		t.Error(err)
	}
}

// Values are read as users type them, and shown so that they can be read again.
func TestParseValue(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        int64
		shown       string
		err         error
		message     string
	}{
		{"brightness", "0x10", 16, "16", nil, ""},
		{"brightness", "default", 5, "5", nil, ""},
		{"brightness", "65", 0, "", ErrControlValue, "65 is out of range (-64 to 64)"},
		{"brightness", "bright", 0, "", ErrControlValue, "a number from -64 to 64"},
		{"white_balance_automatic", "On", 1, "on", nil, ""},
		{"white_balance_automatic", "no", 0, "off", nil, ""},
		{"white_balance_automatic", "0", 0, "off", nil, ""},
		{"white_balance_automatic", "2", 0, "", ErrControlValue, "0 to 1"},
		{"white_balance_automatic", "maybe", 0, "", ErrControlValue, "on or off"},
		{"power_line_frequency", "50 hz", 1, "50 Hz", nil, ""},
		{"power_line_frequency", "60_hz", 2, "60 Hz", nil, ""},
		{"power_line_frequency", "0", 0, "Disabled", nil, ""},
		{"power_line_frequency", "3", 0, "", ErrControlValue, "0 (Disabled), 1 (50 Hz), 2 (60 Hz)"},
		{"power_line_frequency", "!", 0, "", ErrControlValue, "not one of"},
		{"link_frequency", "2", 1, "2", nil, ""},
		{"link_frequency", "450000000", 0, "450000000", nil, ""},
		{"link_frequency", "1", 0, "", ErrControlValue, "450000000, 2"},
		{"mask", "0x90", 0x90, "0x90", nil, ""},
		{"mask", "1", 0, "", ErrControlValue, "bits outside of 0xf0"},
		{"reset", "", 0, "pressed", nil, ""},
		{"label", "", 0, "", ErrControlValue, "0 bytes are out of range (1 to 4)"},
		{"gain", "1", 0, "", ErrControlLocked, "inactive"},
		{"temperature_c", "1", 0, "", ErrControlLocked, "read-only"},
	} {
		control, err := FindControl(testControls, c.name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := control.Parse(c.value)
		if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s=%s: %v, want %v: %s", c.name, c.value, err, c.err, c.message)
		}
		if err == nil && (s.ID != control.ID || s.Value != c.want || control.Format(s) != c.shown) {
			t.Errorf("%s=%s: %+v, shown as %q", c.name, c.value, s, control.Format(s))
		}
	}
	label, _ := FindControl(testControls, "label")
	if s, err := label.Parse("0 x"); err != nil || s.Text != "0 x" || label.Format(s) != "0 x" {
		t.Errorf("a string: %+v, %v", s, err)
	}
}

// TestControlsOfTheOwner: by ID, by class, and by the names of drivers' own.
func TestControlsOfTheOwner(t *testing.T) {
	for name, c := range map[string]struct {
		control        Control
		owners, motors bool
	}{
		"V4L2_CID_PRIVACY":           {Control{ID: 0x009a0910, Name: "Privacy"}, true, false},
		"V4L2_CID_ILLUMINATORS_1":    {Control{ID: 0x00980925, Name: "Lamp"}, true, false},
		"V4L2_CID_ILLUMINATORS_2":    {Control{ID: 0x00980926}, true, false},
		"V4L2_CID_FLASH_LED_MODE":    {Control{ID: 0x009c0901}, true, false},
		"V4L2_CID_FLASH_READY":       {Control{ID: 0x009c090c}, true, false},
		"LED of libwebcam":           {Control{ID: 0x0a046d05}, true, false},
		"LED frequency of libwebcam": {Control{ID: 0x0a046d06}, true, false},
		"a driver's own LED":         {Control{ID: 0x0098f910, Name: "LED1 Mode"}, true, false},
		"a driver's own shutter":     {Control{ID: 0x0098f911, Name: "Lens, Privacy-Shutter"}, true, false},
		"a driver's own torch":       {Control{ID: 0x0098f912, Name: "Torch"}, true, false},
		"an innocent name":           {Control{ID: 0x0098f913, Name: "Scaled Flashless Illumination"}, false, false},
		"V4L2_CID_BRIGHTNESS":        {Control{ID: 0x00980900, Name: "Brightness"}, false, false},
		"V4L2_CID_PAN_RELATIVE":      {Control{ID: 0x009a0904}, false, true},
		"V4L2_CID_FOCUS_AUTO":        {Control{ID: 0x009a090c}, false, true},
		"V4L2_CID_ZOOM_CONTINUOUS":   {Control{ID: 0x009a090f}, false, true},
		"V4L2_CID_AUTO_FOCUS_START":  {Control{ID: 0x009a091c}, false, true},
		"V4L2_CID_TILT_SPEED":        {Control{ID: 0x009a0921}, false, true},
		"V4L2_CID_EXPOSURE_ABSOLUTE": {Control{ID: 0x009a0902}, false, false},
		"pan of libwebcam":           {Control{ID: 0x0a046d01}, false, true},
	} {
		if got, motor := c.control.IsOwners(), IsMotor(c.control.ID); got != c.owners || motor != c.motors {
			t.Errorf("%s: the owner's %t, a motor %t", name, got, motor)
		}
	}
}
