package codec

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

const benchQuality = 80

func hd(pixel capture.PixelFormat) capture.Format { return formatOf(pixel, 1920, 1080) }

// job is one frame's work; it allocates nothing.
type job func() error

func encodeJob(b *testing.B, pixel capture.PixelFormat) job {
	pool := newPool(b)
	e := newEncoder(b, JPEG, benchQuality, pool)
	f := frameOf(pool, hd(pixel), photo(hd(pixel)))
	b.Cleanup(f.Release)
	return func() error {
		g, err := e.Encode(f.Retain())
		if err == nil {
			g.Release()
		}
		return err
	}
}

// hdJPEG returns the frame that encodeJob encodes, encoded.
func hdJPEG(b *testing.B, pool *capture.Pool, pixel capture.PixelFormat) *capture.Frame {
	f, err := newEncoder(b, JPEG, benchQuality, pool).Encode(frameOf(pool, hd(pixel), photo(hd(pixel))))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(f.Release)
	return f
}

// decodeJob decodes, and converts to another format if there is one.
func decodeJob(b *testing.B, pixel, to capture.PixelFormat) job {
	pool := newPool(b)
	d, c := newDecoder(b, pool), newConverter(b)
	f := hdJPEG(b, pool, pixel)
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
		b.Run(pixel.String(), func(b *testing.B) { run(b, encodeJob(b, pixel)) })
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
	good := hdJPEG(b, pool, capture.YUYV).Data
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
const frames = 200

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
	start := time.Now()
	for range frames {
		if err := work(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start).Seconds() * 1000 / frames
}

// cpuTime is repeat in CPU time of all threads.
func cpuTime(b *testing.B, work job) float64 {
	b.Helper()
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	repeat(b, work)
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	ns := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return float64(ns) / 1e6 / frames
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

// BenchmarkTjbench compares with libjpeg-turbo's own calls on planes, which
// leave out the packing and unpacking of YUYV. The target is a ratio of 1.1.
func BenchmarkTjbench(b *testing.B) {
	program := lookPath(b, "tjbench", "libjpeg-turbo-progs")
	ppm := writeFile(b, "photo.ppm", append([]byte("P6\n1920 1080\n255\n"), photo(hd(capture.RGB24))...))
	tjbench := func(line string) float64 {
		out, err := exec.Command(program, ppm, strconv.Itoa(benchQuality), "-yuv", "-subsamp", "422", "-accuratedct",
			"-benchtime", "0.5", "-warmup", "0.1", "-nowrite").Output()
		m := regexp.MustCompile(line + ` YUV +--> Frame rate: +([0-9.]+)`).FindSubmatch(out)
		if err != nil || m == nil {
			b.Fatalf("tjbench: %v: %s", err, out)
		}
		fps, _ := strconv.ParseFloat(string(m[1]), 64)
		return 1000 / fps
	}
	for _, tt := range []struct {
		name string
		work job
		line string
	}{
		{"yuyv-jpeg", encodeJob(b, capture.YUYV), "Comp from"},
		{"422p-jpeg", encodeJob(b, capture.YUV422P), "Comp from"},
		{"jpeg-422p", decodeJob(b, capture.YUV422P, 0), "Decomp to"},
		{"jpeg-yuyv", decodeJob(b, capture.YUV422P, capture.YUYV), "Decomp to"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			compare(b, "tjbench", func() float64 { return repeat(b, tt.work) }, func() float64 { return tjbench(tt.line) })
		})
	}
}

// BenchmarkGStreamer compares CPU time for the same work. The target is a ratio
// of 0.75.
func BenchmarkGStreamer(b *testing.B) {
	program := lookPath(b, "gst-launch-1.0", "gstreamer1.0-tools and gstreamer1.0-plugins-good")
	pool := newPool(b)
	raw := writeFile(b, "photo.yuyv", photo(hd(capture.YUYV)))
	jpeg := writeFile(b, "photo.jpg", hdJPEG(b, pool, capture.YUYV).Data)
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
		{"yuyv-jpeg", encodeJob(b, capture.YUYV), raw, rawCaps, fmt.Sprintf("! jpegenc quality=%d", benchQuality)},
		{"jpeg-yuyv", decodeJob(b, capture.YUV422P, capture.YUYV), jpeg, "image/jpeg,framerate=30/1", "! jpegdec ! videoconvert ! video/x-raw,format=YUY2"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			idle := launch(tt.file, tt.caps, "") // reading the file is not the work
			compare(b, "gstreamer", func() float64 { return cpuTime(b, tt.work) },
				func() float64 { return launch(tt.file, tt.caps, tt.elements) - idle })
		})
	}
}
