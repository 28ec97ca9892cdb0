package tbsim

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// gigabit is a rate in bytes per second.
const gigabit = 1e9 / 8

// TestLineRate: the rate of a line is estimated from below, never higher: by frames that
// fit into the rings, too, which are written in no time. Large frames show nearly all of
// it.
func TestLineRate(t *testing.T) {
	for _, tt := range []struct {
		gigabits float64
		frame    int     // bytes
		least    float64 // of the rate
	}{
		{40, 1_000_000, 0.5}, {40, 100_000, 0.05},
		{20, 4_000_000, 0.9}, {20, 500_000, 0.5}, {20, 100_000, 0.1},
		{10, 4_000_000, 0.9}, {10, 500_000, 0.7}, {10, 100_000, 0.2},
		{0.4, 1_000_000, 0.9}, {0.4, 30_000, 0.5}, {0.4, 1_000, 0.01},
	} {
		t.Run(fmt.Sprintf("%g Gbit/s, %d bytes", tt.gigabits, tt.frame), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rate := tt.gigabits * gigabit
				got := measureLine(t, Options{Kernel: Linux72y, Rate: int64(rate), Latency: 30 * time.Microsecond}, tt.frame)
				if got > 1.001*rate || got < tt.least*rate {
					t.Errorf("estimate is %.3f of the rate, want %v to 1", got/rate, tt.least)
				}
			})
		})
	}
}

// measureLine returns the estimate after a second of frames of a size.
func measureLine(t *testing.T, o Options, frame int) (rate float64) {
	film := newMovie()
	film.pace(framePeriod, frame)
	film.Mode.Format.Width, film.Mode.Format.Height = film.size/500, 500
	image := make([]byte, film.size)
	film.Content = func(uint32) []byte { return image }
	showRated(t, New(o), film, capture.Video, func(s *transport.SenderStream, _ *transport.ReceiverStream) { rate = s.LineRate() })
	return rate
}

// showRated runs a movie over a cable, and calls during with its stream at the sender after
// three seconds, and with another one of the viewer, of a kind.
func showRated(t *testing.T, c *Cable, film *movie, kind capture.Kind, during func(*transport.SenderStream, *transport.ReceiverStream)) {
	link := links(c)
	var stream *transport.SenderStream
	sender := &transport.Sender{Link: link[0], Catalogue: &transport.Single{
		Producer: film, Opened: func(s *transport.SenderStream) { stream = s },
	}}
	receiver := &transport.Receiver{Link: link[1]}
	watchStream(t, receiver, transport.NopConsumer{})
	other, err := receiver.Open(transport.NopConsumer{}, transport.Policy{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var programs sync.WaitGroup
	for _, run := range []func(context.Context) error{sender.Run, receiver.Run} {
		programs.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(3 * time.Second)
	during(stream, other)
	cancel()
	programs.Wait()
	film.Discard()
	for _, l := range link {
		l.Close()
	}
}

// TestLineRateOfSeveral: each of several streams of video that are started has a share of
// the line; one of audio takes none of it.
func TestLineRateOfSeveral(t *testing.T) {
	for kind, share := range map[capture.Kind]float64{capture.Video: 2, capture.Audio: 1} {
		synctest.Test(t, func(t *testing.T) {
			cable := New(Options{Kernel: Linux72y, Rate: 10 * gigabit, Latency: 30 * time.Microsecond})
			showRated(t, cable, newMovie(), kind, func(s *transport.SenderStream, other *transport.ReceiverStream) {
				alone := s.LineRate()
				other.Start(capture.Want{})
				time.Sleep(time.Second)
				if shared := s.LineRate(); alone == 0 || shared != alone/share {
					t.Errorf("%.0f bytes/s beside a stream of kind %v, %.0f alone", shared, kind, alone)
				}
			})
		})
	}
}
