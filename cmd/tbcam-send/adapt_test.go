package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbsim"
	"github.com/tbcam/tbcam/transport/transporttest"
)

// adapting is a sender with --codec auto, and its viewer.
type adapting struct {
	*testing.T
	log       lockedText
	catalogue *catalogue
	viewer    *transporttest.Consumer
	stream    *transport.ReceiverStream
}

// onLine runs a test of --codec auto in virtual time, with a viewer that asks for a mode.
func onLine(t *testing.T, sender, viewer transport.Link, want capture.Want, test func(*adapting)) {
	ctx, cancel := context.WithCancel(t.Context())
	a := &adapting{T: t, viewer: &transporttest.Consumer{T: t}}
	feed := newFeed(newOffer(drivers, []string{"pattern"}), newOpenCameras(), want, codec.Auto, 85, cli.NewLog(&a.log, "test", slog.LevelInfo))
	a.catalogue = &catalogue{ctx: ctx, first: feed, log: feed.log}
	a.catalogue.launch(feed)
	receiver := &transport.Receiver{Link: viewer}
	var err error
	if a.stream, err = receiver.Open(a.viewer, transport.Policy{}); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = (&transport.Sender{Link: sender, Catalogue: a.catalogue, Sent: a.catalogue.sent}).Run(ctx) })
	running.Go(func() { _ = receiver.Run(ctx) })
	test(a)
	cancel()
	running.Wait()
	a.catalogue.close()
	for _, l := range []transport.Link{sender, viewer} {
		l.Close()
	}
	time.Sleep(2 * time.Second) // a device that closes takes its time
	if n := feed.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are left", n)
	}
}

// codec returns what the last frame came as, and the sender's statistics of it.
func (a *adapting) codec() (compressed bool, statistics string) {
	formats := a.viewer.Events().Formats
	if len(formats) == 0 {
		return true, "no frame"
	}
	s := a.catalogue.summaries(true)[0]
	return formats[len(formats)-1].Pixel.Compressed(), s.Codec + ": " + s.CodecReason
}

// want checks what frames come as.
func (a *adapting) want(compressed bool, statistics string) {
	a.Helper()
	if c, s := a.codec(); c != compressed || s != statistics {
		a.Errorf("compressed: %v, %q; want %v, %q", c, s, compressed, statistics)
	}
}

const (
	wanted = "jpeg: an output wants JPEG"
	noRoom = "jpeg: line has no room for raw frames"
	room   = "raw: line has room for raw frames"
)

// TestCodecChangesWithoutAGap: frames change between raw and JPEG as the viewer accepts,
// and none is lost, late, or of the wrong kind: the camera goes on.
func TestCodecChangesWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cable := transporttest.NewCable()
		onLine(t, cable.Sender, cable.Viewer, tiny, func(a *adapting) {
			a.stream.Start(capture.Want{})
			time.Sleep(time.Second)
			a.want(true, wanted)
			for round := range 6 {
				raw := round%2 == 0
				request := a.stream.SetRaw(raw)
				time.Sleep(500 * time.Millisecond)
				a.want(!raw, map[bool]string{true: room, false: wanted}[raw])
				if modes := a.viewer.Events().Modes; modes[len(modes)-1].Request != request {
					t.Errorf("request %d is answered by %+v", request, modes[len(modes)-1])
				}
			}
			a.checkGapless(110)
			if on := a.log.count("camera is on"); on != 1 {
				t.Errorf("the camera was on %d times", on)
			}
		})
	})
}

// checkGapless checks that so many frames came at least, and each when it was captured.
func (a *adapting) checkGapless(least int) {
	a.Helper()
	e := a.viewer.Events()
	if len(e.Numbers) < least || e.Totals.Superseded != 0 {
		a.Errorf("%d frames, %d were superseded", len(e.Numbers), e.Totals.Superseded)
	}
	for i := range e.Numbers[1:] {
		gap := e.Times[i+1].Sub(e.Times[i])
		if e.Numbers[i+1] != e.Numbers[i]+1 || gap > time.Second/30+time.Millisecond {
			a.Errorf("frame %d follows %d after %v", e.Numbers[i+1], e.Numbers[i], gap)
		}
	}
}

// TestCodecForALine: raw frames are sent where the line has room for three times as many,
// on a device whose rings would take each JPEG at once.
func TestCodecForALine(t *testing.T) {
	hd := capture.Want{Pixel: capture.YUYV, Width: 1920, Height: 1080, FPS: 30}  // 124 MB/s
	uhd := capture.Want{Pixel: capture.YUYV, Width: 3840, Height: 2160, FPS: 15} // 249 MB/s
	for _, tt := range []struct {
		gigabits   float64
		want       capture.Want
		statistics string
	}{
		{40, uhd, room}, {5, uhd, noRoom}, {20, hd, room}, {10, hd, room}, {2, hd, noRoom}, {0.4, hd, noRoom},
	} {
		t.Run(fmt.Sprintf("%g Gbit/s, %v", tt.gigabits, tt.want), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cable := tbsim.New(tbsim.Options{Kernel: tbsim.Linux72y, Rate: int64(tt.gigabits * 1e9 / 8), Latency: 30 * time.Microsecond})
				onLine(t, cable.End(0).Link(0), cable.End(1).Link(0), tt.want, func(a *adapting) {
					a.stream.SetRaw(true)
					a.stream.Start(capture.Want{})
					time.Sleep(1500 * time.Millisecond)
					a.want(tt.statistics != room, tt.statistics)
					if e := a.viewer.Events(); e.Totals.Superseded > 1 || len(e.Numbers) < 15 {
						t.Errorf("%d frames, %d were superseded", len(e.Numbers), e.Totals.Superseded)
					}
				})
			})
		})
	}
}
