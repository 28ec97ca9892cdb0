package local

import (
	"cmp"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// syncVariable is how long TestRecordingAudio records.
const syncVariable = "TBCAM_SYNC"

// take is a recording of the test camera with the test microphone, read back.
type take struct {
	t     *testing.T
	path  string
	times []float64 // of the frames, in seconds
	luma  []byte    // of their corner that flashes
	sound []int16   // of one channel
	start float64   // of the sound, in seconds
}

// readTake reads a recording, of which a directory is one, too.
func readTake(t *testing.T, path string) *take {
	t.Helper()
	r := &take{t: t, path: path}
	frames, sound := path, path
	if strings.HasSuffix(path, "/") {
		frames, sound = path+"%08d.jpg", path+"audio.wav"
		r.times = readCSVTimes(t, path+"frames.csv")
	} else {
		r.times = readTimes(t, path, "v:0")
		r.start = readTimes(t, path, "a:0")[0]
	}
	r.luma = []byte(harness.RunTool(t, "ffmpeg", "-v", "error", "-xerror", "-i", frames, "-map", "0:v", "-fps_mode", "passthrough",
		"-vf", "crop=8:8:iw-iw/24-4:ih-ih/24-4,scale=1:1", "-pix_fmt", "gray", "-f", "rawvideo", "-"))
	for samples := harness.RunTool(t, "ffmpeg", "-v", "error", "-xerror", "-i", sound, "-map", "0:a", "-af", "pan=mono|c0=c1", "-f", "s16le", "-"); len(samples) > 1; samples = samples[2:] {
		r.sound = append(r.sound, int16(binary.LittleEndian.Uint16([]byte(samples[:2]))))
	}
	if strings.HasSuffix(path, "/") {
		r.luma = r.luma[:min(len(r.luma), len(r.times))]
	}
	if len(r.luma) != len(r.times) {
		t.Fatalf("%s has %d frames and %d times", path, len(r.luma), len(r.times))
	}
	return r
}

// readTimes returns the times of the packets of a stream, in seconds.
func readTimes(t *testing.T, path, stream string) (times []float64) {
	t.Helper()
	out := harness.RunTool(t, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0", path)
	for _, line := range strings.Fields(out) {
		times = append(times, parseSeconds(t, strings.TrimSuffix(line, ",")))
	}
	return times
}

// readCSVTimes returns the times of the frames of a directory.
func readCSVTimes(t *testing.T, path string) (times []float64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[1] != "" { // frames of the last half second before a kill have none
			times = append(times, parseSeconds(t, row[1]))
		}
	}
	return times
}

func parseSeconds(t *testing.T, text string) float64 {
	t.Helper()
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seconds
}

// length returns how long either track is, in seconds.
func (r *take) length() (frames, sound float64) {
	return r.times[len(r.times)-1], r.start + float64(len(r.sound))/capture.AudioRate
}

// flashes returns the times of the frames that flash.
func (r *take) flashes() (times []float64) {
	for i, v := range r.luma {
		if v >= 128 && (i == 0 || r.luma[i-1] < 128) { // AVI repeats frames
			times = append(times, r.times[i])
		}
	}
	return times
}

// wantInStep fails the test unless there is a click with each flash, on the average less than
// 5 ms from it and never more than 15 ms, or half a frame period more where the container
// has a constant rate.
func (r *take) wantInStep(least int, more float64) {
	r.t.Helper()
	clicks := pattern.FindClicks(r.sound)
	flashes := r.flashes()
	sum, worst, matched := 0.0, 0.0, 0
	_, end := r.length()
	for _, flash := range flashes {
		if flash > end-0.1 {
			continue // its audio was not recorded yet
		}
		off := math.Inf(1)
		for _, click := range clicks {
			if d := r.start + float64(click)/capture.AudioRate - flash; math.Abs(d) < math.Abs(off) {
				off = d
			}
		}
		sum, worst, matched = sum+off, max(worst, math.Abs(off)), matched+1
	}
	mean := sum / float64(matched)
	r.t.Logf("%s: %d flashes and %d clicks, %.2f ms apart in the mean, at most %.2f ms", filepath.Base(r.path), matched, len(clicks), mean*1e3, worst*1e3)
	if matched < least || !(math.Abs(mean) < 0.005+more) || !(worst < 0.015+more) {
		r.t.Errorf("%s: %d flashes of %d: %.2f ms apart in the mean, at most %.2f ms", r.path, matched, least, mean*1e3, worst*1e3)
	}
}

// flacBlock is how many samples per channel a packet of FLAC has at most.
const flacBlock = 4096

// wantCopied fails the test unless ffmpeg copies both tracks into the same container without
// a warning.
func (r *take) wantCopied() {
	r.t.Helper()
	// FLAC in MP4 is an experiment for it, of which it warns in its own files, too; and it
	// warns of all PCM that it has to guess which channels these are.
	// Of a fragmented file it knows no durations of FLAC packets (5.1, mov_read_packet): the copy
	// ends before the last one if that begins at a full millisecond.
	level, missing := "warning", 0
	if filepath.Ext(r.path) == ".mp4" {
		level, missing = "error", flacBlock
	}
	to := filepath.Join(r.t.TempDir(), "copy"+filepath.Ext(r.path))
	args := []string{"-v", level, "-guess_layout_max", "0", "-i", r.path, "-map", "0", "-c", "copy", "-strict", "experimental", to}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil || len(out) > 0 {
		r.t.Errorf("ffmpeg %v: %v: %s", args, err, out)
	}
	if copied := len(readTake(r.t, to).sound); copied > len(r.sound) || copied < len(r.sound)-missing {
		r.t.Errorf("%s: the copy has %d samples of %d", r.path, copied, len(r.sound))
	}
}

// audioContainers have a place for audio; one is a directory.
var audioContainers = []string{"a.mkv", "a.mp4", "a.avi", "jpegs/"}

// moreFor is half a frame period where the container has a constant rate.
func moreFor(name string) float64 {
	if name == "a.avi" {
		return 0.5 / 30
	}
	return 0
}

// TestRecordingAudio records the test camera with the test microphone, by viewers that share
// one line, into each container: the click is with the flash. Of those that are killed, both
// tracks are there up to the last second, and in step once they are repaired.
func TestRecordingAudio(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(cmp.Or(os.Getenv(syncVariable), "15s"))
	if err != nil || length < 5*time.Second {
		t.Fatalf("%s must be 5s or more: %v", syncVariable, err)
	}
	flag, _ := harness.NewSocket(t)
	settings := []string{"XDG_RUNTIME_DIR=" + t.TempDir()}
	record := func(path string, more ...string) *harness.Program {
		return harness.Start(t, settings, "tbcam-view", append(more, flag, "--microphone=auto", "--stats=json", "--record="+path)...)
	}
	owner := record(t.TempDir() + "/owner.mkv")
	sender := harness.Start(t, settings, "tbcam-send", append(harness.SmallPattern, flag, "--microphone=pattern", "--stats=json")...)
	owner.WaitText("microphone is on")

	finished, killed := t.TempDir()+"/", t.TempDir()+"/"
	var whole, torn []*harness.Program
	for _, name := range audioContainers {
		whole = append(whole, record(finished+name, fmt.Sprint("--duration=", length)))
		torn = append(torn, record(killed+name))
	}
	for i, name := range audioContainers {
		killWhenRecorded(t, torn[i], killed+name)
	}
	for i, name := range audioContainers {
		if code := whole[i].WaitExit(); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
		r := readTake(t, finished+name)
		r.wantInStep(int(length.Seconds())/2, moreFor(name))                                                  // a busy host drops frames
		if frames, sound := r.length(); math.Abs(frames-length.Seconds()) > 1 || math.Abs(sound-frames) > 1 { // what was on its way at the end is missing
			t.Errorf("%s: %.2f s of frames, %.2f s of sound", name, frames, sound)
		}
		if name != "jpegs/" {
			r.wantCopied()
		}
	}
	wantNoneLost(t, owner)
	heir := record(finished + "heir.mkv")
	wantTakeover(t, owner, heir)
	for _, p := range []*harness.Program{heir, sender} {
		if code := p.Stop(syscall.SIGINT); code != 0 {
			t.Errorf("%s: exit code %d", p.Path, code)
		}
	}
	readTake(t, finished+"heir.mkv").wantInStep(4, 0)
}

// wantTakeover kills the viewer that has the line: the other one, which takes it, hears the
// microphone again.
func wantTakeover(t *testing.T, owner, heir *harness.Program) {
	t.Helper()
	heard := func(least uint64) func() bool {
		return func() bool { return harness.ParseMicrophone(heir.Out.String()).Frames >= least }
	}
	harness.WaitUntil(t, "sound", heard(300))
	owner.Stop(syscall.SIGKILL)
	heir.WaitText("taking it over")
	harness.WaitUntil(t, "sound after a takeover", heard(harness.ParseMicrophone(heir.Out.String()).Frames+300))
}

// killWhenRecorded kills a viewer that has recorded some seconds, and repairs the recording:
// what was on the disk is there, with its sound.
func killWhenRecorded(t *testing.T, v *harness.Program, path string) {
	t.Helper()
	recorded := func() float64 {
		_, r := harness.ParseRecorder(v.Out.String())
		return r.Seconds
	}
	harness.WaitUntil(t, "some seconds", func() bool { return recorded() > 5 })
	safe := recorded()
	v.Stop(syscall.SIGKILL)
	harness.RunTool(t, filepath.Join(harness.Bin, "tbcam-view"), "repair", path)
	r := readTake(t, path)
	r.wantInStep(3, moreFor(filepath.Base(path)))
	if frames, sound := r.length(); frames < safe-0.1 || sound < frames-1 || sound > frames+1 {
		t.Errorf("%s: %.2f s of frames and %.2f s of sound; %.2f s were on the disk", path, frames, sound, safe)
	}
}

// wantNoneLost fails the test where the viewer's microphone has lost blocks, or its recording
// has silence that was not in the microphone.
func wantNoneLost(t *testing.T, v *harness.Program) {
	t.Helper()
	_, recorder := harness.ParseRecorder(v.Out.String())
	if a := recorder.Audio; a == nil || a.Silence > 1 || math.Abs(a.Correction) > 2000 {
		t.Errorf("the recorder's audio: %+v", a)
	}
	lost := map[string]uint64{}
	heard := harness.ParseMicrophone(v.Out.String())
	for _, o := range heard.Outcomes {
		lost[o.Key()] = o.Count
	}
	if heard.Frames == 0 || lost["lost_on_the_link"] > 0 || lost["dropped_by_outputs"] > 0 {
		t.Errorf("%d blocks: %v", heard.Frames, lost)
	}
}
