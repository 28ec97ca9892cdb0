package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors that callers act on; what a source returns wraps them.
var (
	// ErrClosed: Close was called, here or in another goroutine.
	ErrClosed = errors.New("source is closed")
	// ErrGone: the camera was unplugged; it may come back.
	ErrGone = errors.New("camera was disconnected")
	// ErrBusy: another program holds the camera.
	ErrBusy = errors.New("camera is busy")
	// ErrNeedsLibcamera: a camera's device gives raw sensor data, of which libcamera makes
	// frames.
	ErrNeedsLibcamera = errors.New("needs libcamera")
	// ErrNotAllowed: this user may not open the device.
	ErrNotAllowed = errors.New("permission denied")
	// ErrNoCamera: there is no such camera.
	ErrNoCamera = errors.New("no such camera")
	// ErrNoneFound: there is no camera at all.
	ErrNoneFound = fmt.Errorf("%w: none found", ErrNoCamera)
	// ErrNotNamed: there are cameras, but none that is chosen without its name.
	ErrNotNamed = fmt.Errorf("%w: none in colour", ErrNoCamera)
	// ErrAmbiguous: several cameras have the name that was asked for.
	ErrAmbiguous = fmt.Errorf("%w: several have that name", ErrNoCamera)
	// ErrNoMicrophone: there is no such microphone, or none at all.
	ErrNoMicrophone = errors.New("no such microphone")
	// ErrNoMode: the camera has no such mode.
	ErrNoMode = errors.New("camera has no such mode")
	// ErrBandwidth: the camera's bus has no room for the mode now.
	ErrBandwidth = errors.New("not enough USB bandwidth")
	// ErrNoSignal: the camera is a grabber whose input receives nothing.
	ErrNoSignal = errors.New("no signal")
	// ErrSignalChanged: a grabber's input receives another size, or nothing any
	// more; opening it again follows that.
	ErrSignalChanged = errors.New("signal changed")
)

// Source delivers the frames of an open camera.
type Source interface {
	// Mode returns what the driver granted.
	Mode() Mode
	// Format returns the format of the frames that Read returns.
	Format() Format
	// Read waits for the newest valid frame and returns it, owned by the
	// caller. Captured and Dequeued are set. It is called by one goroutine.
	// It ends with ErrClosed or ErrGone, or with the driver's error.
	Read() (*Frame, error)
	// Lost counts the frames that were not delivered so far.
	Lost() Lost
	// Close wakes Read, waits for it to leave, and frees the camera. It may be
	// called from any goroutine, and twice.
	Close() error
}

// Lost counts frames that a source did not deliver, by cause.
type Lost struct {
	Driver     uint64 // gaps in the driver's sequence numbers
	Damaged    uint64 // buffers that the driver marked as bad, or of a wrong size
	Superseded uint64 // good ones, but a newer one was there when Read looked
}

// Add adds the counts of more.
func (l *Lost) Add(more Lost) {
	l.Driver += more.Driver
	l.Damaged += more.Damaged
	l.Superseded += more.Superseded
}

// Since returns the counts that came after those of before.
func (l Lost) Since(before Lost) Lost {
	return Lost{l.Driver - before.Driver, l.Damaged - before.Damaged, l.Superseded - before.Superseded}
}

// Rate is a frame rate of Num frames in Den seconds.
type Rate struct {
	Num uint32 `json:"num"`
	Den uint32 `json:"den"`
}

// FPS returns frames per second, 0 where the rate is not known.
func (r Rate) FPS() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// Mode is one combination that a camera offers.
type Mode struct {
	Pixel  PixelFormat `json:"format"`
	Width  int         `json:"width"`  // pixels
	Height int         `json:"height"` // pixels
	Rate   Rate        `json:"rate"`
	Field  Field       `json:"field,omitempty"` // of an open camera; unknown in a list of modes
}

// Field is how frames consist of fields, which were captured one after the other.
type Field uint8

