package transport_test

import (
	"context"
	"encoding/json"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// impostor is a peer that writes what it likes.
type impostor struct {
	*world
	conn    transport.Conn
	reader  *wire.Reader
	session uint32
	out     uint32
}

func (w *world) impostor(e *transporttest.End) *impostor {
	w.Helper()
	conn, err := e.Open(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	return &impostor{world: w, conn: conn, reader: wire.NewReader(conn), session: 7}
}

func (i *impostor) write(t wire.Type, payload []byte) {
	h := wire.Header{Type: t}
	switch t {
	case wire.Start, wire.Stop, wire.Credit, wire.Mode, wire.Frame, wire.Status, wire.Set, wire.Controls:
		h.Stream = 1
	}
	i.record(h, payload)
}

// record writes one. That the other side has hung up is for the test to notice.
func (i *impostor) record(h wire.Header, payload []byte) {
	h.Session, h.Sequence = i.session, i.out
	i.out++
	_ = i.conn.WriteBuffers([][]byte{wire.Append(nil, h, payload)})
}

// read waits for a record of the type.
func (i *impostor) read(t wire.Type) []byte {
	i.Helper()
	for {
		h, payload, err := i.reader.Next()
		if err != nil {
			i.Fatalf("wait for %v: %v; log:\n%v", t, err, i.log)
		}
		if h.Type == t {
			i.session = h.Session
			return payload
		}
	}
}

// asSender opens a session with the viewer, up to its first credit.
func (w *world) asSender() *impostor {
	w.Helper()
	return w.asSenderAt(1)
}

// asSenderAt is one whose clock shows that time.
func (w *world) asSenderAt(clock time.Duration, features ...string) *impostor {
	w.Helper()
	i := w.impostor(w.cable.Sender)
	w.screen.Producer = nil // what comes is the impostor's
	i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", "evil", features...)))
	i.read(wire.Welcome)
	ping, _ := wire.ParsePing(i.read(wire.Ping))
	i.write(wire.Pong, wire.AppendPong(nil, wire.Clock{Ping: ping, Received: int64(clock), Pong: int64(clock)}))
	i.read(wire.Start)
	i.read(wire.Credit)
	return i
}

// asViewer accepts a session of the sender.
func (w *world) asViewer(features ...string) *impostor {
	w.Helper()
	i := w.impostor(w.cable.Viewer)
	i.read(wire.Hello)
	i.write(wire.Welcome, transport.Encode(transport.OwnPeer("tbcam-view", "evil", features...)))
	return i
}

func (i *impostor) mode(format capture.Format) {
	i.write(wire.Mode, transport.Encode(transport.Mode{Number: 1, Format: format}))
}

var grey = capture.Format{Pixel: capture.GREY, Width: 10, Height: 10}

// first begins a frame.
func (i *impostor) first(flags wire.Flags, h wire.FrameHeader, data int) {
	i.record(wire.Header{Type: wire.Frame, Flags: flags | wire.First, Stream: 1}, append(h.Append(nil), make([]byte, data)...))
}

func TestHostileSender(t *testing.T) {
	huge := capture.Format{Pixel: capture.YUV444, Width: 8192, Height: 8192}
	for name, c := range map[string]struct {
		do  func(i *impostor)
		why string
	}{
		"mode of 8192x8192": {func(i *impostor) { i.mode(huge) }, "has more than 67108864 bytes per frame"},
		"mode of 2^60x1":    {func(i *impostor) { i.mode(capture.Format{Pixel: capture.GREY, Width: 1 << 60, Height: 1}) }, ": must be 1x1"},
		"mode below 1x1":    {func(i *impostor) { i.mode(capture.Format{Pixel: capture.GREY, Width: -4, Height: -4}) }, ": must be 1x1"},
		"mode of no format": {func(i *impostor) { i.mode(capture.Format{Width: 1, Height: 1}) }, "not supported"},
		"mode of a wide source": {func(i *impostor) {
			i.write(wire.Mode, transport.Encode(transport.Mode{Number: 1, Format: grey, Source: capture.Mode{Width: 9000, Height: 1}}))
		}, "read mode: source: size 9000x1: must be"},
		"mode of a fast source": {func(i *impostor) {
			i.write(wire.Mode, transport.Encode(transport.Mode{Number: 1, Format: grey, Source: capture.Mode{Width: 1, Height: 1, Rate: capture.Rate{Num: math.MaxUint32, Den: 1}}}))
		}, "read mode: source: 4.294967295e+09 fps: must be 0 to"},
		"mode 0":         {func(i *impostor) { i.write(wire.Mode, transport.Encode(transport.Mode{Format: grey})) }, "it has no number"},
		"mode no JSON":   {func(i *impostor) { i.write(wire.Mode, []byte(`{"number":`)) }, "read mode: unexpected end"},
		"mode too long":  {func(i *impostor) { i.write(wire.Mode, make([]byte, 5000)) }, "5000 bytes, allowed are 4064"},
		"status no JSON": {func(i *impostor) { i.write(wire.Status, []byte("\xff")) }, "read status"},
		"status nested":  {func(i *impostor) { i.write(wire.Status, []byte(strings.Repeat("[", 4000))) }, "read status"},
		"pong empty":     {func(i *impostor) { i.write(wire.Pong, nil) }, "read pong: payload is malformed"},
		"pong of a future": {func(i *impostor) {
			i.write(wire.Pong, wire.AppendPong(nil, wire.Clock{}, wire.Count{Stream: 1, Frames: math.MaxUint64}))
		}, "it sent 18446744073709551615 frames, granted were 2"},
		"frame no header": {func(i *impostor) { i.record(wire.Header{Type: wire.Frame, Flags: wire.First, Stream: 1}, nil) }, "read frame: payload is malformed"},
		"frame too large": {func(i *impostor) {
			i.mode(transporttest.MJPEG720.Format)
			i.first(0, wire.FrameHeader{Mode: 1, Size: math.MaxInt32}, 0)
		}, "has 1 to 3026944"},
		"frame empty": {func(i *impostor) {
			i.mode(transporttest.MJPEG720.Format)
			i.first(wire.Last, wire.FrameHeader{Mode: 1}, 0)
		}, "has 1 to 3026944"},
		"frame wrong size": {func(i *impostor) { i.mode(grey); i.first(0, wire.FrameHeader{Mode: 1, Size: 101}, 0) }, "it has 101 bytes, a grey 10x10 has 100"},
		"frame too short":  {func(i *impostor) { i.mode(grey); i.first(wire.Last, wire.FrameHeader{Mode: 1, Size: 100}, 99) }, "it has 99 bytes of 100"},
		"frame too long":   {func(i *impostor) { i.mode(grey); i.first(wire.Last, wire.FrameHeader{Mode: 1, Size: 100}, 101) }, "more than the 100 bytes"},
		"frame not granted": {func(i *impostor) {
			i.mode(grey)
			i.first(wire.Last, wire.FrameHeader{Mode: 1, Index: 2, Size: 100}, 100)
		}, "its index is 2, not one of 0 to 1"},
		"frame again": {func(i *impostor) {
			i.mode(capture.Format{Pixel: capture.MJPEG, Width: 10, Height: 10})
			data := transporttest.Sample(1, transporttest.MixedSize(1))
			h := wire.FrameHeader{Mode: 1, Sequence: 1, Size: uint32(len(data))}
			for range 2 {
				i.record(wire.Header{Type: wire.Frame, Flags: wire.First | wire.Last, Stream: 1}, append(h.Append(nil), data...))
			}
		}, "its index is 0, not one of 1 to 2"},
		"controls no JSON": {func(i *impostor) { i.write(wire.Controls, []byte("{")) }, "read controls: unexpected end"},
		"controls, too many": {func(i *impostor) {
			i.write(wire.Controls, transport.Encode(transport.ControlsMessage{Number: 1, Controls: transport.Controls{List: make([]capture.Control, transport.MaxControls+1)}}))
		}, "1025 controls and 0 answers are too many"},
		"answers, too many": {func(i *impostor) {
			i.write(wire.Controls, transport.Encode(transport.ControlsMessage{Number: 1, Answers: make([]transport.Answer, transport.MaxSettings+1)}))
		}, "0 controls and 33 answers are too many"},
		"later records":   {func(i *impostor) { i.raw(later()) }, "record has an unknown version"},
		"another session": {func(i *impostor) { i.session++; i.write(wire.Hello, transport.Encode(transport.OwnPeer("", ""))) }, "it offers another session"},
		"later protocol": {func(i *impostor) {
			i.write(wire.Hello, transport.Encode(transport.Peer{Program: "new", Host: "x", Protocol: [2]int{3, 4}}))
		}, "new on x has protocol 3 to 4, this program 2"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.stream.Start(capture.Want{})
				w.viewing = start(w.receiver.Run)
				c.do(w.asSender())
				w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
				if err := w.screen.Events().Ends[0].Error(); !strings.Contains(err, c.why) || strings.Contains(err, "\n") {
					t.Errorf("it ended with %q, want %q", err, c.why)
				}
				if log := w.log.String(); !strings.Contains(log, "session failed") {
					t.Errorf("log: %q", log)
				}
			})
		})
	}
}

