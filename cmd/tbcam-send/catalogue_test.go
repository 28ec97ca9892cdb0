package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
)

// lockedText gathers a log.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// TestCamerasStayOpen: a viewer that takes over the line and numbers its streams
// differently has the cameras that linger, and the totals of what was lost go on.
func TestCamerasStayOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lockedText{}
		ctx, cancel := context.WithCancel(t.Context())
		first := newFeed(newOffer(drivers, []string{"pattern", "pattern2"}), newOpenCameras(), tiny, codec.Raw, 85, cli.NewLog(log, "test", slog.LevelInfo))
		c := &catalogue{ctx: ctx, first: first, log: first.log}
		c.launch(first)
		cable := transporttest.NewCable()
		sender := &transport.Sender{Link: cable.Sender, Catalogue: c, Log: first.log, Sent: c.sent}
		var running sync.WaitGroup
		running.Go(func() { _ = sender.Run(ctx) })
		for round := range 6 {
			names := []string{"pattern", "pattern2"}
			if round%2 == 1 {
				names[0], names[1] = names[1], names[0]
			}
			viewers := view(t, cable, names)
			for i, v := range viewers {
				e := v.Events()
				if len(e.Numbers) < 50 || e.Modes[len(e.Modes)-1].Camera != map[string]string{"pattern": "Test pattern", "pattern2": "Test pattern 2"}[names[i]] {
					t.Errorf("round %d: stream %d has %d frames of %+v", round, i+1, len(e.Numbers), e.Modes)
				}
				if lost := e.Totals.Superseded; lost > 5 {
					t.Errorf("round %d: stream %d has lost %d frames", round, i+1, lost)
				}
			}
		}
		if on, off := log.count("camera is on"), log.count("camera is off"); on != 2 || off != 0 {
			t.Errorf("cameras were on %d and off %d times", on, off)
		}
		for _, s := range c.summaries(true) {
			if s.Frames < 300 || s.Camera == "" {
				t.Errorf("%d frames of %q are counted", s.Frames, s.Camera)
			}
		}
		cancel()
		running.Wait()
		c.close()
	})
}

// view has a viewer for two seconds, whose streams are of the cameras of some names, and
// returns what they got.
func view(t *testing.T, cable *transporttest.Cable, names []string) (all []*transporttest.Consumer) {
	receiver := &transport.Receiver{Link: cable.Viewer}
	for _, name := range names {
		v := &transporttest.Consumer{T: t}
		stream, err := receiver.Open(v, transport.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		stream.Start(capture.Want{Camera: name})
		all = append(all, v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(2*time.Second, cancel)
	if err := receiver.Run(ctx); err != nil {
		t.Error(err)
	}
	return all
}
