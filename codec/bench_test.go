package codec

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

const benchQuality = 80

func hd(pixel capture.PixelFormat) capture.Format  { return formatOf(pixel, 1920, 1080) }
func uhd(pixel capture.PixelFormat) capture.Format { return formatOf(pixel, 3840, 2160) }

// job is one frame's work; it allocates nothing.
type job func() error

func encodeJob(b *testing.B, format capture.Format) job {
	pool := newPool(b)
	e := newEncoder(b, JPEG, benchQuality, pool)
	f := frameOf(pool, format, photo(format))
	b.Cleanup(f.Release)
	return func() error {
		g, err := e.Encode(f.Retain())
		if err == nil {
			g.Release()
		}
		return err
	}
}

// benchJPEG returns the frame that encodeJob encodes, encoded.
func benchJPEG(b *testing.B, pool *capture.Pool, format capture.Format) *capture.Frame {
	f, err := newEncoder(b, JPEG, benchQuality, pool).Encode(frameOf(pool, format, photo(format)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(f.Release)
	return f
}

// partsJob decodes with low latency.
func partsJob(b *testing.B, format capture.Format) job {
	pool := newPool(b)
	d := newDecoder(b, pool)
	d.LowLatency = true
	f := benchJPEG(b, pool, format)
	return func() error {
		g, err := d.Decode(f.Retain())
		if err == nil {
			g.Release()
		}
		return err
	}
}

// decodeJob decodes, and converts to another format if there is one.
func decodeJob(b *testing.B, pixel, to capture.PixelFormat) job {
	pool := newPool(b)
	d, c := newDecoder(b, pool), newConverter(b)
	f := benchJPEG(b, pool, hd(pixel))
	dst := make([]byte, hd(to).Size())
	return func() error {
		g, err := d.Decode(f.Retain())
		if err != nil {
			return err
		}
		defer g.Release()
		if to == 0 {
			return nil
		}
		return c.Convert(dst, hd(to), g)
	}
}

func copyJob(b *testing.B, data []byte) job {
	pool := newPool(b)
	e := newEncoder(b, Copy, 0, pool)
	format := hd(capture.MJPEG)
	return func() error {
		f := pool.Get(len(data))
		f.Format = format
		copy(f.Data, data)
		g, err := e.Encode(f)
		if err == nil {
			g.Release()
		}
		return err
	}
}

func convertJob(b *testing.B, from, to capture.Format) job {
	pool := newPool(b)
	c := newConverter(b)
	f := frameOf(pool, from, photo(from))
	b.Cleanup(f.Release)
	dst := make([]byte, to.Size())
	return func() error { return c.Convert(dst, to, f) }
}

func run(b *testing.B, work job) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := work(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncode, like all benchmarks here, takes 1080p frames.
func BenchmarkEncode(b *testing.B) {
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.YUV422P, capture.NV12, capture.YUV420, capture.RGB24} {
		b.Run(pixel.String(), func(b *testing.B) { run(b, encodeJob(b, hd(pixel))) })
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, pixel := range []capture.PixelFormat{capture.YUV422P, capture.YUV420} {
		b.Run(pixel.String(), func(b *testing.B) { run(b, decodeJob(b, pixel, 0)) })
	}
}

// BenchmarkCopy includes copying the JPEG into a frame, as capturing does.
func BenchmarkCopy(b *testing.B) {
	pool := newPool(b)
	good := benchJPEG(b, pool, hd(capture.YUYV)).Data
	b.Run("good", func(b *testing.B) { run(b, copyJob(b, good)) })
	b.Run("no-dht", func(b *testing.B) { run(b, copyJob(b, jpegsamples.WithoutDHT(good))) })
}

func BenchmarkConvert(b *testing.B) {
	full, small := hd(capture.YUV422P), formatOf(capture.YUYV, 1280, 720)
	full.Range = capture.Full
	for _, tt := range []struct {
		name     string
		from, to capture.Format
	}{
		{"422p-yuyv", hd(capture.YUV422P), hd(capture.YUYV)},
		{"422p-yuyv-range", full, hd(capture.YUYV)},
		{"422p-yu12", hd(capture.YUV422P), hd(capture.YUV420)},
		{"422p-yuyv-720p", hd(capture.YUV422P), small},
		{"yu12-yuyv", hd(capture.YUV420), hd(capture.YUYV)},
		{"rgb24-yuyv", hd(capture.RGB24), hd(capture.YUYV)},
	} {
		b.Run(tt.name, func(b *testing.B) { run(b, convertJob(b, tt.from, tt.to)) })
	}
}

// The yardsticks below run another program and this package by turns and
// compare the best round of each, since other work on the machine only slows
// them down.
const rounds = 5

// frames is how many frames a round takes.
const frames = 100

// compare reports what a frame costs here and there, in ms.
func compare(b *testing.B, name string, ours, theirs func() float64) {
	b.Helper()
	us, them := math.Inf(1), math.Inf(1)
	for b.Loop() {
		for range rounds {
			us, them = min(us, ours()), min(them, theirs())
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(us, "ms")
	b.ReportMetric(them, name+"-ms")
	b.ReportMetric(us/them, "ratio")
}

// repeat runs a frame's work and returns the wall-clock ms per frame.
func repeat(b *testing.B, work job) float64 {
	b.Helper()
	elapsed, _ := measure(b, work, frames)
	return elapsed
}

// cpuTime is repeat in CPU time of all threads.
func cpuTime(b *testing.B, work job) float64 {
	b.Helper()
	_, cpu := measure(b, work, frames)
	return cpu
}

// measure runs the work of n frames and returns the wall-clock ms per frame, and
// those of CPU time of all threads.
func measure(b *testing.B, work job, n int) (elapsed, cpu float64) {
	b.Helper()
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	for range n {
		if err := work(); err != nil {
			b.Fatal(err)
		}
	}
	elapsed = time.Since(start).Seconds() * 1000 / float64(n)
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	ns := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return elapsed, float64(ns) / 1e6 / float64(n)
}

func lookPath(b *testing.B, program, pkg string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		b.Skipf("%s is missing: install %s", program, pkg)
	}
	return path
}

func writeFile(b *testing.B, name string, data []byte) string {
	path := filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// tjbench runs libjpeg-turbo's own benchmark on planes of 4:2:2, which leaves out
// the packing and unpacking of YUYV.
type tjbench struct{ program, ppm string }

func newTjbench(b *testing.B, size capture.Format) tjbench {
	ppm := fmt.Appendf(nil, "P6\n%d %d\n255\n", size.Width, size.Height)
	size.Pixel = capture.RGB24
	return tjbench{lookPath(b, "tjbench", "libjpeg-turbo-progs"), writeFile(b, "photo.ppm", append(ppm, photo(size)...))}
}

// time returns the ms per frame of one of the lines that it prints.
func (t tjbench) time(b *testing.B, line string) float64 {
	b.Helper()
	out, err := exec.Command(t.program, t.ppm, strconv.Itoa(benchQuality), "-yuv", "-subsamp", "422", "-accuratedct",
		"-benchtime", "0.5", "-warmup", "0.1", "-nowrite").Output()
	m := regexp.MustCompile(line + ` YUV +--> Frame rate: +([0-9.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		b.Fatalf("tjbench: %v: %s", err, out)
	}
	fps, _ := strconv.ParseFloat(string(m[1]), 64)
	return 1000 / fps
}

const (
	tjbenchEncodes = "Comp from"
	tjbenchDecodes = "Decomp to"
)

// BenchmarkTjbench compares with tjbench where one goroutine works: GOMAXPROCS is 1.
// The target is a ratio of 1.1.
func BenchmarkTjbench(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	t := newTjbench(b, hd(capture.RGB24))
	for _, tt := range []struct {
		name string
		work job
		line string
	}{
		{"yuyv-jpeg", encodeJob(b, hd(capture.YUYV)), tjbenchEncodes},
		{"422p-jpeg", encodeJob(b, hd(capture.YUV422P)), tjbenchEncodes},
		{"jpeg-422p", decodeJob(b, capture.YUV422P, 0), tjbenchDecodes},
		{"jpeg-yuyv", decodeJob(b, capture.YUV422P, capture.YUYV), tjbenchDecodes},
	} {
		b.Run(tt.name, func(b *testing.B) {
			compare(b, "tjbench", func() float64 { return repeat(b, tt.work) }, func() float64 { return t.time(b, tt.line) })
		})
	}
}

// BenchmarkStrips compares what all processors take for a frame, in time and in CPU
// time, with tjbench on one of them: medians of rounds by turns. With two processors
// the targets of encoding are 0.65 and 1.10.
func BenchmarkStrips(b *testing.B) {
	for _, size := range []capture.Format{hd(capture.YUYV), uhd(capture.YUYV)} {
		t := newTjbench(b, size)
		for _, tt := range []struct {
			name string
			work job
			line string
		}{
			{"yuyv-jpeg", encodeJob(b, size), tjbenchEncodes},
			{"jpeg-422p", partsJob(b, size), tjbenchDecodes},
		} {
			b.Run(fmt.Sprintf("%s-%dp", tt.name, size.Height), func(b *testing.B) {
				var elapsed, cpu []float64
				n := frames * hd(0).Width * hd(0).Height / (size.Width * size.Height)
				for b.Loop() {
					for range rounds {
						them := t.time(b, tt.line)
						took, used := measure(b, tt.work, n)
						elapsed, cpu = append(elapsed, took/them), append(cpu, used/them)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(elapsed), "time-ratio")
				b.ReportMetric(median(cpu), "cpu-ratio")
			})
		}
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkGStreamer compares CPU time for the same work. The target is a ratio
// of 0.75.
func BenchmarkGStreamer(b *testing.B) {
	program := lookPath(b, "gst-launch-1.0", "gstreamer1.0-tools and gstreamer1.0-plugins-good")
	pool := newPool(b)
	raw := writeFile(b, "photo.yuyv", photo(hd(capture.YUYV)))
	jpeg := writeFile(b, "photo.jpg", benchJPEG(b, pool, hd(capture.YUYV)).Data)
	rawCaps := "video/x-raw,format=YUY2,width=1920,height=1080,framerate=30/1"
	launch := func(file, caps, elements string) float64 {
		args := fmt.Sprintf("-q multifilesrc location=%s loop=true num-buffers=%d caps=%s %s ! fakesink", file, frames, caps, elements)
		cmd := exec.Command(program, strings.Fields(args)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("gst-launch: %v: %s", err, out)
		}
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return cpu.Seconds() * 1000 / frames
	}
	for _, tt := range []struct {
		name                 string
		work                 job
		file, caps, elements string
	}{
		{"yuyv-jpeg", encodeJob(b, hd(capture.YUYV)), raw, rawCaps, fmt.Sprintf("! jpegenc quality=%d", benchQuality)},
		{"jpeg-yuyv", decodeJob(b, capture.YUV422P, capture.YUYV), jpeg, "image/jpeg,framerate=30/1", "! jpegdec ! videoconvert ! video/x-raw,format=YUY2"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			idle := launch(tt.file, tt.caps, "") // reading the file is not the work
			compare(b, "gstreamer", func() float64 { return cpuTime(b, tt.work) },
				func() float64 { return launch(tt.file, tt.caps, tt.elements) - idle })
		})
	}
}
