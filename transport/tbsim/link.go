package tbsim

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
)

// Link returns a Link to the device as to a real one, which stays closed for pause
// between two openings: tbdev.ViewerPause or tbdev.SenderPause.
func (e *End) Link(pause time.Duration) transport.Link {
	name := fmt.Sprint("tbsim", slices.Index(e.cable.ends[:], e))
	return &tbdev.Link{
		Resolve:  func() (string, error) { return name, nil },
		OpenFile: func() (tbdev.File, error) { return e.Open() },
		Pause:    pause,
		Log:      slog.New(slog.DiscardHandler),
	}
}
