//go:build vm

package v4l2

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// TestCallsUsage: an application counts from its STREAMON to its close; a driver
// that does not report it is recognised.
func TestCallsUsage(t *testing.T) {
	path := vm.LoadLoopback(t)
	before := descriptors(t)
	o := openOutput(t, path, tiny)
	if err := o.Write(testFrame(tiny, 0)); err != nil {
		t.Fatal(err)
	}
	users, err := o.Users()
	n, describing := Loopback(path)
	if describing != nil || n.ReportsUsage != (err == nil) {
		t.Errorf("%+v, %v; Users: %v", n, describing, err)
	}
	if errors.Is(err, ErrUsageUnknown) && n.State == "" {
		t.Log(err)
		return // as it should be before 0.13
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		waitUsers(t, users, 0)
		s, err := Open(path, modeOf(tiny), new(capture.Pool))
		if err != nil {
			t.Fatal(err)
		}
		waitUsers(t, users, 1)
		waitUsers(t, users, 1) // again, without a change
		s.Close()
	}
	waitUsers(t, users, 0)
	o.Close()
	for range users {
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// waitUsers waits until a number of applications is reported.
func waitUsers(t *testing.T, users <-chan int, count int) {
	t.Helper()
	for {
		select {
		case got, ok := <-users:
			if !ok {
				t.Fatal("it has ended")
			}
			if got == count {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d applications are never reported", count)
		}
	}
}

// TestCallsRevival: FFmpeg leaves a node of 0.12.7 as nothing at all.
func TestCallsRevival(t *testing.T) {
	path := vm.LoadLoopback(t)
	ffmpeg := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5", "-frames:v", "2",
		"-pix_fmt", "yuyv422", "-f", "v4l2", path)
	if out, err := ffmpeg.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	n, err := Loopback(path)
	t.Logf("after FFmpeg: %+v, %v", n, err)
	o := openOutput(t, path, tiny)
	if err := o.Write(testFrame(tiny, 0)); err != nil {
		t.Error(err)
	}
	o.Close()
	if n, err := Loopback(path); err != nil || !n.Output || n.Capture {
		t.Errorf("afterwards: %+v, %v", n, err)
	}
}

// TestCallsCreate: where the driver has a control device, it makes nodes.
func TestCallsCreate(t *testing.T) {
	first, err := Loopback(vm.LoadLoopback(t))
	if err != nil {
		t.Fatal(err)
	}
	path, err := CreateLoopback("another")
	if first.State == "" {
		if err == nil {
			t.Errorf("made %s before 0.13", path)
		}
		return
	}
	n, describing := Loopback(path)
	if err != nil || describing != nil || n.Name != "another" || !n.Exclusive || n.Capture || n.MaxOpeners != first.MaxOpeners {
		t.Errorf("made %+v, %v, %v", n, err, describing)
	}
}

// TestCallsOwnFrames: what another program has the driver show is turned off.
func TestCallsOwnFrames(t *testing.T) {
	path := vm.LoadLoopback(t)
	v4l2ctl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("v4l2-ctl", append([]string{"-d", path}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("v4l2-ctl: %v: %s", err, out)
		}
		return string(out)
	}
	v4l2ctl("-c", "timeout=100,sustain_framerate=1")
	openOutput(t, path, tiny)
	if got := v4l2ctl("-C", "timeout,sustain_framerate"); got != "timeout: 0\nsustain_framerate: 0\n" {
		t.Errorf("the controls are %q", got)
	}
}
