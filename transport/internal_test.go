package transport

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

var (
	mjpeg720 = &Mode{
		Camera: "pattern",
		Source: capture.Mode{Pixel: capture.MJPEG, Width: 1280, Height: 720, Rate: capture.Rate{Num: 30, Den: 1}},
		Format: capture.Format{Pixel: capture.MJPEG, Width: 1280, Height: 720, Range: capture.Full},
	}
	grey = capture.Format{Pixel: capture.GREY, Width: 10, Height: 10}
)

// device is a Link with the properties of one, that nothing opens.
type device struct{ Link }

func (device) Properties() Properties {
	return Properties{Greets: true, Checksums: true, Stale: true, Stillness: true}
}

// Numbers wrap around; what was read is not read again, and what is missing is
// noticed.
func TestSequence(t *testing.T) {
	var b []byte
	for _, n := range []uint32{math.MaxUint32 - 1, math.MaxUint32, 0, 0, math.MaxUint32, 1, 4, 2, 5} {
		b = wire.Append(b, wire.Header{Type: wire.Status, Stream: 1, Session: 7, Sequence: n}, nil)
	}
	s := newSession(nowhere{bytes.NewReader(b)}, device{})
	s.id.Store(7)
	s.in = math.MaxUint32 - 1
	var got []string
	for {
		h, _, err := s.readNext()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprintf("%d %t", int32(h.Sequence), s.gap))
	}
	want := []string{"-2 false", "-1 false", "0 false", "1 false", "4 true", "5 false"}
	if !slices.Equal(got, want) || s.stale != 3 {
		t.Errorf("got %q, want %q; %d passed over", got, want, s.stale)
	}
}

// countingConn counts the calls that write, and keeps what they wrote.
type countingConn struct {
	nowhere
	calls   int
	written []byte
}

func (c *countingConn) WriteBuffers(bufs [][]byte) error {
	c.calls++
	c.written = append(c.written, bytes.Join(bufs, nil)...)
	return nil
}

// All of a heartbeat, of any number of streams, is written in one call.
func TestHeartbeatIsOneCall(t *testing.T) {
	conn := &countingConn{}
	r := &Receiver{Link: device{}}
	rs := newReceiverSession(r, conn)
	r.current = rs
	for range MaxStreams {
		stream, err := r.Open(NopConsumer{}, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		stream.Start(capture.Want{Camera: strings.Repeat("x", maxText)})
	}
	for range 2 { // what was due, and a repetition
		conn.calls, conn.written = 0, nil
		rs.queueRecord(wire.Ping)
		if err := rs.writeDue(); err != nil {
			t.Fatal(err)
		}
		records := 0
		for b := conn.written; len(b) > 0; records++ {
			_, payload, err := wire.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			b = b[wire.HeaderSize+len(payload):]
		}
		if conn.calls != 1 || records != 1+2*MaxStreams {
			t.Errorf("%d records in %d calls, want %d in 1", records, conn.calls, 1+2*MaxStreams)
		}
	}
}

// Control records that a batch has no room for come in order, too.
func TestLargeControlRecord(t *testing.T) {
	conn := &countingConn{}
	s := newSession(conn, device{})
	for _, size := range []int{100, batchSize, 100, batchSize - 200, 100} {
		if err := s.writeRecord(wire.Header{Type: wire.Camera}, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.flushBatch(); err != nil {
		t.Fatal(err)
	}
	for b, n := conn.written, uint32(0); len(b) > 0; n++ {
		h, payload, err := wire.Parse(b)
		if err != nil || h.Sequence != n {
			t.Fatalf("record %d has sequence %d; %v", n, h.Sequence, err)
		}
		b = b[wire.HeaderSize+len(payload):]
	}
}

// Counts never go back, and pass over the end of 32 bits.
func TestLostTotals(t *testing.T) {
	lost := capture.Lost{}
	for _, c := range []struct {
		totals lostTotals
		want   capture.Lost
	}{
		{lostTotals{1, 2, 3}, capture.Lost{Driver: 1, Damaged: 2, Superseded: 3}},
		{lostTotals{0, 2, 4}, capture.Lost{Driver: 1, Damaged: 2, Superseded: 4}},
		{lostTotals{1 << 30, 2, 4}, capture.Lost{Driver: 1 << 30, Damaged: 2, Superseded: 4}},
		{lostTotals{3 << 30, 2, 4}, capture.Lost{Driver: 1 << 30, Damaged: 2, Superseded: 4}},
		{lostTotals{2<<30 - 1, 2, 4}, capture.Lost{Driver: 2<<30 - 1, Damaged: 2, Superseded: 4}},
		{lostTotals{3 << 30, 2, 4}, capture.Lost{Driver: 3 << 30, Damaged: 2, Superseded: 4}},
		{lostTotals{5, 2, 4}, capture.Lost{Driver: 1<<32 + 5, Damaged: 2, Superseded: 4}},
	} {
		if c.totals.advanceTo(&lost); lost != c.want {
			t.Errorf("%+v: got %+v, want %+v", c.totals, lost, c.want)
		}
	}
}

// A capture time counts if it can be, by what is known of the sender's clock.
func TestCaptureTimes(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		session time.Duration // for how long it has lasted
		ahead   time.Duration // of the capture time to the arrival
		why     string
	}{
		"just now":                  {0, 0, ""},
		"a little ahead":            {0, 990 * time.Millisecond, ""},
		"ahead":                     {0, 1010 * time.Millisecond, "it was captured 1.01s after it arrived"},
		"ten years ahead":           {0, 3650 * day, "after it arrived"},
		"old":                       {0, -59 * time.Second, ""},
		"too old":                   {0, -61 * time.Second, "it was captured 1m1s before it arrived"},
		"a year old":                {0, -365 * day, "before it arrived"},
		"clocks drift":              {day, 44 * time.Second, ""},
		"clocks drift too far":      {day, 45 * time.Second, "it was captured 45s after it arrived"},
		"clocks drift back":         {day, -103 * time.Second, ""},
		"clocks drift back too far": {day, -104 * time.Second, "it was captured 1m44s before it arrived"},
	} {
		const offset = 400 * day // of the sender's clock
		line, arrived := newTimeline(), time.Now()
		times := newSessionTimes(line, offset, 0)
		times.begun = arrived.Add(-c.session)
		want := arrived.Add(c.ahead)
		got, err := times.captureTime(int64(want.Sub(line.origin)+offset), arrived)
		if !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %v, want %q", name, err, c.why)
		}
	}
}

// A sender that does not know when a frame was captured sends no time.
func TestCaptureTimeUnknown(t *testing.T) {
	now := time.Now()
	times := newSessionTimes(newTimeline(), time.Hour, 0)
	if got, err := times.captureTime(0, now); !got.Equal(now) || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, now)
	}
}