// The field orders. An interlaced frame has the top field in its even lines.
const (
	Progressive Field = iota // a frame was captured in one pass
	TopFirst
	BottomFirst
)

// String returns words for a mode, none for Progressive or what is unknown.
func (f Field) String() string {
	switch f {
	case TopFirst:
		return "interlaced (top field first)"
	case BottomFirst:
		return "interlaced (bottom field first)"
	}
	return ""
}

// String returns for instance "mjpeg 1920x1080 30 fps".
func (m Mode) String() string {
	s := fmt.Sprintf("%v %dx%d", m.Pixel, m.Width, m.Height)
	if fps := m.Rate.FPS(); fps > 0 {
		s += fmt.Sprintf(" %.4g fps", fps)
	}
	if field := m.Field.String(); field != "" {
		s += " " + field
	}
	return s
}

// Kind is what a device delivers.
type Kind string

// The kinds of devices.
const (
	Video Kind = "" // a camera
	Audio Kind = "audio"
)

// Device describes a camera or a microphone, open or not.
type Device struct {
	Kind     Kind      `json:"kind,omitempty"`
	Path     string    `json:"path"` // of the device node, or another word that no other device has
	Name     string    `json:"name"`
	Driver   string    `json:"driver"`
	Bus      string    `json:"bus"`                // stays the same when the same port is used again
	Modes    []Mode    `json:"modes"`              // a microphone has none
	Channels int       `json:"channels,omitempty"` // of a microphone, where that is known
	Controls []Control `json:"controls"`
	Inputs   []Input   `json:"inputs,omitempty"` // of a grabber; its modes are those of the current one

	Test     bool `json:"test,omitempty"`     // shows a test pattern
	Infrared bool `json:"infrared,omitempty"` // sees infrared or depth, no colour
	Screen   bool `json:"screen,omitempty"`   // shows what is on a screen
}

// OfKind returns the devices of a kind.
func OfKind(devices []Device, kind Kind) []Device {
	return slices.DeleteFunc(slices.Clone(devices), func(d Device) bool { return d.Kind != kind })
}

// Input is a connector of a grabber.
type Input struct {
	Number    int      `json:"number"`
	Name      string   `json:"name"`
	Current   bool     `json:"current,omitempty"`
	Problem   string   `json:"problem,omitempty"`   // of the current one, for instance that it has no signal
	Standard  string   `json:"standard,omitempty"`  // of the current one, where it is analogue
	Standards []string `json:"standards,omitempty"` // that it can have
}

// String returns for instance "1 HDMI 0 (current, no signal)".
func (i Input) String() string {
	var notes []string
	if i.Current {
		notes = append(notes, "current")
	}
	if i.Standard != "" {
		notes = append(notes, i.Standard)
	}
	if i.Problem != "" {
		notes = append(notes, i.Problem)
	}
	s := fmt.Sprintf("%d %s", i.Number, i.Name)
	if len(notes) > 0 {
		s += " (" + strings.Join(notes, ", ") + ")"
	}
	if len(i.Standards) > 0 {
		s += ": " + strings.Join(i.Standards, " ")
	}
	return s
}

// Control is a V4L2 control (Documentation/userspace-api/media/v4l/control.rst).
type Control struct {
	ID       uint32 `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"` // int, bool, menu, button, int64, string, bitmask, intmenu
	Min      int64  `json:"min"`
	Max      int64  `json:"max"`
	Step     int64  `json:"step"`
	Default  int64  `json:"default"`
	Value    int64  `json:"value"`
	Text     string `json:"text,omitempty"` // the value of a string control
	ReadOnly bool   `json:"readonly,omitempty"`
	Inactive bool   `json:"inactive,omitempty"` // another control overrides it
	// WriteOnly: Value is not known, as of a button.
	WriteOnly bool              `json:"writeonly,omitempty"`
	Menu      []ControlMenuItem `json:"menu,omitempty"`
}

// ControlMenuItem is one choice of a menu control.
type ControlMenuItem struct {
	Index int64  `json:"index"`
	Name  string `json:"name"`
}
