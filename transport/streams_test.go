package transport_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// far is one more stream of a world, with its camera and its consumer.
type far struct {
	*transport.ReceiverStream
	camera *transporttest.Producer
	screen *transporttest.Consumer
}

// addCamera adds a camera, and opens its stream.
func (w *world) addCamera(p *transporttest.Producer, policy transport.Policy) *far {
	w.Helper()
	w.catalogue.Producers = append(w.catalogue.Producers, p)
	screen := &transporttest.Consumer{T: w.T, Producer: p}
	stream, err := w.receiver.Open(screen, policy)
	if err != nil {
		w.Fatal(err)
	}
	if n := stream.Number(); n != len(w.catalogue.Producers) {
		w.Fatalf("the stream has number %d, want %d", n, len(w.catalogue.Producers))
	}
	return &far{stream, p, screen}
}

// allStreams returns as many streams as there can be, the world's own being the
// first. Each camera has a size and a pace of its own.
func (w *world) allStreams() []*far {
	all := []*far{{w.stream, w.feed, w.screen}}
	for n := 2; n <= transport.MaxStreams; n++ {
		p := &transporttest.Producer{Period: time.Duration(20+n) * time.Millisecond}
		p.Content = func(number uint32) []byte { return transporttest.Sample(number+uint32(n)<<16, 1000*n) }
		all = append(all, w.addCamera(p, transport.Policy{}))
	}
	return all
}

// All streams that there can be carry their own frames and nothing else, across a cut.
func TestAllStreams(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.allStreams()
		if _, err := w.receiver.Open(w.screen, transport.Policy{}); !errors.Is(err, transport.ErrTooManyStreams) {
			t.Errorf("one more: %v", err)
		}
		for _, s := range all[1:] {
			s.Start(capture.Want{Camera: fmt.Sprint("camera ", s.Number())})
			s.camera.Report(transport.Status{State: transport.Running, Text: fmt.Sprint(s.Number())})
		}
		w.startBoth()
		time.Sleep(5 * time.Second)
		w.cable.Cut()
		time.Sleep(5 * time.Second)
		for _, s := range all[1:] {
			e, want := s.screen.Events(), fmt.Sprint(s.Number())
			if n := len(e.Numbers); n < int(9*time.Second/s.camera.Period) || len(e.Peers) != 2 || len(e.Ends) != 1 || len(e.Modes) != 2 {
				t.Errorf("stream %s: %d frames, %d connections, %d modes", want, n, len(e.Peers), len(e.Modes))
			}
			if len(e.Statuses) == 0 || e.Statuses[0].Text != want {
				t.Errorf("stream %s: statuses %+v", want, e.Statuses)
			}
			if starts, _ := s.camera.Requests(); len(starts) != 2 || starts[1].Camera != "camera "+want {
				t.Errorf("stream %s: started with %v", want, starts)
			}
			if stats := s.Stats(); stats.Frames != uint64(len(e.Numbers)) || stats.Lost > 2 {
				t.Errorf("stream %s: %+v", want, stats)
			}
		}
	})
}

// Credits, controls, stops and losses of a stream are its own.
func TestStreamsAreApart(t *testing.T) {
	inWorld(t, func(w *world) {
		second := w.addCamera(&transporttest.Producer{Period: 10 * time.Millisecond}, transport.Policy{})
		second.camera.Control = func(s capture.Setting) (capture.Setting, error) { s.Value = 22; return s, nil }
		w.feed.Control = func(s capture.Setting) (capture.Setting, error) { s.Value = 11; return s, nil }
		second.Start(capture.Want{})
		w.startBoth()
		w.waitForFrames(10, time.Second)
		second.camera.Lose(capture.Lost{Driver: 7})
		other := make(chan outcome, 1)
		second.SetControl(capture.Setting{ID: 1}, func(s capture.Setting, err error) { other <- outcome{s, err} })
		if a, b := w.outcome(w.set(1, 1), time.Second), w.outcome(other, time.Second); a.Value != 11 || b.Value != 22 {
			t.Errorf("granted are %+v and %+v", a, b)
		}
		w.stream.Stop()
		time.Sleep(time.Second)
		stopped, going := w.screen.Frames(), second.screen.Frames()
		time.Sleep(time.Second)
		if w.screen.Frames() != stopped || second.screen.Frames() < going+90 {
			t.Errorf("%d frames of the stream that was stopped, %d of the other", w.screen.Frames()-stopped, second.screen.Frames()-going)
		}
		if a, b := w.screen.Events().Totals.Driver, second.screen.Events().Totals.Driver; a != 0 || b != 7 {
			t.Errorf("the drivers lost %d and %d frames", a, b)
		}
	})
}

