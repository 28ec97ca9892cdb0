//go:build vm

package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// The tests of virtual cameras, for v4l2loopback of any version.

// smallCamera makes virtual cameras of the size of the pattern here.
const smallCamera = "--virtual-camera-size=320x240"

// slow is a pattern that an emulated machine keeps up with.
var slow = []string{"--camera=pattern", "--size=320x240", "--fps=5"}

func sendSlowly(t *testing.T, flag string, more ...string) *harness.Program {
	return harness.Start(t, nil, "tbcam-send", append(append(slow[:len(slow):len(slow)], flag), more...)...)
}

// call is a program that reads a virtual camera, as those for video calls do.
type call struct {
	source *v4l2.Source
	pool   *capture.Pool
	done   chan struct{}
	at     time.Time // when it began

	mu     sync.Mutex
	frames int // with the pattern's code
	others int
	first  time.Duration // from the beginning to the first frame
	wrong  []string      // what no application should see
	last   []byte        // frame
}

// dial opens the virtual camera, once it is one.
func dial(t *testing.T, node string) *call {
	t.Helper()
	var format capture.Format
	harness.WaitUntil(t, "a virtual camera", func() bool {
		n, err := v4l2.Loopback(node)
		format = n.Format
		return err == nil && n.Capture && format.Pixel != 0
	})
	c := &call{pool: new(capture.Pool), done: make(chan struct{}), at: time.Now()}
	var err error
	c.source, err = v4l2.Open(node, capture.Mode{Pixel: format.Pixel, Width: format.Width, Height: format.Height}, c.pool)
	if err != nil {
		t.Fatal(err)
	}
	go c.read()
	t.Cleanup(func() { c.hangUp(t) })
	return c
}

func (c *call) read() {
	defer close(c.done)
	var before time.Time
	for {
		f, err := c.source.Read()
		if err != nil {
			c.note(func() {
				if !strings.Contains(err.Error(), capture.ErrClosed.Error()) {
					c.wrong = append(c.wrong, err.Error())
				}
			})
			return
		}
		c.note(func() {
			if !f.Time.After(before) {
				c.wrong = append(c.wrong, fmt.Sprintf("a frame of %v after one of %v", f.Time, before))
			}
			if len(bytes.Trim(f.Data, "\x00")) == 0 {
				c.wrong = append(c.wrong, "a green frame")
			}
			c.see(f)
		})
		before = f.Time
		f.Release()
	}
}

func (c *call) see(f *capture.Frame) {
	c.last = append(c.last[:0], f.Data...)
	if _, err := stampOf(f); err != nil {
		c.others++
		return
	}
	if c.frames++; c.frames == 1 {
		c.first = time.Since(c.at)
	}
}

