package transport_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/wire"
)

// mono is the mode of a test microphone.
var mono = &transport.Mode{Camera: "microphone", Format: capture.Format{Audio: capture.Mono}}

// newMicrophone returns a producer of blocks of audio that can be distinguished.
func newMicrophone() *transporttest.Producer {
	return &transporttest.Producer{Period: capture.AudioPeriod, Mode: mono, Content: func(n uint32) []byte {
		return transporttest.Sample(n, capture.Mono.BlockSize())
	}}
}

// listen opens the world's stream for audio, in place of the one that is open.
func (w *world) listen() {
	w.Helper()
	w.stream.Close()
	stream, err := w.receiver.Open(w.screen, transport.Policy{Kind: capture.Audio})
	if err != nil {
		w.Fatal(err)
	}
	w.stream = stream
	w.stream.Start(capture.Want{Camera: "auto"})
}

// A microphone is a stream like any other: its blocks come whole and in order beside
// frames, and again after a cut.
func TestAudioStream(t *testing.T) {
	inWorld(t, func(w *world) {
		microphone := w.addCamera(newMicrophone(), transport.Policy{Kind: capture.Audio})
		microphone.Start(capture.Want{Camera: "auto"})
		w.startBoth()
		time.Sleep(10 * time.Second)
		before := microphone.screen.Frames()
		w.cable.Cut()
		time.Sleep(10 * time.Second)
		e := microphone.screen.Events()
		if before < 980 || len(e.Numbers)-before < 950 || len(e.Modes) != 2 || e.Modes[0].Format != mono.Format {
			t.Errorf("%d blocks and %d after the cut; modes %+v", before, len(e.Numbers)-before, e.Modes)
		}
		if starts, _ := microphone.camera.Requests(); len(starts) == 0 || starts[0] != (capture.Want{Kind: capture.Audio, Camera: "auto"}) {
			t.Errorf("started with %+v", starts)
		}
		if w.screen.Frames() < 560 {
			t.Errorf("%d frames of the camera", w.screen.Frames())
		}
	})
}

// What no sender of audio may do ends the session, before there is memory for it.
func TestHostileMicrophone(t *testing.T) {
	block := func(i *impostor, n int, size uint32, captured time.Duration) {
		i.first(wire.Last, wire.FrameHeader{Index: uint64(n), Sequence: uint32(n), Mode: 1, Size: size, Captured: int64(captured)}, int(size))
	}
	mode := func(audio string) func(*impostor) {
		return func(i *impostor) { i.write(wire.Mode, []byte(`{"number":1,"format":`+audio+`}`)) }
	}
	good := mode(`{"audio":{"rate":48000,"channels":1}}`)
	size := uint32(capture.Mono.BlockSize())
	for name, c := range map[string]struct {
		do  []func(*impostor)
		why string
	}{
		"rate":           {[]func(*impostor){mode(`{"audio":{"rate":44100,"channels":1}}`)}, "audio rate 44100 Hz: must be 48000 Hz"},
		"no rate":        {[]func(*impostor){mode(`{"audio":{"channels":1}}`)}, "audio rate 0 Hz: must be 48000 Hz"},
		"no channels":    {[]func(*impostor){mode(`{"audio":{"rate":48000}}`)}, "0 audio channels: must be 1 to 2"},
		"many channels":  {[]func(*impostor){mode(`{"audio":{"rate":48000,"channels":1099511627776}}`)}, "1099511627776 audio channels: must be 1 to 2"},
		"minus channels": {[]func(*impostor){mode(`{"audio":{"rate":48000,"channels":-1}}`)}, "-1 audio channels: must be 1 to 2"},
		"also video":     {[]func(*impostor){mode(`{"format":"grey","width":10,"height":10,"audio":{"rate":48000,"channels":1}}`)}, "it is of audio and of video"},
		"video":          {[]func(*impostor){mode(`{"format":"grey","width":10,"height":10}`)}, "it sends grey 10x10, which was not asked for"},
		"short block":    {[]func(*impostor){good, func(i *impostor) { block(i, 0, size-2, time.Second) }}, "it has 958 bytes, a 48000 Hz mono has 960"},
		"long block": {[]func(*impostor){good, func(i *impostor) {
			i.first(0, wire.FrameHeader{Mode: 1, Size: 64 << 20, Captured: int64(time.Second)}, 0)
		}}, "it has 67108864 bytes, a 48000 Hz mono has 960"},
		"no time": {[]func(*impostor){good, func(i *impostor) { block(i, 0, size, 0) }}, "was not captured after the one before"},
		"same time": {[]func(*impostor){good, func(i *impostor) {
			block(i, 0, size, time.Second)
			block(i, 1, size, time.Second)
		}}, "was not captured after the one before"},
		"far ahead": {[]func(*impostor){good, func(i *impostor) { block(i, 0, size, time.Hour) }}, "it was captured 59m59s after it arrived"},
		"flood": {[]func(*impostor){good, func(i *impostor) {
			for n := range 1000 {
				block(i, n, size, time.Second+time.Duration(n))
			}
		}}, "blocks of audio come too fast"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.listen()
				w.viewing = start(w.receiver.Run)
				i := w.asSenderAt(time.Second, "audio")
				for _, do := range c.do {
					do(i)
				}
				w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
				if e := w.screen.Events(); !errors.Is(e.Ends[0], transport.ErrProtocol) || !strings.Contains(e.Ends[0].Error(), c.why) || len(e.Numbers) > 220 {
					t.Errorf("%d blocks; it ended with %q, want %q", len(e.Numbers), e.Ends[0], c.why)
				}
			})
		})
	}
}

