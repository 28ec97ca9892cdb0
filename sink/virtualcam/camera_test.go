package virtualcam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink"
)

var tiny = capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}

// on is a camera that is always needed.
func on() Options { return Options{Format: tiny} }

// TestSteadyRate: readers get the node's rate of a camera that is slower, without
// any frame twice of one that is not.
func TestSteadyRate(t *testing.T) {
	for _, tt := range []struct {
		period time.Duration
		least  int // frames in 10 s
		most   int
	}{
		{time.Second / 30, 300, 300},
		{time.Second / 25, 250, 250},
		{time.Second / 15, 290, 310},
		{time.Second / 7, 270, 310},
		{time.Second, 285, 310},
		{time.Second / 60, 600, 600},
	} {
		t.Run(fmt.Sprint(tt.period), func(t *testing.T) {
			play(t, on(), new(fake), func(s *stage) {
				s.start()
				begin := time.Now()
				s.film(tiny, tt.period, 10*time.Second-time.Millisecond)
				seen := s.since(begin.Add(-1))
				last := begin
				count := 0
				for i, w := range seen {
					if w.sequence == 0 && i > 0 {
						t.Fatalf("a placeholder after %v", w.at.Sub(begin))
					}
					if gap := w.at.Sub(last); gap > time.Second/30*3/2 {
						t.Errorf("no frame for %v", gap)
					}
					last = w.at
					if w.at.Sub(begin) < 10*time.Second && w.sequence > 0 {
						count++
					}
				}
				if count < tt.least || count > tt.most {
					t.Errorf("%d frames, want %d to %d", count, tt.least, tt.most)
				}
			})
		})
	}
}

// TestAlwaysAFrame: there is a placeholder before the first frame, at once when
// it is known that none comes, and after a while when it is not; and the frame
// comes back by itself.
func TestAlwaysAFrame(t *testing.T) {
	play(t, on(), new(fake), func(s *stage) {
		s.start()
		wantPlaceholders := func(when string, after time.Duration) {
			t.Helper()
			begin := time.Now()
			s.wait(after + time.Second + time.Millisecond)
			seen := s.since(begin.Add(after))
			if len(seen) != 4 && len(seen) != 5 {
				t.Errorf("%s: %d placeholders in a second", when, len(seen))
			}
			for _, w := range seen {
				if w.sequence != 0 || w.format != tiny {
					t.Errorf("%s: %+v", when, w)
				}
			}
		}
		wantPlaceholders("at first", 0)
		s.film(tiny, time.Second/30, time.Second)
		s.camera.Notice(sink.Notice{Brief: "waiting for tbcam-send"})
		wantPlaceholders("reported", 0)
		s.film(capture.Format{Pixel: capture.YUYV, Width: 32, Height: 48}, time.Second/30, time.Second)
		if last := s.last(); last.sequence == 0 || last.format != tiny {
			t.Errorf("a frame of another size makes readers see %+v", last)
		}
		s.wait(stale - time.Second/2)
		if last := s.last(); last.sequence == 0 {
			t.Error("the last frame is gone too early")
		}
		wantPlaceholders("without a word", time.Second)
		s.film(tiny, time.Second/30, time.Second)
		if last := s.last(); last.sequence != s.next {
			t.Errorf("readers see %+v", last)
		}
		s.wantNeeds(true)
	})
}

// TestOnDemand: the far camera is needed from the first application until a while
// after the last, and nothing of it is seen later.
func TestOnDemand(t *testing.T) {
	o := on()
	o.OnDemand = true
	play(t, o, &fake{reports: true}, func(s *stage) {
		s.start()
		s.users <- 0
		s.wait(10 * time.Second)
		s.wantNeeds()
		if s.camera.Takes() != 0 {
			t.Error("it takes frames that nobody sees")
		}
		s.users <- 2
		s.wait(0)
		s.wantNeeds(true)
		s.film(tiny, time.Second/30, time.Second)
		s.users <- 1 // newest of two
		s.users <- 0
		s.users <- 0 // repeated, which is no new end
		s.wait(grace - time.Second)
		s.users <- 0
		s.users <- 1 // in time
		s.wait(10 * time.Second)
		s.wantNeeds(true)
		s.users <- 0
		s.wait(grace - time.Millisecond)
		s.wantNeeds(true)
		s.wait(time.Millisecond)
		s.wantNeeds(true, false)
		gone := time.Now()
		s.film(tiny, time.Second/30, time.Second) // on their way
		for _, w := range s.since(gone) {
			if w.sequence != 0 {
				t.Errorf("%v after the end the next application would see %+v", w.at.Sub(gone), w)
			}
		}
		s.users <- 1
		s.wait(0)
		s.wantNeeds(true, false, true)
	})
}

