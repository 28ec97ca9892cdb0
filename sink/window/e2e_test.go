package window

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/fixtures/golden"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// built is the window's program, built once for all tests.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func build(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "tbcam-window"); built.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", built.dir, "github.com/tbcam/tbcam/cmd/"+program).CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build %s: %w: %s; `make deps` installs what it needs", program, err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, program)
}

// desk is a display with the real window on it.
type desk struct {
	*xvfb.Display
	*Window
	pool *capture.Pool
	last uint32
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	return openOn(t, xvfb.Start(t))
}

func openOn(t *testing.T, display *xvfb.Display) *desk {
	t.Helper()
	t.Setenv("DISPLAY", display.Name)
	converter := codec.NewConverter()
	w, err := Open(Options{
		Title: "tbcam test", Path: build(t),
		Planar: codec.PlanarFormat, Convert: converter.Planar,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		converter.Close()
	})
	if e := next(t, w); e.Kind != Started {
		t.Fatalf("the first event is %+v", e)
	}
	return &desk{Display: display, Window: w, pool: newPool(t)}
}

// show presents a frame and waits until it is reported as shown.
func (d *desk) show(t *testing.T, f capture.Format, paint func(data []byte)) Event {
	t.Helper()
	d.last++
	fr := frame(t, d.pool, f, d.last, 0)
	paint(fr.Data)
	if err := d.Present(fr); err != nil {
		t.Fatal(err)
	}
	for {
		if e := next(t, d.Window); e.Kind == Shown && e.Sequence == d.last {
			return e
		}
	}
}

// until takes screenshots until one is right, or fails with what is wrong with
// the last one, which it keeps.
func (d *desk) until(t *testing.T, wrong func(image.Image) error) {
	t.Helper()
	var screen image.Image
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		screen = d.Screenshot(t)
		if err = wrong(screen); err == nil {
			return
		}
	}
	golden.Keep(t, "window-"+strings.NewReplacer("/", "-", " ", "").Replace(t.Name()), screen)
	t.Errorf("screen: %v", err)
}

// samples are colour bars as Y', Cb and Cr. All are colours in all matrices and
// ranges, so nothing is clipped.
var samples = [][3]uint8{
	{200, 128, 128}, {170, 70, 140}, {150, 150, 80}, {130, 90, 100},
	{110, 160, 150}, {100, 110, 170}, {80, 170, 110}, {40, 128, 128},
}

// bars paints the samples as vertical bars into a planar frame.
func bars(f capture.Format) func([]byte) {
	return func(data []byte) {
		planes, n := f.Planes()
		for i, p := range planes[:n] {
			line := data[p.Offset:][:p.Stride]
			for x := range line {
				line[x] = samples[x*len(samples)/p.Stride][i]
			}
			for y := range p.Lines {
				copy(data[p.Offset+y*p.Stride:], line)
			}
		}
	}
}

// reference is the colour of a sample by the definition of Y'CbCr: luma is the
// weighted sum of the colours, chroma their scaled differences from it.
func reference(f capture.Format, s [3]uint8) color.RGBA {
	kr, kb := 0.299, 0.114
	if f.Matrix == capture.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	y, cb, cr := float64(s[0])/255, (float64(s[1])-128)/255, (float64(s[2])-128)/255
	if f.Range == capture.Limited {
		y, cb, cr = (float64(s[0])-16)/219, (float64(s[1])-128)/224, (float64(s[2])-128)/224
	}
	if f.Pixel == capture.GREY {
		cb, cr = 0, 0
	}
	r, b := y+2*(1-kr)*cr, y+2*(1-kb)*cb
	g := (y - kr*r - kb*b) / (1 - kr - kb)
	return color.RGBA{round(r), round(g), round(b), 255}
}

func round(v float64) uint8 { return uint8(math.Round(255 * min(1, max(0, v)))) }

