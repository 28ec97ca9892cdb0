package transport_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// knobs are the controls of a camera; each takes values up to 100.
type knobs struct {
	camera *transporttest.Producer
	slow   time.Duration // that a setting takes

	mu      sync.Mutex
	state   transport.Controls
	granted []capture.Setting
}

func (w *world) knobs(n int) *knobs {
	k := &knobs{camera: w.feed, state: transport.Controls{Camera: "HD Webcam", Opening: 1}}
	for id := range n {
		k.state.List = append(k.state.List, capture.Control{ID: uint32(id + 1), Name: fmt.Sprintf("Knob\x07 %d", id+1), Type: "int", Max: 100})
	}
	w.feed.Control = k.set
	w.feed.ReportControls(k.state)
	return k
}

func (k *knobs) set(s capture.Setting) (capture.Setting, error) {
	time.Sleep(k.slow)
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.ID > uint32(len(k.state.List)) {
		return capture.Setting{}, fmt.Errorf("no control\n%d", s.ID)
	}
	s.Value = min(s.Value, 100)
	list := append([]capture.Control(nil), k.state.List...)
	list[s.ID-1].Value = s.Value
	k.state.List, k.granted = list, append(k.granted, s)
	k.camera.ReportControls(k.state)
	return s, nil
}

// times returns how often settings were carried out.
func (k *knobs) times() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.granted)
}

// outcome is what became of a setting.
type outcome struct {
	capture.Setting
	err error
}

// set asks for a setting and returns where the outcome will be.
func (w *world) set(id uint32, value int64) <-chan outcome {
	done := make(chan outcome, 2)
	w.stream.SetControl(capture.Setting{ID: id, Value: value}, func(s capture.Setting, err error) { done <- outcome{s, err} })
	return done
}

// outcome waits for it.
func (w *world) outcome(done <-chan outcome, limit time.Duration) outcome {
	w.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(limit):
		w.Fatalf("no answer within %v; log:\n%v", limit, w.log)
		return outcome{}
	}
}

func TestControls(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.knobs(3)
		trace := w.trace()
		w.startBoth()
		w.waitFor(time.Second, "controls", func() bool { return len(w.stream.Controls().List) == 3 })
		if c := w.stream.Controls(); c.Camera != "HD Webcam" || c.List[0].Name != "Knob\uFFFD 1" {
			t.Errorf("they are %+v", c)
		}
		if o := w.outcome(w.set(2, 1000), 100*time.Millisecond); o.err != nil || o.ID != 2 || o.Value != 100 {
			t.Errorf("granted is %+v", o)
		}
		if v := w.stream.Controls().List[1].Value; v != 100 {
			t.Errorf("the answer came before the value: %d", v)
		}
		if o := w.outcome(w.set(9, 1), 100*time.Millisecond); o.err == nil || o.err.Error() != "no control\uFFFD9" {
			t.Errorf("an unknown one: %+v", o)
		}
		// Another program changes one.
		k.mu.Lock()
		list := append([]capture.Control(nil), k.state.List...)
		list[0].Value = 7
		k.state.List = list
		k.camera.ReportControls(k.state)
		k.mu.Unlock()
		w.waitFor(100*time.Millisecond, "change", func() bool { return w.stream.Controls().List[0].Value == 7 })
		// What is known is not reported again.
		time.Sleep(time.Second)
		before := len(w.screen.Events().Controls)
		time.Sleep(5 * time.Second)
		if reports := w.screen.Events().Controls; len(reports) != before {
			t.Errorf("reported %d times, then %d", before, len(reports))
		}
		trace.check(w)
		w.cable.Cut() // the next session repeats it
		w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
		w.waitFor(time.Second, "controls", func() bool { return len(w.stream.Controls().List) == 3 })
	})
}

