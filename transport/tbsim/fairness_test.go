package tbsim

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	framing "github.com/tbcam/tbcam/transport/wire"
)

// writeLog is a link that notes when records of frames are written.
type writeLog struct {
	transport.Link
	large []time.Time // when each record of the large streams was begun
	waits []int       // records of them before each small frame, since that was captured
	film  *movie      // the small stream, the first one
}

const smallStream = 1

func (l *writeLog) Open(ctx context.Context) (transport.Conn, error) {
	conn, err := l.Link.Open(ctx)
	return &loggedConn{conn, l}, err
}

type loggedConn struct {
	transport.Conn
	log *writeLog
}

func (c *loggedConn) WriteBuffers(bufs [][]byte) error {
	h, err := framing.ParseHeader(bufs[0])
	switch {
	case err != nil || h.Type != framing.Frame:
	case h.Stream != smallStream:
		c.log.large = append(c.log.large, time.Now())
	case h.Flags&framing.First != 0:
		meta, _, err := framing.ParseFrameHeader(bufs[1])
		if err != nil {
			return err
		}
		captured, _ := c.log.film.CapturedAt(meta.Sequence)
		c.log.waits = append(c.log.waits, c.log.since(captured))
	}
	return c.Conn.WriteBuffers(bufs)
}

// since returns how many records of the large streams were begun since a time.
func (l *writeLog) since(captured time.Time) (n int) {
	for _, at := range slices.Backward(l.large) {
		if at.Before(captured) {
			break
		}
		n++
	}
	return n
}

// TestSmallStreamBesideALargeOne: a small camera's frame waits for few records of one
// that fills the line with raw frames of 4K, of 48 records each.
func TestSmallStreamBesideALargeOne(t *testing.T) {
	small := newMovie()
	small.pace(7*time.Millisecond, 160*120*2)
	waits := waitsBeside(t, 1, small, capture.Video)
	if n := len(waits); n > 0 && waits[n*99/100] > 3 {
		t.Error("the small stream waits too long")
	}
}

// TestAudioBesideLargeStreams: a block of audio waits for one record at most, however many
// cameras fill the line.
func TestAudioBesideLargeStreams(t *testing.T) {
	microphone := newMovie()
	microphone.Period, microphone.size = capture.AudioPeriod, capture.Mono.BlockSize()
	microphone.Mode = &transport.Mode{Camera: "microphone", Format: capture.Format{Audio: capture.Mono}}
	waits := waitsBeside(t, 3, microphone, capture.Audio)
	if n := len(waits); n > 0 && waits[n-1] > 1 {
		t.Error("audio waits for video")
	}
}

// waitsBeside returns, sorted, for how many records the frames of a small stream waited
// beside some large ones that fill the line.
func waitsBeside(t *testing.T, large int, small *movie, kind capture.Kind) (waits []int) {
	raw := capture.Format{Pixel: capture.NV12, Width: 3840, Height: 2160}
	image := make([]byte, raw.Size())
	synctest.Test(t, func(t *testing.T) {
		producers := []*transporttest.Producer{&small.Producer}
		for range large {
			producers = append(producers, &transporttest.Producer{
				Period: time.Second / 60, Mode: &transport.Mode{Camera: "large", Format: raw}, Content: func(uint32) []byte { return image },
			})
		}
		link := links(New(Options{Kernel: Linux72y, Rate: 400e6, Latency: 10 * time.Microsecond}))
		log := &writeLog{Link: link[0], film: small}
		sender := &transport.Sender{Link: log, Catalogue: &transporttest.Catalogue{Producers: producers}}
		receiver := &transport.Receiver{Link: link[1]}
		var shown []*transporttest.Consumer
		for i, p := range producers {
			shown = append(shown, &transporttest.Consumer{T: t, Producer: p})
			if i > 0 {
				kind = capture.Video
			}
			watchKind(t, receiver, shown[i], kind)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		defer cancel()
		var programs sync.WaitGroup
		for _, run := range []func(context.Context) error{sender.Run, receiver.Run} {
			programs.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		programs.Wait()
		hangUp(t, link)
		slices.Sort(log.waits)
		n := len(log.waits)
		t.Logf("%d frames of a large stream; %d small ones waited for %d records (median), %d (99 %%), %d at most",
			shown[1].Frames(), n, log.waits[n/2], log.waits[n*99/100], log.waits[n-1])
		if n < 100 || shown[0].Frames() < n-2 || shown[1].Frames() < 20/large {
			t.Error("too few frames came")
		}
		waits = log.waits
	})
	return waits
}