// A camera that stalls, or that blocks while a control is set, delays no other.
func TestStalledCameraDelaysNoOther(t *testing.T) {
	inWorld(t, func(w *world) {
		stalled := w.addCamera(&transporttest.Producer{Period: time.Hour}, transport.Policy{})
		release := make(chan struct{})
		stalled.camera.Control = func(s capture.Setting) (capture.Setting, error) { <-release; return s, nil }
		stalled.Start(capture.Want{})
		stalled.SetControl(capture.Setting{ID: 1}, nil)
		w.startBoth()
		time.Sleep(10 * time.Second)
		if n := w.screen.Frames(); n < 290 || stalled.screen.Frames() != 0 {
			t.Errorf("%d frames of the other camera", n)
		}
		close(release)
	})
}

// A small frame does not wait until a large one is through: it is written between its
// records, of which frames of one stream do not mix.
func TestRecordsTakeTurns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sizes(func(uint32) int { return 2_900_000 })
		small := w.addCamera(&transporttest.Producer{Period: 40 * time.Millisecond, Content: func(n uint32) []byte { return transporttest.Sample(n, 1000) }}, transport.Policy{})
		w.cable.Rate = 50_000_000
		begun, inside := false, 0
		w.watchRecords(func(_ *transporttest.End, h wire.Header) {
			switch {
			case h.Type == wire.Frame && h.Stream == 1:
				if begun != (h.Flags&wire.First == 0) {
					t.Errorf("a large frame goes on with flags %v", h.Flags)
				}
				begun = h.Flags&wire.Last == 0
			case h.Type == wire.Frame && begun:
				inside++
			}
		})
		small.Start(capture.Want{})
		w.startBoth()
		time.Sleep(2 * time.Second)
		w.stop(w.sending)
		if n := small.screen.Frames(); n < 40 || inside < n*2/3 || w.screen.Frames() < 25 {
			t.Errorf("%d small frames, %d of them inside of the %d large ones", n, inside, w.screen.Frames())
		}
	})
}

// The number of a stream that was closed is free when the sender has nothing more of it
// under way; the next one there sees nothing of the last.
func TestStreamNumbersAreFreed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		w.waitForFrames(10, time.Second)
		w.stream.Close()
		w.stream.Close() // is idempotent
		w.stream.Stop()
		n := w.screen.Frames()
		next := &transporttest.Consumer{T: t, Producer: w.feed}
		at, err := w.receiver.Open(next, transport.Policy{})
		if err != nil || at.Number() != 2 {
			t.Fatalf("number %d, %v", at.Number(), err)
		}
		time.Sleep(time.Second)
		if w.screen.Frames() > n+2 {
			t.Errorf("%d frames came to a stream that was closed", w.screen.Frames()-n)
		}
		w.feed.Lose(capture.Lost{Driver: 3})
		again, err := w.receiver.Open(next, transport.Policy{})
		if err != nil || again.Number() != 1 {
			t.Fatalf("number %d, %v", again.Number(), err)
		}
		again.Start(capture.Want{Camera: "again"})
		time.Sleep(time.Second)
		e := next.Events()
		if len(e.Numbers) < 25 || len(e.Modes) != 1 || len(e.Ends) != 0 || len(w.screen.Events().Ends) != 0 {
			t.Errorf("%d frames, %+v, ends %v", len(e.Numbers), e.Modes, e.Ends)
		}
		if s := w.receiver.Stats(); s.Sessions != 1 || again.Stats().Lost != 0 {
			t.Errorf("%+v, %+v", s, again.Stats())
		}
	})
}

// A viewer that opens and closes streams without end needs no more than the numbers
// that there are.
func TestStreamsComeAndGo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.startBoth()
		w.waitForFrames(3, time.Second)
		for i := range 200 {
			s, err := w.receiver.Open(transport.NopConsumer{}, transport.Policy{})
			if err != nil {
				t.Fatalf("after %d: %v", i, err)
			}
			s.Start(capture.Want{})
			time.Sleep(time.Duration(i%7) * 40 * time.Millisecond)
			s.Close()
		}
		w.waitForFrames(30, 2*time.Second)
		if e := w.screen.Events(); len(e.Ends) != 0 {
			t.Errorf("sessions ended with %v", e.Ends)
		}
	})
}

// What an open window grants is on its way at most, and the sender learns of it.
func TestWindow(t *testing.T) {
	for want, window := range map[int]int{2: 0, 5: 5, transport.MaxWindow: 1000} {
		inWorld(t, func(w *world) {
			p := &transporttest.Producer{Content: func(n uint32) []byte { return transporttest.Sample(n, 100) }}
			s := w.addCamera(p, transport.Policy{Window: window})
			var granted []uint64
			w.watchRecords(func(_ *transporttest.End, h wire.Header) {
				if h.Type == wire.Frame && h.Stream == 2 {
					granted = append(granted, s.Stats().Frames)
				}
			})
			w.cable.Delay = func(*transporttest.End) time.Duration { return 50 * time.Millisecond }
			s.Start(capture.Want{})
			w.startBoth()
			time.Sleep(2 * time.Second)
			w.stop(w.sending)
			most := 0
			for i, received := range granted {
				most = max(most, i+1-int(received))
			}
			if most != want {
				t.Errorf("window %d: %d frames were on their way, want %d", window, most, want)
			}
		})
	}
}

