package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
)

// stage is a feed of the pattern with what it logs and reports.
type stage struct {
	*testing.T
	*feed
	mu       sync.Mutex
	text     bytes.Buffer
	statuses []transport.Status
}

func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// status returns the last one that was reported.
func (s *stage) status() transport.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses[len(s.statuses)-1]
}

// logged counts the lines with a text.
func (s *stage) logged(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), text)
}

// want checks the last status and how often the camera was turned on and off.
func (s *stage) want(want transport.Status, on, off int) {
	s.Helper()
	got := s.status()
	if want.Text != "" && strings.Contains(got.Text, want.Text) {
		want.Text = got.Text
	}
	if got != want {
		s.Errorf("status is %+v, want %+v", got, want)
	}
	if gotOn, gotOff := s.logged("camera is on"), s.logged("camera is off"); gotOn != on || gotOff != off {
		s.Errorf("camera was on %d and off %d times, want %d and %d", gotOn, gotOff, on, off)
	}
}

// next returns the next frame, and how old it is.
func (s *stage) next() (frame transport.Unit, age time.Duration) {
	s.Helper()
	p, err := s.Next(context.Background(), nil)
	if err != nil {
		s.Fatal(err)
	}
	defer p.Frame.Release()
	return p, time.Since(p.Frame.Time)
}

var tiny = capture.Want{Pixel: capture.YUYV, Width: 160, Height: 120, FPS: 30}

// onStage runs a test of a feed in virtual time. It offers the cameras of some names,
// else the pattern.
func onStage(t *testing.T, test func(*stage), names ...string) {
	if len(names) == 0 {
		names = []string{pattern.Name}
	}
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t}
		s.feed = newFeed(newOffer(drivers, names), newOpenCameras(), tiny, codec.Raw, 85, cli.NewLog(s, "test", slog.LevelInfo))
		s.report = func(status transport.Status) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.statuses = append(s.statuses, status)
		}
		s.feed.camera.startServing(t.Context())
		defer s.closeCamera()
		test(s)
	})
}

func TestCameraLingers(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Start(7, capture.Want{})
		if first, _ := s.next(); first.Info.Request != 7 {
			t.Errorf("mode is %+v", first.Info)
		}
		s.want(transport.Status{State: transport.Running, Request: 7}, 1, 0)
		s.Stop()
		time.Sleep(2999 * time.Millisecond)
		s.want(transport.Status{State: transport.Idle}, 1, 0)
		s.Start(1, capture.Want{}) // of another session
		again, age := s.next()
		if again.Info.Request != 1 || age > time.Second/20 {
			t.Errorf("mode is %+v, the frame is %v old", again.Info, age)
		}
		if again.Lost.Superseded > 3 {
			t.Errorf("frames that nobody wanted are counted: %+v", again.Lost)
		}
		s.want(transport.Status{State: transport.Running, Request: 1}, 1, 0)
		s.Stop()
		time.Sleep(3001 * time.Millisecond)
		s.want(transport.Status{State: transport.Idle}, 1, 1)
	})
}

// A stop of the camera's owner does not wait for the linger.
func TestOwnerStopsImmediately(t *testing.T) {
	for name, stop := range map[string]func(*stage){
		"close": func(s *stage) { s.closeCamera() },
		"close while it lingers": func(s *stage) {
			s.Stop()
			synctest.Wait()
			s.closeCamera()
		},
		"frames": func(s *stage) {
			s.limit.frames = 1
			if _, err := s.Next(context.Background(), nil); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			synctest.Wait()
		},
		"duration": func(s *stage) {
			s.limit.until = time.Now()
			if _, err := s.Next(context.Background(), nil); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.Start(1, capture.Want{})
				s.next()
				begin := time.Now()
				stop(s)
				if took := time.Since(begin); took != 0 || s.logged("camera is off") != 1 {
					t.Errorf("after %v the camera was off %d times", took, s.logged("camera is off"))
				}
			})
		})
	}
}

