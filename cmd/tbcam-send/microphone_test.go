package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
	"github.com/tbcam/tbcam/transport/trust"
)

// plugged is a driver of one microphone that can be unplugged.
type plugged struct {
	changes chan struct{}

	mu      sync.Mutex
	gone    bool
	name    string
	sources []capture.Source
}

func (p *plugged) Devices() ([]capture.Device, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil, nil
	}
	return []capture.Device{{Kind: capture.Audio, Path: p.name, Name: p.name}}, nil
}

func (p *plugged) Open(_ capture.Device, pool *capture.Pool) (capture.Source, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := pattern.OpenMicrophone(capture.Mono, pool)
	p.sources = append(p.sources, s)
	return s, err
}

func (p *plugged) Watch(context.Context) (<-chan struct{}, error) { return p.changes, nil }

// opened returns how often it was opened.
func (p *plugged) opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sources)
}

// set plugs the microphone in under a name, or with "" unplugs it.
func (p *plugged) set(name string) {
	p.mu.Lock()
	p.gone, p.name = name == "", name
	p.mu.Unlock()
	p.changes <- struct{}{}
}

// studio is a sender with a camera and a microphone, and a viewer.
type studio struct {
	*testing.T
	driver   *plugged
	catalog  *catalogue
	receiver *transport.Receiver
	log      *lockedText
}

// inStudio runs a test of both in virtual time; nothing is left over.
func inStudio(t *testing.T, test func(*studio)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &studio{T: t, driver: &plugged{name: "desk", changes: make(chan struct{}, 1)}, log: &lockedText{}}
		ctx, cancel := context.WithCancel(t.Context())
		log := cli.NewLog(s.log, "test", slog.LevelInfo)
		first := newFeed(newOffer(drivers[:1], []string{"pattern"}), newOpenCameras(), tiny, codec.Raw, 85, log)
		s.catalog = &catalogue{ctx: ctx, first: first, log: log}
		s.catalog.microphone = newMicrophone([]microphoneDriver{s.driver}, "auto", &first.camera.offer.grants, log)
		s.catalog.launch(first)
		s.catalog.microphone.launch(ctx)
		cable := transporttest.NewCable()
		sender := &transport.Sender{Link: cable.Sender, Catalogue: s.catalog, Log: log, Sent: s.catalog.sent}
		s.receiver = &transport.Receiver{Link: cable.Viewer}
		var running sync.WaitGroup
		for _, run := range []func(context.Context) error{sender.Run, s.receiver.Run} {
			running.Go(func() { _ = run(ctx) })
		}
		test(s)
		cancel()
		running.Wait()
		s.catalog.close()
		close(s.driver.changes)
		if n := s.catalog.microphone.pool.Outstanding(); n != 0 {
			t.Errorf("%d blocks were not released", n)
		}
	})
}

// hear opens a stream of the microphone that a name means.
func (s *studio) hear(name string) (*transport.ReceiverStream, *blockLog) {
	s.Helper()
	l := &blockLog{}
	stream, err := s.receiver.Open(l, transport.Policy{Kind: capture.Audio})
	if err != nil {
		s.Fatal(err)
	}
	stream.Start(capture.Want{Camera: name})
	return stream, l
}

// blockLog keeps what comes in a stream.
type blockLog struct {
	transport.NopConsumer
	mu   sync.Mutex
	came heard
}

// heard is what came so far.
type heard struct {
	numbers  []uint32
	times    []time.Time
	silent   int
	modes    []transport.Mode
	statuses []transport.Status
}

func (l *blockLog) Frame(f *capture.Frame, _ capture.Lost) {
	defer f.Release()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came.numbers, l.came.times = append(l.came.numbers, f.Sequence), append(l.came.times, f.Time)
	if !slices.ContainsFunc(f.Data, func(b byte) bool { return b != 0 }) {
		l.came.silent++
	}
}

func (l *blockLog) Mode(m transport.Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came.modes = append(l.came.modes, m)
}

func (l *blockLog) Status(s transport.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came.statuses = append(l.came.statuses, s)
}

// heard returns what came so far.
func (l *blockLog) heard() heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.came
}

// last returns the last status.
func (h heard) last() (s transport.Status) {
	if n := len(h.statuses); n > 0 {
		s = h.statuses[n-1]
	}
	return s
}

// checkLine checks that no more than a block is missing where a microphone comes or goes, and
// that the times follow the numbers.
func (h heard) checkLine(t *testing.T) {
	t.Helper()
	for i, number := range h.numbers[1:] {
		step, since := number-h.numbers[i], h.times[i+1].Sub(h.times[i])
		if off := since - time.Duration(step)*capture.AudioPeriod; step < 1 || step > 2 || off.Abs() > capture.AudioPeriod/2 {
			t.Errorf("block %d comes %v after %d", number, since, h.numbers[i])
		}
	}
}

// The microphone is open while it is heard, and 3 s more; the camera beside it goes on.
func TestMicrophoneOnDemand(t *testing.T) {
	inStudio(t, func(s *studio) {
		time.Sleep(5 * time.Second)
		if n := s.driver.opened(); n != 0 {
			t.Fatalf("it was opened %d times for nobody", n)
		}
		stream, blocks := s.hear("auto")
		time.Sleep(5 * time.Second)
		stream.Stop()
		time.Sleep(2 * time.Second)
		stream.Start(capture.Want{})
		time.Sleep(2 * time.Second)
		if s.driver.opened() != 1 || s.log.count("microphone is off") != 0 {
			t.Errorf("it was opened %d times", s.driver.opened())
		}
		stream.Stop()
		time.Sleep(2900 * time.Millisecond)
		off := s.log.count("microphone is off")
		time.Sleep(200 * time.Millisecond)
		if off != 0 || s.log.count("microphone is off") != 1 {
			t.Error("it did not linger for 3 s")
		}
		l := blocks.heard()
		if n := len(l.numbers); n < 680 || n > 710 || l.silent > 0 || l.modes[0].Camera != "desk" || l.last().State != transport.Idle {
			t.Errorf("%d blocks, %d silent, modes %+v, %+v", n, l.silent, l.modes, l.last())
		}
		if summaries := s.catalog.summaries(true); len(summaries) != 2 || summaries[1].Kind != meter.Microphone || summaries[1].Camera != "desk" || summaries[1].Frames != uint64(len(l.numbers)) {
			t.Errorf("figures %+v", summaries)
		}
	})
}