// A device may change any byte: no frame passes over one without its checksum.
func TestUncheckedOnADevice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cable.Device = true
		w.stream.Start(capture.Want{})
		w.viewing = start(w.receiver.Run)
		time.Sleep(time.Second)
		w.asSender().record(wire.Header{Type: wire.Frame, Flags: wire.First | wire.Unchecked, Stream: 1}, make([]byte, 100))
		w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
		if err := w.screen.Events().Ends[0].Error(); !strings.Contains(err, "frame without the checksum that this link needs") {
			t.Errorf("it ended with %q", err)
		}
	})
}

// raw writes bytes.
func (i *impostor) raw(b []byte) { _ = i.conn.WriteBuffers([][]byte{b}) }

// later is a record of the next version of the format.
func later() []byte { return wire.Append(nil, wire.Header{Version: wire.Version + 1}, nil) }

// What the viewer does not know, or did not ask for, is passed over.
func TestHarmlessSender(t *testing.T) {
	for name, do := range map[string]func(i *impostor){
		"unknown type":     func(i *impostor) { i.write(200, []byte("?")) },
		"type of a viewer": func(i *impostor) { i.write(wire.Credit, []byte("?")) },
		"bye-ack":          func(i *impostor) { i.write(wire.ByeAck, nil) },
		"a camera":         func(i *impostor) { i.write(wire.Camera, []byte("?")) },
		"answers to nobody": func(i *impostor) {
			i.write(wire.Controls, transport.Encode(transport.ControlsMessage{Number: 5, Answers: []transport.Answer{{Number: 1}, {Number: math.MaxUint32, Error: "?"}}}))
			i.write(wire.Controls, transport.Encode(transport.ControlsMessage{Number: 2}))
		},
		"no mode":      func(i *impostor) { i.first(wire.Last, wire.FrameHeader{Size: 3}, 3) },
		"another mode": func(i *impostor) { i.mode(grey); i.first(wire.Last, wire.FrameHeader{Mode: 9, Size: 3}, 3) },
		"no beginning": func(i *impostor) { i.mode(grey); i.write(wire.Frame, make([]byte, 1000)) },
		"no end":       func(i *impostor) { i.mode(grey); i.first(0, wire.FrameHeader{Mode: 1, Size: 100}, 50) },
		"twice begun": func(i *impostor) {
			i.mode(grey)
			i.first(0, wire.FrameHeader{Mode: 1, Size: 100}, 50)
			i.first(0, wire.FrameHeader{Mode: 1, Index: 1, Size: 100}, 50)
		},
		"strange clock": func(i *impostor) {
			for _, c := range []wire.Clock{{Ping: math.MinInt64}, {Ping: math.MaxInt64}, {Received: math.MinInt64, Pong: math.MaxInt64}, {Received: 5, Pong: -5}} {
				i.write(wire.Pong, wire.AppendPong(nil, c))
			}
		},
		"garbage": func(i *impostor) { i.raw(transporttest.Sample(1, 100_000)); i.out++ },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.stream.Start(capture.Want{})
				w.viewing = start(w.receiver.Run)
				i := w.asSender()
				do(i)
				i.write(wire.Status, transport.Encode(transport.Status{State: transport.Running, Text: "still here"}))
				time.Sleep(time.Second)
				if got := w.screen.Events(); len(got.Ends) != 0 || len(got.Statuses) != 1 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// Records that come before the session began open nothing, and hold nothing.
func TestImpatientSender(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		i := w.impostor(w.cable.Sender)
		for range 2 {
			i.mode(grey)
			i.first(wire.Last, wire.FrameHeader{Mode: 1, Size: 100}, 100)
			i.write(wire.Pong, wire.AppendPong(nil, wire.Clock{Ping: math.MaxInt64}))
			i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", "evil")))
		}
		time.Sleep(time.Second)
		if got := w.screen.Events(); len(got.Peers)+len(got.Modes)+len(got.Numbers)+len(got.Ends) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Until a session has begun, the sender that spoke last is the one that lives.
func TestSenderOpensAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.stream.Start(capture.Want{})
		w.viewing = start(w.receiver.Run)
		i := w.impostor(w.cable.Sender)
		i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", "old")))
		i.read(wire.Ping)
		i.session, i.out = 8, 0
		i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", "new")))
		i.read(wire.Welcome)
		i.read(wire.Ping)
		i.write(wire.Pong, wire.AppendPong(nil, wire.Clock{Received: 1, Pong: 1}))
		i.read(wire.Credit)
		if got := w.screen.Events(); len(got.Peers) != 1 || got.Peers[0].Version != "new" || i.session != 8 {
			t.Errorf("%+v in session %d", got.Peers, i.session)
		}
	})
}

