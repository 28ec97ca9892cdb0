package transport

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// nowhere is a connection that says nothing and takes everything.
type nowhere struct{ io.Reader }

func (nowhere) WriteBuffers(bufs [][]byte) error { return nil }
func (nowhere) Close() error                     { return nil }

// script makes records of a fuzzer's bytes: type, flags, length and payload.
func script(b []byte) (records [][]byte) {
	for sequence := uint32(1); len(b) >= 4; sequence++ {
		h := wire.Header{Type: wire.Type(b[0]), Flags: wire.Flags(b[1] & 3), Stream: uint16(b[1] >> 7), Session: 7, Sequence: sequence}
		n := min(int(b[2])|int(b[3])<<8, len(b)-4)
		records = append(records, wire.Append(nil, h, b[4:4+n]))
		b = b[4+n:]
	}
	return records
}

// line appends one record to a script.
func line(b []byte, t wire.Type, flags byte, payload []byte) []byte {
	b = append(b, byte(t), flags|1<<7, byte(len(payload)), byte(len(payload)>>8))
	return append(b, payload...)
}

func addSeeds(f *testing.F) {
	head := wire.FrameHeader{Mode: 1, Size: 100}
	mode := line(nil, wire.Mode, 0, encode(Mode{Number: 1, Format: grey}))
	f.Add(line(mode, wire.Frame, 3, append(head.Append(nil), make([]byte, 100)...)))
	f.Add(line(line(mode, wire.Frame, 1, append(head.Append(nil), make([]byte, 50)...)), wire.Frame, 2, make([]byte, 50)))
	f.Add(line(line(nil, wire.Ping, 0, wire.AppendPing(nil, 1)), wire.Credit, 0, wire.AppendCredit(nil, 5)))
	f.Add(line(line(nil, wire.Pong, 0, wire.AppendPong(nil, wire.Clock{}, 1)), wire.Bye, 0, []byte("bye")))
	for _, m := range messages {
		f.Add(line(nil, m.header.Type, byte(m.header.Flags), encode(m.message)))
	}
}

func FuzzReceiverHandle(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		pool := &capture.Pool{}
		r := &Receiver{Link: deviceEnd(), Consumer: NopConsumer{}, Pool: pool, Log: slog.New(slog.DiscardHandler), Plain: repaired}
		opening := [][]byte{
			wire.Append(nil, wire.Header{Type: wire.Hello, Session: 7}, encode(ownPeer("", "", FeatureControls))),
			wire.Append(nil, wire.Header{Type: wire.Pong, Session: 7, Sequence: 1}, wire.AppendPong(nil, wire.Clock{Received: 1, Pong: 1}, 0)),
		}
		rs := newReceiverSession(r, nowhere{bytes.NewReader(bytes.Join(append(opening, script(b)...), nil))})
		r.listing = &cameraList{done: make(chan struct{})}
		r.SetControl(capture.Setting{ID: 1}, nil)
		if err := rs.read(t.Context()); err == nil {
			t.Error("it ended without an error")
		}
		if granted := rs.granted.Load(); rs.begun && granted != rs.index+window {
			t.Errorf("granted are %d frames at index %d", granted, rs.index)
		}
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
		_ = rs.writeDue() // a goodbye's answer ends it
		rs.end(nil)
	})
}

// repaired gives a plain picture a format.
func repaired(f *capture.Frame) (*capture.Frame, error) {
	f.Format = grey
	return f, nil
}

func FuzzSenderHandle(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Sender{Link: deviceEnd(), Producer: newFeed(time.Hour), Log: slog.New(slog.DiscardHandler)}
		s.SetControl = func(s capture.Setting) (capture.Setting, error) { return s, nil }
		welcome := wire.Append(nil, wire.Header{Type: wire.Welcome, Session: 7}, encode(ownPeer("", "", FeatureControls)))
		ss := newSenderSession(s, nowhere{bytes.NewReader(bytes.Join(append([][]byte{welcome}, script(b)...), nil))})
		ss.id.Store(7)
		if err := ss.read(t.Context()); err == nil {
			t.Error("it ended without an error")
		}
		if ss.peer.Load() == nil {
			t.Error("the session did not begin")
		}
		_ = ss.writeDue() // a goodbye's answer ends it
		if n := len(ss.remote.newest); n > maxSettings {
			t.Errorf("%d settings are kept", n)
		}
		s.Producer.Stop()
	})
}
