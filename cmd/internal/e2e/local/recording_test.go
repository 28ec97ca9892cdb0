package local

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/fixtures/pty"
)

// segments returns the files of a pattern in the order in which they ended.
func segments(t *testing.T, glob string) []string {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	ended := func(path string) time.Time {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	slices.SortFunc(files, func(a, b string) int { return ended(a).Compare(ended(b)) })
	return files
}

// resident returns the memory of a program, in KiB.
func resident(t *testing.T, p *harness.Program) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// soakVariable is how long TestRecordingSoak takes, a minute by default.
const soakVariable = "TBCAM_SOAK"

// TestRecordingSoak records 1080p30: every frame that was sent is recorded, and the
// memory does not grow.
func TestRecordingSoak(t *testing.T) {
	t.Parallel()
	const settled = 20 * time.Second
	length, err := time.ParseDuration(cmp.Or(os.Getenv(soakVariable), "1m"))
	if err != nil || length <= settled {
		t.Fatalf("%s must be more than %v: %v", soakVariable, settled, err)
	}
	flag, path := harness.NewSocket(t)
	dir := t.TempDir()
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+dir+"/%Y%m%d-%H%M%S.mkv", "--segment=5s", "--keep=500MB")
	v.WaitText("waiting")
	f := harness.NewFilm(1920, 1080, 30)
	stop := f.Show(t, path)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 0 })
	begin, base, high := time.Now(), 0, 0
	for now := range time.Tick(time.Second) {
		if now.Sub(begin) > settled {
			rss := resident(t, v)
			base, high = cmp.Or(base, rss), max(high, rss)
		}
		if now.Sub(begin) > length {
			break
		}
	}
	stop()
	v.WaitText("lost the connection to the sender")
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	all, r := harness.ParseRecorder(v.Out.String())
	growth := 100 * float64(high-base) / float64(base)
	t.Logf("%v of 1080p30: %d frames, %d MB in %d files, %d dropped; %d to %d KiB of memory after %v (%.1f %%); up to %d KiB waited for the disk; %.1f %% of a core",
		length, r.Frames, r.Bytes/1e6, r.Files, r.Dropped, base, high, settled, growth, r.WaitingMax>>10, all.CPU)
	if growth > 5 {
		t.Errorf("the memory is not flat: %d to %d KiB", base, high)
	}
	sent := f.SentNumbers()
	if int(r.Frames) != len(sent) || r.Dropped > 0 {
		t.Errorf("%d frames were sent and %d recorded", len(sent), r.Frames)
	}
	files, kept := segments(t, dir+"/*.mkv"), 0
	for _, file := range files {
		kept += len(harness.HashRecording(t, file))
	}
	harness.WantFilm(t, f, sent[len(sent)-kept:], files...)
}

// TestRecordingToSlowReader: a program that reads the recording and stops for a
// while costs no frame, and delays no other sink.
func TestRecordingToSlowReader(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v := harness.Prepare(t, "tbcam-view", flag, "--record=-", "--stats=json",
		"--snapshot="+dir+"/live.png", "--snapshot-every=100ms", "--force")
	v.Stdout = write
	v.Launch()
	write.Close()
	f := harness.NewFilm(320, 240, 30)
	stop := f.Show(t, path)
	first := make([]byte, 1000)
	if _, err := io.ReadFull(read, first); err != nil {
		t.Fatal(err)
	}
	stats := func() (meter.Summary, meter.Recorder) { return harness.ParseRecorder(v.Err.String()) }
	harness.WaitUntil(t, "frames that wait", func() bool { _, r := stats(); return r.Waiting > 60 })
	before, _ := stats()
	harness.WaitUntil(t, "further frames for the other sink", func() bool { now, _ := stats(); return now.Frames > before.Frames+60 })
	live := modified(t, dir+"/live.png")
	harness.WaitUntil(t, "another image", func() bool { return modified(t, dir+"/live.png").After(live) })

	rest := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(read)
		rest <- all
	}()
	harness.WaitUntil(t, "an empty queue", func() bool { _, r := stats(); return r.Waiting < 30 })
	stop()
	v.WaitText("lost the connection to the sender")
	if code := v.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	file := filepath.Join(dir, "a.mkv")
	if err := os.WriteFile(file, append(first, <-rest...), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.WantFilm(t, f, f.SentNumbers(), file)
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// TestRecordingOnDemand: by lines on standard input and by signals.
func TestRecordingOnDemand(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	dir := t.TempDir()
	v := harness.Prepare(t, "tbcam-view", flag, "--record="+dir+"/a.mp4", "--pre-roll=1s", "--stats=json")
	commands, err := v.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	v.Launch()
	f := harness.NewFilm(320, 240, 30)
	f.Show(t, path)
	harness.WaitUntil(t, "a second of frames", func() bool { return harness.CountFrames(v) > 40 })
	if files := segments(t, dir+"/*"); files != nil {
		t.Errorf("it has recorded %q", files)
	}
	steps := []struct {
		what    string
		do      func() error
		message string
	}{
		{"start", func() error { _, err := io.WriteString(commands, "start\n"); return err }, "recording started"},
		{"segment", func() error { return v.Process.Signal(syscall.SIGUSR1) }, "the next frame begins a new file"},
		{"stop", func() error { return v.Process.Signal(syscall.SIGUSR2) }, "recording stopped"},
		{"nonsense", func() error { _, err := io.WriteString(commands, "\x1b[2J\n"); return err }, `unknown command "\x1b[2J"`},
		{"start again", func() error { return v.Process.Signal(syscall.SIGUSR2) }, ""},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.what, err)
		}
		v.WaitText(s.message)
		before := harness.CountFrames(v)
		harness.WaitUntil(t, "half a second of frames", func() bool { return harness.CountFrames(v) > before+15 })
	}
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	files := segments(t, dir+"/*")
	if len(files) != 3 {
		t.Fatalf("recorded are %q, want three files", files)
	}
	wantPreRoll(t, f, files)
}

