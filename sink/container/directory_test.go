package container

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

func readTimes(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, timesFile))
	must(t, err)
	return string(data)
}

func TestDirectory(t *testing.T) {
	f := shoot(t, Directory, jpegs)
	f.add(0)
	f.add(33_333 * time.Microsecond)
	must(t, f.Gap(capture.Lost{Driver: 2}, `a "pause"`))
	f.add(2 * time.Hour)
	f.close()
	const want = `file,seconds,captured,gap
00000001.jpg,0.000000,2026-07-01T10:00:00.250000Z,
00000002.jpg,0.033333,2026-07-01T10:00:00.283333Z,
00000003.jpg,7200.000000,2026-07-01T12:00:00.250000Z,"2 dropped at the camera, a ""pause"""
`
	if got := readTimes(t, f.path); got != want {
		t.Errorf("frames.csv is\n%s\nwant\n%s", got, want)
	}
	for i := range 3 {
		data, err := os.ReadFile(filepath.Join(f.path, fmt.Sprintf(frameFile, i+1)))
		if err != nil || !bytes.Equal(data, sampleFrame(jpegs, i)) {
			t.Errorf("frame %d is another one (%v)", i+1, err)
		}
	}
	if r, err := Repair(f.path); err != nil || !r.Whole || r.Frames != 3 || r.Duration != 2*time.Hour {
		t.Errorf("Repair: %+v, %v", r, err)
	}
}

