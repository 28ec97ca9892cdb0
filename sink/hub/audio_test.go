package hub

import (
	"slices"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// listening is the policy of who listens, and audio what it wants.
var (
	listening = transport.Policy{Kind: capture.Audio}
	audio     = capture.Want{Kind: capture.Audio}
)

// TestMicrophoneIsReceivedOnce: however many listen, the microphone is asked for once, in a
// stream of its own; each gets every block, and the camera beside it goes on.
func TestMicrophoneIsReceivedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		watcher := w.local()
		watcher.stream.Start(capture.Want{})
		time.Sleep(time.Second)
		listeners := []*viewer{w.local(), w.attach(listening), w.attach(listening)}
		for _, v := range listeners {
			v.stream.Start(audio)
			time.Sleep(time.Second)
		}
		watching := w.attach(transport.Policy{})
		time.Sleep(time.Second)
		watching.stream.Start(capture.Want{})
		time.Sleep(time.Second)
		for i, v := range listeners {
			v.wantAll(98 * (len(listeners) - i))
			if m := v.mode(); m.Camera != "Microphone" || m.Format.Audio != capture.Mono || m.Request == 0 {
				t.Errorf("listener %d has %+v", i, m)
			}
			if e := v.Events(); slices.ContainsFunc(e.Formats, func(f capture.Format) bool { return !f.IsAudio() }) {
				t.Errorf("listener %d has frames of video", i)
			}
		}
		watcher.wantAll(140)
		watching.wantAll(25)
		far := w.sender.stream(2)
		for i, v := range listeners {
			if starts, stops := far.Requests(); len(starts) != 1 || stops != 0 || len(w.sender.streams) != 2 {
				t.Errorf("%d starts, %d stops, %d streams before listener %d leaves", len(starts), stops, len(w.sender.streams), i)
			}
			v.stream.Stop()
			time.Sleep(time.Second)
		}
		if _, stops := far.Requests(); stops != 1 {
			t.Errorf("%d stops at the end", stops)
		}
		if starts, stops := w.sender.stream(1).Requests(); len(starts) != 1 || stops != 0 {
			t.Errorf("the camera: %d starts, %d stops", len(starts), stops)
		}
	})
}

// TestListenerPauses: a listener of another process that pauses misses no block.
func TestListenerPauses(t *testing.T) {
	inWorld(t, func(w *world) {
		local := w.local()
		paused := make(chan bool, 9)
		guest := w.attach(listening, func(v *viewer) {
			v.cable.Capacity = 1
			v.Seen = func(f *capture.Frame) {
				if f.Sequence%200 == 60 {
					time.Sleep(600 * time.Millisecond)
					paused <- true
				}
			}
		})
		local.stream.Start(audio)
		guest.stream.Start(audio)
		time.Sleep(6 * time.Second)
		if len(paused) < 2 {
			t.Fatalf("it paused %d times", len(paused))
		}
		local.wantAll(590)
		guest.wantAll(570)
	})
}

// TestListenersAfterCut: who listens does so again in the next session of the sender.
func TestListenersAfterCut(t *testing.T) {
	inWorld(t, func(w *world) {
		listeners := []*viewer{w.local(), w.attach(listening)}
		for _, v := range listeners {
			v.stream.Start(audio)
		}
		for n := 1; n <= 3; n++ {
			time.Sleep(3 * time.Second)
			for i, v := range listeners {
				if got := v.Frames(); got < n*200 {
					t.Errorf("listener %d: %d blocks after %d sessions", i, got, n)
				}
			}
			w.cable.Cut()
		}
	})
}