// wantPreRoll checks that the first file has the second before its start, and that
// the second one follows it without a gap.
func wantPreRoll(t *testing.T, f *harness.Film, files []string) {
	t.Helper()
	if n := len(harness.HashRecording(t, files[0])); n < 45 {
		t.Errorf("%d frames are in the first file: those of the second before the start are missing", n)
	}
	sent, first := f.SentNumbers(), harness.HashRecording(t, files[0])[0]
	at := slices.IndexFunc(sent, func(n int) bool { return harness.HashFrame(harness.NumberJPEG(f.JPEG(), n)) == first })
	together := len(harness.HashRecording(t, files[0])) + len(harness.HashRecording(t, files[1]))
	if at < 0 || at+together > len(sent) {
		t.Fatalf("the first frame is number %d, %d follow", at, together)
	}
	harness.WantFilm(t, f, sent[at:at+together], files[:2]...)
}

// TestRecordingStatus: a line that changes on a terminal, and nothing else there.
func TestRecordingStatus(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	ours, theirs, _ := pty.Pair(t)
	terminal, err := os.OpenFile(theirs, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	screen, err := os.Open(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	v := harness.Prepare(t, "tbcam-view", flag, "--record="+t.TempDir()+"/a.mkv")
	v.Stderr = terminal
	v.Launch()
	f := harness.NewFilm(320, 240, 30)
	f.Show(t, path)
	lines := bufio.NewReader(screen)
	const clear = "\r\x1b[K"
	for shown := 0; shown < 3; {
		text, err := lines.ReadString('K')
		if err != nil {
			t.Fatal(err)
		}
		var hours, minutes, seconds, frames int
		n, _ := fmt.Sscanf(text, "recording %d:%d:%d, %d frames", &hours, &minutes, &seconds, &frames)
		if n == 4 && frames > 40 {
			t.Log(strings.TrimSuffix(text, clear))
			if shown++; !strings.Contains(text, "B/s") || !strings.Contains(text, " free for ") {
				t.Errorf("it lacks rate or room")
			}
		}
	}
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := v.Out.String(); out != "" {
		t.Errorf("standard output holds %q", out)
	}
}

// TestRecordingSnapshots: images by the clock, beside the recording.
func TestRecordingSnapshots(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	dir := t.TempDir()
	v := harness.StartViewer(t, flag, "--snapshot="+dir+"/%H%M%S.png", "--snapshot-every=1s", "--record="+dir+"/lapse.mkv", "--every=500ms")
	f := harness.NewFilm(320, 240, 30)
	f.Show(t, path)
	harness.WaitUntil(t, "three images", func() bool { return len(segments(t, dir+"/*.png")) >= 3 })
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(harness.HashRecording(t, dir+"/lapse.mkv")); n < 4 || n > 12 {
		t.Errorf("the timelapse has %d frames", n)
	}
	got := harness.RunTool(t, "ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=width,height", segments(t, dir+"/*.png")[0])
	if strings.TrimSpace(got) != "320,240" {
		t.Errorf("the image is %s", got)
	}
}

// namespaceVariable is set for a test that has a mount namespace of its own.
const namespaceVariable = "TBCAM_E2E_NAMESPACE"

// inNamespace runs the test once more where it may mount file systems, and
// reports whether it does.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceVariable) != "" {
		return true
	}
	again := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), namespaceVariable+"=1", "TBCAM_BIN="+harness.Bin)
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := again.CombinedOutput()
	if t.Logf("in a namespace:\n%s", out); err != nil {
		t.Error(err)
	}
	return false
}