// A peer that delays its first answer may not choose its times the more freely.
func TestSlowFirstAnswer(t *testing.T) {
	line, now := newTimeline(), time.Now()
	times := newSessionTimes(line, 0, time.Hour)
	if _, err := times.captureTime(line.nanosOf(now.Add(maxAhead+maxUncertainty+time.Second)), now); err == nil {
		t.Error("a time far ahead was believed")
	}
}

// Whatever controls a camera has fits, and is accepted.
func TestControlsFit(t *testing.T) {
	long := strings.Repeat("<", 5000)
	c := Controls{Camera: long}
	for range 2 * maxControls {
		c.List = append(c.List, capture.Control{Name: strings.Repeat("<", 32), Menu: make([]capture.ControlMenuItem, 2)})
	}
	m := controlsMessage{Number: 1, Controls: c.boundToRecord()}
	for n := range maxSettings {
		m.Answers = append(m.Answers, applySetting(func(capture.Setting) (capture.Setting, error) { return capture.Setting{}, errors.New(long) },
			numberSetting{Number: uint32(n + 1)}))
	}
	payload := encodeMessage(m)
	back, err := parseControls(wire.Header{}, payload)
	if len(payload) > wire.MaxPayload || err != nil || len(back.List) < 100 || len(back.Answers) != maxSettings {
		t.Errorf("%d bytes, %v, %d controls", len(payload), err, len(back.List))
	}
	var wishes setMessage
	for n := range maxSettings {
		wishes.Settings = append(wishes.Settings, numberSetting{uint32(n + 1), capture.Setting{Text: cutPrintable(long, maxText)}})
	}
	if _, err := parseSet(wire.Header{}, encodeMessage(wishes)); err != nil {
		t.Error(err)
	}
}

// A viewer that sends several values of one control in a Set gets the last one.
func TestNewestValueWins(t *testing.T) {
	r := remote{newest: []numberSetting{{1, capture.Setting{ID: 5, Value: 1}}, {2, capture.Setting{ID: 6}}, {3, capture.Setting{ID: 5, Value: 2}}}}
	var done progress
	var got []uint32
	for range len(r.newest) {
		next, wait := r.nextSetting(&done, newPace())
		if wait == 0 {
			*done.numberOf(next.Setting) = next.Number
			got = append(got, next.Number)
		}
	}
	if !slices.Equal(got, []uint32{2, 3}) {
		t.Errorf("carried out are %v", got)
	}
}

// TestLivenessIsLookedAtSeldom: of a peer that lives, whenever its heartbeats come, and a
// dead one is found when it was silent for exactly the limit.
func TestLivenessIsLookedAtSeldom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		beat := time.Duration(rng.Int64N(int64(pingEvery)))
		now, looks := time.Duration(0), 0
		for now < time.Minute {
			for beat+pingEvery <= now {
				beat += pingEvery + time.Duration(rng.Int64N(int64(20*time.Millisecond))) - 10*time.Millisecond
			}
			now += nextLook(max(0, now-beat), liveness)
			looks++
		}
		if looks > 45 {
			t.Fatalf("%d looks in a minute", looks)
		}
		for silent := max(0, now-beat); silent < liveness; looks++ {
			if silent += nextLook(silent, liveness); silent > liveness || looks > 50 {
				t.Fatalf("found after a silence of %v, and %d looks", silent, looks)
			}
		}
	}
}