// A microphone does not come where a camera was asked for.
func TestAudioForVideo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.stream.Start(capture.Want{})
		w.viewing = start(w.receiver.Run)
		w.asSenderAt(time.Second, "audio").mode(mono.Format)
		w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
		if err := w.screen.Events().Ends[0]; !strings.Contains(err.Error(), "it sends 48000 Hz mono, which was not asked for") {
			t.Errorf("it ended with %v", err)
		}
	})
}

// What a viewer asks of a microphone that it cannot have is a protocol violation.
func TestHostileListener(t *testing.T) {
	for request, why := range map[string]string{
		`{"number":1,"kind":"screen"}`:                               "kind is unknown",
		`{"number":1,"kind":"audio","fps":5}`:                        "a microphone has no 5 fps",
		`{"number":1,"kind":"audio","format":"mjpeg"}`:               "a microphone has no mjpeg",
		`{"number":1,"kind":"audio","width":640,"height":480}`:       "a microphone has no 640x480",
		`{"number":1,"kind":"audio","width":-2147483649,"height":1}`: "a microphone has no",
	} {
		inWorld(t, func(w *world) {
			w.sending = start(w.sender.Run)
			w.asViewer("audio").write(wire.Start, []byte(request))
			w.waitFor(time.Second, "end", func() bool { return strings.Contains(w.log.String(), "session failed") })
			if log := w.log.String(); !strings.Contains(log, why) {
				t.Errorf("%s: log: %s; want %q", request, log, why)
			}
		})
	}
}

// Peers that do not know audio get none: a viewer no microphones, a sender no request.
func TestPeerWithoutAudio(t *testing.T) {
	devices := []capture.Device{{Path: "/dev/video0", Name: "camera"}, {Kind: capture.Audio, Path: "default", Name: "microphone"}}
	for _, features := range [][]string{{"audio"}, nil} {
		inWorld(t, func(w *world) {
			w.catalogue.List = func() []capture.Device { return devices }
			w.sending = start(w.sender.Run)
			i := w.asViewer(features...)
			i.write(wire.Ping, wire.AppendPing(nil, 1))
			i.write(wire.List, nil)
			listed := string(i.read(wire.Camera)) + string(i.read(wire.Camera))
			if strings.Contains(listed, "microphone") != (features != nil) {
				t.Errorf("features %v: listed are %s", features, listed)
			}
		})
	}
	inWorld(t, func(w *world) {
		w.listen()
		w.viewing = start(w.receiver.Run)
		i := w.impostor(w.cable.Sender)
		w.watchRecords(func(_ *transporttest.End, h wire.Header) {
			if h.Type == wire.Start {
				t.Error("a request for audio was sent")
			}
		})
		i.write(wire.Hello, transport.Encode(transport.OwnPeer("tbcam-send", "evil")))
		ping, _ := wire.ParsePing(i.read(wire.Ping))
		i.write(wire.Pong, wire.AppendPong(nil, wire.Clock{Ping: ping, Received: 1, Pong: 1}))
		i.read(wire.Ping)
		i.read(wire.Ping)
		want := transport.Status{State: transport.Failed, Text: "the sender has no audio", Cause: transport.NoCamera}
		if got := w.screen.Events().Statuses; !slices.Equal(got, []transport.Status{want}) {
			t.Errorf("statuses %+v", got)
		}
	})
}