// smallDisk mounts one of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestRecordingFullDisk: other sinks go on; when there is room, so does the
// recording, and not a frame is missing.
func TestRecordingFullDisk(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	flag, path := harness.NewSocket(t)
	disk, images := smallDisk(t, 4<<20), t.TempDir()
	ballast := disk + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+disk+"/a.mkv", "--snapshot="+images+"/live.png", "--snapshot-every=100ms", "--force")
	f := harness.NewFilm(320, 240, 30)
	stop := f.Show(t, path)
	v.WaitText("recording stalled; it resumes when possible (err: ")
	v.WaitText("no space left on device")
	before := harness.CountFrames(v)
	harness.WaitUntil(t, "further frames for the other sink", func() bool { return harness.CountFrames(v) > before+60 })
	if _, r := harness.ParseRecorder(v.Out.String()); r.Waiting < 60 || r.Problem == "" {
		t.Errorf("the statistics are %+v", r)
	}
	playable := len(harness.HashRecording(t, disk+"/a.mkv"))
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	v.WaitText("recording resumed")
	stop()
	v.WaitText("lost the connection to the sender")
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, r := harness.ParseRecorder(v.Out.String()); r.Dropped > 0 {
		t.Errorf("%d frames were dropped", r.Dropped)
	}
	t.Logf("%d frames were playable when the disk was full, %d in the end", playable, len(f.SentNumbers()))
	harness.WantFilm(t, f, f.SentNumbers(), disk+"/a.mkv")
}

// TestRecordingFullDiskMakesRoom: --keep frees a disk that is smaller than its limit.
func TestRecordingFullDiskMakesRoom(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	flag, path := harness.NewSocket(t)
	disk := smallDisk(t, 2<<20)
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+disk+"/%H%M%S.mkv", "--segment=500kB", "--keep=1GB")
	f := harness.NewFilm(320, 240, 60)
	stop := f.Show(t, path)
	for range 3 {
		v.WaitText("old segment removed")
		_, r := harness.ParseRecorder(v.Out.String())
		harness.WaitUntil(t, "another megabyte", func() bool { _, now := harness.ParseRecorder(v.Out.String()); return now.Bytes > r.Bytes+1<<20 })
	}
	stop()
	v.WaitText("lost the connection to the sender")
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text := v.Err.String(); strings.Contains(text, "stalled") {
		t.Error("it stalled")
	}
	_, r := harness.ParseRecorder(v.Out.String())
	sent, files, kept := f.SentNumbers(), segments(t, disk+"/*.mkv"), 0
	if int(r.Frames) != len(sent) {
		t.Errorf("%d frames were sent and %d recorded", len(sent), r.Frames)
	}
	for _, file := range files {
		kept += len(harness.HashRecording(t, file))
	}
	harness.WantFilm(t, f, sent[len(sent)-kept:], files...)
}

// recordUnprivileged records into a directory without root's rights over files.
func recordUnprivileged(t *testing.T, flag, dir string) *harness.Program {
	v := harness.Prepare(t, "tbcam-view", flag, "--record="+dir+"/%H%M%S.mkv", "--stats=json")
	v.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
	}
	v.Launch()
	return v
}

