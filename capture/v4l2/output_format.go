package v4l2

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// FormatError is an ErrFormat of OpenOutput that knows what the node has instead.
type FormatError struct {
	Path         string
	Asked, Keeps capture.Format
	holder       string // who may be the reason
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("VIDIOC_S_FMT %s: %v: %v was asked, it keeps %v%s", e.Path, ErrFormat, e.Asked, e.Keeps, e.holder)
}

// Unwrap makes it an ErrFormat.
func (e *FormatError) Unwrap() error { return ErrFormat }
