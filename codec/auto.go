package codec

import (
	"time"

	"github.com/tbcam/tbcam/capture"
)

// Line is what the choice between JPEGs and raw frames depends on, besides the mode.
type Line struct {
	Rate      float64 // bytes per second that it was measured to carry; 0 is not known yet
	WantsJPEG bool    // an output takes JPEGs as they are: a recording, a node of JPEGs
}

// Reason is why AutoChoice chose a kind.
type Reason int

// The reasons. All but Room are for JPEG.
const (
	Unmeasured Reason = iota
	OutputWantsJPEG
	NoRoom // or it had none a moment ago
	Room
)

var reasonTexts = [...]string{
	Unmeasured:      "line is not measured yet",
	OutputWantsJPEG: "an output wants JPEG",
	NoRoom:          "line has no room for raw frames",
	Room:            "line has room for raw frames",
}

// String returns a few words for statistics.
func (r Reason) String() string { return reasonTexts[r] }

// Raw frames begin where the line carries beginRoom times what they need, and end
// where it carries less than keepRoom times that: a line whose rate lies between the
// two does not change back and forth. One that lost its room waits for settleTime.
const (
	beginRoom  = 3
	keepRoom   = 2
	settleTime = 10 * time.Second
)

// AutoChoice chooses between JPEG and Raw for a camera of raw frames: raw costs no
// processor, and more of the line. The zero value has chosen JPEG.
type AutoChoice struct {
	raw     bool
	settled time.Time // until then it has no room
}

// Choose returns what to send frames of a format as, that come at a rate per second.
func (a *AutoChoice) Choose(now time.Time, f capture.Format, rate float64, line Line) (Kind, Reason) {
	reason := a.reason(now, float64(f.Size())*rate, line)
	if a.raw && reason == NoRoom {
		a.settled = now.Add(settleTime)
	}
	a.raw = reason == Room
	if a.raw {
		return Raw, reason
	}
	return JPEG, reason
}

func (a *AutoChoice) reason(now time.Time, needed float64, line Line) Reason {
	room := needed * beginRoom
	if a.raw {
		room = needed * keepRoom
	}
	switch {
	case line.WantsJPEG:
		return OutputWantsJPEG
	case line.Rate == 0:
		return Unmeasured
	case line.Rate < room || needed == 0 || now.Before(a.settled): // 0 of unknown formats and rates
		return NoRoom
	}
	return Room
}
