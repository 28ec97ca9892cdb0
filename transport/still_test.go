package transport_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// onDevice makes the cable one between two devices.
func (w *world) onDevice() {
	w.cable.Device, w.cable.Sender.Pause, w.cable.Viewer.Pause = true, 1800*time.Millisecond, 1200*time.Millisecond
}

// lose loses what is sent either way for a while.
func (w *world) lose(d time.Duration) {
	w.cable.Change(func() { w.cable.Damage = func(*transporttest.End, []byte) []byte { return nil } })
	time.Sleep(d)
	w.cable.Change(func() { w.cable.Damage = whole })
}

// A host that slept may have lost count of more packets than padding makes up for,
// so that a session on a device does not outlive such a silence.
func TestStandstill(t *testing.T) {
	for name, c := range map[string]struct {
		device bool
		still  time.Duration
		ends   int
	}{
		"device, for a moment": {true, 600 * time.Millisecond, 0},
		"device, longer":       {true, 1800 * time.Millisecond, 1},
		"socket":               {false, 1400 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if c.device {
					w.onDevice()
				}
				w.startBoth()
				w.waitForFrames(10, 2*time.Second)
				w.lose(c.still)
				w.waitForFrames(20, 3*time.Second)
				ends := w.screen.Events().Ends
				if len(ends) != c.ends {
					t.Errorf("sessions ended with %v, want %d", ends, c.ends)
				}
				for _, err := range ends {
					if !errors.Is(err, transport.ErrStill) && !errors.Is(err, transport.ErrPeerDead) && !errors.Is(err, io.EOF) {
						t.Errorf("a session ended with: %v", err)
					}
				}
			})
		})
	}
}

// A Hello that nobody stands behind any more costs less than a silent death.
func TestLeftoverHello(t *testing.T) {
	inWorld(t, func(w *world) {
		w.onDevice()
		w.stream.Start(capture.Want{})
		w.viewing = start(w.receiver.Run)
		time.Sleep(time.Second)
		gone, err := w.cable.Sender.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		hello := wire.Append(nil, wire.Header{Type: wire.Hello, Session: 5}, transport.Encode(transport.OwnPeer("tbcam-send", "gone")))
		if err := gone.WriteBuffers([][]byte{hello}); err != nil {
			t.Fatal(err)
		}
		opened := w.cable.Viewer.Opened
		time.Sleep(transport.AnswerWait + w.cable.Viewer.Pause - 10*time.Millisecond)
		if n := opened(); n != 1 {
			t.Errorf("the viewer opened %d times before the answer was due", n)
		}
		time.Sleep(20 * time.Millisecond)
		if n := opened(); n != 2 {
			t.Errorf("the viewer opened %d times after that", n)
		}
	})
}
