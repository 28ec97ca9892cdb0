package local

import (
	"context"
	"encoding/json"
	"image"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// screenCamera is a camera that looks at an X screen, and whose frames come with
// a known delay. It implements transport.Producer.
type screenCamera struct {
	transport.NoControls
	t       *testing.T
	display *xvfb.Display
	delay   time.Duration
	pool    capture.Pool
	info    transport.Mode

	start   sync.Once
	stop    context.CancelFunc
	done    sync.WaitGroup
	frames  chan *capture.Frame
	waiting *capture.Frame // of Next alone: taken, and not due yet
}

const screenFPS = 20

func newScreenCamera(t *testing.T, display *xvfb.Display, delay time.Duration) *screenCamera {
	mode := capture.Mode{Pixel: capture.GREY, Width: xvfb.Width / 2, Height: xvfb.Height / 2, Rate: capture.Rate{Num: screenFPS, Den: 1}}
	return &screenCamera{
		t: t, display: display, delay: delay, stop: func() {}, frames: make(chan *capture.Frame, 100),
		info: transport.Mode{Camera: "screen", Source: mode, Format: capture.Format{Pixel: mode.Pixel, Width: mode.Width, Height: mode.Height, Range: capture.Full}},
	}
}

// Start looks at the screen until the camera is closed.
func (c *screenCamera) Start(uint32, capture.Want) {
	c.start.Do(func() {
		var ctx context.Context
		ctx, c.stop = context.WithCancel(context.Background())
		c.done.Go(func() {
			ticker := time.NewTicker(time.Second / screenFPS)
			defer ticker.Stop()
			for {
				select {
				case <-ticker.C:
					c.look()
				case <-ctx.Done():
					return
				}
			}
		})
	})
}

func (c *screenCamera) Stop() {}

// look takes an image of every other pixel.
func (c *screenCamera) look() {
	screen := c.display.Screenshot(c.t).(*image.RGBA)
	taken := time.Now() // it shows nothing that is newer
	f := c.pool.Get(c.info.Format.Size())
	f.Format, f.Time = c.info.Format, taken
	f.At[capture.Captured], f.At[capture.Dequeued] = taken, time.Now()
	for y := range f.Format.Height {
		for x := range f.Format.Width {
			f.Data[y*f.Format.Width+x] = screen.Pix[2*y*screen.Stride+8*x+1]
		}
	}
	select {
	case c.frames <- f:
	default:
		f.Release()
	}
}

// Next waits for the next frame, and until its delay is over.
func (c *screenCamera) Next(ctx context.Context) (transport.Unit, error) {
	if c.waiting == nil {
		select {
		case c.waiting = <-c.frames:
		case <-ctx.Done():
			return transport.Unit{}, ctx.Err()
		}
	}
	select {
	case <-time.After(time.Until(c.waiting.Time.Add(c.delay))):
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
	f := c.waiting
	c.waiting = nil
	return transport.Unit{Frame: f, Info: &c.info}, nil
}

func (c *screenCamera) Lost() capture.Lost        { return capture.Lost{} }
func (c *screenCamera) Cameras() []capture.Device { return nil }

// close ends it, and checks that no frame is left over.
func (c *screenCamera) close() {
	c.stop()
	c.done.Wait()
	if c.waiting != nil {
		c.waiting.Release()
	}
	for len(c.frames) > 0 {
		(<-c.frames).Release()
	}
	if n := c.pool.Outstanding(); n != 0 {
		c.t.Errorf("%d frames were not released", n)
	}
}

// glassToGlass is what latency-test reports, in milliseconds.
type glassToGlass struct {
	Samples int
	Min     float64 `json:"min_ms"`
	P50     float64 `json:"p50_ms"`
	Frames  int
}

// measure runs latency-test with a camera of a known delay.
func measure(t *testing.T, display *xvfb.Display, delay time.Duration) glassToGlass {
	t.Helper()
	flag, path := harness.NewSocket(t)
	v := harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", "latency-test", flag, "--windowed", "--samples=20", "--json")
	camera := newScreenCamera(t, display, delay)
	defer camera.close()
	log := slog.New(slog.DiscardHandler)
	sender := &transport.Sender{Link: &unixsock.Dialer{Path: path, Log: log}, Catalogue: &transport.Single{Producer: camera}, Version: "test", Log: log}
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := sender.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	code := v.WaitExit()
	cancel()
	sending.Wait()
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var report struct {
		Glass  glassToGlass `json:"glass_to_glass"`
		Stages []struct{ Stage string }
	}
	if err := json.Unmarshal([]byte(v.Out.String()), &report); err != nil || len(report.Stages) < 4 {
		t.Fatalf("%v: %s", err, v.Out.String())
	}
	t.Logf("delay %v: %+v", delay, report.Glass)
	return report.Glass
}

// TestLatencyTest: the codes go through a real window and screen; what is reported
// rises by as much as the camera's delay.
func TestLatencyTest(t *testing.T) {
	display := xvfb.Start(t)
	const delay = 250
	near, far := measure(t, display, 0), measure(t, display, delay*time.Millisecond)
	const period = 1000.0 / screenFPS
	if near.Samples < 20 || far.Samples < 20 || near.Min < 0 || far.Min < delay {
		t.Errorf("%+v, %+v", near, far)
	}
	// The least is what a busy machine adds least to. glass's own test is exact: it
	// needs no real window, nor real time.
	if rise := far.Min - near.Min; rise < delay-2*period || rise > delay+2*period {
		t.Errorf("the least rises by %.0f ms, the delay by %d", rise, delay)
	}
}

// TestLatencyTestWithoutCode: a camera that looks elsewhere is reported. The codes
// fill the screen.
func TestLatencyTestWithoutCode(t *testing.T) {
	display := xvfb.Start(t)
	flag, _ := harness.NewSocket(t)
	v := harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", "latency-test", flag, "--duration=3s")
	harness.StartSender(t, flag)
	harness.WaitUntil(t, "a full screen", func() bool { return windowBounds(t, display) == image.Rect(0, 0, xvfb.Width, xvfb.Height) })
	wantMistake(t, v, 1, "point the camera at the window")
	v = harness.Start(t, nil, "tbcam-view", "latency-test", flag)
	wantMistake(t, v, 7, "DISPLAY is not set")
	for _, flags := range [][]string{{"--samples=0"}, {"--duration=-1s"}, {"--size=x"}} {
		v := harness.Start(t, nil, "tbcam-view", append(flags, "latency-test", "--stream=unix:"+filepath.Join(t.TempDir(), "s"))...)
		if code := v.WaitExit(); code != 2 {
			t.Errorf("%v: exit code %d: %s", flags, code, strings.TrimSpace(v.Err.String()))
		}
	}
}