// A viewer that has the camera opened again and again is slowed down, also by
// sessions of its own, and one that changes the mode is not.
func TestOpeningsAreBounded(t *testing.T) {
	onStage(t, func(s *stage) {
		const long = 5 * time.Minute
		for begin := time.Now(); time.Since(begin) < long; time.Sleep(linger + time.Millisecond) {
			s.Start(1, capture.Want{FPS: 5})
			synctest.Wait()
			s.Stop()
		}
		if on := s.logged("camera is on"); on < 50 || on > 10+int(long/(6*time.Second)) {
			t.Errorf("camera was on %d times in %v", on, long)
		}
	})
	onStage(t, func(s *stage) {
		for n := range uint32(100) {
			s.Start(n, capture.Want{FPS: []float64{5, 15}[n%2]})
			time.Sleep(time.Second)
			s.want(transport.Status{State: transport.Running, Request: n}, int(n)+1, int(n))
		}
	})
}

// Whoever waits for an opening learns why, and is served in the end.
func TestOpeningTooOften(t *testing.T) {
	onStage(t, func(s *stage) {
		for range 30 {
			s.Start(1, capture.Want{FPS: 5})
			synctest.Wait()
			if s.status().State == transport.Waiting {
				break
			}
			s.Stop()
			time.Sleep(linger + time.Millisecond)
		}
		if got := s.status(); got.State != transport.Waiting || got.Text != "the camera was opened too often; retrying" {
			t.Fatalf("status is %+v", got)
		}
		time.Sleep(6 * time.Second)
		if got := s.status(); got.State != transport.Running {
			t.Errorf("status is %+v", got)
		}
	})
}

// A flood of requests costs no goroutines, no memory and no time at the end, and the
// newest one holds.
func TestFloodOfRequests(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Start(1, capture.Want{})
		s.next()
		before := runtime.NumGoroutine()
		for n := range uint32(200_000) {
			s.Start(n, capture.Want{FPS: 100 + float64(n)/100}) // which it lacks
		}
		if more := runtime.NumGoroutine() - before; more > 2 {
			t.Errorf("%d more goroutines", more)
		}
		s.Start(200_000, capture.Want{})
		time.Sleep(10 * time.Second)
		s.want(transport.Status{State: transport.Running, Request: 200_000}, 1, 0)
		if lines := s.logged("\n"); lines > 30 {
			t.Errorf("%d lines are logged", lines)
		}
		begin := time.Now()
		s.closeCamera()
		if took := time.Since(begin); took > 0 {
			t.Errorf("the end takes %v", took)
		}
	})
}

// What cannot be had leaves alone what runs, and is reported to those who asked only.
func TestRefusedRequest(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Start(1, capture.Want{FPS: 7})
		synctest.Wait()
		s.want(transport.Status{State: transport.Failed, Text: "nearest: yuyv 160x120", Request: 1, Cause: transport.NoMode}, 0, 0)
		s.Stop()
		s.want(transport.Status{State: transport.Idle}, 0, 0)
		s.Start(1, capture.Want{})
		s.next()
		for n, c := range []struct {
			want    capture.Want
			message string
			cause   transport.Cause
		}{
			{capture.Want{FPS: 7}, "Test pattern: camera does not offer", transport.NoMode},
			{capture.Want{Camera: "other"}, "only pattern is offered", transport.NoCamera},
			{capture.Want{Camera: "/etc/passwd"}, "only pattern is offered", transport.NoCamera},
		} {
			number := uint32(2 + n)
			s.Start(number, c.want)
			time.Sleep(time.Second)
			s.want(transport.Status{State: transport.Refused, Text: c.message, Request: number, Cause: c.cause}, 1, 0)
			if p, _ := s.next(); p.Info.Request != 1 {
				t.Errorf("mode is %+v", p.Info)
			}
		}
		s.Start(9, capture.Want{})
		synctest.Wait()
		s.want(transport.Status{State: transport.Running, Request: 9}, 1, 0)
	})
}

func TestNothingUsable(t *testing.T) {
	onStage(t, func(s *stage) {
		s.Start(1, capture.Want{})
		synctest.Wait()
		drop := func(d time.Duration) {
			for begin := time.Now(); time.Since(begin) < d; time.Sleep(100 * time.Millisecond) {
				s.health.noteFrame(errors.New("not a JPEG"))
			}
		}
		drop(patience - 200*time.Millisecond)
		s.want(transport.Status{State: transport.Running, Request: 1}, 1, 0)
		drop(10 * time.Second)
		s.want(transport.Status{State: transport.Running, Text: "no usable frames from the camera: not a JPEG", Request: 1}, 1, 0)
		if n := s.logged("camera delivers no usable frames"); n != 1 {
			t.Errorf("%d warnings", n)
		}
		s.next()
		time.Sleep(checkEvery)
		s.want(transport.Status{State: transport.Running, Request: 1}, 1, 0)
	})
}

