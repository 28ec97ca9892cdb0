//go:build cable

package cable

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/vm"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
)

// A camera and a viewer that is three times slower, both slow enough that the
// emulation's own delays are small beside them. The smallest rings at both ends
// hold six frames, the usual ones 12, the largest 51.
const (
	agePeriod       = 200 * time.Millisecond // of the camera
	ageViewerPeriod = 3 * agePeriod
	ageSpan         = 6 * time.Second
)

// slowViewer takes a while for each frame, in which nothing is read: worse than
// tbcam-view, whose sinks may be slow, but which reads on.
type slowViewer struct {
	transport.NopConsumer
	period time.Duration
	ages   []time.Duration // from the dequeued buffer to the beginning of the presentation
}

func (v *slowViewer) Frame(f *capture.Frame, _ capture.Lost) {
	defer f.Release()
	v.ages = append(v.ages, time.Since(f.At[capture.Dequeued]))
	time.Sleep(v.period)
}

// TestAgeOverTheCable: what a slow viewer shows is never older than two of its
// periods, whatever the rings would hold. The kernel's own recipe is measured
// beside it.
func TestAgeOverTheCable(t *testing.T) {
	for _, ring := range []int{32, 64, 256} {
		setRings(t, ring)
		ages := ageOfOurs(t, ageViewerPeriod)
		worst := slices.Max(ages)
		t.Logf("age: tbcam, ring %3d: %d frames, %v at most, %v the last", ring, len(ages), round(worst), round(ages[len(ages)-1]))
		if len(ages) < int(ageSpan/ageViewerPeriod)/2 || worst > 2*ageViewerPeriod {
			t.Errorf("ring %d: %d frames of up to %v; want at most two periods of %v", ring, len(ages), worst, ageViewerPeriod)
		}
	}
	setRings(t, 64)
	slowLink(t)
	ages := ageOfRecipe(t)
	t.Logf("age: GStreamer as in the kernel's recipe, ring 64: %d frames, %v the first, %v the last", len(ages), round(ages[0]), round(ages[len(ages)-1]))
}

// slowLink has the cable itself be the slow part. One frame is in it while the
// next one waits for it, taken when the one before both was read.
func slowLink(t *testing.T) {
	rate := knob("host0/rate")
	set(t, rate, int64(cableWidth*cableHeight*2*time.Second)/int64(ageViewerPeriod))
	defer set(t, rate, 0)
	ages := ageOfOurs(t, 0)
	worst := slices.Max(ages)
	t.Logf("age: tbcam, ring  64, a slow link: %d frames, %v at most, %v the last", len(ages), round(worst), round(ages[len(ages)-1]))
	if worst > 3*ageViewerPeriod {
		t.Errorf("a slow link: up to %v; want at most three periods of %v", worst, ageViewerPeriod)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// setRings sets the size of the rings at both ends, which must be closed.
func setRings(t *testing.T, packets int) {
	t.Helper()
	for _, host := range []string{"0", "1"} {
		set(t, group(t, host)+"/ring_size", packets)
	}
}

// strangerTrust proves a key that nobody knows, and takes any sender.
func strangerTrust(t *testing.T) func() trust.ViewerConfig {
	store, err := trust.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id, err := store.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return func() trust.ViewerConfig {
		return trust.ViewerConfig{Config: trust.Config{Identity: id, Store: store, AllowUnpaired: true}}
	}
}

// ageOfOurs has tbcam-send send to a slow viewer for a while.
func ageOfOurs(t *testing.T, period time.Duration) []time.Duration {
	s := theCable.send(t, "--allow-unpaired")
	v := &slowViewer{period: period}
	r := newReceiver(t, strangerTrust(t))
	stream, err := r.Open(v, transport.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	stream.Start(capture.Want{})
	end := inBackground(t, r)
	s.WaitText("camera is on")
	time.Sleep(ageSpan)
	end()
	s.Stop(syscall.SIGINT)
	return v.ages
}

// patternCamera is a v4l2loopback device that shows the test pattern.
type patternCamera struct {
	path   string
	source *pattern.Source
	output *v4l2.Output
}

var patternMode = capture.Mode{Pixel: capture.YUYV, Width: cableWidth, Height: cableHeight, Rate: capture.Rate{Num: 5, Den: 1}}

func newPatternCamera(t *testing.T, path string) *patternCamera {
	t.Helper()
	source, err := pattern.Open(patternMode, &capture.Pool{})
	if err != nil {
		t.Fatal(err)
	}
	output, err := v4l2.OpenOutput(path, source.Format(), patternMode.Rate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close(); output.Close() })
	w := &patternCamera{path, source, output}
	w.show(t) // it is a camera from now on
	return w
}

// show shows the next frame when it is due, and returns its counter.
func (w *patternCamera) show(t *testing.T) uint32 {
	t.Helper()
	f, err := w.source.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if err := w.output.Write(f); err != nil {
		t.Fatal(err)
	}
	return f.Sequence
}

// gallery takes the grey frames that a player writes.
type gallery struct {
	mu     sync.Mutex
	rest   luma
	stamps []pattern.Stamp
	ages   []time.Duration // of each when it came
	err    error
}

func (g *gallery) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.rest = append(g.rest, p...); len(g.rest) >= cableWidth*cableHeight; g.rest = g.rest[cableWidth*cableHeight:] {
		stamp, err := g.rest.stamp()
		if err != nil {
			g.err = fmt.Errorf("frame %d: %w", len(g.stamps), err)
		}
		g.stamps, g.ages = append(g.stamps, stamp), append(g.ages, time.Since(stamp.Time))
	}
	return len(p), nil
}

// counters returns the counters of the frames so far.
func (g *gallery) counters() []uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []uint32
	for _, s := range g.stamps {
		all = append(all, s.Counter)
	}
	return all
}

// play runs another project's program until the test is over, and shows what it
// writes in the gallery.
func play(t *testing.T, command string, g io.Writer) *exec.Cmd {
	t.Helper()
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = g, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	return cmd
}

// stop ends a program of play; a second time it does nothing.
func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// gstSender is the sending half of the recipe in the commit that added the driver
// to the kernel. Frames as small as these filesink would gather by itself.
const gstSender = "gst-launch-1.0 -q v4l2src device=%s ! video/x-raw,width=160,height=120 ! jpegenc quality=90 ! filesink location=%s buffer-mode=unbuffered"

// gstViewer is the other half, with a slow sink.
const gstViewer = "gst-launch-1.0 -q filesrc location=%s ! jpegdec ! identity sleep-time=%d ! videoconvert ! video/x-raw,format=GRAY8 ! fdsink fd=1 sync=false"

// ageOfRecipe measures the same for the kernel's recipe.
func ageOfRecipe(t *testing.T) []time.Duration {
	camera := newPatternCamera(t, vm.LoadLoopback(t))
	g := &gallery{}
	reading := play(t, fmt.Sprintf(gstViewer, theCable.viewer, ageViewerPeriod.Microseconds()), g)
	sending := play(t, fmt.Sprintf(gstSender, camera.path, theCable.sender), nil)
	harness.WaitUntil(t, "the first frame", func() bool { camera.show(t); return len(g.counters()) > 0 })
	for end := time.Now().Add(ageSpan); time.Now().Before(end); {
		camera.show(t)
	}
	stop(sending)
	stop(reading)
	if g.err != nil {
		t.Error(g.err)
	}
	return g.ages
}
