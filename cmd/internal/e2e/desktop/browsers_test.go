package desktop

import (
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// call is a call in both browsers at once, by the camera at PipeWire.
type call struct {
	viewer   *harness.Program
	line     *harness.Line
	end      string // the sender's flag
	browsers []*browser
}

// startViewer starts a session and, in it, a viewer with a virtual camera of 320x240 at
// PipeWire.
func startViewer(t *testing.T) (*pwsession.Session, *call) {
	t.Helper()
	s := pwsession.Start(t, pwsession.Options{}.WithPortal(t))
	s.AllowCameras(true)
	s.Enter(t)
	flag, path := harness.NewSocket(t)
	c := &call{viewer: harness.StartViewer(t, flag, "--virtual-camera=pipewire", "--virtual-camera-size=320x240")}
	c.line, c.end = harness.LayLine(t, path)
	harness.WaitUntil(t, "the portal to see the virtual camera", s.PortalHasCamera)
	return s, c
}

// send starts a sender with flags.
func (c *call) send(t *testing.T, flags ...string) *harness.Program {
	t.Helper()
	return harness.Start(t, nil, "tbcam-send", append([]string{c.end}, flags...)...)
}

// slow is a camera that leaves a busy machine time for two browsers.
var slow = []string{"--camera=pattern", "--size=320x240", "--fps=15"}

func (c *call) waitFrames(t *testing.T, what string) {
	t.Helper()
	for _, b := range c.browsers {
		b.waitFrames(t, what)
	}
}

func (c *call) waitPlaceholder(t *testing.T, when string) {
	t.Helper()
	for _, b := range c.browsers {
		b.waitPlaceholder(t, when)
	}
}

// TestBrowsers: Chromium and Firefox read the code in the frames through the portal,
// both at once. Whatever goes away behind the camera, their tracks go on in one size,
// and show the camera again.
func TestBrowsers(t *testing.T) {
	s, c := startViewer(t)
	sender := c.send(t, slow...)
	for _, name := range []string{"chromium", "firefox-esr"} {
		b := browse(t, s, name, harness.ServePage)
		b.waitFrames(t, "the camera")
		c.browsers = append(c.browsers, b)
	}
	c.waitFrames(t, "the camera in two browsers")

	c.line.Cut()
	c.viewer.WaitText("lost the connection to the sender")
	c.waitFrames(t, "the camera again, after the cable was cut,")

	sender.Stop(syscall.SIGKILL)
	c.waitPlaceholder(t, "after the sender was killed")
	sender = c.send(t, "--camera=pattern", "--size=160x120", "--fps=15")
	c.waitFrames(t, "another sender, with frames of another size")

	sender.Stop(syscall.SIGINT)
	unplug := plugIn(t)
	c.send(t, "--camera="+webcamName)
	c.waitFrames(t, "a camera of PipeWire")
	unplug()
	c.waitPlaceholder(t, "after the camera was unplugged")
	plugIn(t)
	c.waitFrames(t, "the camera that was plugged in again")
}

// TestDoctorAtPipeWire: it finds the virtual camera at PipeWire, a denial that browsers would
// not ask about, and what is missing.
func TestDoctorAtPipeWire(t *testing.T) {
	s, c := startViewer(t)
	doctor := func(code int, want string) {
		t.Helper()
		d := harness.Start(t, nil, "tbcam-view", "doctor")
		if got := d.WaitExit(); got != code {
			t.Errorf("doctor exits with %d, want %d", got, code)
		}
		d.WaitText(want)
	}
	doctor(0, "ok    PipeWire has the camera tbcam\n")
	s.AllowCameras(false)
	doctor(7, "WRONG the portal denies cameras to all applications outside of a sandbox, without asking\n      -> busctl --user call ")
	s.AllowCameras(true)
	c.viewer.Stop(syscall.SIGINT)
	doctor(0, "ok    PipeWire has no camera of tbcam now")
	s.Stop(pwsession.WirePlumber, syscall.SIGTERM)
	doctor(7, "WRONG WirePlumber is not running")
	begin := time.Now()
	s.Stop(pwsession.PipeWire, syscall.SIGTERM)
	doctor(7, "WRONG PipeWire is not running")
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("doctor took %v", took)
	}
}
