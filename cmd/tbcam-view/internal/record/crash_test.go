package record

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// killedFile is the environment variable that makes this program record into the
// file it names until somebody kills it.
const killedFile = "TBCAM_TEST_KILLED_FILE"

// recordUntilKilled records a camera of 30 fps, and prints the time of each
// frame in ms once it is handed over.
func recordUntilKilled(path string) {
	r, err := Create(path, Options{})
	film := newFilm(mjpeg)
	for err == nil {
		after := time.Since(film.start)
		if len(film.want) == 0 {
			after = 0
		}
		err = r.Write(film.frame(after))
		fmt.Println(film.want[len(film.want)-1].At)
		time.Sleep(time.Second / 30)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilled kills a recording process: all but the last second is there.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.mkv")
	given := killAfter(t, path, 3300)
	got := probe(t, path).Packets
	const writing = 300 // ms, the most that a loaded machine takes for it
	last := got[len(got)-1].At
	lost := given[len(given)-1] - last
	t.Logf("%d of %d frames are there, the last %d ms are lost", len(got), len(given), lost)
	if lost > syncInterval.Milliseconds()+writing {
		t.Errorf("the last %d ms are lost", lost)
	}
	var want []packet
	for i := range got {
		want = append(want, packet{given[i], hashOf(picture(mjpeg, i))})
	}
	wantPackets(t, path, want)
	tool(t, "ffmpeg", "-v", "error", "-i", path, "-f", "null", "-")
}

// killAfter kills a recording that is so many ms long, and returns the times (ms)
// of the frames it was given.
func killAfter(t *testing.T, path string, length int64) (given []int64) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), killedFile+"="+path)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var at int64
		if _, err := fmt.Sscan(lines.Text(), &at); err != nil {
			t.Fatal(err)
		}
		if given = append(given, at); at >= length {
			return given
		}
	}
	t.Fatal("the recording ended by itself")
	return nil
}

// TestDiskFull: the recording up to the last whole cluster stays, complete with
// its index, and the error is the caller's to tell.
func TestDiskFull(t *testing.T) {
	dir, full := smallDisk(t, 4<<20)
	path := filepath.Join(dir, "a.mkv")
	log, lines := logged()
	r := start(t, path, Options{Log: log})
	film := newFilm(yuyv)
	err := writeUntilError(r, film)
	if closeErr := r.Close(); !errors.Is(err, full) || closeErr != err {
		t.Errorf("Write returned %v and Close %v, want both %v", err, closeErr, full)
	}
	s := r.Stats()
	if s.Frames < 60 || s.Queued != 0 || s.Frames+s.Dropped != uint64(len(film.want)) {
		t.Errorf("%+v of %d frames", s, len(film.want))
	}
	wantPackets(t, path, film.want[:s.Frames])
	if p, _ := parse(t, path); p.Segment.Cues == nil || p.Segment.Info.Duration < 2000 {
		t.Error("the file is not seekable")
	}
	if lines.String() != "" {
		t.Errorf("the recorder tells it, too: %s", lines)
	}
	film.allReleased(t)
}

// writeUntilError writes at thirty times the pace of a camera.
func writeUntilError(r *Recorder, f *film) (err error) {
	for err == nil {
		err = r.Write(f.frame(time.Duration(len(f.want)) * time.Second / 30))
		time.Sleep(time.Millisecond)
	}
	return err
}

// TestNoRoomAtAll: not for the header of the file, or not for a picture.
func TestNoRoomAtAll(t *testing.T) {
	for _, room := range []uint64{100, 2000} {
		path := filepath.Join(t.TempDir(), "a.mkv")
		limitFiles(t, room)
		r := start(t, path, Options{})
		film := newFilm(yuyv)
		if err := writeUntilError(r, film); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("Write returned %v", err)
		}
		r.Close()
		if !gone(path) {
			t.Errorf("a useless file of %d bytes is left", room)
		}
		film.allReleased(t)
	}
}
