//go:build vm

package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
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
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// The frames of vivid here: its smallest, at a rate that an emulated machine
// keeps up with.
var vividMode = []string{"--size=320x180", "--fps=5"}

// v4l2Mode is the same in the words of v4l2-ctl.
func v4l2Mode(fourCC string) []string {
	return []string{"--set-fmt-video=width=320,height=180,pixelformat=" + fourCC, "--set-parm=5"}
}

// colourSquares is a test pattern of vivid with detail in both directions.
const colourSquares = 4

// holdStill makes vivid show a test pattern, by its number, that does not change.
func holdStill(t *testing.T, camera string, pattern int) {
	t.Helper()
	const noText = 2
	harness.RunTool(t, "v4l2-ctl", "-d", camera, "-c", fmt.Sprintf("osd_text_mode=%d,test_pattern=%d", noText, pattern))
}

// read returns the last of a few frames that v4l2-ctl reads from a device. The
// first of v4l2loopback may be short.
func read(t *testing.T, device string, size int, options ...string) []byte {
	t.Helper()
	const count = 3
	file := filepath.Join(t.TempDir(), "read")
	harness.RunTool(t, "v4l2-ctl", append(options, "-d", device, "--stream-mmap", fmt.Sprint("--stream-count=", count), "--stream-to="+file)...)
	return last(t, file, size)
}

// readWithFFmpeg does the same with ffmpeg.
func readWithFFmpeg(t *testing.T, device string, size int) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "read")
	harness.RunTool(t, "ffmpeg", "-v", "error", "-f", "v4l2", "-i", device, "-frames:v", "3", "-f", "rawvideo", file)
	return last(t, file, size)
}

// last returns the last so many bytes of a file.
func last(t *testing.T, file string, size int) []byte {
	t.Helper()
	all, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < size {
		t.Fatalf("read %d bytes, a frame has %d", len(all), size)
	}
	return all[len(all)-size:]
}

// keepDir returns a directory whose files are kept if the test fails.
func keepDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		if err := os.CopyFS(filepath.Join(os.Getenv("TBCAM_OUT"), t.Name()), os.DirFS(dir)); err != nil {
			t.Log(err)
		}
	})
	return dir
}

// interrupt ends programs as users do.
func interrupt(t *testing.T, programs ...*harness.Program) {
	t.Helper()
	for _, p := range programs {
		if code := p.Stop(syscall.SIGINT); code != 0 {
			t.Errorf("%s: exit code %d after SIGINT", p.Path, code)
		}
	}
}

// wantRefusal waits for the end of a program that reports a mistake in one line.
func wantRefusal(t *testing.T, p *harness.Program, code int, message string) {
	t.Helper()
	if got := p.WaitExit(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if text := p.Err.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, message) {
		t.Errorf("got %q; want one line with %q", text, message)
	}
}

// background runs a program of another project until the test is over.
func background(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(cmd) })
	return cmd
}

// finish ends a program of background; a second time it does nothing.
func finish(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// psnr compares the samples of two frames, in dB.
func psnr(a, b []byte) float64 {
	if len(a) != len(b) {
		return 0
	}
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/sum)
}

// planar turns NV12 into YU12, which loses nothing.
func planar(nv12 []byte) []byte {
	luma := len(nv12) * 2 / 3
	yu12 := append([]byte(nil), nv12[:luma]...)
	for first := range 2 {
		for i := luma + first; i < len(nv12); i += 2 {
			yu12 = append(yu12, nv12[i])
		}
	}
	return yu12
}

// recording is what ffprobe finds in a file.
type recording struct {
	Packets []struct {
		At   string `json:"pts_time"`
		Hash string `json:"data_hash"`
	}
	Streams []struct {
		Decoded string `json:"nb_read_frames"`
	}
	Format struct {
		Tags struct {
			Created time.Time `json:"creation_time"`
		}
	}
}

// probe reads a recording, all of whose frames must be playable.
func probe(t *testing.T, file string) recording {
	t.Helper()
	var r recording
	out := harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-show_data_hash", "sha256", "-of", "json",
		"-show_entries", "packet=pts_time,data_hash:stream=nb_read_frames:format_tags=creation_time", file)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Streams) != 1 || r.Streams[0].Decoded != strconv.Itoa(len(r.Packets)) || len(r.Packets) == 0 {
		t.Fatalf("%s: of %d frames ffprobe decodes %+v", file, len(r.Packets), r.Streams)
	}
	return r
}

// hash is that of a recording's packet with these bytes.
func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return "SHA256:" + hex.EncodeToString(sum[:])
}

// times returns when the frames are shown, in ms.
func (r recording) times(t *testing.T) []int64 {
	t.Helper()
	var times []int64
	for _, p := range r.Packets {
		seconds, err := strconv.ParseFloat(p.At, 64)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, int64(math.Round(1000*seconds)))
	}
	return times
}

// outcome returns the number that the last statistics of a program have for one.
func outcome(p *harness.Program, name string) int {
	lines := strings.Split(strings.TrimSpace(p.Out.String()), "\n")
	var s struct {
		Outcomes map[string]int
	}
	_ = json.Unmarshal([]byte(lines[len(lines)-1]), &s)
	if n, ok := s.Outcomes[meter.Outcome{Name: name}.Key()]; ok {
		return n
	}
	return -1
}

// trace makes the kernel log what passes between a device and programs.
func trace(t *testing.T, device string) {
	t.Helper()
	// Of include/media/v4l2-ioctl.h: V4L2_DEV_DEBUG_IOCTL, _IOCTL_ARG and _STREAMING.
	const calls = "0x0b"
	if err := os.WriteFile(filepath.Join("/sys/class/video4linux", filepath.Base(device), "dev_debug"), []byte(calls), 0); err != nil {
		t.Fatal(err)
	}
}

// dequeued matches a frame that was handed out, with its time stamp.
var dequeued = regexp.MustCompile(`VIDIOC_DQBUF: (\d+):(\d+):(\d+\.\d+) index=`)

// traced returns the time stamps of the frames that the kernel has handed out
// since the last call, by the clock CLOCK_MONOTONIC.
func traced(t *testing.T) []time.Duration {
	t.Helper()
	var stamps []time.Duration
	for _, m := range dequeued.FindAllStringSubmatch(harness.RunTool(t, "dmesg", "--read-clear"), -1) {
		stamp, err := time.ParseDuration(fmt.Sprintf("%sh%sm%ss", m[1], m[2], m[3]))
		if err != nil {
			t.Fatal(err)
		}
		stamps = append(stamps, stamp)
	}
	return stamps
}

// stampOf reads the pattern's code from a frame with packed or planar luma.
func stampOf(f *capture.Frame) (pattern.Stamp, error) {
	if f.Format.Pixel.Compressed() {
		return pattern.Stamp{}, pattern.ErrNoCode
	}
	step := 1
	if f.Format.Pixel == capture.YUYV {
		step = 2
	}
	bounds := image.Rect(0, 0, f.Format.Width, f.Format.Height)
	return pattern.ReadLuma(bounds, func(x, y int) byte { return f.Data[(y*f.Format.Width+x)*step] })
}
