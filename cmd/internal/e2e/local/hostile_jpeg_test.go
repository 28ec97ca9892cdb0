package local

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/hostile"
	"github.com/tbcam/tbcam/fixtures/jpegbomb"
	"github.com/tbcam/tbcam/fixtures/xvfb"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// What the programs may have in memory at most, whatever their peer does.
const (
	viewMemory   = 600 * hostile.MiB
	windowMemory = 400 * hostile.MiB
	sendMemory   = 300 * hostile.MiB
)

// inTime is how long a program may take to end.
const inTime = 2 * time.Second

// flood is a sender that sends as fast as it may.
type flood struct {
	*hostile.Peer
	index uint64
	mode  transport.Mode
}

func newFlood(t *testing.T, path string) *flood {
	f := &flood{Peer: offer(t, path)}
	go f.Drain()
	return f
}

// send sends a frame of a mode several times.
func (f *flood) send(t *testing.T, n int, format capture.Format, data []byte) {
	t.Helper()
	f.mode.Number++
	f.mode.Camera, f.mode.Format = "hostile", format
	f.mode.Source = capture.Mode{Pixel: format.Pixel, Width: format.Width, Height: format.Height, Rate: capture.Rate{Num: 30, Den: 1}}
	if err := f.WriteMessage(wire.Mode, hostile.Stream, f.mode); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := f.WaitCredit(f.index + 1); err != nil {
			t.Fatal(err)
		}
		head := wire.FrameHeader{Index: f.index, Sequence: uint32(f.index), Mode: f.mode.Number, Captured: f.Now()}
		if err := f.WriteFrame(head, data); err != nil {
			t.Fatal(err)
		}
		f.index++
	}
}

func jpegOf(width, height int) capture.Format {
	return capture.Format{Pixel: capture.MJPEG, Width: width, Height: height, Range: capture.Full}
}

func wantMemory(t *testing.T, program string, pid int, most int64) {
	t.Helper()
	peak := hostile.PeakMemory(t, pid)
	t.Logf("%s: at most %d MiB", program, peak/hostile.MiB)
	if peak > most {
		t.Errorf("%s had %d MiB, want at most %d", program, peak/hostile.MiB, most/hostile.MiB)
	}
}

// endInTime ends a program by a signal.
func endInTime(t *testing.T, p *harness.Program) {
	t.Helper()
	begun := time.Now()
	p.Stop(syscall.SIGTERM)
	if took := time.Since(begun); took > inTime {
		t.Errorf("%s ended after %v, want %v", p.Path, took, inTime)
	}
}

// TestHostileFrames: small JPEGs that cost much, and the largest frames that
// there are. Memory is bounded, and what is being decoded delays no end.
func TestHostileFrames(t *testing.T) {
	display := xvfb.Start(t)
	flag, path := harness.NewSocket(t)
	w := &watched{Program: harness.Start(t, []string{"DISPLAY=" + display.Name}, "tbcam-view", flag, "--window"), display: display}
	f := newFlood(t, path)
	f.send(t, 20, jpegOf(8192, 8192), jpegbomb.Progressive(8192, 8192, 190))
	f.send(t, 8, jpegOf(8192, 8192), jpegbomb.Flat(8192, 8192, capture.MaxFrame))
	yuyv := capture.Format{Pixel: capture.YUYV, Width: 8192, Height: 4096}
	f.send(t, 6, yuyv, make([]byte, yuyv.Size()))
	f.send(t, 8, jpegOf(5792, 5792), jpegbomb.Progressive(5792, 5792, 16))
	wantMemory(t, "tbcam-view", w.Process.Pid, viewMemory)
	wantMemory(t, "tbcam-window", w.child(t), windowMemory)
	endInTime(t, w.Program)
}

// TestDamagedHeaderInPlainMJPEG: one of six frames claims an impossible size, and
// another one a size that no other has. The rest is one file.
func TestDamagedHeaderInPlainMJPEG(t *testing.T) {
	jpeg, err := os.ReadFile("../../../../fixtures/jpeg/good-420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	sof := bytes.Index(jpeg, []byte{0xff, 0xc0})
	claim := func(size string) []byte { return slices.Replace(bytes.Clone(jpeg), sof+5, sof+9, []byte(size)...) }
	stream := bytes.Join([][]byte{jpeg, jpeg, claim("\xff\xff\xff\xff"), jpeg, claim("\x01\x00\x01\x00"), jpeg}, nil)
	dir := t.TempDir()
	v := harness.Prepare(t, "tbcam-view", "--stream=-", "--record="+filepath.Join(dir, "a.mp4"), "--stats=json")
	v.Stdin = bytes.NewReader(stream)
	v.Launch()
	if code := v.WaitExit(); code != 6 { // the stream has ended
		t.Errorf("exit code %d, want 6", code)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
		t.Errorf("there are %v", files)
	}
	got := harness.RunTool(t, "ffprobe", "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries", "stream=width,height,nb_read_frames", filepath.Join(dir, "a.mp4"))
	if strings.TrimSpace(got) != "160,120,4" {
		t.Errorf("ffprobe finds %q", got)
	}
	if !strings.Contains(v.Out.String(), `"dropped_as_damaged":2`) {
		t.Errorf("they are not counted: %s", &v.Out)
	}
}

// TestHostileWants: a viewer that always wants another mode.
func TestHostileWants(t *testing.T) {
	flag, path := harness.NewSocket(t)
	l := hostile.Listen(t, path)
	s := harness.Start(t, nil, "tbcam-send", flag, "--camera=pattern", "--quality=100")
	p := accept(t, l)
	go p.Drain()
	for n := range 30 {
		size := [][2]int{{3840, 2160}, {1920, 1080}, {1280, 720}}[n%3]
		want := map[string]any{"number": n + 1, "width": size[0], "height": size[1]}
		if err := p.WriteMessage(wire.Start, hostile.Stream, want); err != nil {
			t.Fatal(err)
		}
		if err := p.WriteVideo(wire.Credit, wire.AppendCredit(nil, uint64(1+2*n))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	wantMemory(t, "tbcam-send", s.Process.Pid, sendMemory)
	endInTime(t, s)
}