// A setting that is lost on the way, or whose answer is, is carried out once.
func TestSettingsGetLost(t *testing.T) {
	for _, direction := range []string{"there", "back"} {
		t.Run(direction, func(t *testing.T) {
			inWorld(t, func(w *world) {
				k := w.knobs(1)
				w.startBoth()
				w.waitFor(time.Second, "controls", func() bool { return len(w.stream.Controls().List) == 1 })
				lossy := w.cable.Viewer
				if direction == "back" {
					lossy = w.cable.Sender
				}
				w.cable.Change(func() {
					w.cable.Damage = func(from *transporttest.End, packet []byte) []byte {
						if h, err := wire.ParseHeader(packet); from == lossy && err == nil && (h.Type == wire.Set || h.Type == wire.Controls) {
							return nil
						}
						return packet
					}
				})
				done := w.set(1, 5)
				time.Sleep(time.Second)
				w.cable.Change(func() { w.cable.Damage = whole })
				if o := w.outcome(done, time.Second); o.err != nil || o.Value != 5 {
					t.Errorf("granted is %+v", o)
				}
				time.Sleep(time.Second)
				if n := k.times(); n != 1 {
					t.Errorf("it was carried out %d times", n)
				}
			})
		})
	}
}

// A slider that is faster than the camera skips values, never the last.
func TestNewestSettingWins(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.knobs(2)
		k.slow = 300 * time.Millisecond
		w.startBoth()
		w.waitForFrames(1, time.Second)
		other := w.set(2, 22)
		var last <-chan outcome
		skipped := 0
		for value := range int64(100) {
			before := last
			last = w.set(1, value)
			time.Sleep(10 * time.Millisecond)
			select {
			case o := <-before:
				if errors.Is(o.err, transport.ErrSuperseded) {
					skipped++
				}
			default:
			}
		}
		if o := w.outcome(last, 2*time.Second); o.err != nil || o.Value != 99 {
			t.Errorf("the last one: %+v", o)
		}
		if o := w.outcome(other, time.Second); o.err != nil || o.Value != 22 {
			t.Errorf("the other: %+v", o)
		}
		if n := k.times(); n > 8 || skipped < 90 {
			t.Errorf("%d were carried out, %d superseded", n, skipped)
		}
	})
}

// More settings than one record holds are all carried out, also across a cut.
func TestManySettings(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.knobs(100)
		k.slow = 10 * time.Millisecond
		w.startBoth()
		var all []<-chan outcome
		for id := range uint32(100) {
			all = append(all, w.set(id+1, int64(id)))
		}
		time.Sleep(500 * time.Millisecond)
		w.cable.Cut()
		for id, done := range all {
			if o := w.outcome(done, 5*time.Second); o.err != nil || o.Value != int64(id) {
				t.Errorf("%d: %+v", id+1, o)
			}
		}
		if n := k.times(); n < 100 || n > 100+transport.MaxSettings {
			t.Errorf("%d were carried out", n)
		}
	})
}

func TestTooManySettings(t *testing.T) {
	inWorld(t, func(w *world) {
		for id := range uint32(transport.MaxPending) {
			w.set(id, 1)
		}
		if o := w.outcome(w.set(transport.MaxPending, 1), time.Second); !errors.Is(o.err, transport.ErrTooManySettings) {
			t.Errorf("got %+v", o)
		}
	})
}

// A sender without remote control is distinguished from one that is slow.
func TestSenderWithoutControls(t *testing.T) {
	inWorld(t, func(w *world) {
		var again <-chan outcome // set when the early one is refused
		early := make(chan outcome, 1)
		w.stream.SetControl(capture.Setting{ID: 1, Value: 1}, func(s capture.Setting, err error) {
			again = w.set(1, 2)
			early <- outcome{s, err}
		})
		w.stream.Start(capture.Want{})
		w.viewing = start(w.receiver.Run)
		i := w.asSender()
		if o := w.outcome(early, time.Second); !errors.Is(o.err, transport.ErrNoRemoteControl) {
			t.Errorf("got %+v", o)
		}
		if o := w.outcome(again, time.Second); !errors.Is(o.err, transport.ErrNoRemoteControl) {
			t.Errorf("got %+v", o)
		}
		if o := w.outcome(w.set(1, 1), time.Second); !errors.Is(o.err, transport.ErrNoRemoteControl) {
			t.Errorf("got %+v", o)
		}
		i.write(wire.Bye, nil)
		for {
			h, _, err := i.reader.Next()
			if err != nil || h.Type == wire.ByeAck {
				break
			}
			if h.Type == wire.Set {
				t.Error("a setting was sent")
			}
		}
	})
}

// A producer without remote control answers each setting.
func TestProducerWithoutControls(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		if o := w.outcome(w.set(1, 1), time.Second); o.err == nil || o.err.Error() != transport.ErrNoRemoteControl.Error() {
			t.Errorf("got %+v", o)
		}
	})
}