// TestRecordingWithoutPermission: from the start it is a mistake; later it is
// waited for, and the end reports it.
func TestRecordingWithoutPermission(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flag, path := harness.NewSocket(t)
	record := func() *harness.Program { return recordUnprivileged(t, flag, dir) }
	allow := func(mode os.FileMode) {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	allow(0o500)
	v := record()
	if code := v.WaitExit(); code != 7 || !strings.Contains(v.Err.String(), dir+": permission denied\n") {
		t.Errorf("exit code %d", code)
	}
	allow(0o700)
	v = record()
	f := harness.NewFilm(320, 240, 30)
	stop := f.Show(t, path)
	harness.WaitUntil(t, "a recording", func() bool { _, r := harness.ParseRecorder(v.Out.String()); return r.Frames > 0 })
	allow(0o500)
	if err := v.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	v.WaitText("permission denied")
	allow(0o700)
	v.WaitText("recording resumed")
	allow(0o500)
	if err := v.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	harness.WaitUntil(t, "the problem", func() bool { _, r := harness.ParseRecorder(v.Out.String()); return r.Problem != "" })
	stop()
	v.WaitText("lost the connection to the sender")
	if code := v.Stop(syscall.SIGINT); code != 7 {
		t.Errorf("exit code %d for a recording that is not complete", code)
	}
	allow(0o700)
	files := segments(t, dir+"/*.mkv")
	if len(files) != 2 {
		t.Fatalf("recorded are %q", files)
	}
	_, r := harness.ParseRecorder(v.Out.String())
	harness.WantFilm(t, f, f.SentNumbers()[:r.Frames], files...)
}

// TestRecordingService runs the example of a systemd unit.
func TestRecordingService(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../../../../packaging/systemd/tbcam-record.service")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(unit), "ExecStart=/usr/local/bin/tbcam-view ")
	if !found {
		t.Fatal("the unit does not start tbcam-view")
	}
	command, _, _ := strings.Cut(rest, "\n")
	flag, path := harness.NewSocket(t)
	dir := t.TempDir()
	// systemd replaces these: the directory of StateDirectory=, and %.
	command = strings.NewReplacer("%S/tbcam", dir, "%%", "%").Replace(command)
	v := harness.StartViewer(t, flag, append(strings.Fields(command), "--stats=json")...)
	f := harness.NewFilm(320, 240, 30)
	stop := f.Show(t, path)
	harness.WaitUntil(t, "a recording", func() bool { _, r := harness.ParseRecorder(v.Out.String()); return r.Frames > 0 })
	if err := v.Process.Signal(syscall.SIGUSR1); err != nil { // ExecReload
		t.Fatal(err)
	}
	harness.WaitUntil(t, "the next file", func() bool { _, r := harness.ParseRecorder(v.Out.String()); return r.Files == 2 })
	stop()
	v.WaitText("lost the connection to the sender")
	if code := v.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	harness.WantFilm(t, f, f.SentNumbers(), segments(t, dir+"/*/*.mkv")...)
}

// TestRecordingGaps: what is missing has a chapter with the cause, whether the
// camera dropped it or the sender was away.
func TestRecordingGaps(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	v := harness.StartViewer(t, flag, "--stats=json", "--record="+file)
	f := harness.NewFilm(320, 240, 30)
	stop := f.Show(t, path)
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(v) > 10 })
	f.LoseFrames(3)
	before := harness.CountFrames(v)
	harness.WaitUntil(t, "further frames", func() bool { return harness.CountFrames(v) > before+10 })
	stop()
	v.WaitText("lost the connection to the sender")
	again := harness.NewFilm(320, 240, 30)
	stop = again.Show(t, path)
	before = harness.CountFrames(v)
	harness.WaitUntil(t, "frames of another session", func() bool { return harness.CountFrames(v) > before+10 })
	stop()
	if code := v.Stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	chapters := harness.RunTool(t, "ffprobe", "-v", "error", "-show_chapters", file)
	for _, cause := range []string{"3 dropped at the camera", "the connection was lost"} {
		if !strings.Contains(chapters, cause) {
			t.Errorf("no chapter has %q:\n%s", cause, chapters)
		}
	}
}

// TestRecordingReaderGone: who reads the recording ends; other sinks do not.
func TestRecordingReaderGone(t *testing.T) {
	t.Parallel()
	flag, path := harness.NewSocket(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := harness.Prepare(t, "tbcam-view", flag, "--record=-", "--stats=json", "--snapshot="+t.TempDir()+"/live.png", "--snapshot-every=100ms", "--force")
	v.Stdout = write
	v.Launch()
	write.Close()
	harness.NewFilm(320, 240, 30).Show(t, path)
	shown := func() int { all, _ := harness.ParseRecorder(v.Err.String()); return int(all.Frames) }
	harness.WaitUntil(t, "frames", func() bool { return shown() > 0 })
	read.Close()
	v.WaitText("broken pipe")
	before := shown()
	harness.WaitUntil(t, "further frames for the other sink", func() bool { return shown() > before+30 })
	if code := v.Stop(syscall.SIGINT); code != 7 {
		t.Errorf("exit code %d", code)
	}
}