// What a sender lists of a microphone that none has is a protocol violation.
func TestHostileMicrophoneList(t *testing.T) {
	for device, why := range map[string]string{
		`{"kind":"audio","modes":[{"width":1,"height":1}]}`: "a microphone has no modes, controls and inputs",
		`{"kind":"screen"}`:              "kind is unknown",
		`{"kind":"audio","channels":65}`: "65 channels: must be 0 to 64",
	} {
		inWorld(t, func(w *world) {
			w.stream.Start(capture.Want{})
			w.viewing = start(w.receiver.Run)
			i := w.asSenderAt(1, "audio")
			ctx, cancel := context.WithCancel(w.Context())
			defer cancel()
			go w.receiver.Cameras(ctx)
			i.read(wire.List)
			i.record(wire.Header{Type: wire.Camera, Flags: wire.First}, []byte(device))
			w.waitFor(time.Second, "end", func() bool { return len(w.screen.Events().Ends) == 1 })
			if err := w.screen.Events().Ends[0]; !strings.Contains(err.Error(), why) {
				t.Errorf("it ended with %v, want %q", err, why)
			}
		})
	}
}

// A sender whose microphone delivers too fast does not violate the protocol.
func TestFastMicrophone(t *testing.T) {
	inWorld(t, func(w *world) {
		microphone := newMicrophone()
		microphone.Period = capture.AudioPeriod / 2
		w.catalogue.Producers[0], w.screen.Producer = microphone, microphone
		w.listen()
		w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
		time.Sleep(time.Minute)
		e := w.screen.Events()
		if n := len(e.Numbers); len(e.Ends) != 0 || n < 6000 || n > 6500 || e.Totals.Superseded < 5000 {
			t.Errorf("%d blocks came, lost %+v; sessions ended with %v", n, e.Totals, e.Ends)
		}
	})
}

// tape is a microphone with blocks of given times, which then stands still.
type tape struct {
	transport.NoControls
	pool  capture.Pool
	times []time.Duration
	begun time.Time
	next  int

	started chan struct{}
}

func (p *tape) Start(uint32, capture.Want) { close(p.started) }
func (p *tape) Stop()                      {}
func (p *tape) Lost() capture.Lost         { return capture.Lost{} }

func (p *tape) Next(ctx context.Context) (transport.Unit, error) {
	select {
	case <-p.started:
	case <-ctx.Done():
	}
	if ctx.Err() != nil || p.next == len(p.times) {
		<-ctx.Done()
		return transport.Unit{}, ctx.Err()
	}
	f := p.pool.Get(capture.Mono.BlockSize())
	f.Format, f.Sequence, f.Time = mono.Format, uint32(p.next+1), p.begun.Add(p.times[p.next])
	p.next++
	return transport.Unit{Frame: f, Info: mono}, nil
}

// A sender drops blocks whose times go back, as where another microphone takes over.
func TestTimesGoBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.listen()
		w.screen.Producer = nil
		ms := time.Millisecond
		p := &tape{times: []time.Duration{0, 10 * ms, 10 * ms, 5 * ms, 11 * ms, 12 * ms}, begun: time.Now(), started: make(chan struct{})}
		w.sender.Catalogue = &transport.Single{Producer: p}
		w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
		w.waitFor(2*time.Second, "blocks", func() bool { return w.screen.Frames() >= 4 })
		time.Sleep(time.Second)
		e := w.screen.Events()
		if !slices.Equal(e.Numbers, []uint32{1, 2, 5, 6}) || len(e.Ends) != 0 || e.Totals.Superseded != 2 {
			t.Errorf("blocks %v, lost %+v, ends %v", e.Numbers, e.Totals, e.Ends)
		}
		if n := p.pool.Outstanding(); n != 0 {
			t.Errorf("%d blocks were not released", n)
		}
	})
}