// A Bye counts also where the viewer does not wait for its answer.
func TestViewerLeavesInHaste(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		i.write(wire.Bye, []byte("in haste"))
		i.conn.Close()
		time.Sleep(time.Second)
		if log := w.log.String(); !strings.Contains(log, "viewer disconnected: in haste") {
			t.Errorf("log: %s", log)
		}
	})
}

func TestHostileViewer(t *testing.T) {
	for name, c := range map[string]struct {
		do  func(i *impostor)
		why string
	}{
		"welcome no JSON":  {func(i *impostor) { i.write(wire.Welcome, []byte("<html>")) }, "read welcome: invalid character"},
		"later protocol":   {func(i *impostor) { i.write(wire.Welcome, transport.Encode(transport.Peer{Protocol: [2]int{3, 9}})) }, "has protocol 3 to 9"},
		"later records":    {func(i *impostor) { i.raw(later()) }, "record has an unknown version"},
		"a sender":         {func(i *impostor) { i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", ""))) }, "it is a sender, too"},
		"ping malformed":   {func(i *impostor) { i.write(wire.Ping, []byte{1}) }, "read ping: payload is malformed"},
		"ping too large":   {func(i *impostor) { i.write(wire.Ping, wire.AppendProbe(nil, 1, transport.MaxProbe+1)) }, "read ping: payload is malformed"},
		"credit malformed": {func(i *impostor) { i.write(wire.Credit, []byte{1}) }, "read credit: payload is malformed"},
		"start no JSON":    {func(i *impostor) { i.write(wire.Start, []byte("go")) }, "read start: invalid character"},
		"start strange":    {func(i *impostor) { i.write(wire.Start, []byte(`{"number":1,"width":-1,"height":99999}`)) }, "read start: size -1x99999: must be"},
		"set no JSON":      {func(i *impostor) { i.write(wire.Set, []byte("{")) }, "read set: unexpected end"},
		"set too long":     {func(i *impostor) { i.write(wire.Set, make([]byte, transport.MaxSetPayload+1)) }, "read set: 65537 bytes, allowed are 65536"},
		"set, too many": {func(i *impostor) {
			i.write(wire.Set, transport.Encode(transport.SetMessage{Settings: make([]transport.NumberSetting, transport.MaxSettings+1)}))
		}, "33 settings are more than 32"},
		"set not ascending":   {func(i *impostor) { i.write(wire.Set, []byte(`{"set":[{"number":2},{"number":2}]}`)) }, "number 2 comes after 2"},
		"set without number":  {func(i *impostor) { i.write(wire.Set, []byte(`{"set":[{"id":1}]}`)) }, "number 0 comes after 0"},
		"start out of number": {func(i *impostor) { i.write(wire.Start, []byte(`{"number":1,"fps":1e999}`)) }, "read start: json"},
		"start of no format":  {func(i *impostor) { i.write(wire.Start, []byte(`{"number":1,"format":"h264?"}`)) }, "read start: pixel format"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.sending = start(w.sender.Run)
				c.do(w.asViewer())
				w.waitFor(time.Second, "end", func() bool { return strings.Contains(w.log.String(), "session failed") })
				if log := w.log.String(); !strings.Contains(log, c.why) {
					t.Errorf("log: %s; want %q", log, c.why)
				}
				if starts, _ := w.feed.Requests(); len(starts) != 0 {
					t.Errorf("starts: %v", starts)
				}
			})
		})
	}
}

