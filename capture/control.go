package capture

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Errors that callers act on; what concerns a control wraps them.
var (
	// ErrNoControl: the camera has no such control.
	ErrNoControl = errors.New("no such control")
	// ErrControlLocked: the control cannot be set, now or ever.
	ErrControlLocked = errors.New("control cannot be set")
	// ErrControlValue: the control does not take this value.
	ErrControlValue = errors.New("invalid control value")
)

// DynamicFramerate is the ID of exposure_dynamic_framerate: with 0 a camera keeps
// its frame rate in the dark (V4L2_CID_EXPOSURE_AUTO_PRIORITY of
// include/uapi/linux/v4l2-controls.h).
const DynamicFramerate = 0x009a0903

// IDs of include/uapi/linux/v4l2-controls.h, and of Logitech's UVC extensions, which
// libwebcam gives IDs of their own (dynctrl-logitech.h).
const (
	cameraClass      = 0x009a0900
	panRelative      = cameraClass + 4 // from here to zoomContinuous: pan, tilt, focus and zoom
	zoomContinuous   = cameraClass + 15
	privacy          = cameraClass + 16
	autoFocusStart   = cameraClass + 28
	autoFocusStop    = cameraClass + 29
	autoFocusRange   = cameraClass + 31
	panSpeed         = cameraClass + 32
	tiltSpeed        = cameraClass + 33
	illuminators1    = 0x00980925
	illuminators2    = 0x00980926
	flashClass       = 0x009c0000
	classMask        = 0xffff0000
	logitechPan      = 0x0a046d01 // from here to logitechFocus: pan, tilt and focus
	logitechFocus    = 0x0a046d04
	logitechLED      = 0x0a046d05
	logitechLEDSpeed = 0x0a046d06
)

// IsMotor reports whether the control of an ID moves a part of the camera: pan, tilt,
// zoom or focus.
func IsMotor(id uint32) bool {
	switch id {
	case autoFocusStart, autoFocusStop, autoFocusRange, panSpeed, tiltSpeed:
		return true
	}
	return id >= panRelative && id <= zoomContinuous || id >= logitechPan && id <= logitechFocus
}

// ownerWords are in the names of controls that a driver gives IDs of its own.
var ownerWords = []string{"privacy", "led", "flash", "torch", "illuminator", "illuminators"}

// IsOwners reports whether only the owner of the camera may set the control: it
// shows people that they are seen, or lights them.
func (c Control) IsOwners() bool {
	switch c.ID {
	case privacy, illuminators1, illuminators2, logitechLED, logitechLEDSpeed:
		return true
	}
	return c.ID&classMask == flashClass || slices.ContainsFunc(strings.Split(c.Key(), "_"), func(word string) bool {
		return slices.Contains(ownerWords, strings.TrimRight(word, "0123456789"))
	})
}

// Setting is a value that a control is to have, or that its driver granted.
type Setting struct {
	ID    uint32 `json:"id"`
	Value int64  `json:"value"`
	Text  string `json:"text,omitempty"` // in place of Value, of a string control
}

// Controls is an opening of a camera for its controls alone, beside whoever
// captures from it. Its methods may be called from any goroutine.
type Controls interface {
	// List returns the controls in the driver's order, with their values.
	List() ([]Control, error)
	// Set returns what the driver granted, which need not be what was asked for.
	Set(s Setting) (Setting, error)
	// Wait returns when a control may have been changed by another program. It
	// ends with ErrClosed or ErrGone, or with the driver's error.
	Wait() error
	// Close wakes Wait. It may be called twice.
	Close() error
}

// Key returns the name as v4l2-ctl writes it: lower case, with an underscore in
// place of what is no letter or digit (name2var of v4l-utils).
func (c Control) Key() string { return controlKey(c.Name) }

func controlKey(name string) string {
	isNot := func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return strings.ToLower(strings.Join(strings.FieldsFunc(name, isNot), "_"))
}

// FindControl returns the control of that name, in whatever case and with
// whatever between its words. Without one the error names those nearest to it.
func FindControl(controls []Control, name string) (Control, error) {
	key := controlKey(name)
	for _, c := range controls {
		if c.Key() == key {
			return c, nil
		}
	}
	return Control{}, fmt.Errorf("%w: %q; %s", ErrNoControl, name, nearControls(controls, key))
}

func nearControls(controls []Control, key string) string {
	if len(controls) == 0 {
		return "the camera has none"
	}
	keys := make([]string, len(controls))
	for i, c := range controls {
		keys[i] = c.Key()
	}
	miss := func(k string) int {
		if key != "" && strings.Contains(k, key) {
			return 0
		}
		return editDistance(k, key)
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(miss(a), miss(b)) })
	return "nearest: " + strings.Join(keys[:min(3, len(keys))], ", ")
}

