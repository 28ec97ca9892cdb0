package sink

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// passing is a decoder that refuses pictures of one byte.
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

// recorded is a sink that remembers which frames it got.
type recorded struct {
	takes time.Duration // for each frame
	fail  error         // of the frame with number failAt
	at    uint32

	mu     sync.Mutex
	opened int
	closed int
	got    []uint32
}

func (s *recorded) open() (Sink, error) {
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
		o := NewFanout(passing{}, slog.New(slog.DiscardHandler))
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
		o.Close()
		<-done
		stats = o.Stats()
	})
	if left := pool.Outstanding(); left != 0 {
		t.Errorf("%d frames were not released", left)
	}
	return stats
}

func addTo(t *testing.T, o *Fanout, sinks ...*recorded) {
	t.Helper()
	for _, s := range sinks {
		if err := o.Add("test", s.open, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSlowSinkHoldsUpNobody(t *testing.T) {
	slow, fast := &recorded{takes: 3*period - time.Millisecond}, &recorded{}
	var tapped []uint32
	stats := play(t, 9, nil, func(o *Fanout) {
		addTo(t, o, slow, fast)
		o.Tap(func(f *capture.Frame) { tapped = append(tapped, f.Sequence); f.Release() })
	})
	all := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	if !slices.Equal(tapped, all) || !slices.Equal(fast.got, all) {
		t.Errorf("the tap got %v, the fast sink %v; want all", tapped, fast.got)
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

func TestDamagedPictureIsPassedOver(t *testing.T) {
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

func TestSinkThatCannotBeOpened(t *testing.T) {
	o := NewFanout(passing{}, slog.New(slog.DiscardHandler))
	refusal := errors.New("no")
	if err := o.Add("test", func() (Sink, error) { return nil, refusal }, nil); !errors.Is(err, refusal) {
		t.Errorf("Add gives %v", err)
	}
}
