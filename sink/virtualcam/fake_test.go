package virtualcam

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// written is a frame that readers of a fake node see.
type written struct {
	at       time.Time
	sequence uint32 // 0 of a placeholder
	received bool
	format   capture.Format
}

// errMake is why the fake makes no node.
var errMake = errors.New("run this command")

// fake is a machine with a node, which is its own output, and perhaps one that
// others use.
type fake struct {
	node    NodeInfo
	taken   string // path of a node that another program writes to
	broken  error  // of opening that, in place of ErrInUse
	reports bool   // the driver reports who reads
	most    int    // pixels of a line and lines that it can have, 0 for any

	mu      sync.Mutex
	users   chan int
	refuse  error // of opening
	refused int   // openings
	fail    error // of the next Write
	opened  []capture.Format
	closed  int
	written []written
	kept    uint64 // frames that readers kept from being written
	shown   string // by applications, for the node
}

func (f *fake) Formats() []capture.PixelFormat { return Formats }
func (f *fake) Nodes(name string) ([]NodeInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken != "" && name == Auto {
		return []NodeInfo{{Path: f.taken}, f.node}, nil
	}
	return []NodeInfo{f.node}, nil
}
func (f *fake) Make() error      { return errMake }
func (f *fake) locked(do func()) { f.mu.Lock(); defer f.mu.Unlock(); do() }
func (f *fake) Open(path string, format capture.Format, _ capture.Rate) (Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken != "" && path == f.taken {
		return nil, cmp.Or(f.broken, ErrInUse)
	}
	if f.refuse != nil {
		f.refused++
		return nil, f.refuse
	}
	if f.most > 0 && (format.Width > f.most || format.Height > f.most) {
		keeps := format // as v4l2loopback has it
		keeps.Width, keeps.Height = min(format.Width, f.most), min(format.Height, f.most)
		return nil, &FormatError{Asked: format, Keeps: keeps}
	}
	f.opened = append(f.opened, format)
	return f, nil
}

func (f *fake) Write(frame *capture.Frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail; err != nil {
		f.fail = nil
		return err
	}
	f.written = append(f.written, written{time.Now(), frame.Sequence, !frame.At[capture.Received].IsZero(), frame.Format})
	return nil
}

// Kept implements Keeper.
func (f *fake) Kept() (n uint64) {
	f.locked(func() { n = f.kept })
	return n
}

// Describe implements Describer.
func (f *fake) Describe(text string) error {
	f.locked(func() { f.shown = text })
	return nil
}

func (f *fake) Users() (<-chan int, error) {
	if !f.reports {
		return nil, errors.ErrUnsupported
	}
	return f.users, nil
}

func (f *fake) Close() error {
	f.locked(func() { f.closed++ })
	return nil
}

// last returns what readers see.
func (f *fake) last() written {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written[len(f.written)-1]
}

// since returns what was written after a time.
func (f *fake) since(begin time.Time) []written {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := slices.IndexFunc(f.written, func(w written) bool { return w.at.After(begin) })
	if first < 0 {
		return nil
	}
	return slices.Clone(f.written[first:])
}

// stage is a camera on a fake machine, with what it asks for and logs.
type stage struct {
	*fake
	camera *Camera
	t      *testing.T
	pool   capture.Pool
	log    bytes.Buffer
	needs  []bool
	next   uint32
}

// play runs a test in virtual time; nothing may be left of it.
func play(t *testing.T, o Options, f *fake, do func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{fake: f, t: t}
		f.users = make(chan int) // in the test's own time
		f.node.Path = "/dev/video7"
		o.Node, o.Pool, o.Log = cmp.Or(o.Node, "/dev/video7"), &s.pool, slog.New(slog.NewTextHandler(&s.log, nil))
		o.Need = func(yes bool) { f.locked(func() { s.needs = append(s.needs, yes) }) }
		o.Driver = f
		s.camera = New(o)
		do(s)
		if err := s.camera.Close(); err != nil {
			t.Error(err)
		}
		if n := s.pool.Outstanding(); n != 0 {
			t.Errorf("%d frames are not released", n)
		}
		if f.closed != len(f.opened) {
			t.Errorf("%d of %d openings were closed", f.closed, len(f.opened))
		}
	})
}

func (s *stage) start() {
	s.t.Helper()
	if err := s.camera.Start(); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// film presents frames for a time, one each period, numbered from 1.
func (s *stage) film(format capture.Format, period, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(period) {
		s.next++
		f := s.pool.Get(format.Size())
		f.Format, f.Sequence = format, s.next
		if err := s.camera.Present(f); err != nil {
			s.t.Error(err)
		}
	}
	synctest.Wait()
}

// wait lets time pass.
func (s *stage) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// logged returns how often the log has a text.
func (s *stage) logged(text string) int { return strings.Count(s.log.String(), text) }

func (s *stage) wantNeeds(want ...bool) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.needs, want) {
		s.t.Errorf("it needs %v, want %v", s.needs, want)
	}
}