func (c *call) note(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

// seen returns how many frames of the camera there were, and others.
func (c *call) seen() (frames, others int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames, c.others
}

// waitFrames waits for more frames of the camera.
func (c *call) waitFrames(t *testing.T, when string) {
	t.Helper()
	before, _ := c.seen()
	harness.WaitUntil(t, "frames "+when, func() bool { now, _ := c.seen(); return now > before+3 })
}

// waitPlaceholder waits for more frames that are not the camera's.
func (c *call) waitPlaceholder(t *testing.T, when string) {
	t.Helper()
	_, before := c.seen()
	harness.WaitUntil(t, "placeholders "+when, func() bool { _, now := c.seen(); return now > before+2 })
}

// hangUp closes the virtual camera; a second time it does nothing.
func (c *call) hangUp(t *testing.T) {
	t.Helper()
	if err := c.source.Close(); err != nil {
		t.Error(err)
	}
	<-c.done
	for _, w := range c.wrong {
		t.Error("an application sees " + w)
	}
	c.wrong = nil
	if n := c.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
}

// reportsUsage reports whether the driver reports who reads the node.
func reportsUsage(t *testing.T, node string) bool {
	t.Helper()
	n, err := v4l2.Loopback(node)
	if err != nil {
		t.Fatal(err)
	}
	return n.ReportsUsage
}

// TestCallsOnDemand: the camera is on from the first application's STREAMON until
// the grace after the last one's close and the sender's own, and off between calls
// that are further apart; where the driver cannot report it, it is always on, and that is
// logged once.
func TestCallsOnDemand(t *testing.T) {
	node := vm.LoadLoopback(t)
	onDemand := reportsUsage(t, node)
	flag, _ := harness.NewSocket(t)
	v, s := harness.StartViewer(t, flag, "--virtual-camera="+node, smallCamera), sendSlowly(t, flag)
	switches := func() (on, off int) {
		text := s.Err.String()
		return strings.Count(text, "camera is on"), strings.Count(text, "camera is off")
	}
	v.WaitText("connected to")
	if onDemand {
		s.WaitText("viewer connected")
		if on, _ := switches(); on != 0 {
			t.Error("the camera is on, and no program reads it")
		}
	}
	const together, apart = 16, 4
	var closed time.Time
	for round := range together + apart {
		c := dial(t, node)
		harness.WaitUntil(t, "ten frames", func() bool { frames, others := c.seen(); return frames > 0 && frames+others >= 10 })
		c.hangUp(t)
		closed = time.Now()
		on, off := switches()
		t.Logf("round %d: the first frame after %v; the camera was on %d and off %d times", round, c.first, on, off)
		wantOn := 1
		if onDemand {
			wantOn += max(0, round-together+1)
		}
		if on != wantOn || off != wantOn-1 {
			t.Fatalf("round %d: the camera was on %d and off %d times, want %d and %d", round, on, off, wantOn, wantOn-1)
		}
		if !onDemand || round < together-1 {
			continue
		}
		harness.WaitUntil(t, "the camera to be off", func() bool { _, now := switches(); return now == off+1 })
		if after := time.Since(closed); after < 6*time.Second {
			t.Errorf("the camera was off %v after the call, which is less than both graces", after)
		}
	}
	if n := strings.Count(v.Err.String(), "the camera stays on without readers"); onDemand == (n != 0) || n > 1 {
		t.Errorf("that the camera stays on is logged %d times", n)
	}
	interrupt(t, v, s)
}

// TestCallsSurvive: whatever goes away behind it, an application keeps getting
// frames of one format, and sees the camera again.
func TestCallsSurvive(t *testing.T) {
	node := vm.LoadLoopback(t)
	flag, path := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--virtual-camera="+node, smallCamera)
	c := dial(t, node)
	c.waitPlaceholder(t, "before there is a sender")
	line, end := harness.LayLine(t, path)
	s := sendSlowly(t, end)
	c.waitFrames(t, "of the first sender")

	line.Cut()
	v.WaitText("lost the connection to the sender")
	c.waitFrames(t, "after the cable was cut")

	s.Stop(syscall.SIGKILL)
	c.waitPlaceholder(t, "after the sender's death")
	s = sendSlowly(t, end)
	c.waitFrames(t, "of the second sender")

	s.Stop(syscall.SIGINT)
	c.waitPlaceholder(t, "after the sender's end")
	s = harness.Start(t, nil, "tbcam-send", end, "--camera=pattern", "--size=160x120", "--fps=5", "--codec=raw")
	c.waitFrames(t, "of another size")
	c.hangUp(t)
	interrupt(t, v, s)
}

// TestCallsCopyJPEGs: a node of JPEGs gets those of the camera as they are, through
// its unplugging too.
func TestCallsCopyJPEGs(t *testing.T) {
	vm.LoadUSB(t)
	node := vm.LoadLoopback(t)
	dir := t.TempDir()
	whole := writeWebcamJPEGs(t, dir)
	gadget := plugIn(t, dir)
	flag, _ := harness.NewSocket(t)
	v := harness.StartViewer(t, flag, "--virtual-camera="+node, "--virtual-camera-format=mjpeg", "--virtual-camera-size=160x120")
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera="+webcam)
	c := dial(t, node)
	isWhole := func(data []byte) bool {
		return slices.ContainsFunc(whole, func(w []byte) bool { return bytes.Equal(w, data) })
	}
	shows := func(camera bool) func() bool {
		return func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.last) > 0 && isWhole(c.last) == camera
		}
	}
	harness.WaitUntil(t, "the camera's own JPEG", shows(true))
	gadget.Stop(syscall.SIGTERM)
	v.WaitText("no picture")
	harness.WaitUntil(t, "a placeholder", shows(false))
	plugIn(t, dir)
	harness.WaitUntil(t, "the camera's own JPEG again", shows(true))
	c.hangUp(t)
	interrupt(t, v, s)
}

