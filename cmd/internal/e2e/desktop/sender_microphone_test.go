package desktop

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// fakeMicrophone is a source that plays silence, in cycles that leave a busy machine time, on a
// server that has another rate than tbcam.
const fakeMicrophone = `
context.properties = { default.clock.min-quantum = 2048 default.clock.quantum = 2048 default.clock.rate = 44100 default.clock.allowed-rates = [ 44100 ] }
context.objects = [
  { factory = adapter args = { factory.name = support.null-audio-sink node.name = fakemic node.description = "Fake microphone" media.class = Audio/Source/Virtual audio.position = [ MONO ] } } ]
`

// TestPipeWireMicrophone: tbcam-send offers the desktop's microphone, and hears it again soon
// after a restart of PipeWire. Silence of exactly that time is in the recording. That PipeWire
// resamples is logged once.
func TestPipeWireMicrophone(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: fakeMicrophone})
	s.Enter(t)
	flag, _ := harness.NewSocket(t)
	sender := harness.StartSender(t, flag, "--microphone=auto")
	file := filepath.Join(t.TempDir(), "a.mkv")
	viewer := harness.StartViewer(t, flag, "--microphone=auto", "--record="+file, "--stats=json")
	viewer.WaitText("microphone is on (microphone: Fake microphone")
	waitBlocks(t, viewer)
	if list := harness.RunTool(t, filepath.Join(harness.Bin, "tbcam-send"), "list"); !strings.Contains(list, "Fake microphone (microphone, driver pipewire") {
		t.Errorf("list prints %q", list)
	}
	begin := time.Now()
	s.Restart(pwsession.PipeWire)
	sender.WaitText("microphone is off")
	harness.WaitUntil(t, "the microphone", func() bool { return countText(sender, "microphone is on") >= 2 })
	t.Logf("%v after the restart of PipeWire began the microphone is on", time.Since(begin))
	waitBlocks(t, viewer)
	for _, p := range []*harness.Program{viewer, sender} {
		if code := p.Stop(syscall.SIGINT); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if n := countText(sender, "PipeWire resamples the microphone (from: 44100 Hz, to: 48000 Hz)"); n != 1 {
		t.Errorf("logged %d times that PipeWire resamples", n)
	}
	if frames, sound := endOf(t, file, "v"), endOf(t, file, "a"); math.Abs(frames-sound) > 1 {
		t.Errorf("%.2f s of frames and %.2f s of sound", frames, sound)
	}
}

// waitBlocks waits until a second of sound has come.
func waitBlocks(t *testing.T, viewer *harness.Program) {
	t.Helper()
	blocks := func() uint64 { return harness.ParseMicrophone(viewer.Out.String()).Frames }
	before := blocks()
	harness.WaitUntil(t, "sound", func() bool { return blocks() >= before+100 })
}

// endOf returns when the last packet of a kind of stream begins, in seconds.
func endOf(t *testing.T, file, stream string) float64 {
	t.Helper()
	out := strings.Fields(harness.RunTool(t, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0", file))
	if len(out) == 0 {
		t.Fatalf("%s has no packets of %s", file, stream)
	}
	end, err := strconv.ParseFloat(strings.TrimSuffix(out[len(out)-1], ","), 64)
	if err != nil {
		t.Fatal(err)
	}
	return end
}
