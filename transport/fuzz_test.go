package transport

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// nowhere is a connection that reads from a buffer and takes every write.
type nowhere struct{ io.Reader }

func (nowhere) WriteBuffers(bufs [][]byte) error { return nil }
func (nowhere) Close() error                     { return nil }

// script makes records of a fuzzer's bytes: type; flags, version and stream; length and
// payload.
func script(b []byte) (records [][]byte) {
	for sequence := uint32(1); len(b) >= 4; sequence++ {
		h := wire.Header{Type: wire.Type(b[0]), Flags: wire.Flags(b[1] & 3), Version: b[1] >> 2 & 1, Stream: uint16(b[1] >> 3), Session: 7, Sequence: sequence}
		n := min(int(b[2])|int(b[3])<<8, len(b)-4)
		records = append(records, wire.Append(nil, h, b[4:4+n]))
		b = b[4+n:]
	}
	return records
}

// line appends one record of stream 1, or of the session, to a script.
func line(b []byte, t wire.Type, flags byte, payload []byte) []byte {
	if belongsToStream(t) {
		flags |= 1 << 3
	}
	b = append(b, byte(t), flags, byte(len(payload)), byte(len(payload)>>8))
	return append(b, payload...)
}

// inStream2 returns a script of one record in another stream.
func inStream2(script []byte) []byte {
	script[1] += 1 << 3
	return script
}

func addSeeds(f *testing.F) {
	head := wire.FrameHeader{Mode: 1, Size: 100}
	mode := line(nil, wire.Mode, 0, encodeMessage(Mode{Number: 1, Format: grey}))
	f.Add(line(mode, wire.Frame, 3, append(head.Append(nil), make([]byte, 100)...)))
	f.Add(line(line(mode, wire.Frame, 1, append(head.Append(nil), make([]byte, 50)...)), wire.Frame, 2, make([]byte, 50)))
	f.Add(line(line(nil, wire.Ping, 0, wire.AppendPing(nil, 1)), wire.Credit, 0, wire.AppendCredit(nil, 5)))
	f.Add(line(nil, wire.Ping, 0, wire.AppendProbe(nil, 1, wire.MaxPadding)))
	f.Add(line(line(nil, wire.Pong, 0, wire.AppendPong(nil, wire.Clock{}, wire.Count{Stream: 1, Frames: 1}, wire.Count{Stream: 2})), wire.Bye, 0, []byte("bye")))
	first := line(nil, wire.Frame, 1, append(head.Append(nil), make([]byte, 50)...))
	f.Add(bytes.Join([][]byte{mode, inStream2(bytes.Clone(mode)), first, inStream2(bytes.Clone(first)), line(nil, wire.Frame, 2, make([]byte, 50))}, nil))
	f.Add(append(line(nil, wire.Start, 0, encodeMessage(request{Number: 1})), inStream2(line(nil, wire.Credit, 0, wire.AppendCredit(nil, 5)))...))
	block := wire.FrameHeader{Mode: 1, Size: 960, Captured: 1}
	audio := line(nil, wire.Mode, 0, encodeMessage(Mode{Number: 1, Format: capture.Format{Audio: capture.Mono}}))
	f.Add(append(inStream2(audio), inStream2(line(nil, wire.Frame, 3, append(block.Append(nil), make([]byte, 960)...)))...))
	for _, m := range messages {
		f.Add(line(nil, m.header.Type, byte(m.header.Flags), encodeMessage(m.message)))
	}
}

// FuzzReceiverHandle: whatever a sender writes in two streams, the second one of audio, no
// frame is kept and what is granted stays within the window.
func FuzzReceiverHandle(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		pool := &capture.Pool{}
		r := &Receiver{Link: device{}, Pool: pool, Log: slog.New(slog.DiscardHandler), Plain: repaired}
		opening := [][]byte{
			wire.Append(nil, wire.Header{Type: wire.Hello, Session: 7}, encodeMessage(ownPeer("", "", FeatureControls, FeatureAudio))),
			wire.Append(nil, wire.Header{Type: wire.Pong, Session: 7, Sequence: 1}, wire.AppendPong(nil, wire.Clock{Received: 1, Pong: 1})),
		}
		rs := newReceiverSession(r, nowhere{bytes.NewReader(bytes.Join(append(opening, script(b)...), nil))})
		r.listing = &cameraList{done: make(chan struct{})}
		for number := 1; number <= 2; number++ {
			stream, err := r.Open(NopConsumer{}, Policy{Kind: []capture.Kind{capture.Video, capture.Audio}[number-1]})
			if err != nil {
				t.Fatal(err)
			}
			stream.Start(capture.Want{})
			stream.SetControl(capture.Setting{ID: 1}, nil)
			rs.streams[number].takeRequest()
		}
		if err := rs.readRecords(t.Context()); err == nil {
			t.Error("it ended without an error")
		}
		for i := range rs.streams {
			if in := &rs.streams[i]; in.user != nil && !rs.plain.Load() && in.granted.Load() != in.index+in.user.window.Load() {
				t.Errorf("granted are %d frames at index %d of stream %d", in.granted.Load(), in.index, i)
			}
		}
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
		_ = rs.writeDue() // the answer to a Bye ends it
		rs.endSession(nil)
		endParts(rs.session)
	})
}

// endParts ends the parts of a session that was not run.
func endParts(s *session) {
	s.startPart(func(context.Context) error { return io.EOF })
	_ = s.parts.Wait()
}

// repaired gives a plain image a format.
func repaired(f *capture.Frame) (*capture.Frame, error) {
	f.Format = grey
	return f, nil
}

// FuzzSenderHandle: whatever a viewer writes, it opens no stream that there cannot be,
// and no more is kept of it than the bounds allow.
func FuzzSenderHandle(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Sender{Link: device{}, Catalogue: &Single{taken: true}, pace: newPace(), Log: slog.New(slog.DiscardHandler)}
		welcome := wire.Append(nil, wire.Header{Type: wire.Welcome, Session: 7}, encodeMessage(ownPeer("", "", FeatureControls)))
		ss := newSenderSession(t.Context(), s, nowhere{bytes.NewReader(bytes.Join(append([][]byte{welcome}, script(b)...), nil))}, offer{})
		ss.id.Store(7)
		if err := ss.readRecords(t.Context()); err == nil {
			t.Error("it ended without an error")
		}
		if ss.peer.Load() == nil {
			t.Error("the session did not begin")
		}
		_ = ss.writeDue() // the answer to a Bye ends it
		endParts(ss.session)
		ss.closeStreams()
		for i := range ss.streams {
			if o := ss.streams[i].Load(); o != nil && (i == 0 || len(o.remote.newest) > maxSettings) {
				t.Errorf("stream %d keeps %d settings", i, len(o.remote.newest))
			}
		}
	})
}
