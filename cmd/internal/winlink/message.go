package winlink

import (
	"cmp"

	"github.com/tbcam/tbcam/capture"
)

// Update is what tbcam-view tells the window; nil leaves a thing as it is.
type Update struct {
	// Format is that of the pictures from now on; their memory comes along.
	Format *capture.Format `json:"format,omitempty"`
	// Picture: there may be a new one in the memory.
	Picture bool      `json:"picture,omitempty"`
	Title   *string   `json:"title,omitempty"`
	Message *string   `json:"message,omitempty"` // over the dimmed picture; "" for none
	Status  *[]string `json:"status,omitempty"`  // lines of the statistics
	// Fullscreen has the window fill the screen.
	Fullscreen bool `json:"fullscreen,omitempty"`
}

// Merge replaces what newer has.
func (u *Update) Merge(newer Update) {
	u.Format = cmp.Or(newer.Format, u.Format)
	u.Picture = u.Picture || newer.Picture
	u.Title = cmp.Or(newer.Title, u.Title)
	u.Message = cmp.Or(newer.Message, u.Message)
	u.Status = cmp.Or(newer.Status, u.Status)
	u.Fullscreen = u.Fullscreen || newer.Fullscreen
}

// Report is what the window tells tbcam-view.
type Report struct {
	Action Action `json:"action"`
	ID     uint64 `json:"id,omitempty"` // of the picture shown
	At     int64  `json:"at,omitempty"` // when it was, in nanoseconds of Monotonic
}

// Action is what happened in the window.
type Action string

// The actions. The window closes by itself after Quit.
const (
	Shown    Action = "shown"
	Snapshot Action = "snapshot"
	Quit     Action = "quit"
)