// TestCallsStaleFormat: what another program had the node keep does not stick,
// unless it is of use.
func TestCallsStaleFormat(t *testing.T) {
	for name, tt := range map[string]struct {
		left capture.Format
		want string
	}{
		"strange": {capture.Format{Pixel: capture.RGB24, Width: 62, Height: 38}, "yuyv 1280x720"},
		"useful":  {capture.Format{Pixel: capture.YUV420, Width: 320, Height: 240}, "yu12 320x240"},
	} {
		t.Run(name, func(t *testing.T) {
			node := vm.LoadLoopback(t)
			leave(t, node, tt.left)
			flag, _ := harness.NewSocket(t)
			v := harness.StartViewer(t, flag, "--virtual-camera="+node)
			v.WaitText(tt.want)
			c := dial(t, node)
			c.waitPlaceholder(t, "of the new format")
			c.hangUp(t)
			interrupt(t, v)
		})
	}
}

// TestCallsSmallNode: a node that cannot have the wanted size is used at the one that
// it can have; where another was asked for, the error names both.
func TestCallsSmallNode(t *testing.T) {
	node := vm.LoadLoopback(t, "max_width=320", "max_height=240")
	flag, _ := harness.NewSocket(t)
	for _, loopback := range []string{node, "auto"} {
		p := harness.StartViewer(t, flag, "--virtual-camera="+loopback, "--virtual-camera-size=640x360")
		wantRefusal(t, p, 7, "640x360 was asked, it keeps yuyv 320x240")
	}
	v, s := harness.StartViewer(t, flag, "--virtual-camera=auto"), sendSlowly(t, flag)
	v.WaitText("cannot have the wanted size")
	v.WaitText("format: yuyv 320x240")
	c := dial(t, node)
	c.waitFrames(t, "of the size that the node can have")
	c.hangUp(t)
	interrupt(t, v, s)
}

// leave has a node keep a format after its writer has closed.
func leave(t *testing.T, node string, f capture.Format) {
	t.Helper()
	o, err := v4l2.OpenOutput(node, f, capture.Rate{})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Write(&capture.Frame{Format: f, Data: bytes.Repeat([]byte{128}, f.Size())}); err != nil {
		t.Fatal(err)
	}
	harness.RunTool(t, "v4l2-ctl", "-d", node, "-c", "keep_format=1")
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := v4l2.Loopback(node); err != nil || !n.KeepsFormat || n.Format.Pixel != f.Pixel {
		t.Fatalf("the node is %+v, %v", n, err)
	}
}