func TestHarmlessViewer(t *testing.T) {
	for name, do := range map[string]func(i *impostor){
		"unknown type":     func(i *impostor) { i.write(200, []byte("?")) },
		"type of a sender": func(i *impostor) { i.write(wire.Frame, []byte("?")) },
		"bye-ack":          func(i *impostor) { i.write(wire.ByeAck, nil) },
		"one more welcome": func(i *impostor) { i.write(wire.Welcome, transport.Encode(transport.OwnPeer("", ""))) },
		"credit backwards": func(i *impostor) {
			i.write(wire.Start, []byte(`{"number":1}`))
			i.write(wire.Credit, wire.AppendCredit(nil, 9))
			i.write(wire.Credit, wire.AppendCredit(nil, 1))
		},
		"boundless credit": func(i *impostor) {
			i.write(wire.Start, []byte(`{"number":1}`))
			i.write(wire.Credit, wire.AppendCredit(nil, math.MaxUint64))
		},
		"a start repeated": func(i *impostor) {
			i.write(wire.Start, []byte(`{"number":1}`))
			i.write(wire.Start, []byte(`{"number":1}`))
		},
		"an older start":               func(i *impostor) { i.write(wire.Start, []byte(`{"number":0}`)) },
		"list, list, list":             func(i *impostor) { i.write(wire.List, nil); i.write(wire.List, nil); i.write(wire.List, nil) },
		"controls without the feature": func(i *impostor) { i.write(wire.Set, []byte(`{"set":[{"number":1,"id":1}]}`)) },
		"session of others":            func(i *impostor) { i.session++; i.write(wire.Ping, nil); i.session-- },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.sending = start(w.sender.Run)
				i := w.asViewer()
				do(i)
				i.write(wire.Ping, wire.AppendPing(nil, 1))
				i.read(wire.Pong)
				i.write(wire.Bye, []byte("so long"))
				i.read(wire.ByeAck)
				time.Sleep(time.Second)
				if starts, _ := w.feed.Requests(); len(starts) > 1 || !strings.Contains(w.log.String(), "viewer disconnected: so long") {
					t.Errorf("%v\n%v", starts, w.log)
				}
				w.viewing = start(w.receiver.Run) // the sender goes on
				w.stream.Start(capture.Want{})
				w.waitForFrames(3, time.Second)
			})
		})
	}
}