// While the microphone is gone, silence of exact length takes its place; then another one.
func TestMicrophoneGone(t *testing.T) {
	inStudio(t, func(s *studio) {
		_, blocks := s.hear("")
		time.Sleep(2 * time.Second)
		s.driver.set("")
		time.Sleep(3 * time.Second)
		if got := blocks.heard().last(); got.State != transport.Waiting || got.Text != "no microphone" {
			t.Errorf("without it: %+v", got)
		}
		s.driver.set("headset")
		time.Sleep(2 * time.Second)
		l := blocks.heard()
		l.checkLine(t)
		if n := len(l.numbers); n < 680 || l.silent < 295 || l.silent > 305 || l.last().State != transport.Running {
			t.Errorf("%d blocks, %d silent, %+v", n, l.silent, l.last())
		}
		if m := l.modes[len(l.modes)-1]; m.Camera != "headset" {
			t.Errorf("modes %+v", l.modes)
		}
		s.driver.set("other") // the one that is chosen on this host now
		time.Sleep(time.Second)
		l = blocks.heard()
		if m := l.modes[len(l.modes)-1]; m.Camera != "other" {
			t.Errorf("modes %+v", l.modes)
		}
		l.checkLine(t)
	})
}

// A viewer without the right learns of no microphone, and has one no longer when the right
// is withdrawn.
func TestMicrophoneRight(t *testing.T) {
	inStudio(t, func(s *studio) {
		listed := func() int {
			devices, err := s.receiver.Cameras(s.Context())
			if err != nil {
				t.Error(err)
			}
			return len(slices.DeleteFunc(devices, func(d capture.Device) bool { return d.Kind != capture.Audio }))
		}
		stream, blocks := s.hear("")
		time.Sleep(time.Second)
		if n, had := listed(), len(blocks.heard().numbers); n != 1 || had < 90 {
			t.Errorf("%d microphones, %d blocks", n, had)
		}
		s.catalog.applyRights(trust.DefaultRights())
		time.Sleep(time.Second)
		had := len(blocks.heard().numbers)
		stream.Start(capture.Want{})
		time.Sleep(5 * time.Second)
		l := blocks.heard()
		if n := listed(); n != 0 || len(l.numbers) != had || l.last().State != transport.Failed || !strings.Contains(l.last().Text, errNotGranted.Error()) {
			t.Errorf("%d microphones, %d blocks more, %+v", n, len(l.numbers)-had, l.last())
		}
		if s.log.count("microphone is off") != 1 {
			t.Error("it is still on")
		}
	})
}

// There is one microphone, which one stream has; one of another name is waited for.
func TestMicrophoneIsOne(t *testing.T) {
	inStudio(t, func(s *studio) {
		stream, first := s.hear("")
		time.Sleep(time.Second)
		other, busy := s.hear("desk")
		time.Sleep(time.Second)
		if got, had := busy.heard().last(), len(first.heard().numbers); got.State != transport.Failed || got.Cause != transport.Busy || had < 190 {
			t.Errorf("%+v, %d blocks of the first", got, had)
		}
		stream.Close()
		time.Sleep(time.Second)
		other.Start(capture.Want{Camera: "des"})
		time.Sleep(time.Second)
		if got := busy.heard(); got.last().State != transport.Running || len(got.numbers) < 90 || s.driver.opened() != 1 {
			t.Errorf("%+v, %d blocks, opened %d times", got.last(), len(got.numbers), s.driver.opened())
		}
		other.Start(capture.Want{Camera: "kitchen"})
		time.Sleep(time.Second)
		got := busy.heard()
		if s := got.last(); s.State != transport.Waiting || s.Text != "only the microphone desk is offered" {
			t.Errorf("of another name: %+v", s)
		}
		had := len(got.numbers)
		s.driver.set("kitchen table")
		time.Sleep(time.Second)
		if got = busy.heard(); got.last().State != transport.Running || len(got.numbers) < had+80 {
			t.Errorf("when it is there: %+v, %d blocks", got.last(), len(got.numbers)-had)
		}
	})
}

// TestBlocksCostNoMemory: a block goes to the line without an allocation.
func TestBlocksCostNoMemory(t *testing.T) {
	m := newMicrophone(nil, "auto", &grants{}, slog.New(slog.DiscardHandler))
	l := newListener(m, nil)
	m.listener, m.info = l, &transport.Mode{Format: capture.Format{Audio: capture.Mono}}
	s := &servedStream{listener: l}
	s.use(l)
	ctx, at, number := t.Context(), time.Now(), uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		f := m.pool.Get(capture.Mono.BlockSize())
		f.Format, f.Sequence, f.Time = m.info.Format, number, at
		number, at = number+1, at.Add(capture.AudioPeriod)
		m.putBlock(f)
		unit, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		unit.Frame.Release()
	}); n > 0 {
		t.Errorf("%v allocations for each block", n)
	}
}
