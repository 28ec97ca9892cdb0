package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/latencytest"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink/window"
	"github.com/tbcam/tbcam/transport"
)

// latencyFlags are the flags of latency-test.
type latencyFlags struct {
	want     cli.WantFlags
	samples  int
	duration time.Duration
	windowed bool
	asJSON   bool
}

func latencyCommand(o *options) *cobra.Command {
	var flags latencyFlags
	c := &cobra.Command{
		Use:   "latency-test",
		Short: "Measure glass-to-glass latency: point the sender's camera at this screen",
		Long: `Measure glass-to-glass latency. Point the sender's camera at this host's
screen: tbcam-view shows codes there, reads them in the frames that come back, and
reports how long they took: window, screen, camera, cable and decoding together.

A change is seen in the camera's next frame, which is half a frame period away on
average; the figures include that, as does what a person sees.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.latencyTest(c.Context(), flags) },
	}
	f := c.Flags()
	flags.want.Register(f, "camera to use: auto, a device, or part of a name")
	f.IntVar(&flags.samples, "samples", 100, "stop after `N` changes of the code")
	f.DurationVar(&flags.duration, "duration", time.Minute, "give up `DURATION` after the first frame")
	f.BoolVar(&flags.windowed, "windowed", false, "show the codes in a window instead of full screen")
	f.BoolVar(&flags.asJSON, "json", false, "print the report as JSON")
	return c
}

// latencyTest is one run of the command. It implements transport.Consumer.
type latencyTest struct {
	transport.NopConsumer
	log     *slog.Logger
	run     int // that the codes name
	pool    *capture.Pool
	frames  chan *capture.Frame // to be looked at
	first   chan struct{}       // closed with the first frame
	begin   sync.Once
	visible chan struct{} // closed when the window has shown a code, or is gone
	fps     atomic.Uint32 // of the camera, rounded
	glass   *latencytest.Meter
	stages  *meter.Meter // from the driver to the decoded frame
	decoder *codec.Decoder
	reader  *latencytest.Reader
}

// waiting is how many frames may wait to be looked at.
const waiting = 8

func newLatencyTest(log *slog.Logger) *latencyTest {
	t := &latencyTest{
		log: log, run: rand.IntN(latencytest.MaxRun), pool: &capture.Pool{},
		frames: make(chan *capture.Frame, waiting), first: make(chan struct{}), visible: make(chan struct{}),
		glass: latencytest.NewMeter(), stages: meter.New(),
	}
	t.decoder, t.reader = codec.NewDecoder(t.pool, codec.Limits{}), latencytest.NewReader(t.run)
	return t
}

func (t *latencyTest) closeReceiver() {
	for len(t.frames) > 0 {
		(<-t.frames).Release()
	}
	t.decoder.Close()
	t.reader.Close()
}

// Connected implements transport.Consumer.
func (t *latencyTest) Connected(peer transport.Peer) {
	t.log.Info(fmt.Sprintf("connected to %v", peer))
}

// Mode implements transport.Consumer.
func (t *latencyTest) Mode(mode transport.Mode) {
	t.log.Info("camera is on", "camera", mode.Camera, "mode", mode.Source)
	t.fps.Store(uint32(mode.Source.Rate.FPS() + 0.5))
}

// Frame implements transport.Consumer.
func (t *latencyTest) Frame(f *capture.Frame, _ capture.Lost) {
	t.begin.Do(func() { close(t.first) })
	select {
	case t.frames <- f:
	default:
		f.Release()
		t.glass.Skipped()
	}
}

// Status implements transport.Consumer.
func (t *latencyTest) Status(status transport.Status) {
	if status.State == transport.Waiting || status.State == transport.Failed {
		t.log.Warn("no picture: " + status.Text)
	}
}

// Disconnected implements transport.Consumer.
func (t *latencyTest) Disconnected(err error) {
	logLost(t.log, err)
}

// readCodes reads the codes in the frames until the context ends.
func (t *latencyTest) readCodes(ctx context.Context) {
	for {
		select {
		case f := <-t.frames:
			t.lookAt(f)
		case <-ctx.Done():
			return
		}
	}
}

func (t *latencyTest) lookAt(f *capture.Frame) {
	raw, err := t.decoder.Decode(f)
	if err != nil {
		t.glass.Unreadable()
		return
	}
	defer raw.Release()
	ready := raw.At[capture.Decoded]
	if ready.IsZero() { // it came raw
		ready = raw.At[capture.Received]
	}
	t.stages.Add(&raw.At, ready)
	if number, ok := t.reader.Read(raw); ok {
		t.glass.Seen(number, ready)
	} else {
		t.glass.Unreadable()
	}
}

// showCodes changes the code in the window until enough changes were seen, the time is
// over, or the window was closed.
func (t *latencyTest) showCodes(ctx context.Context, w *window.Window, flags latencyFlags) error {
	schedule := latencytest.NewSchedule(float64(t.fps.Load()), rand.New(rand.NewPCG(rand.Uint64(), 0)))
	end := time.Now().Add(flags.duration)
	for number := 1; time.Now().Before(end); number++ {
		if t.glass.Samples() >= flags.samples {
			return nil
		}
		code, err := latencytest.Paint(t.run, number, t.pool)
		if err != nil {
			return err
		}
		t.glass.Shown(number, time.Now())
		if err := w.Present(code); err != nil {
			if errors.Is(err, window.ErrClosed) {
				return nil
			}
			return err
		}
		if err := t.waitForCode(ctx, schedule.Next()); err != nil {
			return err
		}
	}
	return nil
}

// waitForCode lets a code stay, and the first one also until the window is there.
func (t *latencyTest) waitForCode(ctx context.Context, stay time.Duration) error {
	select {
	case <-t.visible:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-time.After(stay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// followWindow notes when the window is visible, until it is gone.
func (t *latencyTest) followWindow(w *window.Window) {
	var once sync.Once
	visible := func() { once.Do(func() { close(t.visible) }) }
	defer visible()
	for e := range w.Events() {
		if e.Kind == window.Shown {
			visible()
		}
	}
}

func (o *options) latencyTest(ctx context.Context, flags latencyFlags) error {
	want, err := flags.want.Want()
	if err == nil && (flags.samples < 1 || flags.duration <= 0) {
		err = cli.Mark(errors.New("--samples and --duration must be positive"), cli.ErrUsage)
	}
	if err != nil {
		return err
	}
	log := o.log.New(os.Stderr, "tbcam-view")
	t := newLatencyTest(log)
	defer t.closeReceiver()
	stream, err := o.openStream(t.pool, log)
	if err != nil {
		return err
	}
	defer stream.close()
	w, err := window.Open(window.Options{Title: "tbcam latency test", Log: log})
	if err != nil {
		return cli.Mark(err, cli.ErrSink)
	}
	defer w.Close()
	if !flags.windowed {
		w.SetFullscreen()
	}
	go t.followWindow(w)
	camera := stream.Subscribe(t)
	camera.SetRaw(true) // it decodes every frame
	camera.Start(want)
	log.Info("waiting for tbcam-send; point its camera at the window", "stream", o.stream)
	if err := t.measureUntil(ctx, stream, w, flags); err != nil {
		return err
	}
	return t.printReport(os.Stdout, flags.asJSON)
}

// measureUntil runs the test to its end.
func (t *latencyTest) measureUntil(ctx context.Context, stream *sharedStream, w *window.Window, flags latencyFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var failed error
	running.Go(func() {
		defer cancel()
		failed = stream.run(ctx)
	})
	running.Go(func() { t.readCodes(ctx) })
	var err error
	select {
	case <-t.first:
		err = cli.Mark(t.showCodes(ctx, w, flags), cli.ErrSink)
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	running.Wait()
	return cmp.Or(failed, err)
}

// latencyReport is what latency-test prints.
type latencyReport struct {
	FPS   uint32             `json:"fps"` // of the camera
	Glass latencytest.Report `json:"glass_to_glass"`
	Tbcam []meter.Latency    `json:"stages"` // from the driver's time stamp to the decoded frame
}

var errNoCode = errors.New("no code was read: point the camera at the window so that the whole code is visible, sharp, and neither too bright nor too dark")

func (t *latencyTest) printReport(out io.Writer, asJSON bool) error {
	r := latencyReport{t.fps.Load(), t.glass.Report(), t.stages.Report(0).Latency}
	if r.Glass.Samples == 0 {
		return fmt.Errorf("%w (%d frames)", errNoCode, r.Glass.Frames)
	}
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	return r.printTable(out)
}

func (r latencyReport) printTable(out io.Writer) error {
	g := r.Glass
	fmt.Fprintf(out, "%d changes seen in %d frames at %d fps, %d without a code, %d skipped\n\n", g.Samples, g.Frames, r.FPS, g.Unreadable, g.Skipped)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "latency, ms\tp50\tp95\tp99\tmax\t\n")
	fmt.Fprintf(t, "glass to glass\t%.1f\t%.1f\t%.1f\t%.1f\t\n", g.P50, g.P95, g.P99, g.Max)
	for _, l := range r.Tbcam {
		name := l.Stage
		if name == meter.StageNames[meter.Total] {
			name = "of which from driver to decoded"
		}
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", name, l.P50, l.P95, l.P99, l.Max)
	}
	return t.Flush()
}