// A viewer that shows life but reads nothing does not keep a sender that wants
// to end.
func TestDeafViewer(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cable.Capacity = 10_000
		w.sending = start(w.sender.Run)
		i := w.asViewer()
		i.write(wire.Start, transport.Encode(transport.Request{Number: 1}))
		i.write(wire.Credit, wire.AppendCredit(nil, 1000))
		for range 20 {
			i.write(wire.Ping, wire.AppendPing(nil, 1))
			time.Sleep(transport.PingEvery)
		}
		begun := time.Now()
		w.stop(w.sending)
		if took := time.Since(begun); took > transport.ByeWait+10*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// A peer that floods the other with control holds no more memory than one that
// does not, and no session but its own.
func TestFlood(t *testing.T) {
	const records = 5_000
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	check := func(t *testing.T, before uint64) {
		if after := used(); after > before+4<<20 {
			t.Errorf("%d bytes more than before", after-before)
		}
	}
	t.Run("sender", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.cable.Capacity = 10_000
			w.stream.Start(capture.Want{})
			w.viewing = start(w.receiver.Run)
			i := w.asSender()
			before := used()
			for n := range records {
				i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", "evil")))
				i.write(wire.Status, transport.Encode(transport.Status{State: transport.Running}))
				i.mode(grey)
				i.first(0, wire.FrameHeader{Mode: 1, Size: 100}, n%100)
			}
			check(t, before)
		})
	})
	t.Run("viewer", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.cable.Capacity = 10_000
			w.sending = start(w.sender.Run)
			i := w.asViewer()
			before := used()
			for range records {
				i.write(wire.Ping, wire.AppendPing(nil, 1))
				i.write(wire.List, nil)
				i.write(wire.Set, transport.Encode(transport.SetMessage{Have: 77, Settings: []transport.NumberSetting{{Number: 1}}}))
				i.write(wire.Bye, nil)
			}
			check(t, before)
		})
	})
}

