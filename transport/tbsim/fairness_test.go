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
	large []time.Time // when each record of the large stream was begun
	waits []int       // records of it before each small frame, since that was captured
	film  *movie      // the small stream
}

const largeStream, smallStream = 1, 2

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
	case h.Stream == largeStream:
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

// since returns how many records of the large stream were begun since a time.
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
	raw := capture.Format{Pixel: capture.NV12, Width: 3840, Height: 2160}
	image := make([]byte, raw.Size())
	synctest.Test(t, func(t *testing.T) {
		large := &transporttest.Producer{Period: time.Second / 60, Mode: &transport.Mode{Camera: "large", Format: raw}, Content: func(uint32) []byte { return image }}
		small := newMovie()
		small.pace(7*time.Millisecond, 160*120*2)
		link := links(New(Options{Kernel: Linux72y, Rate: 400e6, Latency: 10 * time.Microsecond}))
		log := &writeLog{Link: link[0], film: small}
		sender := &transport.Sender{Link: log, Catalogue: &transporttest.Catalogue{Producers: []*transporttest.Producer{large, &small.Producer}}}
		receiver := &transport.Receiver{Link: link[1]}
		shown := [...]*transporttest.Consumer{{T: t, Producer: large}, {T: t, Producer: &small.Producer}}
		for _, c := range shown {
			watchStream(t, receiver, c)
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
		t.Logf("%d large frames; %d small ones waited for %d records (median), %d (99 %%), %d at most",
			shown[0].Frames(), n, log.waits[n/2], log.waits[n*99/100], log.waits[n-1])
		if n < 100 || shown[1].Frames() < n-2 || shown[0].Frames() < 20 || log.waits[n*99/100] > 3 {
			t.Error("the small stream waits too long")
		}
	})
}