// TestDriverThatCannotReport: the camera stays on, and that is logged once.
func TestDriverThatCannotReport(t *testing.T) {
	o := on()
	o.OnDemand = true
	play(t, o, new(fake), func(s *stage) {
		s.start()
		s.locked(func() { s.fail = errors.New("a fault") })
		s.wait(10 * time.Second)
		s.wantNeeds(true)
		if n := s.logged("the camera stays on without readers"); n != 1 || len(s.opened) != 2 {
			t.Errorf("logged %d times in %d openings", n, len(s.opened))
		}
	})
}

// TestFaultsOfTheNode: it is opened again, in the format that it had.
func TestFaultsOfTheNode(t *testing.T) {
	play(t, Options{}, &fake{node: NodeInfo{Format: tiny}}, func(s *stage) {
		s.start()
		s.film(tiny, time.Second/30, time.Second)
		s.locked(func() {
			s.node.Format = capture.Format{Pixel: capture.YUV420, Width: 640, Height: 480}
			s.fail, s.refuse = errors.New("no such device"), ErrInUse
		})
		s.film(tiny, time.Second/30, 3*time.Second)
		s.locked(func() { s.refuse = nil })
		s.film(tiny, time.Second/30, 2*time.Second)
		if len(s.opened) != 2 || s.opened[0] != tiny || s.opened[1] != tiny {
			t.Errorf("opened as %v", s.opened)
		}
		if last := s.last(); last.sequence != s.next {
			t.Errorf("readers see %+v", last)
		}
		if s.logged("no such device") != 1 || s.logged("another program writes") != 1 {
			t.Errorf("got %s", s.log.String())
		}
	})
}

// TestNodeThatIsRefused: Start reports why, and it is taken when that is over.
func TestNodeThatIsRefused(t *testing.T) {
	play(t, on(), &fake{refuse: ErrInUse}, func(s *stage) {
		if err := s.camera.Start(); !errors.Is(err, ErrInUse) {
			t.Errorf("Start: %v", err)
		}
		s.film(tiny, time.Second, 5*time.Second)
		s.wantNeeds()
		s.locked(func() { s.refuse = nil })
		s.wait(retry)
		s.wantNeeds(true)
		if n := s.logged("another program"); n != 0 {
			t.Errorf("what Start reported is logged %d times more", n)
		}
	})
}

// TestRetries: a node that comes back soon is there again soon, and one that stays away is
// not asked for all the time.
func TestRetries(t *testing.T) {
	for _, tt := range []struct {
		away, within time.Duration
		attempts     int // at most
	}{
		{1300 * time.Millisecond, firstRetry * 3 / 2, 5},
		{time.Minute, retry, 70},
	} {
		play(t, on(), new(fake), func(s *stage) {
			s.start()
			s.locked(func() { s.fail, s.refuse = errors.New("PipeWire is gone"), ErrInUse })
			s.wait(placeholderEvery + tt.away)
			s.locked(func() {
				if s.refused > tt.attempts {
					t.Errorf("%d attempts in %v", s.refused, tt.away)
				}
				s.refuse = nil
			})
			s.wait(tt.within)
			s.locked(func() {
				if len(s.opened) != 2 {
					t.Errorf("away for %v, it is not back after %v", tt.away, tt.within)
				}
			})
		})
	}
}

// TestNodeThatIsSmall: it is used at the size that it can have, unless another was
// asked for: then the error names both. That a node is missing is not logged.
func TestNodeThatIsSmall(t *testing.T) {
	for _, node := range []string{"/dev/video7", Auto} {
		o := Options{Node: node, Want: capture.Format{Width: 640, Height: 360}}
		play(t, o, &fake{most: 401}, func(s *stage) {
			s.start()
			want := capture.Format{Pixel: capture.YUYV, Width: 400, Height: 360}
			if len(s.opened) != 1 || s.opened[0] != want || s.logged("cannot have the wanted size") != 1 {
				t.Errorf("%s: opened as %v, got %s", node, s.opened, s.log.String())
			}
			s.locked(func() { s.fail = errors.New("a fault") })
			s.film(want, time.Second/30, 2*time.Second)
			if len(s.opened) != 2 || s.opened[1] != want || s.last().format != want {
				t.Errorf("%s: after a fault it is opened as %v", node, s.opened)
			}
		})
		o.Format.Width, o.Format.Height = 640, 480
		play(t, o, &fake{most: 401}, func(s *stage) {
			err := s.camera.Start()
			if !errors.Is(err, ErrFormat) || strings.Contains(err.Error(), "free") ||
				!strings.Contains(err.Error(), "640x480 was asked") || !strings.Contains(err.Error(), "401x401") {
				t.Errorf("%s: Start: %v", node, err)
			}
			s.wait(5 * retry)
			if s.log.Len() > 0 {
				t.Errorf("%s: what Start reported is logged again: %s", node, s.log.String())
			}
		})
	}
}

