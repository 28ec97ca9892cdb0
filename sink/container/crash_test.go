package container

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

var (
	kills    = flag.Int("kills", 40, "how many recordings of each container are killed")
	killSeed = flag.Uint64("killseed", 1, "the seed of the first one")
)

// Environment variables that make this program record into the file of the first
// one, with the seed of the second one, until it is killed.
const (
	killedFile = "TBCAM_TEST_KILLED_FILE"
	killedSeed = "TBCAM_TEST_KILLED_SEED"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(killedFile); path != "" {
		fmt.Fprintln(os.Stderr, recordUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// recordUntilKilled writes frames with a Flush or Sync in between now and then,
// and prints how many they were after each Sync.
func recordUntilKilled(path string) error {
	seed, err := strconv.ParseUint(os.Getenv(killedSeed), 10, 64)
	if err != nil {
		return err
	}
	kind, _ := ParseKind(filepath.Ext(path)[1:])
	w, err := Create(path, options(kind, jpegs))
	if err != nil {
		return err
	}
	var pool capture.Pool
	times := newTimes(seed)
	for n := 0; err == nil; n++ {
		data := sampleFrame(jpegs, n)
		f := pool.Get(len(data))
		copy(f.Data, data)
		if n%50 == 40 {
			err = w.Gap(capture.Lost{Driver: uint64(n)}, "")
		}
		if err == nil {
			err = w.Write(f, times.next())
		}
		f.Release()
		switch {
		case err != nil:
		case times.IntN(40) == 0:
			err = w.Sync()
			fmt.Println(n + 1)
		case times.IntN(20) == 0:
			err = w.Flush()
		}
		if times.IntN(4) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return err
}

// times are uneven: of a camera in changing light, sometimes with a gap.
type times struct {
	*rand.Rand
	at time.Duration
	n  int
}

func newTimes(seed uint64) *times { return &times{Rand: rand.New(rand.NewPCG(seed, 7))} }

// next returns the time of the next frame, in whole microseconds.
func (t *times) next() time.Duration {
	if t.n++; t.n == 1 {
		return 0
	}
	gap := 2*time.Millisecond + time.Duration(t.ExpFloat64()*float64(40*time.Millisecond))
	if t.IntN(60) == 0 {
		gap = time.Duration(t.Int64N(int64(3 * time.Second)))
	}
	t.at += max(gap, 2*time.Millisecond).Truncate(time.Microsecond)
	return t.at
}

// TestKilled kills recording processes. Each frame that a Sync had returned for
// is there, and what is there is in order and as it was given, before and after a
// repair. After it no program finds fault with the file.
func TestKilled(t *testing.T) {
	for kind := range kinds {
		t.Run(Kind(kind).String(), func(t *testing.T) {
			for i := range *kills {
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					t.Parallel()
					killed(t, Kind(kind), *killSeed+uint64(i))
				})
			}
		})
	}
}

func killed(t *testing.T, kind Kind, seed uint64) {
	t.Logf("-killseed %d", seed)
	path := filepath.Join(t.TempDir(), "a."+kind.String())
	safe := killAfter(t, path, seed)
	before := hashes(t, kind, path, "fatal")
	wantFrames(t, before[:max(safe, len(before)-1)], safe) // the last one may be torn
	report, err := Repair(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d frames were safe: %+v", safe, report)
	got := hashes(t, kind, path, "warning")
	wantFrames(t, got, safe)
	if len(got) != report.Frames {
		t.Errorf("%d frames are there, Repair reports %d", len(got), report.Frames)
	}
	if again, err := Repair(path); err != nil || !again.Whole {
		t.Errorf("repairing once more: %+v, %v", again, err)
	}
	remux(t, kind, path, got)
}

// killAfter kills a recording at a random moment, and returns how many frames it
// had reported safe.
func killAfter(t *testing.T, path string, seed uint64) (safe int) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), killedFile+"="+path, fmt.Sprintf("%s=%d", killedSeed, seed))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 8))
	lines := bufio.NewScanner(out)
	// The clock starts when the process has its first frames safe.
	for lines.Scan() {
		if safe == 0 {
			time.AfterFunc(time.Duration(random.Int64N(int64(200*time.Millisecond))), func() { c.Process.Kill() })
		}
		if safe, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
	}
	if c.Wait(); c.ProcessState.Exited() {
		t.Fatal("the recording ended by itself")
	}
	return safe
}

// hashes returns those of the frames that ffprobe finds; it may not report anything
// at a level.
func hashes(t *testing.T, kind Kind, path, level string) (all []string) {
	t.Helper()
	args := []string{"-v", level, "-of", "json", "-show_packets", "-show_entries", "packet=data_hash", "-show_data_hash", "sha256"}
	out := tool(t, "ffprobe", append(args, input(kind, path)...)...)
	var p probed
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	for _, packet := range p.Packets {
		all = append(all, packet.Hash)
	}
	return all
}

// input returns the arguments by which ffmpeg reads a recording.
func input(kind Kind, path string) []string {
	switch kind {
	case MJPEG:
		return []string{"-f", "mjpeg", "-i", path}
	case Directory:
		return []string{"-i", path + "/" + frameFile}
	}
	return []string{"-i", path}
}

// wantFrames fails the test unless there are at least so many frames and all
// are those of recordUntilKilled.
func wantFrames(t *testing.T, got []string, least int) {
	t.Helper()
	if len(got) < least {
		t.Fatalf("%d frames, want at least %d", len(got), least)
	}
	for i, hash := range got {
		if want := hashOf(sampleFrame(jpegs, i)); hash != want {
			t.Fatalf("frame %d has %s, want %s", i, hash, want)
		}
	}
}

// remux has ffmpeg copy a recording, which must not make it warn, and compares the
// hashes of all frames.
func remux(t *testing.T, kind Kind, path string, want []string) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.mkv")
	var outputs []string
	for _, in := range [][]string{input(kind, path), {"-i", copied}} {
		args := append([]string{"-v", "warning"}, in...)
		args = append(args, "-map", "0:v", "-c", "copy", "-f", "framehash", "-hash", "sha256", "-")
		if len(outputs) == 0 {
			args = append(args, "-map", "0:v", "-c", "copy", copied)
		}
		outputs = append(outputs, tool(t, "ffmpeg", args...))
	}
	for _, out := range outputs {
		var got []string
		for line := range strings.Lines(out) {
			if fields := strings.Split(line, ","); !strings.HasPrefix(line, "#") {
				got = append(got, "SHA256:"+strings.TrimSpace(fields[len(fields)-1]))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d frame hashes differ from those of %d frames", len(got), len(want))
		}
	}
}