// editDistance counts the letters to add, drop or change between two words.
func editDistance(a, b string) int {
	line := make([]int, len(b)+1)
	for i := range line {
		line[i] = i
	}
	for i := range len(a) {
		last := line[0]
		line[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = line[j+1]
			line[j+1] = min(change, line[j]+1, last+1)
		}
	}
	return line[len(b)]
}

// Settable reports why the control cannot be set now, if so.
func (c Control) Settable() error {
	switch {
	case c.ReadOnly:
		return fmt.Errorf("%w: %s is read-only", ErrControlLocked, c.Key())
	case c.Inactive:
		return fmt.Errorf("%w: %s is inactive: another one overrides it, for instance an automatic", ErrControlLocked, c.Key())
	}
	return nil
}

// Check reports why the control cannot have this value, if so. A step that is not
// met is no error: the driver rounds.
func (c Control) Check(s Setting) error {
	if err := c.Settable(); err != nil {
		return err
	}
	switch c.Type {
	case "button":
		return nil
	case "string":
		if n := int64(len(s.Text)); n < c.Min || n > c.Max {
			return c.valueError("%d bytes are out of range (%d to %d)", n, c.Min, c.Max)
		}
		return nil
	case "menu", "intmenu":
		if len(c.Menu) > 0 && !slices.ContainsFunc(c.Menu, func(m ControlMenuItem) bool { return m.Index == s.Value }) {
			return c.noChoice(strconv.FormatInt(s.Value, 10))
		}
		return nil
	case "bitmask":
		if s.Value&^c.Max != 0 {
			return c.valueError("%#x has bits outside of %#x", s.Value, c.Max)
		}
		return nil
	}
	if s.Value < c.Min || s.Value > c.Max {
		return c.valueError("%d is out of range (%d to %d)", s.Value, c.Min, c.Max)
	}
	return nil
}

// Parse reads a value as users type it: a number, the text of a menu's choice, on
// or off, "default", the text of a string; nothing for a button.
func (c Control) Parse(value string) (Setting, error) {
	s := Setting{ID: c.ID, Value: c.Default}
	if c.Type == "button" {
		return s, c.Check(s)
	}
	if c.Type == "string" {
		s.Value, s.Text = 0, value
		return s, c.Check(s)
	}
	if strings.EqualFold(value, "default") {
		return s, c.Check(s)
	}
	n, err := strconv.ParseInt(value, 0, 64)
	if c.Type == "intmenu" { // a choice's number is its text, too
		n, err = 0, strconv.ErrSyntax
	}
	if err == nil {
		s.Value = n
		return s, c.Check(s)
	}
	if s.Value, err = c.parseWord(value); err != nil {
		return s, err
	}
	return s, c.Check(s)
}

// parseWord reads a value that is no number.
func (c Control) parseWord(value string) (int64, error) {
	switch c.Type {
	case "bool":
		if n := slices.Index([]string{"off", "on", "no", "yes", "false", "true"}, strings.ToLower(value)); n >= 0 {
			return int64(n % 2), nil
		}
		return 0, c.valueError("%q is not on or off", value)
	case "menu", "intmenu":
		for _, m := range c.Menu {
			if strings.EqualFold(m.Name, value) || controlKey(m.Name) == controlKey(value) && controlKey(value) != "" {
				return m.Index, nil
			}
		}
		return 0, c.noChoice(value)
	}
	return 0, c.valueError("%q is not a number from %d to %d", value, c.Min, c.Max)
}

func (c Control) noChoice(value string) error {
	choices := make([]string, len(c.Menu))
	for i, m := range c.Menu {
		choices[i] = fmt.Sprintf("%d (%s)", m.Index, m.Name)
		if c.Type == "intmenu" {
			choices[i] = m.Name
		}
	}
	return c.valueError("%q is not one of %s", value, strings.Join(choices, ", "))
}

// valueError returns an error that names the control and wraps ErrControlValue.
func (c Control) valueError(format string, args ...any) error {
	return &valueError{c.Key() + ": " + fmt.Sprintf(format, args...)}
}

// valueError is ErrControlValue with a text of its own.
type valueError struct{ text string }

func (e *valueError) Error() string { return e.text }
func (e *valueError) Unwrap() error { return ErrControlValue }

// Format returns a value as Parse reads it, for a person.
func (c Control) Format(s Setting) string {
	switch c.Type {
	case "button":
		return "pressed"
	case "string":
		return s.Text
	case "bool":
		if s.Value != 0 {
			return "on"
		}
		return "off"
	case "menu", "intmenu":
		for _, m := range c.Menu {
			if m.Index == s.Value {
				return m.Name
			}
		}
	case "bitmask":
		return fmt.Sprintf("%#x", s.Value)
	}
	return strconv.FormatInt(s.Value, 10)
}

// Setting returns the value that the control has.
func (c Control) Setting() Setting { return Setting{ID: c.ID, Value: c.Value, Text: c.Text} }