// deaf is a camera that delivers no frames, some of them because they are damaged.
type deaf struct {
	capture.Source
	damaged uint64
}

func (d *deaf) Lost() capture.Lost { return capture.Lost{Damaged: d.damaged} }

func (d *deaf) Read() (*capture.Frame, error) { return nil, os.ErrClosed }

func TestSilentCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &deaf{}
		o := newOpening(hostCamera{}, capture.Mode{}, source, nil, nil)
		<-o.done
		time.Sleep(patience - time.Millisecond)
		if err := o.silenceError(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
		if err := o.silenceError(); fmt.Sprint(err) != "no frames" {
			t.Error(err)
		}
		source.damaged++
		if err := o.silenceError(); fmt.Sprint(err) != "all frames are damaged" {
			t.Error(err)
		}
	})
}

// stamper is a camera whose frames have the given time stamps, by their dequeue.
type stamper struct {
	capture.Source
	pool capture.Pool
	at   time.Time
	offs []time.Duration
}

func (s *stamper) Lost() capture.Lost { return capture.Lost{} }
func (s *stamper) Close() error       { return nil }

func (s *stamper) Read() (*capture.Frame, error) {
	if len(s.offs) == 0 {
		return nil, capture.ErrGone
	}
	f := s.pool.Get(1)
	f.Time = s.at.Add(s.offs[0])
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, s.at
	s.offs = s.offs[1:]
	return f, nil
}

func TestStampsThatCannotBeTrue(t *testing.T) {
	for off, want := range map[time.Duration]time.Duration{
		0: 0, -10 * time.Second: -10 * time.Second, time.Second: time.Second, // vivid: up to a frame
		-10*time.Second - 1: 0, time.Second + 1: 0, -365 * 24 * time.Hour: 0, 10 * 365 * 24 * time.Hour: 0,
	} {
		source := &stamper{at: time.Now(), offs: []time.Duration{off}}
		var got *capture.Frame
		o := newOpening(hostCamera{}, capture.Mode{}, source, nil, func(f *capture.Frame) { got = f })
		<-o.done
		if got == nil || got.Time.Sub(source.at) != want || !got.At[capture.Captured].Equal(got.Time) {
			t.Errorf("a stamp %v after the dequeue becomes %+v, want %v", off, got, want)
		}
	}
}

// A viewer learns what it can act on, and nothing of this host's programs and files.
func TestTextForViewer(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("VIDIOC_S_FMT /dev/video0: %w, held by firefox (pid 1234)", capture.ErrBusy), "camera is busy"},
		{fmt.Errorf("vivid: poll /dev/video0: %w", capture.ErrGone), "camera was disconnected"},
		{fmt.Errorf("%w: \"a\" may be /dev/video0 (b)", capture.ErrAmbiguous), "no such camera: several have that name"},
		{fmt.Errorf("%w: none found", capture.ErrNoCamera), "no such camera"},
		{fmt.Errorf("open /dev/video0: %w on input 0 HDMI", capture.ErrNoSignal), "no signal"},
		{fmt.Errorf("/dev/video0: %w", capture.ErrSignalChanged), "signal changed"},
		{fmt.Errorf("VIDIOC_STREAMON /dev/video0: %w for yuyv", capture.ErrBandwidth), "not enough USB bandwidth"},
		{&modeError{capture.Device{Path: "/dev/video0", Name: "HD"}, fmt.Errorf("%w: yuyv", capture.ErrNoMode)}, "HD: camera has no such mode: yuyv"},
		{fmt.Errorf("open /dev/video0: %w (run: sudo)", os.ErrPermission), "camera may not be opened"},
		{errors.New("mmap /dev/video0: bad address"), "camera cannot be used"},
		{errHung, "camera delivered no frame for 10s"},
	} {
		if got := textForViewer(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
