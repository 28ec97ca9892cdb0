package transport

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// knobs are the controls of a camera; each takes values up to 100.
type knobs struct {
	sender *Sender
	slow   time.Duration // that a setting takes

	mu      sync.Mutex
	state   Controls
	granted []capture.Setting
}

func (w *world) knobs(n int) *knobs {
	k := &knobs{sender: w.sender, state: Controls{Camera: "HD Webcam", Opening: 1}}
	for id := range n {
		k.state.List = append(k.state.List, capture.Control{ID: uint32(id + 1), Name: fmt.Sprintf("Knob\x07 %d", id+1), Type: "int", Max: 100})
	}
	w.sender.SetControl = k.set
	w.sender.ReportControls(k.state)
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
	k.sender.ReportControls(k.state)
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
	w.receiver.SetControl(capture.Setting{ID: id, Value: value}, func(s capture.Setting, err error) { done <- outcome{s, err} })
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
		var told []Controls
		w.receiver.ControlsChanged = func(c Controls) { w.screen.note(func() { told = append(told, c) }) }
		trace := w.trace()
		w.startBoth()
		w.waitFor(time.Second, "controls", func() bool { return len(w.receiver.Controls().List) == 3 })
		if c := w.receiver.Controls(); c.Camera != "HD Webcam" || c.List[0].Name != "Knob\uFFFD 1" {
			t.Errorf("they are %+v", c)
		}
		if o := w.outcome(w.set(2, 1000), 100*time.Millisecond); o.err != nil || o.ID != 2 || o.Value != 100 {
			t.Errorf("granted is %+v", o)
		}
		if v := w.receiver.Controls().List[1].Value; v != 100 {
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
		k.sender.ReportControls(k.state)
		k.mu.Unlock()
		w.waitFor(100*time.Millisecond, "change", func() bool { return w.receiver.Controls().List[0].Value == 7 })
		// What is known is not said again.
		time.Sleep(time.Second)
		before := len(told)
		time.Sleep(5 * time.Second)
		if len(told) != before {
			t.Errorf("told %d times, then %d", before, len(told))
		}
		trace.check(w)
		w.cable.cut() // the next session says it again
		w.waitFor(time.Second, "end", func() bool { return len(w.screen.noted().ends) == 1 })
		w.waitFor(time.Second, "controls", func() bool { return len(w.receiver.Controls().List) == 3 })
	})
}

// A setting that is lost on the way, or whose answer is, is carried out once.
func TestSettingsGetLost(t *testing.T) {
	for _, direction := range []string{"there", "back"} {
		t.Run(direction, func(t *testing.T) {
			inWorld(t, func(w *world) {
				k := w.knobs(1)
				w.startBoth()
				w.waitFor(time.Second, "controls", func() bool { return len(w.receiver.Controls().List) == 1 })
				lossy := w.cable.viewer
				if direction == "back" {
					lossy = w.cable.sender
				}
				w.cable.set(func() {
					w.cable.damage = func(from *end, packet []byte) []byte {
						if h, err := wire.ParseHeader(packet); from == lossy && err == nil && (h.Type == wire.Set || h.Type == wire.Controls) {
							return nil
						}
						return packet
					}
				})
				done := w.set(1, 5)
				time.Sleep(time.Second)
				w.cable.set(func() { w.cable.damage = whole })
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
				if errors.Is(o.err, ErrSuperseded) {
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
		w.cable.cut()
		for id, done := range all {
			if o := w.outcome(done, 5*time.Second); o.err != nil || o.Value != int64(id) {
				t.Errorf("%d: %+v", id+1, o)
			}
		}
		if n := k.times(); n < 100 || n > 100+maxSettings {
			t.Errorf("%d were carried out", n)
		}
	})
}

func TestTooManySettings(t *testing.T) {
	inWorld(t, func(w *world) {
		for id := range uint32(maxPending) {
			w.set(id, 1)
		}
		if o := w.outcome(w.set(maxPending, 1), time.Second); !errors.Is(o.err, ErrTooManySettings) {
			t.Errorf("got %+v", o)
		}
	})
}

// A sender of a version without remote control is told from one that is slow.
func TestSenderWithoutControls(t *testing.T) {
	inWorld(t, func(w *world) {
		var again <-chan outcome // set when the early one is refused
		early := make(chan outcome, 1)
		w.receiver.SetControl(capture.Setting{ID: 1, Value: 1}, func(s capture.Setting, err error) {
			again = w.set(1, 2)
			early <- outcome{s, err}
		})
		trace := w.trace()
		w.startBoth()
		if o := w.outcome(early, time.Second); !errors.Is(o.err, ErrNoRemoteControl) {
			t.Errorf("got %+v", o)
		}
		if o := w.outcome(again, time.Second); !errors.Is(o.err, ErrNoRemoteControl) {
			t.Errorf("got %+v", o)
		}
		if o := w.outcome(w.set(1, 1), time.Second); !errors.Is(o.err, ErrNoRemoteControl) {
			t.Errorf("got %+v", o)
		}
		w.waitForFrames(30, 2*time.Second)
		if trace.had(wire.Set) || trace.had(wire.Controls) {
			t.Error("records of remote control were sent")
		}
	})
}

// A viewer that does not know controls hears nothing of them.
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
			t.Error("it was told")
		}
	})
}