// A stream that is closed answers what waits there, and takes no more.
func TestSettingsOfAClosedStream(t *testing.T) {
	inWorld(t, func(w *world) {
		waiting := w.set(1, 1)
		w.stream.Close()
		for _, done := range []<-chan outcome{waiting, w.set(1, 2)} {
			if o := w.outcome(done, time.Second); !errors.Is(o.err, transport.ErrStreamClosed) {
				t.Errorf("got %+v", o)
			}
		}
	})
}

// A viewer that does not know controls gets none of them.
func TestViewerWithoutControls(t *testing.T) {
	inWorld(t, func(w *world) {
		w.knobs(1)
		trace := w.trace()
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		for range 5 {
			i.write(wire.Ping, wire.AppendPing(nil, 1))
			i.read(wire.Pong)
			time.Sleep(100 * time.Millisecond)
		}
		if trace.had(wire.Controls) {
			t.Error("controls were sent")
		}
	})
}

// What is not in a viewer's last Set is not carried out any more.
func TestSettingsAreTakenBack(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.knobs(3)
		k.slow = 100 * time.Millisecond
		w.sending = start(w.sender.Run)
		i := w.impostor(w.cable.Viewer)
		i.read(wire.Hello)
		i.write(wire.Welcome, transport.Encode(transport.OwnPeer("tbcam-view", "fickle", transport.FeatureControls)))
		i.write(wire.Set, transport.Encode(transport.SetMessage{Settings: []transport.NumberSetting{
			{1, capture.Setting{ID: 1, Value: 1}}, {2, capture.Setting{ID: 2, Value: 2}}, {3, capture.Setting{ID: 3, Value: 3}},
		}}))
		time.Sleep(150 * time.Millisecond) // the second is being carried out, from 100 to 200 ms
		i.write(wire.Set, transport.Encode(transport.SetMessage{}))
		time.Sleep(time.Second)
		if n := k.times(); n != 2 {
			t.Errorf("%d were carried out, want 2", n)
		}
	})
}

// had reports whether such a record was sent.
func (t *trace) had(typ wire.Type) (had bool) {
	t.cable.Change(func() { had = slices.ContainsFunc(t.steps, func(s step) bool { return s.h.Type == typ }) })
	return had
}

// TestSettingsArePaced: at most 20 settings a second are carried out, 2 of motors, in
// however many sessions. What waits is replaced by a newer value, and what is no
// motor does not wait for motors.
func TestSettingsArePaced(t *testing.T) {
	const zoom, pan = 0x009a090d, 0x009a0908
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		var all, motors []time.Time
		last := make(map[uint32]int64)
		w.feed.Control = func(s capture.Setting) (capture.Setting, error) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, time.Now())
			if capture.IsMotor(s.ID) {
				motors = append(motors, time.Now())
			}
			last[s.ID] = s.Value
			return s, nil
		}
		w.startBoth()
		w.waitFor(time.Second, "session", func() bool { return len(w.screen.Events().Peers) == 1 })
		for id := range uint32(40) {
			w.set(id+1, 1)
		}
		var focus <-chan outcome
		for n := range int64(240) { // 4 s of dragging at 60 Hz
			w.set(zoom, n)
			w.set(pan, -n)
			if n == 180 {
				focus = w.set(1, 180)
			}
			if n == 120 {
				w.cable.Cut()
			}
			time.Sleep(time.Second / 60)
		}
		if o := w.outcome(focus, time.Millisecond); o.err != nil || o.Value != 180 {
			t.Errorf("what is no motor: %+v", o)
		}
		time.Sleep(2 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if last[zoom] != 239 || last[pan] != -239 || len(last) != 42 {
			t.Errorf("the values are %v", last)
		}
		least := func(times []time.Time) time.Duration {
			d := time.Hour
			for i := 1; i < len(times); i++ {
				d = min(d, times[i].Sub(times[i-1]))
			}
			return d
		}
		if least(all) < transport.SettingEvery || least(motors) < transport.MotorEvery || len(motors) < 5 {
			t.Errorf("%d settings, the least time between is %v; %d of motors, %v", len(all), least(all), len(motors), least(motors))
		}
	})
}
