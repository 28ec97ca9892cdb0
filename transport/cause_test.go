package transport_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// TestCauses: the viewer's error wraps what the sender's does, and has its text.
func TestCauses(t *testing.T) {
	for _, is := range []error{capture.ErrNoCamera, capture.ErrNoMode, capture.ErrBusy} {
		cause := transport.CauseOf(fmt.Errorf("open it: %w", is))
		if err := cause.Err("as stated"); !errors.Is(err, is) || err.Error() != "as stated" {
			t.Errorf("%q: %v", cause, err)
		}
	}
	if cause := transport.CauseOf(errors.New("another")); cause != "" {
		t.Errorf("an error that is none of them has cause %q", cause)
	}
	for _, cause := range []transport.Cause{"", "of a later version"} {
		if err := cause.Err("as stated"); transport.CauseOf(err) != "" || err.Error() != "as stated" {
			t.Errorf("%q: %v", cause, err)
		}
	}
}

// TestKeep: after a Start that was refused, the sender is not asked again for what
// runs, but the next session is.
func TestKeep(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		before, refused := capture.Want{FPS: 30}, capture.Want{FPS: 29}
		w.stream.Start(before)
		time.Sleep(time.Second)
		number := w.stream.Start(refused)
		w.feed.Report(transport.Status{State: transport.Refused, Request: number, Cause: transport.NoMode})
		time.Sleep(time.Second)
		w.stream.Keep(before)
		time.Sleep(5 * time.Second)
		if starts, _ := w.feed.Requests(); len(starts) < 2 || starts[len(starts)-1] != refused {
			t.Errorf("asked for %v", starts)
		}
		if got := w.screen.Events().Statuses; len(got) == 0 || got[len(got)-1].Request != number {
			t.Errorf("request %d was answered by %+v", number, got)
		}
		w.cable.Cut()
		time.Sleep(5 * time.Second)
		if starts, _ := w.feed.Requests(); starts[len(starts)-1] != before {
			t.Errorf("the next session was asked for %v", starts)
		}
	})
}