// What a viewer does not say in its last Set is not carried out any more.
func TestSettingsAreTakenBack(t *testing.T) {
	inWorld(t, func(w *world) {
		k := w.knobs(3)
		k.slow = 100 * time.Millisecond
		w.sending = start(w.sender.Run)
		i := w.impostor(w.cable.viewer)
		i.read(wire.Hello)
		i.write(wire.Welcome, encode(ownPeer("tbcam-view", "fickle", FeatureControls)))
		i.write(wire.Set, encode(setMessage{Settings: []numberSetting{
			{1, capture.Setting{ID: 1, Value: 1}}, {2, capture.Setting{ID: 2, Value: 2}}, {3, capture.Setting{ID: 3, Value: 3}},
		}}))
		time.Sleep(200 * time.Millisecond) // the second is being carried out, from 150 to 250 ms
		i.write(wire.Set, encode(setMessage{}))
		time.Sleep(time.Second)
		if n := k.times(); n != 2 {
			t.Errorf("%d were carried out, want 2", n)
		}
	})
}

// had reports whether such a record was sent.
func (t *trace) had(typ wire.Type) (had bool) {
	t.cable.set(func() { had = slices.ContainsFunc(t.steps, func(s step) bool { return s.h.Type == typ }) })
	return had
}

// Whatever controls a camera has fits, and is accepted.
func TestControlsFit(t *testing.T) {
	long := strings.Repeat("<", 5000)
	c := Controls{Camera: long}
	for range 2 * maxControls {
		c.List = append(c.List, capture.Control{Name: strings.Repeat("<", 32), Menu: make([]capture.ControlMenuItem, 2)})
	}
	m := controlsMessage{Number: 1, Controls: c.bounded()}
	for n := range maxSettings {
		m.Answers = append(m.Answers, applySetting(func(capture.Setting) (capture.Setting, error) { return capture.Setting{}, errors.New(long) },
			numberSetting{Number: uint32(n + 1)}))
	}
	payload := encode(m)
	back, err := parseControls(wire.Header{}, payload)
	if len(payload) > wire.MaxPayload || err != nil || len(back.List) < 100 || len(back.Answers) != maxSettings {
		t.Errorf("%d bytes, %v, %d controls", len(payload), err, len(back.List))
	}
	var wishes setMessage
	for n := range maxSettings {
		wishes.Settings = append(wishes.Settings, numberSetting{uint32(n + 1), capture.Setting{Text: printable(long, maxText)}})
	}
	if _, err := parseSet(wire.Header{}, encode(wishes)); err != nil {
		t.Error(err)
	}
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
		w.sender.SetControl = func(s capture.Setting) (capture.Setting, error) {
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
		w.waitFor(time.Second, "session", func() bool { return len(w.screen.noted().peers) == 1 })
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
				w.cable.cut()
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
		if least(all) < settingEvery || least(motors) < motorEvery || len(motors) < 5 {
			t.Errorf("%d settings, the least time between is %v; %d of motors, %v", len(all), least(all), len(motors), least(motors))
		}
	})
}

// A viewer that sends several values of one control in a Set gets the last one.
func TestNewestValueWins(t *testing.T) {
	r := remote{newest: []numberSetting{{1, capture.Setting{ID: 5, Value: 1}}, {2, capture.Setting{ID: 6}}, {3, capture.Setting{ID: 5, Value: 2}}}}
	var done progress
	var got []uint32
	for range len(r.newest) {
		next, wait := r.next(&done, &pace{})
		if wait == 0 {
			*done.of(next.Setting) = next.Number
			got = append(got, next.Number)
		}
	}
	if !slices.Equal(got, []uint32{2, 3}) {
		t.Errorf("carried out are %v", got)
	}
}
