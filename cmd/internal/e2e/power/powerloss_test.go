package power

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
)

// lossInterval is the --sync-interval of TestRecordingPowerLoss.
const lossInterval = time.Second

// lossFiles are recorded at the same time, one of each kind.
var lossFiles = []string{"a.mkv", "b.mp4", "c.avi", "d.mjpeg", "e/"}

// inGuest records all of them on the disk until the power is lost. It is run by sh
// with TBCAM_VIEW, FILES and INTERVAL.
const inGuest = `set -e
mkdir /run/disk
mount -t ext4 /dev/vda /run/disk
cd /run/disk
n=0
for file in $FILES; do
	"$TBCAM_VIEW" --stream=unix:/run/$n --record=$file --sync-interval=$INTERVAL --stats=json >"$TBCAM_OUT/$n.json" &
	n=$((n + 1))
done
"$FILMS"`

// TestRecordingPowerLoss kills a virtual machine in the middle of recordings: each
// frame is on its disk that had come more than the interval before.
func TestRecordingPowerLoss(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for n := range 3 {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			dir := t.TempDir()
			disk := newDisk(t, dir)
			losePower(t, dir, disk, 2*time.Second+time.Duration(random.Int64N(int64(4*time.Second))))
			found := readDisk(t, dir, disk)
			for i, file := range lossFiles {
				checkLoss(t, filepath.Join(found, file), harness.ReadSentLines(t, fmt.Sprintf("%s/%d.log", dir, i)), acknowledged(t, fmt.Sprintf("%s/%d.json", dir, i)))
			}
		})
	}
}

// newDisk returns an image with an empty file system.
func newDisk(t *testing.T, dir string) string {
	t.Helper()
	disk := filepath.Join(dir, "disk")
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 64<<20)); err != nil {
		t.Fatal(err)
	}
	harness.RunTool(t, "/sbin/mkfs.ext4", "-q", disk)
	return disk
}

// losePower records in a guest, and kills that a while after all recordings have
// begun to reach the disk.
func losePower(t *testing.T, dir, disk string, after time.Duration) {
	t.Helper()
	var films []string
	for i := range lossFiles {
		films = append(films, fmt.Sprintf("/run/%d %s/%d.log", i, dir, i))
	}
	pidFile := filepath.Join(dir, "pid")
	guest := exec.Command("../../../../fixtures/vm/vm", "run", "--timeout", "180", "--modules", "virtio_blk ext4", "--out", dir,
		"--disk", disk, "--pid-file", pidFile,
		"--env", "TBCAM_VIEW="+filepath.Join(harness.Bin, "tbcam-view"), "--env", "FILES="+strings.Join(lossFiles, " "),
		"--env", "INTERVAL="+lossInterval.String(), "--env", "FILMS="+os.Args[0], "--env", harness.FilmVariable+"="+strings.Join(films, ","),
		"--", "sh", "-c", inGuest)
	var output harness.Output
	guest.Stdout, guest.Stderr = &output, &output
	if err := guest.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = guest.Wait() // it fails, as it should
		close(ended)
	}()
	defer func() {
		_ = guest.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("output of the guest:\n%s", harness.Tail(output.String()))
		}
	}()
	harness.WaitUntil(t, "all recordings", func() bool {
		select {
		case <-ended:
			t.Fatal("the guest ended by itself")
		default:
		}
		return !slices.ContainsFunc([]int{0, 1, 2, 3, 4}, func(i int) bool { return acknowledged(t, fmt.Sprintf("%s/%d.json", dir, i)) < 10 })
	})
	time.Sleep(after)
	killQEMU(t, pidFile)
	<-ended
}

// killQEMU kills the process whose number is in a file.
func killQEMU(t *testing.T, pidFile string) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// acknowledged returns how many frames the statistics last reported on the disk.
func acknowledged(t *testing.T, path string) int {
	t.Helper()
	printed, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_, r := harness.ParseRecorder(string(printed))
	return int(r.Frames)
}

// readDisk repairs the file system as the next boot does, and returns a copy of what
// is on it.
func readDisk(t *testing.T, dir, disk string) string {
	t.Helper()
	const repaired = 1 // exit code of e2fsck(8)
	out, err := exec.Command("/sbin/e2fsck", "-fy", disk).CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.ExitCode() > repaired || err != nil && failed == nil {
		t.Fatalf("e2fsck: %v: %s", err, out)
	}
	found := filepath.Join(dir, "found")
	if err := os.Mkdir(found, 0o700); err != nil {
		t.Fatal(err)
	}
	harness.RunTool(t, "/sbin/debugfs", "-R", "rdump / "+found, disk)
	return found
}

// checkLoss repairs a recording and compares it with what was sent.
func checkLoss(t *testing.T, path string, sent []harness.SentLine, onDisk int) {
	t.Helper()
	p := harness.Start(t, nil, "tbcam-view", "repair", path)
	if code := p.WaitExit(); code != 0 {
		t.Errorf("repair %s: exit code %d: %s", path, code, p.Err.String())
	}
	frames, err := filepath.Glob(path + "/*.jpg") // of a directory, in order
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range frames {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, harness.HashFrame(data))
	}
	if got == nil {
		got = slices.Compact(harness.HashRecording(t, path)) // an AVI repeats frames
	}
	owed := 0
	for _, line := range sent {
		if line.At < sent[len(sent)-1].At-lossInterval {
			owed++
		}
	}
	t.Logf("%s: %d frames of %d, of which %d are owed and %d were acknowledged", filepath.Base(path), len(got), len(sent), owed, onDisk)
	if len(got) < max(owed, onDisk) || len(got) > len(sent) {
		t.Errorf("%s has %d frames", path, len(got))
	}
	for i := range min(len(got), len(sent)) {
		if got[i] != sent[i].Hash {
			t.Fatalf("%s: frame %d is not the one that was sent", path, i)
		}
	}
}