// A peer that fails again and again is not served too often, and is logged once.
func TestBackOff(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		for begun := time.Now(); time.Since(begun) < time.Minute; {
			i := w.impostor(w.cable.Sender)
			i.write(wire.Hello, transport.Encode(transport.Peer{Protocol: [2]int{3, 3}}))
			if _, _, err := i.reader.Next(); err == nil {
				t.Error("it was answered")
			}
			i.conn.Close()
		}
		if n := w.cable.Viewer.Opened(); n < 20 || n > 40 {
			t.Errorf("the viewer opened %d times in a minute", n)
		}
		if n := strings.Count(w.log.String(), "\n"); n != 1 {
			t.Errorf("%d lines were logged:\n%v", n, w.log)
		}
	})
}

// A list of cameras cannot take more than it should.
func TestHostileCameras(t *testing.T) {
	many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	for name, c := range map[string]struct {
		camera string
		count  int
		why    string
	}{
		"no JSON":   {"{", 1, "read camera: unexpected end"},
		"modes":     {`{"modes":[` + many(transport.MaxModes+1, "{}") + `]}`, 1, "4097 modes and 0 controls are too many"},
		"controls":  {`{"controls":[` + many(transport.MaxControls+1, "{}") + `]}`, 1, "0 modes and 1025 controls are too many"},
		"menus":     {`{"controls":[{"menu":[` + many(transport.MaxControls, "{}") + `]}]}`, 1, "0 modes and 1025 controls are too many"},
		"inputs":    {`{"inputs":[` + many(transport.MaxInputs+1, "{}") + `]}`, 1, "65 inputs are too many"},
		"cameras":   {"{}", transport.MaxCameras + 1, "it has more than 64 cameras"},
		"all is ok": {"{}", transport.MaxCameras, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.stream.Start(capture.Want{})
				w.viewing = start(w.receiver.Run)
				go w.receiver.Cameras(w.Context())
				i := w.asSender()
				i.read(wire.List)
				for n := range c.count {
					h := wire.Header{Type: wire.Camera}
					if n == 0 {
						h.Flags = wire.First
					}
					if !json.Valid([]byte(c.camera)) != (name == "no JSON") {
						t.Fatal("the case is wrong")
					}
					i.record(h, []byte(c.camera))
				}
				i.record(wire.Header{Type: wire.Camera, Flags: wire.Last}, nil)
				time.Sleep(100 * time.Millisecond)
				if log := w.log.String(); !strings.Contains(log, c.why) || (c.why == "") != (log == "") {
					t.Errorf("log %q, want %q", log, c.why)
				}
			})
		})
	}
}