// TestUndecodable: for a node that has JPEGs it learns what cannot be decoded; frames
// of other nodes were decoded before.
func TestUndecodable(t *testing.T) {
	for pixel, want := range map[capture.PixelFormat]int{capture.MJPEG: 5, capture.YUYV: 0} {
		damaged := 0
		o := on()
		o.Format.Pixel = pixel
		o.Decoded = func(err error) {
			if err != nil {
				damaged++
			}
		}
		play(t, o, new(fake), func(s *stage) {
			s.start()
			s.film(capture.Format{Pixel: capture.MJPEG, Width: 32, Height: 48}, time.Second/5, time.Second)
			if damaged != want {
				t.Errorf("a node of %v: %d frames are damaged, want %d", pixel, damaged, want)
			}
		})
	}
}

// TestFrameTooLarge costs only itself.
func TestFrameTooLarge(t *testing.T) {
	play(t, on(), new(fake), func(s *stage) {
		s.start()
		s.locked(func() { s.fail = ErrFormat })
		s.film(tiny, time.Second/30, time.Second)
		if len(s.opened) != 1 || s.last().sequence != s.next {
			t.Errorf("%d openings", len(s.opened))
		}
	})
}

// TestAutoTakesWhatIsFree: it stays there; the error of the driver is returned where nothing is free.
func TestAutoTakesWhatIsFree(t *testing.T) {
	o := on()
	o.Node = Auto
	play(t, o, &fake{taken: "/dev/video1"}, func(s *stage) {
		s.start()
		s.locked(func() { s.fail, s.taken = errors.New("a fault"), "" })
		s.wait(2 * retry)
		if len(s.opened) != 2 || s.camera.node != s.node.Path {
			t.Errorf("%d openings, the last of %s", len(s.opened), s.camera.node)
		}
	})
	play(t, o, &fake{taken: "/dev/video1", refuse: ErrInUse}, func(s *stage) {
		if err := s.camera.Start(); !errors.Is(err, errMake) {
			t.Errorf("Start: %v", err)
		}
		s.wait(5 * retry)
		if n := s.logged("free"); n != 0 {
			t.Errorf("what Start reported is logged %d times more", n)
		}
	})
}

// TestDriverErrorEndsTheSearch: what no node is to blame for gives the camera no other name.
func TestDriverErrorEndsTheSearch(t *testing.T) {
	o, cause := on(), errors.New("no server")
	o.Node = Auto
	play(t, o, &fake{taken: "/dev/video1", broken: &DriverError{cause}}, func(s *stage) {
		if err := s.camera.Start(); !errors.Is(err, cause) || len(s.opened) > 0 {
			t.Errorf("Start: %v; %d openings", err, len(s.opened))
		}
		s.locked(func() { s.taken = "" })
		s.wait(2 * retry)
		if len(s.opened) != 1 {
			t.Errorf("%d openings", len(s.opened))
		}
	})
}

// TestDescription: applications show what the camera was described as, also by a node
// that was opened again.
func TestDescription(t *testing.T) {
	play(t, on(), new(fake), func(s *stage) {
		s.start()
		s.camera.Describe("a camera")
		s.locked(func() {
			if s.shown != "a camera" {
				t.Errorf("it is shown as %q", s.shown)
			}
			s.shown, s.fail = "", errors.New("PipeWire is gone")
		})
		s.wait(2 * time.Second)
		s.locked(func() {
			if s.shown != "a camera" || len(s.opened) != 2 {
				t.Errorf("after %d openings it is shown as %q", len(s.opened), s.shown)
			}
		})
	})
}

// TestKept: frames that readers kept from being written are reported, those of former
// openings too.
func TestKept(t *testing.T) {
	play(t, on(), new(fake), func(s *stage) {
		s.start()
		if r := s.camera.Report(); len(r) > 0 {
			t.Errorf("%v", r)
		}
		s.locked(func() { s.kept = 3 })
		s.locked(func() { s.fail = errors.New("PipeWire is gone") })
		s.wait(2 * time.Second)
		if r := s.camera.Report(); len(r) != 1 || r[0].Count != 6 { // both have the fake's 3
			t.Errorf("%v", r)
		}
	})
}

// TestOwnPlaceholder: the user's text takes the place of what is waited for.
func TestOwnPlaceholder(t *testing.T) {
	o := on()
	o.Placeholder = "back soon\nI am having lunch"
	play(t, o, new(fake), func(s *stage) {
		s.start()
		if got := s.camera.placeholderLines(); len(got) != 2 || got[1] != "I am having lunch" {
			t.Errorf("it shows %q", got)
		}
	})
}