// When a producer ends, what the other streams had ready is sent before the Bye.
func TestLastFrameOfOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.feed.Period, w.feed.Count = 0, 20
		big := w.addCamera(&transporttest.Producer{Content: func(n uint32) []byte { return transporttest.Sample(n, 2_000_000) }}, transport.Policy{})
		w.cable.Rate = 10_000_000
		var begun, ended []uint16
		w.watchRecords(func(_ *transporttest.End, h wire.Header) {
			if h.Type == wire.Frame && h.Flags&wire.First != 0 {
				begun = append(begun, h.Stream)
			}
			if h.Type == wire.Frame && h.Flags&wire.Last != 0 {
				ended = append(ended, h.Stream)
			}
		})
		big.Start(capture.Want{})
		w.startBoth()
		<-w.sending.done
		slices.Sort(begun)
		slices.Sort(ended)
		if w.sending.err != nil || w.screen.Frames() != 20 || !slices.Equal(begun, ended) || big.screen.Frames() == 0 {
			t.Errorf("%v, %d and %d frames; begun %v, ended %v", w.sending.err, w.screen.Frames(), big.screen.Frames(), begun, ended)
		}
	})
}

// A second stream of a sender with one camera fails, and disturbs nothing.
func TestSingle(t *testing.T) {
	inWorld(t, func(w *world) {
		opened := 0
		w.sender.Catalogue = &transport.Single{Producer: w.feed, Opened: func(*transport.SenderStream) { opened++ }}
		second := w.addCamera(&transporttest.Producer{}, transport.Policy{})
		w.startBoth()
		w.waitForFrames(3, time.Second)
		number := second.Start(capture.Want{})
		second.SetControl(capture.Setting{ID: 1}, nil)
		w.waitForFrames(30, 2*time.Second)
		want := transport.Status{State: transport.Failed, Text: "another stream has the only camera", Request: number, Cause: transport.Busy}
		if got := second.screen.Events().Statuses; len(got) != 1 || got[0] != want || opened != 1 {
			t.Errorf("statuses %+v, opened %d times", got, opened)
		}
	})
}

// What the protocol forbids about streams, each side sees.
func TestStreamViolations(t *testing.T) {
	started := func(i *impostor) { i.write(wire.Start, []byte(`{"number":1}`)) }
	stream := func(t wire.Type, n uint16, payload []byte) func(*impostor) {
		return func(i *impostor) { i.record(wire.Header{Type: t, Stream: n}, payload) }
	}
	credit := wire.AppendCredit(nil, 1)
	for name, c := range map[string]struct {
		do  []func(*impostor)
		why string
	}{
		"stream 17":             {[]func(*impostor){stream(wire.Start, 17, []byte(`{"number":1}`))}, "it sends start in stream 17"},
		"stream 65535":          {[]func(*impostor){stream(wire.Set, 65535, []byte(`{}`))}, "it sends set in stream 65535"},
		"start in stream 0":     {[]func(*impostor){stream(wire.Start, 0, []byte(`{"number":1}`))}, "it sends start in stream 0"},
		"ping in a stream":      {[]func(*impostor){stream(wire.Ping, 1, wire.AppendPing(nil, 1))}, "it sends ping in stream 1"},
		"credit, not started":   {[]func(*impostor){stream(wire.Credit, 1, credit)}, "it sends credit in stream 1, which it did not start"},
		"credit, another":       {[]func(*impostor){started, stream(wire.Credit, 2, credit)}, "it sends credit in stream 2, which it did not start"},
		"credit, only set":      {[]func(*impostor){stream(wire.Set, 1, []byte(`{}`)), stream(wire.Credit, 1, credit)}, "it sends credit in stream 1, which it did not start"},
		"stop, not started":     {[]func(*impostor){stream(wire.Stop, 3, []byte(`{"number":1}`))}, "it sends stop in stream 3, which it did not start"},
		"credit, stopped":       {[]func(*impostor){started, stream(wire.Stop, 1, []byte(`{"number":2}`)), stream(wire.Credit, 1, credit)}, "it sends credit in stream 1, which it did not start"},
		"started twice":         {[]func(*impostor){started, stream(wire.Start, 1, []byte(`{"number":1,"fps":5}`))}, "read start: number 1 in stream 1 was another request"},
		"started backwards":     {[]func(*impostor){stream(wire.Start, 1, []byte(`{"number":2}`)), started}, "read start: number 1 in stream 1 was another request"},
		"stopped by its number": {[]func(*impostor){started, stream(wire.Stop, 1, []byte(`{"number":1}`))}, "read stop: number 1 in stream 1 was another request"},
	} {
		t.Run("viewer/"+name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.sending = start(w.sender.Run)
				i := w.asViewer("controls")
				for _, do := range c.do {
					do(i)
				}
				w.waitFor(time.Second, "end", func() bool { return strings.Contains(w.log.String(), "session failed") })
				if log := w.log.String(); !strings.Contains(log, c.why) {
					t.Errorf("log: %s; want %q", log, c.why)
				}
			})
		})
	}
	for name, c := range map[string]struct {
		do  func(*impostor)
		why string
	}{
		"stream 17":        {stream(wire.Mode, 17, nil), "it sends mode in stream 17"},
		"frame, stream 0":  {stream(wire.Frame, 0, nil), "it sends frame in stream 0"},
		"pong in a stream": {stream(wire.Pong, 1, wire.AppendPong(nil, wire.Clock{})), "it sends pong in stream 1"},
		"not started":      {stream(wire.Status, 2, []byte(`{}`)), "it sends status: stream 2 was not started"},
		"frame":            {stream(wire.Frame, 16, nil), "it sends frame: stream 16 was not started"},
		"counted":          {stream(wire.Pong, 0, wire.AppendPong(nil, wire.Clock{}, wire.Count{Stream: 2})), "read pong: stream 2 was not started"},
		"stream 0 counted": {stream(wire.Pong, 0, wire.AppendPong(nil, wire.Clock{}, wire.Count{})), "read pong: payload is malformed"},
	} {
		t.Run("sender/"+name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.stream.Start(capture.Want{})
				w.viewing = start(w.receiver.Run)
				c.do(w.asSender())
				w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
				if err := w.screen.Events().Ends[0]; !errors.Is(err, transport.ErrProtocol) || !strings.Contains(err.Error(), c.why) {
					t.Errorf("it ended with %v, want %q", err, c.why)
				}
			})
		})
	}
}

