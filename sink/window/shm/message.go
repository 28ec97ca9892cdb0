package shm

import (
	"cmp"

	"github.com/tbcam/tbcam/capture"
)

// Update is a message of tbcam-view to the window; nil leaves a thing as it is.
type Update struct {
	// Format is that of the frames from now on; their memory comes along.
	Format *capture.Format `json:"format,omitempty"`
	// Frame: there may be a new one in the memory.
	Frame bool    `json:"frame,omitempty"`
	Title *string `json:"title,omitempty"`
	// Message is over the dimmed frame: a heading, and lines of detail; "" for none.
	Message *string `json:"message,omitempty"`
	// Notice is shown for a moment.
	Notice *string `json:"notice,omitempty"`
	// Status is the statistics: a line for all, and a table.
	Status *[]string `json:"status,omitempty"`
	// Latency is that of frames that were shown since the last update, in
	// milliseconds, the oldest first.
	Latency   []float32          `json:"latency,omitempty"`
	Controls  *[]capture.Control `json:"controls,omitempty"` // of the camera, with their values
	Recording *bool              `json:"recording,omitempty"`
	// Microphone is the far microphone, nil for as long as there is none.
	Microphone *Microphone `json:"microphone,omitempty"`
	// Fullscreen has the window fill the screen.
	Fullscreen bool `json:"fullscreen,omitempty"`
}

// Microphone is how the far microphone is heard.
type Microphone struct {
	Level float32 `json:"level"` // the loudest sample of a moment, in dBFS, MinLevel at least
	Flows bool    `json:"flows,omitempty"`
	Muted bool    `json:"muted,omitempty"`
}

// MinLevel is the lowest level that is distinguished, in dBFS.
const MinLevel = -60

// MaxLatency bounds how many figures an update holds.
const MaxLatency = 600

// Merge replaces what newer has, and adds its figures.
func (u *Update) Merge(newer Update) {
	u.Format = cmp.Or(newer.Format, u.Format)
	u.Frame = u.Frame || newer.Frame
	u.Title = cmp.Or(newer.Title, u.Title)
	u.Message = cmp.Or(newer.Message, u.Message)
	u.Notice = cmp.Or(newer.Notice, u.Notice)
	u.Status = cmp.Or(newer.Status, u.Status)
	u.Latency = append(u.Latency, newer.Latency...)
	u.Latency = u.Latency[max(0, len(u.Latency)-MaxLatency):]
	u.Controls = cmp.Or(newer.Controls, u.Controls)
	u.Recording = cmp.Or(newer.Recording, u.Recording)
	u.Microphone = cmp.Or(newer.Microphone, u.Microphone)
	u.Fullscreen = u.Fullscreen || newer.Fullscreen
}

// Quiet reports whether an update has no more than frames.
func (u *Update) Quiet() bool {
	return u.Format == nil && u.Title == nil && u.Message == nil && u.Notice == nil &&
		u.Status == nil && u.Controls == nil && u.Recording == nil && u.Microphone == nil && !u.Fullscreen
}

// Report is a message of the window to tbcam-view.
type Report struct {
	Action  Action `json:"action"`
	ID      uint64 `json:"id,omitempty"`      // of the frame shown
	At      int64  `json:"at,omitempty"`      // when it was, in nanoseconds of Monotonic
	On      bool   `json:"on,omitempty"`      // of Statistics and Meter
	Control uint32 `json:"control,omitempty"` // which one is to be set
	Value   int64  `json:"value,omitempty"`   // and what to
}

// Action is what happened in the window.
type Action string

// The actions. The window closes by itself after Quit.
const (
	Started    Action = "started" // it is open
	Shown      Action = "shown"
	Snapshot   Action = "snapshot"   // of the frame that was shown last
	Record     Action = "record"     // begin or end it
	Statistics Action = "statistics" // On: they are looked at
	Meter      Action = "meter"      // On: the level of the microphone is looked at
	Mute       Action = "mute"       // mute the microphone, or unmute it
	SetControl Action = "control"
	Confirm    Action = "confirm" // confirm the sender that is being paired
	Quit       Action = "quit"
)