// TestCallsSecondWriter: a node that another program writes to is refused; the
// other sinks go on, and the node is taken when it is free.
func TestCallsSecondWriter(t *testing.T) {
	node := vm.LoadLoopback(t)
	other := background(t, "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=5",
		"-pix_fmt", "yuyv422", "-f", "v4l2", node)
	harness.WaitUntil(t, "another writer", func() bool { n, err := v4l2.Loopback(node); return err == nil && n.Capture })
	holder := fmt.Sprintf("another program writes to it, held by ffmpeg (pid %d)", other.Process.Pid)
	flag, _ := harness.NewSocket(t)
	wantRefusal(t, harness.StartViewer(t, flag, "--virtual-camera="+node, smallCamera), 7, holder)

	v := harness.StartViewer(t, flag, "--virtual-camera="+node, smallCamera, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	s := sendSlowly(t, flag)
	v.WaitText(holder)
	harness.WaitUntil(t, "a recording", func() bool { return outcome(v, "recorded") > 0 })
	finish(other)
	v.WaitText("virtual camera is ready")
	dial(t, node).waitFrames(t, "after the other writer's end")
	if n := strings.Count(v.Err.String(), holder); n != 1 {
		t.Errorf("the other writer is logged %d times", n)
	}
	interrupt(t, v, s)
}

// TestCallsFindANode: with auto, the module is loaded and nodes are added where that
// is allowed; where it is not, the command fails with the reason.
func TestCallsFindANode(t *testing.T) {
	wantStranger(t, "auto", "sudo modprobe v4l2loopback exclusive_caps=1 card_label=tbcam")
	flag, _ := harness.NewSocket(t)
	t.Cleanup(func() { vm.Unload(t, "v4l2loopback") })
	v := harness.StartViewer(t, flag, "--virtual-camera=auto", smallCamera, "--virtual-camera=auto")
	v.WaitText("name: tbcam")
	nodes, err := v4l2.Loopbacks()
	if err != nil || len(nodes) == 0 {
		t.Fatal(nodes, err)
	}
	for _, loopback := range []string{nodes[0].Path, "auto"} {
		wantStranger(t, loopback, "sudo usermod -aG video $USER")
	}
	if nodes[0].ReportsUsage {
		v.WaitText("virtual camera is ready (node: /dev/video1")
	} else {
		v.WaitText("devices=2 exclusive_caps=1,1 card_label=tbcam,tbcam2")
	}
	dial(t, nodes[0].Path).waitPlaceholder(t, "of the node that was made")
	interrupt(t, v)
}

// TestCallsDoctor: it lists what is missing until nothing is.
func TestCallsDoctor(t *testing.T) {
	doctor := func(code int, message string) {
		t.Helper()
		d := harness.Start(t, nil, "tbcam-view", "doctor")
		if got := d.WaitExit(); got != code || !strings.Contains(d.Out.String(), message) {
			t.Errorf("exit code %d, want %d and %q:\n%s", got, code, message, d.Out.String())
		}
	}
	doctor(7, "WRONG v4l2loopback is not loaded\n      -> sudo modprobe v4l2loopback exclusive_caps=1 card_label=tbcam\n")
	vm.Load(t, "v4l2loopback")
	doctor(7, "WRONG /dev/video0 (Dummy video device (0x0000)) is an output as well")
	vm.Unload(t, "v4l2loopback")
	node := vm.LoadLoopback(t)
	doctor(0, "ok    "+node+" (tbcam) is free")
	flag, _ := harness.NewSocket(t)
	harness.StartViewer(t, flag, "--virtual-camera="+node, smallCamera).WaitText("virtual camera is ready")
	dial(t, node).waitPlaceholder(t, "for the doctor")
	doctor(0, "ok    "+node+" (tbcam) is in use: applications see yuyv 320x240")
}

// wantStranger has a user without rights refused.
func wantStranger(t *testing.T, loopback, message string) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "stranger")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	copied := filepath.Join(dir, "tbcam-view")
	program, err := os.ReadFile(filepath.Join(harness.Bin, "tbcam-view"))
	if err == nil {
		err = os.WriteFile(copied, program, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		copied, "--stream=unix:"+filepath.Join(dir, "s"), "--virtual-camera="+loopback).CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), message) {
		t.Errorf("a stranger gets %q, %v; want one line with %q", out, err, message)
	}
}
