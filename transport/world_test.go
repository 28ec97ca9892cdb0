package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// sample returns the picture with that number: different ones share no bytes to
// speak of.
func sample(number uint32, size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(number), byte(number >> 8), byte(number >> 16)}).Read(data)
	return data
}

// mixed is the size of a picture: mostly of one record, at times of three.
func mixed(number uint32) int {
	if number%7 == 3 {
		return 600_000
	}
	return 1 + int(number%5)*9_000
}

var mjpeg720 = &Mode{
	Camera: "pattern",
	Source: capture.Mode{Pixel: capture.MJPEG, Width: 1280, Height: 720, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.MJPEG, Width: 1280, Height: 720, Range: capture.Full},
}

// feed is a camera with a picture every period while it is started, or as fast
// as they are taken.
type feed struct {
	pool   capture.Pool
	period time.Duration
	size   func(number uint32) int
	last   uint32 // number of pictures until io.EOF; 0: no end
	err    error  // in place of io.EOF
	info   *Mode
	lost   capture.Lost
	renew  bool // each picture has a new info
	lister func() []capture.Device

	mu      sync.Mutex
	number  uint32 // of the last picture
	running chan struct{}
	box     *capture.Mailbox
	starts  []capture.Want
	stops   int
	made    map[uint32]Unit      // what was said of each picture
	at      map[uint32]time.Time // when it was captured
}

func newFeed(period time.Duration) *feed {
	return &feed{period: period, size: mixed, info: mjpeg720, box: capture.NewMailbox(), made: map[uint32]Unit{}, at: map[uint32]time.Time{}}
}

func (f *feed) Start(_ uint32, want capture.Want) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts = append(f.starts, want)
	if f.running == nil {
		f.running = make(chan struct{})
		go f.capture(f.running)
	}
}

func (f *feed) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stops++
	if f.running != nil {
		close(f.running)
		f.running = nil
		f.box.Discard()
	}
}

func (f *feed) capture(stop chan struct{}) {
	for f.period > 0 {
		select {
		case <-stop:
			return
		case <-time.After(f.period):
			f.put(stop)
		}
	}
}

// put puts one picture into the mailbox, unless the feed was stopped.
func (f *feed) put(stop chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == stop {
		f.box.Put(f.picture())
	}
}

// picture makes the next one.
func (f *feed) picture() *capture.Frame {
	f.number++
	data := sample(f.number, f.size(f.number))
	p := f.pool.Get(len(data))
	copy(p.Data, data)
	if info := *f.info; f.renew {
		f.info = &info
	}
	p.Format, p.Sequence, p.Time = f.info.Format, f.number, time.Now()
	p.At[capture.Captured], p.At[capture.Dequeued] = p.Time, p.Time
	f.at[f.number] = p.Time
	f.made[f.number] = Unit{Info: f.info, Lost: f.lost}
	return p
}

// described returns what belongs to a picture.
func (f *feed) described(p *capture.Frame) Unit {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := f.made[p.Sequence]
	made.Frame = p
	return made
}

// captured returns when a picture was.
func (f *feed) captured(number uint32) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at[number]
}

// show changes the pictures from now on.
func (f *feed) show(info *Mode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.info = info
}

// lose counts frames as lost.
func (f *feed) lose(more capture.Lost) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost.Add(more)
}

func (f *feed) Lost() capture.Lost {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// asked returns the Starts and counts the Stops so far.
func (f *feed) asked() (starts []capture.Want, stops int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts), f.stops
}

func (f *feed) Next(ctx context.Context) (Unit, error) {
	if f.period == 0 {
		return f.nextOfAll(ctx)
	}
	select {
	case p := <-f.box.Frames():
		return f.described(p), nil
	case <-ctx.Done():
		return Unit{}, ctx.Err()
	}
}

// nextOfAll drops none.
func (f *feed) nextOfAll(ctx context.Context) (Unit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.last != 0 && f.number == f.last && f.err != nil:
		return Unit{}, f.err
	case f.last != 0 && f.number == f.last:
		return Unit{}, io.EOF
	case ctx.Err() != nil:
		return Unit{}, ctx.Err()
	}
	return Unit{Frame: f.picture(), Info: f.info, Lost: f.lost}, nil
}

func (f *feed) Cameras() []capture.Device {
	if f.lister == nil {
		return nil
	}
	return f.lister()
}

