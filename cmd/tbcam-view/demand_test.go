package main

import (
	"fmt"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// asked notes what the sender is asked.
type asked []string

func (a *asked) Start(want capture.Want) uint32 {
	*a = append(*a, fmt.Sprint("start ", want.Camera))
	return uint32(len(*a))
}
func (a *asked) SetRaw(raw bool) {
	if raw {
		*a = append(*a, "raw")
	}
}
func (a *asked) Stop() { *a = append(*a, "stop") }

// TestDemand: the sender is asked when the first sink needs frames, and informed when
// the last needs none.
func TestDemand(t *testing.T) {
	var a asked
	d := &demand{stream: &a, want: capture.Want{Camera: "front"}, takesRaw: func() bool { return true }}
	for _, yes := range []bool{true, true, false, true, false, false, true, false} {
		d.noteNeed(yes)
	}
	if got := fmt.Sprint(a); got != "[raw start front raw raw raw raw raw stop raw start front raw stop]" {
		t.Errorf("the sender is asked %s", got)
	}
}
