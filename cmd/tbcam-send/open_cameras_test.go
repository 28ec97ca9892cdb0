package main

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
)

// onStages runs a test of several streams of one sender in virtual time, which share
// two patterns.
func onStages(t *testing.T, n int, test func([]*stage)) {
	synctest.Test(t, func(t *testing.T) {
		cameras, offer := newOpenCameras(), newOffer(drivers, []string{"pattern", "pattern2"})
		stages := make([]*stage, n)
		for i := range stages {
			s := &stage{T: t}
			s.feed = newFeed(offer, cameras, tiny, codec.Raw, 85, cli.NewLog(s, "test", slog.LevelInfo))
			s.report = func(status transport.Status) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.statuses = append(s.statuses, status)
			}
			s.camera.startServing(t.Context())
			defer s.closeCamera()
			stages[i] = s
		}
		test(stages)
	})
}

// A camera is open once: who asks for one that another stream uses is refused, and
// has it when that only lingers on it.
func TestCameraIsOpenOnce(t *testing.T) {
	onStages(t, 2, func(s []*stage) {
		s[0].Start(1, capture.Want{Camera: "pattern"})
		s[0].next()
		s[1].Start(1, capture.Want{Camera: "pattern"})
		synctest.Wait()
		s[1].want(transport.Status{State: transport.Failed, Request: 1, Cause: transport.Busy, Text: "another stream"}, 0, 0)
		s[0].want(transport.Status{State: transport.Running, Request: 1}, 1, 0)
		s[1].Start(2, capture.Want{Camera: "pattern2"})
		s[1].next()
		s[1].Start(3, capture.Want{Camera: "pattern"})
		synctest.Wait()
		s[1].want(transport.Status{State: transport.Refused, Request: 3, Cause: transport.Busy, Text: "another stream"}, 1, 0)

		s[0].Stop()
		time.Sleep(time.Second)
		s[1].Start(4, capture.Want{Camera: "pattern"})
		synctest.Wait()
		s[1].next()
		s[1].want(transport.Status{State: transport.Running, Request: 4}, 2, 1)
		s[0].want(transport.Status{State: transport.Idle}, 1, 1)
	})
}

// A stream that lingers on its camera and is asked for it again keeps it open, though another
// one is asked for it at once.
func TestCameraAskedForTwiceStaysOn(t *testing.T) {
	for range 50 {
		onStages(t, 2, func(s []*stage) {
			s[0].Start(1, capture.Want{Camera: "pattern"})
			s[0].next()
			s[0].Stop()
			synctest.Wait()
			s[0].Start(2, capture.Want{Camera: "pattern"})
			s[1].Start(1, capture.Want{Camera: "pattern"})
			synctest.Wait()
			s[0].want(transport.Status{State: transport.Running, Request: 2}, 1, 0)
			s[1].want(transport.Status{State: transport.Failed, Request: 1, Cause: transport.Busy, Text: "another stream"}, 0, 0)
		})
	}
}

// A stream that is asked for its camera again, and then for none, gives it to the one that
// waits for it.
func TestCameraIsGivenUpToWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cameras := newOpenCameras()
		camera := hostCamera{Device: capture.Device{Path: "a", Name: "a"}}
		first, other := newSupervisor(nil, nil, cameras, capture.Want{}), newSupervisor(nil, nil, cameras, capture.Want{})
		first.newest = &request{want: &capture.Want{}}
		if err := cameras.claim(first, camera); err != nil {
			t.Fatal(err)
		}
		cameras.linger(first)
		results := make(chan error, 1)
		go func() { results <- cameras.claim(other, camera) }()
		synctest.Wait()
		if cameras.isEvicted(first) {
			t.Error("a stream is evicted that has been asked for frames")
		}
		first.newest = &request{}
		if !cameras.isEvicted(first) {
			t.Fatal("a stream that nobody asks for frames keeps the camera from another one")
		}
		cameras.free(first)
		if err := <-results; err != nil {
			t.Error(err)
		}
	})
}

// Streams that lingered on each other's cameras swap them.
func TestCamerasAreSwapped(t *testing.T) {
	for range 20 {
		onStages(t, 2, func(s []*stage) {
			for i, name := range []string{"pattern", "pattern2"} {
				s[i].Start(1, capture.Want{Camera: name})
				s[i].next()
				s[i].Stop()
			}
			synctest.Wait()
			for i, name := range []string{"pattern2", "pattern"} {
				s[i].Start(2, capture.Want{Camera: name})
			}
			synctest.Wait()
			for i := range s {
				s[i].next()
				s[i].want(transport.Status{State: transport.Running, Request: 2}, 2, 1)
			}
		})
	}
}

// However many streams a peer has the camera opened by, the openings are bounded as those
// of one.
func TestOpeningsOfAllStreamsAreBounded(t *testing.T) {
	onStages(t, 4, func(s []*stage) {
		const long = 2 * time.Minute
		for n, begin := 0, time.Now(); time.Since(begin) < long; n++ {
			stream := s[n%len(s)]
			stream.Start(uint32(n), capture.Want{Camera: "pattern"})
			synctest.Wait()
			stream.Stop()
			time.Sleep(200 * time.Millisecond)
		}
		on := 0
		for _, stream := range s {
			on += stream.logged("camera is on")
		}
		if least, most := 10, 10+int(long/(6*time.Second))+len(s); on < least || on > most {
			t.Errorf("camera was on %d times in %v, want %d to %d", on, long, least, most)
		}
	})
}

// A camera that hangs while it is closed delays no other one, and not the end.
func TestClosingCameraDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cameras := newOpenCameras()
		slow := &supervisor{evicted: make(chan struct{}, 1), newest: &request{}}
		camera := func(path string) hostCamera { return hostCamera{Device: capture.Device{Path: path, Name: path}} }
		if err := cameras.claim(slow, camera("a")); err != nil {
			t.Fatal(err)
		}
		cameras.linger(slow)
		ended := make(chan struct{})
		other := &supervisor{evicted: make(chan struct{}, 1), ended: ended}
		results := make(chan error, 1)
		go func() { results <- cameras.claim(other, camera("a")) }()
		synctest.Wait()
		third := &supervisor{evicted: make(chan struct{}, 1)}
		if err := cameras.claim(third, camera("b")); err != nil {
			t.Error(err)
		}
		if cameras.resume(slow) {
			t.Error("a camera is used again that another stream waits for")
		}
		close(ended)
		if err := <-results; err != errEnded {
			t.Error(err)
		}
		other.ended = nil
		begin := time.Now()
		if err := cameras.claim(other, camera("a")); fmt.Sprint(err) != errStillClosing.Error() || time.Since(begin) != freeWait {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		cameras.free(slow)
		if err := cameras.claim(other, camera("a")); err != nil {
			t.Error(err)
		}
	})
}