// screen is a viewer that checks every frame, bit by bit, and notes the rest.
type screen struct {
	t    *testing.T
	size func(number uint32) int
	slow time.Duration // what it takes to take a frame
	seen func(*capture.Frame)

	mu sync.Mutex
	notes
}

type notes struct {
	numbers  []uint32 // of the frames
	formats  []capture.Format
	modes    []Mode
	statuses []Status
	peers    []Peer
	ends     []error
	lost     capture.Lost
}

func (s *screen) Frame(f *capture.Frame, lost capture.Lost) {
	defer f.Release()
	if !bytes.Equal(f.Data, sample(f.Sequence, len(f.Data))) || len(f.Data) != s.size(f.Sequence) {
		s.t.Errorf("frame %d was changed on the way", f.Sequence)
	}
	if s.seen != nil {
		s.seen(f)
	}
	time.Sleep(s.slow)
	s.note(func() {
		if n := len(s.numbers); n > 0 && f.Sequence <= s.numbers[n-1] {
			s.t.Errorf("frame %d comes after %d", f.Sequence, s.numbers[n-1])
		}
		s.numbers, s.formats, s.lost = append(s.numbers, f.Sequence), append(s.formats, f.Format), lost
	})
}

func (s *screen) Lost(l capture.Lost)  { s.note(func() { s.lost = l }) }
func (s *screen) Connected(p Peer)     { s.note(func() { s.peers = append(s.peers, p) }) }
func (s *screen) Mode(m Mode)          { s.note(func() { s.modes = append(s.modes, m) }) }
func (s *screen) Status(st Status)     { s.note(func() { s.statuses = append(s.statuses, st) }) }
func (s *screen) Disconnected(e error) { s.note(func() { s.ends = append(s.ends, e) }) }

func (s *screen) note(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
}

// noted returns what came so far.
func (s *screen) noted() notes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes
}

// frames returns how many came.
func (s *screen) frames() int { return len(s.noted().numbers) }

// world is a sender and a viewer at the ends of a cable. Each can be ended and
// started again.
type world struct {
	*testing.T
	cable    *cable
	feed     *feed
	screen   *screen
	sender   *Sender
	receiver *Receiver
	log      *journal
	pool     capture.Pool

	sending, viewing *process
	mayFail          bool // Run may return an error
}

// journal keeps what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// inWorld runs a test in virtual time, ends both programs, and checks that
// nothing is left over: synctest waits for the goroutines.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(w)
		w.stop(w.viewing)
		w.stop(w.sending)
		w.feed.box.Discard()
		if n, m := w.feed.pool.Outstanding(), w.pool.Outstanding(); n+m != 0 {
			t.Errorf("%d frames of the sender and %d of the viewer were not released", n, m)
		}
	})
}

// stop ends a program that should not fail by itself.
func (w *world) stop(p *process) {
	if p == nil {
		return
	}
	if err := p.end(); err != nil && !w.mayFail {
		w.Errorf("Run: %v", err)
	}
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, cable: newCable(), feed: newFeed(time.Second / 30), log: &journal{}}
	w.screen = &screen{t: t, size: func(number uint32) int { return w.feed.size(number) }}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.sender = &Sender{Link: w.cable.sender, Producer: w.feed, Version: "test", Log: log}
	w.receiver = &Receiver{Link: w.cable.viewer, Consumer: w.screen, Pool: &w.pool, Version: "test", Log: log}
	return w
}

// process is a program that runs.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run, once done
}

func start(run func(context.Context) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, done: make(chan struct{})}
	go func() {
		p.err = run(ctx)
		close(p.done)
	}()
	return p
}

// end ends the program, if it has not by itself, and returns Run's error.
func (p *process) end() error {
	p.cancel()
	<-p.done
	return p.err
}

// startBoth runs both programs and asks for pictures.
func (w *world) startBoth() {
	w.receiver.Start(capture.Want{})
	w.sending, w.viewing = start(w.sender.Run), start(w.receiver.Run)
}

// waitFor waits until a condition holds, for as long as it may take.
func (w *world) waitFor(limit time.Duration, what string, holds func() bool) {
	w.Helper()
	for begun := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > limit {
			w.Fatalf("no %s within %v; log:\n%v", what, limit, w.log)
		}
	}
}

// waitForFrames waits until that many more frames came.
func (w *world) waitForFrames(more int, limit time.Duration) {
	w.Helper()
	enough := w.screen.frames() + more
	w.waitFor(limit, fmt.Sprintf("%d frames", enough), func() bool { return w.screen.frames() >= enough })
}