// A record of an older version in a stream means nothing.
func TestOlderRecordsOfStreams(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sending = start(w.sender.Run)
		i := w.asViewer("controls")
		for _, typ := range []wire.Type{wire.Start, wire.Stop, wire.Credit, wire.Set} {
			for _, n := range []uint16{0, 1, 17, 65535} {
				i.record(wire.Header{Type: typ, Version: 1, Stream: n}, []byte(`{"number":1}`))
			}
		}
		i.write(wire.Ping, wire.AppendPing(nil, 1))
		if n := len(i.read(wire.Pong)); n != 24 {
			t.Errorf("the Pong has %d bytes", n)
		}
	})
}

// Where records are missing, the Start may be one of them: that is no violation.
func TestCreditWhoseStartWasLost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sending = start(w.sender.Run)
		i := w.asViewer("controls")
		i.out++ // a Start
		i.write(wire.Credit, wire.AppendCredit(nil, 2))
		i.write(wire.Stop, []byte(`{"number":2}`))
		i.write(wire.Start, []byte(`{"number":3}`))
		i.write(wire.Credit, wire.AppendCredit(nil, 2))
		i.read(wire.Frame)
		if log := w.log.String(); strings.Contains(log, "failed") {
			t.Error(log)
		}
	})
}

// A sender that begins a frame in each stream holds no more memory than the pool has.
func TestPartialFramesAreBounded(t *testing.T) {
	const limit = 40 << 20
	inWorld(t, func(w *world) {
		w.pool.Limit = limit
		w.catalogue.Producers = nil
		for range transport.MaxStreams - 1 {
			s, err := w.receiver.Open(transport.NopConsumer{}, transport.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			s.Start(capture.Want{})
		}
		w.stream.Start(capture.Want{})
		w.viewing = start(w.receiver.Run)
		i := w.asSender()
		time.Sleep(time.Second)
		large := capture.Format{Pixel: capture.GREY, Width: 4000, Height: 4000}
		size := large.Size()
		for n := uint16(1); n <= transport.MaxStreams; n++ {
			i.record(wire.Header{Type: wire.Mode, Stream: n}, transport.Encode(transport.Mode{Number: 1, Format: large}))
			head := wire.FrameHeader{Mode: 1, Size: uint32(size)}
			i.record(wire.Header{Type: wire.Frame, Flags: wire.First, Stream: n}, head.Append(nil))
		}
		time.Sleep(100 * time.Millisecond)
		if n := w.pool.Outstanding(); n != limit/size {
			t.Errorf("%d frames of %d bytes are held, the limit is %d", n, size, limit)
		}
	})
}
