package sink

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// passing is a decoder that refuses frames of one byte.
type passing struct{}

var errDamaged = errors.New("damaged")

func (passing) Decode(f *capture.Frame) (*capture.Frame, error) {
	if len(f.Data) == 1 {
		f.Release()
		return nil, errDamaged
	}
	return f, nil
}

func (passing) Close() {}

// recorded is an output that remembers which frames it got.
type recorded struct {
	need  func() Need   // nil means Decoded
	takes time.Duration // for each frame
	fail  error         // of the frame with number failAt
	at    uint32

	mu     sync.Mutex
	opened int
	closed int
	got    []uint32
}

func (s *recorded) Name() string { return "test" }

func (s *recorded) Takes() Need {
	if s.need == nil {
		return Decoded
	}
	return s.need()
}

func (s *recorded) Open() (Sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return s, nil
}

func (s *recorded) Present(f *capture.Frame) error {
	defer f.Release()
	time.Sleep(s.takes)
	if s.fail != nil && f.Sequence == s.at {
		return s.fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, f.Sequence)
	return nil
}

func (s *recorded) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

const period = 100 * time.Millisecond

// play sends frames 1 to n to a fan-out, one each period, and returns its
// statistics at the end; damaged ones are those that the decoder refuses.
func play(t *testing.T, n int, damaged []uint32, add func(*Fanout)) Stats {
	t.Helper()
	var pool capture.Pool
	var stats Stats
	synctest.Test(t, func(t *testing.T) {
		o := NewFanout(Options{Decoder: passing{}})
		add(o)
		done := make(chan struct{})
		go func() { defer close(done); o.Run() }()
		for i := range n {
			f := pool.Get(2)
			f.Sequence = uint32(i + 1)
			if slices.Contains(damaged, f.Sequence) {
				f.Data = f.Data[:1]
			}
			o.Frame(f)
			time.Sleep(period)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		<-done
		stats = o.Stats()
	})
	if left := pool.Outstanding(); left != 0 {
		t.Errorf("%d frames were not released", left)
	}
	return stats
}

func addTo(t *testing.T, o *Fanout, outputs ...Output) {
	t.Helper()
	if err := o.Add(outputs...); err != nil {
		t.Fatal(err)
	}
}

// every returns an output of every frame.
func every() *recorded { return &recorded{need: func() Need { return Every }} }

func TestSlowSinkHoldsUpNobody(t *testing.T) {
	slow, fast := &recorded{takes: 3*period - time.Millisecond}, &recorded{}
	recorder := every()
	stats := play(t, 9, nil, func(o *Fanout) { addTo(t, o, slow, fast, recorder) })
	all := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	if !slices.Equal(recorder.got, all) || !slices.Equal(fast.got, all) {
		t.Errorf("the output of every frame got %v, the fast one %v; want all", recorder.got, fast.got)
	}
	// The newest when it is ready, and the last one at the end.
	if want := []uint32{1, 3, 6, 9}; !slices.Equal(slow.got, want) {
		t.Errorf("the slow sink got %v, want %v", slow.got, want)
	}
	if stats.Superseded != 5 {
		t.Errorf("%d were superseded, want 5", stats.Superseded)
	}
}

func TestFailingSinkComesBack(t *testing.T) {
	bad, good := &recorded{fail: errors.New("broken"), at: 3, takes: time.Millisecond}, &recorded{}
	play(t, 20, nil, func(o *Fanout) { addTo(t, o, bad, good) })
	if bad.opened != 2 || bad.closed != 2 {
		t.Errorf("the bad sink was opened %d times and closed %d, want 2", bad.opened, bad.closed)
	}
	// Away for a second, ten frames; then it goes on with the newest.
	if want := []uint32{1, 2, 13, 14, 15, 16, 17, 18, 19, 20}; !slices.Equal(bad.got, want) {
		t.Errorf("the bad sink got %v, want %v", bad.got, want)
	}
	if len(good.got) != 20 {
		t.Errorf("the good sink got %d frames, want 20", len(good.got))
	}
}

func TestSinkThatIsDone(t *testing.T) {
	once := &recorded{fail: ErrDone, at: 2}
	play(t, 5, nil, func(o *Fanout) { addTo(t, o, once) })
	if once.opened != 1 || once.closed != 1 || !slices.Equal(once.got, []uint32{1}) {
		t.Errorf("opened %d, closed %d, got %v", once.opened, once.closed, once.got)
	}
}

func TestDamagedFrameIsPassedOver(t *testing.T) {
	s := &recorded{}
	stats := play(t, 4, []uint32{2}, func(o *Fanout) { addTo(t, o, s) })
	if stats.Damaged != 1 || !slices.Equal(s.got, []uint32{1, 3, 4}) {
		t.Errorf("%d damaged, the sink got %v", stats.Damaged, s.got)
	}
}

// endless is a decoder that works until it is closed.
type endless struct {
	once   *sync.Once
	closed chan struct{}
}

func (d endless) Decode(f *capture.Frame) (*capture.Frame, error) {
	f.Release()
	<-d.closed
	return nil, errDamaged
}

func (d endless) Close() { d.once.Do(func() { close(d.closed) }) }

// TestHurry: the end does not wait for what is being decoded.
func TestHurry(t *testing.T) {
	stats := play(t, 1, nil, func(o *Fanout) {
		o.decoder = endless{new(sync.Once), make(chan struct{})}
		addTo(t, o, &recorded{})
		time.AfterFunc(10*period, o.Hurry)
	})
	if stats.Damaged != 1 {
		t.Errorf("%d frames were not decoded, want 1", stats.Damaged)
	}
}

// refusing is a decoder whose pool has no room.
type refusing struct{ passing }

func (refusing) Decode(f *capture.Frame) (*capture.Frame, error) {
	f.Release()
	return nil, codec.ErrNoRoom
}

func TestNoRoomIsNoDamage(t *testing.T) {
	stats := play(t, 3, nil, func(o *Fanout) {
		o.decoder = refusing{}
		addTo(t, o, &recorded{})
	})
	if stats.Damaged != 0 || stats.Superseded != 3 {
		t.Errorf("%+v", stats)
	}
}

// refused is an output that cannot be opened.
type refused struct{ recorded }

var errRefused = errors.New("no")

func (*refused) Open() (Sink, error) { return nil, errRefused }

func TestOutputThatCannotBeOpened(t *testing.T) {
	if err := NewFanout(Options{}).Add(new(refused)); !errors.Is(err, errRefused) {
		t.Errorf("Add gives %v", err)
	}
}

// TestEnds: each output that ends is reported once, with why and how many are left;
// the end of the fan-out is none.
func TestEnds(t *testing.T) {
	type end struct {
		output Output
		err    error
		left   int
	}
	broken := errors.New("disk full")
	window, snapshot, recorder, camera := &recorded{}, &recorded{fail: ErrDone, at: 2}, every(), &recorded{}
	recorder.fail, recorder.at = broken, 4
	var mu sync.Mutex
	var ends []end
	play(t, 6, nil, func(o *Fanout) {
		o.options.Ended = func(output Output, err error, left int) {
			mu.Lock()
			defer mu.Unlock()
			ends = append(ends, end{output, err, left})
		}
		addTo(t, o, window, snapshot, recorder, camera)
		time.AfterFunc(period/2, func() { o.End(window, nil); o.End(window, broken) })
	})
	if want := []end{{window, nil, 3}, {snapshot, nil, 2}, {recorder, broken, 1}}; !slices.Equal(ends, want) {
		t.Errorf("ended %v, want %v", ends, want)
	}
	if window.closed != 1 || len(window.got) != 1 || recorder.closed != 1 || len(recorder.got) != 3 || len(camera.got) != 6 {
		t.Errorf("window %+v, recorder %+v, camera %+v", window.got, recorder.got, camera.got)
	}
}

// hearing is an output that listens, too.
type hearing struct {
	*recorded
	muted bool
}

func (h *hearing) Listens() bool { return !h.muted }

// speak sends blocks of audio to a fan-out, as fast as they are captured.
func speak(o *Fanout, pool *capture.Pool, from, to uint32) {
	for n := from; n <= to; n++ {
		f := pool.Get(capture.Mono.BlockSize())
		f.Format, f.Sequence = capture.Format{Audio: capture.Mono}, n
		o.Frame(f)
		time.Sleep(capture.AudioPeriod)
	}
}

// Outputs get each block of audio, in order, whatever frames they take; those that do not
// listen get none.
func TestAudio(t *testing.T) {
	var blocks capture.Pool
	shown, saved, deaf := &hearing{recorded: &recorded{}}, &hearing{recorded: every()}, &recorded{}
	heard := &hearing{recorded: &recorded{need: func() Need { return Nothing }}}
	muted := &hearing{recorded: &recorded{}, muted: true}
	stats := play(t, 1, nil, func(o *Fanout) {
		addTo(t, o, shown, saved, deaf, heard, muted)
		go speak(o, &blocks, 1001, 1009)
	})
	if stats.Damaged+stats.Superseded+stats.Unheard != 0 {
		t.Errorf("%+v", stats)
	}
	audio := []uint32{1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009}
	for name, c := range map[string]struct {
		got    []uint32
		frames int
		blocks int
	}{"shown": {shown.got, 1, 9}, "saved": {saved.got, 1, 9}, "deaf": {deaf.got, 1, 0}, "heard": {heard.got, 0, 9}, "muted": {muted.got, 1, 0}} {
		slices.Sort(c.got)
		if want := slices.Concat([]uint32{1}[:c.frames], audio[:c.blocks]); !slices.Equal(c.got, want) {
			t.Errorf("%s: got %v, want %v", name, c.got, want)
		}
	}
	if n := blocks.Outstanding(); n != 0 {
		t.Errorf("%d blocks were not released", n)
	}
}

// A sink that is slow for a second loses blocks, and one that failed hears nothing old.
func TestSlowListener(t *testing.T) {
	var pool capture.Pool
	slow := &hearing{recorded: &recorded{takes: 3 * time.Second}}
	failing := &hearing{recorded: &recorded{fail: errDamaged, at: 10}}
	synctest.Test(t, func(t *testing.T) {
		o := NewFanout(Options{Decoder: passing{}})
		addTo(t, o, slow, failing)
		done := make(chan struct{})
		go func() { defer close(done); o.Run() }()
		speak(o, &pool, 1, 250)
		_ = o.Close()
		<-done
		if n := o.Stats().Unheard; n != 250-1-uint64(maxBlocks) {
			t.Errorf("%d blocks were dropped", n)
		}
	})
	if len(slow.got) != 1+maxBlocks || slow.got[1] != 2 {
		t.Errorf("the slow one got %v", slow.got)
	}
	if n := len(failing.got); n < 9+135 || failing.got[8] != 9 || failing.got[9] < 105 || failing.opened != 2 {
		t.Errorf("the failing one got %v", failing.got)
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d blocks were not released", n)
	}
}