// wrongBars returns what is wrong with the bars in a place of the screen, but
// for what blends into the next bar.
func wrongBars(screen image.Image, place image.Rectangle, f capture.Format) error {
	bar := float64(place.Dx()) / float64(len(samples))
	blend := 2 + 2*float64(place.Dx())/float64(f.Width)
	for y := place.Min.Y; y < place.Max.Y; y++ {
		for x := place.Min.X; x < place.Max.X; x++ {
			at := float64(x-place.Min.X) / bar
			i := int(at)
			if inside := (at - float64(i)) * bar; inside < blend && i > 0 || bar-inside < blend && i < len(samples)-1 {
				continue
			}
			if err := wrongPixel(screen, x, y, reference(f, samples[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

func wrongPixel(screen image.Image, x, y int, want color.RGBA) error {
	got := screen.At(x, y).(color.RGBA)
	for _, d := range []int{int(got.R) - int(want.R), int(got.G) - int(want.G), int(got.B) - int(want.B)} {
		if d < -2 || d > 2 {
			return fmt.Errorf("pixel %d,%d is %v, not %v", x, y, got, want)
		}
	}
	return nil
}

// wrongOutside returns what is not black in a window around a frame.
func wrongOutside(screen image.Image, window, frame image.Rectangle) error {
	for y := window.Min.Y; y < window.Max.Y; y++ {
		for x := window.Min.X; x < window.Max.X; x++ {
			if !image.Pt(x, y).In(frame) {
				if err := wrongPixel(screen, x, y, color.RGBA{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// TestColours shows bars as the graphics card converts them, and as it is done
// for a window without one.
func TestColours(t *testing.T) {
	for _, draw := range []string{"gpu", "cpu"} {
		t.Setenv("TBCAM_DRAW", draw)
		d := openDesk(t)
		for _, pixel := range []capture.PixelFormat{capture.YUV420, capture.YUV422P, capture.YUV444, capture.GREY} {
			for _, matrix := range []capture.Matrix{capture.BT601, capture.BT709} {
				for _, rng := range []capture.Range{capture.Limited, capture.Full} {
					// An odd size: lines do not end with a texel or a chroma sample.
					f := capture.Format{Pixel: pixel, Width: 645, Height: 481, Matrix: matrix, Range: rng}
					t.Run(fmt.Sprint(draw, " ", pixel, " matrix ", matrix, " range ", rng), func(t *testing.T) {
						d.show(t, f, bars(f))
						_, place := d.Display.Window(t, "tbcam")
						if place.Dx() != f.Width || place.Dy() != f.Height {
							t.Errorf("window of %v for a frame of %dx%d", place, f.Width, f.Height)
						}
						d.until(t, func(screen image.Image) error { return wrongBars(screen, place, f) })
					})
				}
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoGraphicsCard: here there is none, which the window finds out by itself.
func TestNoGraphicsCard(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	id, _ := d.Display.Window(t, "tbcam")
	if d.Children(t, id) != 1 {
		t.Error("frames are drawn by OpenGL on the processor")
	}
}

// TestNoSharedMemory: an X server on another host, or in a container, cannot read the
// window's memory.
func TestNoSharedMemory(t *testing.T) {
	d := openOn(t, xvfb.Start(t, "-extension", "MIT-SHM"))
	for _, f := range []capture.Format{wide, large} {
		d.show(t, f, bars(f))
		id, window := d.Display.Window(t, "tbcam")
		d.until(t, func(s image.Image) error { return wrongBars(s, window, f) })
		if d.Children(t, id) != 1 {
			t.Error("frames are drawn by OpenGL on the processor")
		}
	}
}

var large = capture.Format{Pixel: capture.YUV422P, Width: 1920, Height: 1080, Range: capture.Limited}

var wide = capture.Format{Pixel: capture.YUV420, Width: 640, Height: 360, Range: capture.Full}

func TestResize(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	id, _ := d.Display.Window(t, "tbcam")
	d.Xdotool(t, "windowmove", "--sync", fmt.Sprint(id), "0", "0")
	for _, c := range []struct{ width, height, frameWidth, frameHeight int }{
		{900, 360, 640, 360}, {640, 700, 640, 360}, {1280, 800, 1280, 720}, {320, 360, 320, 180}, {200, 150, 200, 113},
	} {
		d.Xdotool(t, "windowsize", "--sync", fmt.Sprint(id), fmt.Sprint(c.width), fmt.Sprint(c.height))
		d.until(t, func(screen image.Image) error {
			_, window := d.Display.Window(t, "tbcam")
			x, y := window.Min.X+(c.width-c.frameWidth)/2, window.Min.Y+(c.height-c.frameHeight)/2
			frame := image.Rect(x, y, x+c.frameWidth, y+c.frameHeight)
			return errors.Join(wrongBars(screen, frame, wide), wrongOutside(screen, window, frame))
		})
	}
}

// TestLarge opens on a frame that is larger than the screen.
func TestLarge(t *testing.T) {
	d := openDesk(t)
	f := wide
	f.Width, f.Height = 3840, 2160
	d.show(t, f, bars(f))
	_, window := d.Display.Window(t, "tbcam")
	if window.Dx() != 1152 || window.Dy() != 648 || window.Min != image.Pt(64, 76) {
		t.Errorf("window is %v", window)
	}
	d.until(t, func(screen image.Image) error { return wrongBars(screen, window, f) })
}

// TestHiDPI shows pixel for pixel on displays of more dots than the usual 96.
func TestHiDPI(t *testing.T) {
	for _, dpi := range []string{"120", "144", "192"} {
		t.Run(dpi, func(t *testing.T) {
			display := xvfb.Start(t)
			display.SetDPI(t, dpi)
			d := openOn(t, display)
			d.show(t, detailed, checks)
			_, window := d.Display.Window(t, "tbcam")
			if window.Dx() != detailed.Width || window.Dy() != detailed.Height {
				t.Errorf("window is %v", window)
			}
			d.until(t, func(screen image.Image) error { return wrongChecks(screen, window) })
		})
	}
}

var detailed = capture.Format{Pixel: capture.GREY, Width: 640, Height: 360, Range: capture.Full}

// check returns the sample of a frame in which each pixel differs from the next.
func check(x, y int) uint8 { return uint8(40 + 80*((x+y)%3)) }

func checks(data []byte) {
	for i := range data {
		data[i] = check(i%detailed.Width, i/detailed.Width)
	}
}

func wrongChecks(screen image.Image, place image.Rectangle) error {
	for y := range place.Dy() {
		for x := range place.Dx() {
			v := check(x, y)
			if err := wrongPixel(screen, place.Min.X+x, place.Min.Y+y, color.RGBA{v, v, v, 255}); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestFullscreen(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	screen, frame := image.Rect(0, 0, xvfb.Width, xvfb.Height), image.Rect(0, 40, 1280, 760)
	full := func(s image.Image) error {
		return errors.Join(wrongBars(s, frame, wide), wrongOutside(s, screen, frame))
	}
	window := image.Rect(320, 220, 960, 580)
	windowed := func(s image.Image) error { return wrongBars(s, window, wide) }
	d.until(t, windowed)
	for _, toggle := range [][]string{{"key", "f"}, {"click", "--repeat", "2", "--delay", "100", "1"}} {
		d.Xdotool(t, "mousemove", "--sync", "600", "420")
		d.Xdotool(t, toggle...)
		d.until(t, full)
		d.Xdotool(t, "mousemove", "--sync", "1", "1") // off the window
		d.Xdotool(t, "key", "Escape")
		d.until(t, windowed)
	}
	d.Xdotool(t, "key", "F")
	d.until(t, full)
	d.Xdotool(t, "key", "f")
	d.until(t, windowed)
	d.Xdotool(t, "key", "Escape") // leaves nothing
	d.show(t, wide, bars(wide))
	d.until(t, windowed)
}

func TestCloseButton(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	id, _ := d.Display.Window(t, "tbcam")
	d.CloseWindow(t, id)
	if e := next(t, d.Window); e.Kind != Quit {
		t.Errorf("%+v", e)
	}
	if err := ended(t, d.Window); err != ErrClosed {
		t.Errorf("gone: %v", err)
	}
}

// TestSignals: Ctrl-C is for tbcam-view, and kill -9 is a window that is gone,
// after which another one can be opened.
func TestSignals(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP, syscall.SIGQUIT} {
		if err := d.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	d.show(t, wide, bars(wide))
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, d.Window); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("gone: %v", err)
	}
	again := openOn(t, d.Display)
	again.show(t, wide, bars(wide))
	_, window := again.Display.Window(t, "tbcam")
	again.until(t, func(s image.Image) error { return wrongBars(s, window, wide) })
}

// TestHung stops the window's process in the middle of frames, and lets it go on.
func TestHung(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f := wide
	for i := range uint32(500) {
		if i%100 == 99 {
			f.Width -= 2
		}
		if err := d.Present(frame(t, d.pool, f, 1000+i, 0)); err != nil {
			t.Fatal(err)
		}
		d.SetStatus([]string{strings.Repeat("x", maxLine)})
	}
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for {
		if e := next(t, d.Window); e.Sequence == 1499 {
			break
		}
	}
	d.show(t, f, bars(f))
}

// TestExposed takes away a window that was in front of one that has nothing new.
func TestExposed(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	_, place := d.Display.Window(t, "tbcam")
	front := openOn(t, d.Display)
	front.show(t, wide, func(data []byte) { clear(data) })
	front.until(t, func(s image.Image) error {
		return wrongPixel(s, 640, 400, reference(wide, [3]uint8{}))
	})
	if err := front.Close(); err != nil {
		t.Fatal(err)
	}
	d.until(t, func(s image.Image) error { return wrongBars(s, place, wide) })
}

// TestIdle compares what a window costs at 30 frames per second with one whose
// camera is paused, with statistics and controls open.
func TestIdle(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, bars(wide))
	d.SetControls(camera())
	d.Xdotool(t, "key", "i")
	d.Xdotool(t, "key", "i")
	d.Xdotool(t, "key", "c")
	d.SetStatus([]string{"30 fps", "table"})
	const span = 3 * time.Second
	percent := func(run func()) float64 {
		before, begin := d.cpu(t), time.Now()
		run()
		return 100 * (d.cpu(t) - before).Seconds() / time.Since(begin).Seconds()
	}
	busy := percent(func() {
		for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(time.Second / 30) {
			d.last++
			fr := frame(t, d.pool, wide, d.last, 0)
			bars(wide)(fr.Data)
			if err := d.Present(fr); err != nil {
				t.Fatal(err)
			}
			for len(d.Events()) > 0 {
				<-d.Events()
			}
		}
	})
	time.Sleep(500 * time.Millisecond) // the last frames of ebiten
	before := d.switches(t)
	idle := percent(func() { time.Sleep(span) })
	switches := float64(d.switches(t)-before) / span.Seconds()
	t.Logf("of a core: %.1f %% at 30 frames/s, %.1f %% while the camera is paused, with %.1f switches/s", busy, idle, switches)
	if switches > 20 {
		t.Errorf("%.1f switches/s in an idle window", switches)
	}
	if idle > 5 || busy == 0 {
		t.Error("an idle window may take 5 %, and one with frames takes more than nothing")
	}
}

// switches returns how often the threads of the window's process were switched so far.
func (d *desk) switches(t *testing.T) (n int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.cmd.Process.Pid))
	if err != nil || tasks == nil {
		t.Fatalf("no threads: %v", err)
	}
	for _, task := range tasks {
		status, _ := os.ReadFile(task) // a thread may have gone
		for line := range strings.Lines(string(status)) {
			if key, value, _ := strings.Cut(line, ":"); strings.HasSuffix(key, "_ctxt_switches") {
				count, _ := strconv.Atoi(strings.TrimSpace(value))
				n += count
			}
		}
	}
	return n
}

// cpu returns the processor time that the window's process took so far.
func (d *desk) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	ticks := 0
	for _, field := range strings.Fields(fields)[11:13] { // utime and stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// TestMemory: frames and changes of format leave nothing behind in the window.
func TestMemory(t *testing.T) {
	d := openDesk(t)
	play := func() {
		for i := range 120 {
			f := wide
			f.Width += i / 30 * 2
			d.show(t, f, func([]byte) {})
		}
	}
	play()
	before := d.memory(t)
	play()
	if grown := d.memory(t) - before; grown > 16<<20 { // a leak of every frame is 41 MiB
		t.Errorf("the window has grown by %d bytes", grown)
	}
}

// memory returns the bytes that the window's process has for itself.
func (d *desk) memory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// TestLatency prints how long frames take from Present to being shown, and
// from there into the memory of the X server.
func TestLatency(t *testing.T) {
	d := openDesk(t)
	d.show(t, wide, func([]byte) {})
	var shown, visible time.Duration
	const frames = 20
	for i := range frames {
		value := byte(40 + 10*i)
		start := time.Now()
		e := d.show(t, wide, func(data []byte) { clear(data); fillLuma(data, value) })
		shown += e.ShownAt.Sub(start)
		d.until(t, func(s image.Image) error {
			return wrongPixel(s, 640, 400, reference(wide, [3]uint8{value, 0, 0}))
		})
		visible += time.Since(e.ShownAt)
	}
	t.Logf("shown %v after Present began, visible at most %v later", shown/frames, visible/frames)
}

func fillLuma(data []byte, value byte) {
	for i := range wide.Width * wide.Height {
		data[i] = value
	}
}

func TestNoServer(t *testing.T) {
	t.Setenv("DISPLAY", ":54321")
	w, err := Open(Options{Path: build(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := ended(t, w); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), ":54321") || strings.Contains(err.Error(), "\n") {
		t.Errorf("gone: %v", err)
	}
}

// TestByHand starts the program as a user might, even without a display.
func TestByHand(t *testing.T) {
	cmd := exec.Command(build(t))
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("ended with %v", err)
	}
	if !strings.HasPrefix(string(out), "tbcam-window: ") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("printed %q", out)
	}
}

// TestOrphan kills a viewer: its window must not stay.
func TestOrphan(t *testing.T) {
	display := xvfb.Start(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	viewer := exec.Command(self)
	viewer.Env = append(os.Environ(), role+"=viewer", "TBCAM_TEST_WINDOW="+build(t), "DISPLAY="+display.Name)
	out, err := viewer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := viewer.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	display.Window(t, "tbcam")
	if err := viewer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = viewer.Wait() // it was killed
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); running(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// running is false for a process that has ended, buried or not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestLeaksOfRealWindows opens and closes windows with frames of two formats.
func TestLeaksOfRealWindows(t *testing.T) {
	display := xvfb.Start(t)
	use := func() {
		d := openOn(t, display)
		d.show(t, wide, bars(wide))
		d.show(t, grey, bars(grey))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	use()
	files, routines := descriptors(t), runtime.NumGoroutine()
	for range 3 {
		use()
	}
	noLeaks(t, files, routines)
}
