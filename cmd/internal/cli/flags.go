package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// WantFlags are the flags that choose a camera and its mode.
type WantFlags struct {
	camera, size, format string
	fps                  float64
}

// Register adds the flags.
func (w *WantFlags) Register(f *pflag.FlagSet, cameraUsage string) {
	f.StringVar(&w.camera, "camera", "auto", cameraUsage)
	w.RegisterMode(f)
}

// RegisterMode adds the flags that choose a mode alone.
func (w *WantFlags) RegisterMode(f *pflag.FlagSet) {
	f.StringVar(&w.size, "size", "", "frame size, `WxH` in pixels")
	f.Float64Var(&w.fps, "fps", 0, "frames per second")
	f.StringVar(&w.format, "format", "auto", "camera pixel format: auto, mjpeg, yuyv, nv12, ...")
}

// Want returns what the flags ask for.
func (w *WantFlags) Want() (capture.Want, error) {
	want := capture.Want{Camera: w.camera, FPS: w.fps}
	if w.camera == "auto" {
		want.Camera = ""
	}
	var err error
	if w.format != "auto" {
		want.Pixel, err = ParsePixelFormat("--format", w.format)
	}
	if err == nil && w.size != "" {
		want.Width, want.Height, err = ParseSize("--size", w.size)
	}
	if err == nil && want.Check() != nil {
		err = fmt.Errorf("--fps %w", want.Check()) // the size was checked
	}
	return want, Mark(err, ErrUsage)
}

// ParsePixelFormat reads the value of a flag.
func ParsePixelFormat(flag, s string) (capture.PixelFormat, error) {
	pixel, err := capture.ParsePixelFormat(s)
	if err != nil {
		err = fmt.Errorf("%s: %w", flag, err)
	}
	return pixel, err
}

// ParseSize reads WxH, the value of a flag, in pixels.
func ParseSize(flag, s string) (width, height int, err error) {
	var rest string
	n, _ := fmt.Sscanf(strings.ToLower(s), "%dx%d%s", &width, &height, &rest)
	if n != 2 || width < 1 || height < 1 || width > capture.MaxDimension || height > capture.MaxDimension {
		return 0, 0, fmt.Errorf("%s %q: want WxH, for instance 1280x720, up to %dx%[3]d", flag, s, capture.MaxDimension)
	}
	return width, height, nil
}

// StatsFlag is --stats.
type StatsFlag struct{ kind string }

// Register adds the flag.
func (s *StatsFlag) Register(f *pflag.FlagSet) {
	f.Var(s, "stats", "print statistics every second and at the end: text or json")
}

// Set, String and Type implement pflag.Value.
func (s *StatsFlag) Set(kind string) error {
	if kind != "text" && kind != "json" {
		return fmt.Errorf("want text or json")
	}
	s.kind = kind
	return nil
}

func (s *StatsFlag) String() string { return s.kind }

// Type names the value in --help.
func (s *StatsFlag) Type() string { return "text|json" }

// Start prints summaries to w, of one camera each, until the returned function is called, which
// prints the last one. Text ends with a table.
func (s *StatsFlag) Start(w io.Writer, summaries func() []meter.Summary) (stop func()) {
	if s.kind == "" {
		return func() {}
	}
	line, last := meter.Summary.Line, meter.Summary.Table
	if s.kind == "json" {
		line, last = meter.Summary.JSON, meter.Summary.JSON
	}
	quit := make(chan struct{})
	var printing sync.WaitGroup
	print := func(write func(meter.Summary, io.Writer) error) {
		for _, s := range summaries() {
			_ = write(s, w)
		}
	}
	printing.Go(func() { runEvery(time.Second, quit, func() { print(line) }) })
	return func() {
		close(quit)
		printing.Wait()
		print(last)
	}
}

func runEvery(d time.Duration, quit <-chan struct{}, do func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-quit:
			return
		}
	}
}

// PrintCameras lists cameras for a person or as JSON.
func PrintCameras(w io.Writer, cameras []capture.Device, asJSON bool) error {
	return WritePrintable(w, func(w io.Writer) error {
		if asJSON {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(cameras)
		}
		for _, c := range cameras {
			if err := printCamera(w, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// WritePrintable writes to w the lines that write produces, made printable: names of
// cameras and controls are texts of whoever built or sends them.
func WritePrintable(w io.Writer, write func(io.Writer) error) error {
	var text strings.Builder
	err := write(&text)
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, capture.Printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return err
}

func printCamera(w io.Writer, c capture.Device) error {
	kind := ""
	if c.Kind == capture.Audio {
		kind = "microphone, "
	}
	fmt.Fprintf(w, "%s  %s (%sdriver %s, bus %s)\n", c.Path, c.Name, kind, c.Driver, c.Bus)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range modeLines(c.Modes) {
		fmt.Fprintf(t, "  %s\n", line)
	}
	if err := t.Flush(); err != nil { // the controls have columns of their own
		return err
	}
	for _, input := range c.Inputs {
		fmt.Fprintf(w, "  input %v\n", input)
	}
	for _, control := range c.Controls {
		fmt.Fprintf(t, "  control %s\t%s\t%d\t(%d..%d step %d, default %d)\n",
			control.Name, control.Type, control.Value, control.Min, control.Max, control.Step, control.Default)
	}
	return t.Flush()
}

// modeLines puts the rates of one format and size on one line.
func modeLines(modes []capture.Mode) []string {
	var lines []string
	last := ""
	for _, m := range modes {
		key := fmt.Sprintf("%v\t%dx%d\t", m.Pixel, m.Width, m.Height)
		if key != last {
			lines, last = append(lines, key), key
		}
		if fps := m.Rate.FPS(); fps > 0 {
			lines[len(lines)-1] += fmt.Sprintf(" %.4g", fps)
		}
	}
	return lines
}