// TestDirectoryForce replaces the recording, and nothing else.
func TestDirectoryForce(t *testing.T) {
	f := shoot(t, Directory, jpegs)
	for i := range 5 {
		f.add(time.Duration(i) * time.Second)
	}
	f.close()
	other := filepath.Join(f.path, "notes.txt")
	must(t, os.WriteFile(other, nil, 0o600))
	o := options(Directory, jpegs)
	o.Force = true
	w, err := Create(f.path+"/", o)
	must(t, err)
	must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 9)}, 0))
	must(t, w.Close())
	names, err := listFrames(f.path)
	if err != nil || len(names) != 1 || strings.Count(readTimes(t, f.path), "\n") != 2 {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

// TestDirectoryFull: a frame that does not fit leaves nothing, and can be tried
// again.
func TestDirectoryFull(t *testing.T) {
	f := shoot(t, Directory, jpegs)
	f.add(0)
	restore := limitFiles(t, 1000)
	frame := &capture.Frame{Data: sampleFrame(jpegs, 1)}
	for range 2 {
		if err := f.Write(frame, time.Second); !errors.Is(err, syscall.EFBIG) {
			t.Error(err)
		}
	}
	if names, err := listFrames(f.path); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	restore()
	f.add(time.Second)
	f.close()
	if r, err := Repair(f.path); err != nil || !r.Whole || r.Frames != 2 {
		t.Errorf("Repair: %+v, %v", r, err)
	}
}

// TestDirectoryUnsynced: many frames without a Sync are no problem.
func TestDirectoryUnsynced(t *testing.T) {
	f := shoot(t, Directory, jpegs)
	for i := range maxUnsynced + 10 {
		must(t, f.Write(&capture.Frame{Data: []byte{1}}, time.Duration(i)*time.Millisecond))
	}
	must(t, f.Sync())
	if n := strings.Count(readTimes(t, f.path), "\n"); n != maxUnsynced+11 {
		t.Errorf("%d lines", n)
	}
}

// damagedDirectories change a recording of five frames, and expect what a repair leaves.
var damagedDirectories = []struct {
	name   string
	damage func(t *testing.T, dir, csv string) (newCSV string)
	frames int
	lines  int // of frames.csv that hold a time
}{
	{"whole", func(_ *testing.T, _, csv string) string { return csv }, 5, 5},
	{"a line is missing", func(_ *testing.T, _, csv string) string { return csv[:strings.LastIndex(csv, "00000005")] }, 5, 4},
	{"a line is torn", func(_ *testing.T, _, csv string) string { return csv[:len(csv)-4] }, 5, 4},
	{"zeros for lines", func(_ *testing.T, _, csv string) string { return csv[:len(csv)-40] + strings.Repeat("\x00", 9000) }, 5, 4},
	{"no line at all", func(_ *testing.T, _, csv string) string { return "file,seconds,captured,gap\n" }, 5, 0},
	{"no header", func(_ *testing.T, _, csv string) string { return "" }, 5, 0},
	{"the next frame is torn", func(t *testing.T, dir, csv string) string {
		must(t, os.WriteFile(dir+"/00000006.jpg", sampleFrame(jpegs, 5)[:2000], 0o600))
		return csv
	}, 5, 5},
	{"the next frame is empty", func(t *testing.T, dir, csv string) string {
		must(t, os.WriteFile(dir+"/00000006.jpg", nil, 0o600))
		return csv
	}, 5, 5},
	{"two more frames", func(t *testing.T, dir, csv string) string {
		must(t, os.WriteFile(dir+"/00000006.jpg", sampleFrame(jpegs, 5), 0o600))
		must(t, os.WriteFile(dir+"/00000007.jpg", sampleFrame(jpegs, 6), 0o600))
		return csv
	}, 7, 5},
	{"the last frame is lost", func(t *testing.T, dir, csv string) string {
		must(t, os.Remove(dir+"/00000005.jpg"))
		return csv
	}, 4, 4},
	{"the data of two frames are lost", func(t *testing.T, dir, csv string) string {
		must(t, os.WriteFile(dir+"/00000005.jpg", make([]byte, 5000), 0o600))
		must(t, os.WriteFile(dir+"/00000004.jpg", append(sampleFrame(jpegs, 3)[:4000], 0, 0), 0o600))
		return csv
	}, 3, 3},
	{"another file", func(t *testing.T, dir, csv string) string {
		must(t, os.WriteFile(dir+"/00000006.png", nil, 0o600))
		return csv
	}, 5, 5},
}

// TestRepairDirectory: each case is what a kill or a loss of power may leave of a
// recording of five frames.
func TestRepairDirectory(t *testing.T) {
	for _, c := range damagedDirectories {
		f := shoot(t, Directory, jpegs)
		for i := range 5 {
			f.add(time.Duration(i) * time.Second)
		}
		f.close()
		csv := readTimes(t, f.path)
		damaged := c.damage(t, f.path, csv)
		must(t, os.WriteFile(filepath.Join(f.path, timesFile), []byte(damaged), 0o600))
		r, err := Repair(f.path)
		if err != nil || r.Frames != c.frames || r.Whole != (c.name == "whole" || c.name == "another file") {
			t.Errorf("%s: %+v, %v, want %d frames", c.name, r, err, c.frames)
			continue
		}
		names, err := listFrames(f.path)
		got := readTimes(t, f.path)
		if err != nil || len(names) != c.frames || strings.Count(got, "\n") != c.frames+1 || strings.Count(got, "Z,") != c.lines {
			t.Errorf("%s: %v, frames.csv is\n%s", c.name, names, got)
		}
		if again, err := Repair(f.path); err != nil || !again.Whole || again.Frames != c.frames {
			t.Errorf("%s: repaired once more: %+v, %v", c.name, again, err)
		}
	}
}

// TestRepairLongDirectory: also when all lines that are looked at are dropped.
func TestRepairLongDirectory(t *testing.T) {
	f := shoot(t, Directory, jpegs)
	for i := range 3 * maxTail {
		must(t, f.Write(&capture.Frame{Data: sampleFrame(jpegs, 0)}, time.Duration(i)*time.Second))
	}
	f.close()
	for i := 10; i < 3*maxTail; i++ {
		must(t, os.Remove(filepath.Join(f.path, fmt.Sprintf(frameFile, i+1))))
	}
	for range 10 {
		r, err := Repair(f.path)
		must(t, err)
		if r.Whole {
			break
		}
	}
	if r, err := Repair(f.path); err != nil || r.Frames != 10 || strings.Count(readTimes(t, f.path), "\n") != 11 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRepairDirectoryRefuses(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "00000001.jpg"), []byte("torn"), 0o600))
	if _, err := Repair(dir); !errors.Is(err, ErrNotRecording) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without frames.csv: %v", err)
	}
	for _, text := range []string{"name,time\n", "file,seconds,captured,gap\n../../etc/passwd,0,0,\n", "file,seconds,captured,gap\n00000002.jpg,0,0,\n00000001.jpg,0,0,\n"} {
		must(t, os.WriteFile(filepath.Join(dir, timesFile), []byte(text), 0o600))
		if _, err := Repair(dir); !errors.Is(err, ErrNotRecording) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if names, err := listFrames(dir); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}

// FuzzRepairDirectory: whatever is in frames.csv, a repair ends, and a further one
// finds nothing to do.
func FuzzRepairDirectory(f *testing.F) {
	f.Add("file,seconds,captured,gap\n00000001.jpg,0.000000,2026-07-01T10:00:00.250000Z,\n00000002.jpg,1,,\"a, b\"\n")
	f.Add("file,seconds,captured,gap\n00000009.jpg,,,\n00000010.jpg")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, timesFile), []byte(text), 0o600))
		for i := range 3 {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf(frameFile, i+1)), sampleFrame(jpegs, i), 0o600))
		}
		first, err := Repair(dir)
		if err != nil {
			return
		}
		again, err := Repair(dir)
		if err != nil || !again.Whole || again.Frames != first.Frames {
			t.Errorf("%+v, but repaired once more %+v, %v", first, again, err)
		}
	})
}
