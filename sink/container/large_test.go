package container

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// sparse is a disk that leaves holes for zeros, so that large files need no room.
type sparse struct{ osFile }

var zeros [4096]byte

func (s sparse) WriteAt(b []byte, at int64) (int, error) {
	for n := 0; n < len(b); {
		block := b[n:min(n+len(zeros), len(b))]
		if !bytes.Equal(block, zeros[:len(block)]) {
			if _, err := s.osFile.WriteAt(block, at+int64(n)); err != nil {
				return n, err
			}
		}
		n += len(block)
	}
	return len(b), nil
}

func (s sparse) Sync() error { return nil }

// sparsely begins a recording in a sparse file.
func sparsely(t *testing.T, kind Kind) (Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a."+kind.String())
	f, err := os.Create(path)
	must(t, err)
	w, err := openKind(&file{disk: sparse{osFile{f}}, path: path, seekable: true, named: true}, options(kind, jpegs))
	must(t, err)
	return w, path
}

// TestLargeFiles: beyond 4 GiB every frame is where its index points, and ffmpeg
// finds it there.
func TestLargeFiles(t *testing.T) {
	const frames, size = 1040, 4<<20 + 1 // the odd length has AVI pad
	for _, kind := range []Kind{Matroska, MP4, AVI} {
		t.Run(kind.String(), func(t *testing.T) {
			w, path := sparsely(t, kind)
			data := make([]byte, size)
			for i := range frames {
				copy(data, sampleFrame(jpegs, i%200)) // what remains of longer ones is behind EOI
				must(t, w.Write(&capture.Frame{Data: data}, time.Duration(i)*100*time.Millisecond))
			}
			must(t, w.Close())
			info, err := os.Stat(path)
			if err != nil || info.Size() < 1<<32 {
				t.Fatalf("%d bytes, want more than 4 GiB (%v)", info.Size(), err)
			}
			for _, i := range []int{3, 400, 700, 1038} {
				wantSought(t, kind, path, i, size)
			}
			report, err := Repair(path)
			if err != nil || !report.Whole || report.Frames != frames {
				t.Errorf("Repair found %+v, %v", report, err)
			}
			if kind == AVI {
				wantOpenDML(t, path, frames*3-2, 5) // 10 frames a second in 30 slots
			}
		})
	}
}

// wantSought seeks the i-th frame and checks the first one that ffprobe then
// finds: it begins as it does, and is not more than one index entry away.
func wantSought(t *testing.T, kind Kind, path string, i, size int) {
	t.Helper()
	at := fmt.Sprintf("%.3f%%+#1", float64(i)/10+0.01)
	out := tool(t, "ffprobe", "-v", "warning", "-of", "json", "-show_packets", "-probesize", "100M", "-read_intervals", at, path)
	var p struct {
		Packets []struct {
			Time string `json:"pts_time"`
			Size string `json:"size"`
			Pos  string `json:"pos"`
		} `json:"packets"`
	}
	must(t, json.Unmarshal([]byte(out), &p))
	if len(p.Packets) != 1 || p.Packets[0].Size != strconv.Itoa(size) {
		t.Fatalf("%v", p)
	}
	found, err := strconv.ParseFloat(p.Packets[0].Time, 64)
	must(t, err)
	n := int(found*10 + 0.5)
	if n > i || n < i-10 {
		t.Errorf("sought frame %d, found %d", i, n)
	}
	pos, err := strconv.ParseInt(p.Packets[0].Pos, 10, 64)
	must(t, err)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	want := sampleFrame(jpegs, n%200)
	got := make([]byte, len(want)+64)
	if _, err := f.ReadAt(got, pos); err != nil || !bytes.Contains(got, want) {
		t.Errorf("at %d is not frame %d (%v)", pos, n, err)
	}
}

// wantOpenDML goes through all indexes of an AVI file as OpenDML describes them.
func wantOpenDML(t *testing.T, path string, frames, parts int) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	read := func(at int64, n uint32) []byte {
		b := make([]byte, n)
		if _, err := f.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		return b
	}
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	head := read(0, allAt+4)
	if n := int(u32(head[entriesAt:])); n != parts {
		t.Errorf("%d parts, want %d", n, parts)
	}
	total := 0
	for i := range parts {
		super := head[superAt+i*superEntry:]
		at := int64(u64(super))
		ix := read(at, u32(super[8:]))
		if string(ix[:4]) != "ix00" || u32(ix[4:]) != uint32(len(ix)-8) || string(ix[16:20]) != "00dc" {
			t.Fatalf("no index at %d", at)
		}
		base, n := int64(u64(ix[20:])), int(u32(ix[12:]))
		if n != int(u32(super[12:])) {
			t.Errorf("part %d has %d entries and %d frames", i, n, u32(super[12:]))
		}
		if riff := read(base, 12); string(riff[:4]) != "RIFF" || u32(riff[4:]) > 1<<30 {
			t.Errorf("part %d begins with %q", i, riff)
		}
		for e := range n {
			entry := ix[32+8*e:]
			chunk := read(base+int64(u32(entry))-8, 8)
			if string(chunk[:4]) != "00dc" || u32(chunk[4:]) != u32(entry[4:])&^noKey {
				t.Fatalf("entry %d of part %d leads to %q", e, i, chunk)
			}
		}
		total += n
	}
	if total != frames || int(u32(head[allAt:])) != frames || int(u32(head[lengthAt:])) != frames {
		t.Errorf("%d frames in the indexes, %d and %d in the headers, want %d", total, u32(head[allAt:]), u32(head[lengthAt:]), frames)
	}
}

// TestManyParts plays an AVI of many RIFF chunks, whole, interrupted and torn.
func TestManyParts(t *testing.T) {
	defer func(size int64) { riffSize = size }(riffSize)
	riffSize = 100 << 10
	f := uneven(t, AVI, jpegs, 200)
	want := f.expected(AVI)
	wantPackets(t, AVI, f.path, want)
	wantDemuxed(t, AVI, f.path, "image/jpeg", want)
	whole, err := os.ReadFile(f.path)
	must(t, err)
	parts := bytes.Count(whole, []byte("AVIXLIST"))
	if parts < 10 {
		t.Fatalf("only %d further parts", parts)
	}
	at := -1
	for i := range parts { // cut next to where each part begins
		at += 1 + bytes.Index(whole[at+1:], []byte("AVIXLIST"))
		for _, by := range []int{-3000, -9, -8, -1, 0, 15, 16, 30, 7000} {
			cut := at + by
			torn(t, fmt.Sprintf("part %d, cut by %d", i, by), whole[:cut], countBefore(ends(t, whole, 200), cut))
		}
	}
	cut := filepath.Join(t.TempDir(), "cut.avi")
	must(t, os.WriteFile(cut, whole[:at+16], 0o600))
	report, err := Repair(cut)
	must(t, err)
	wantPackets(t, AVI, cut, want[:report.Frames])
}

func countBefore(ends []int, cut int) (n int) {
	for n < len(ends) && ends[n] <= cut {
		n++
	}
	return n
}

// TestHours: five hours of uneven times come back exactly, with a pause longer than
// MP4 has a duration for.
func TestHours(t *testing.T) {
	for _, kind := range []Kind{Matroska, MP4} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			w, path := sparsely(t, kind)
			var want []int64
			times := newTimes(5)
			pause := time.Duration(0)
			for at := times.next(); at < 5*time.Hour; {
				data := []byte("no JPEG, but it is not parsed")
				if len(want) < 100 { // ffprobe does into the first ones
					data = sampleFrame(jpegs, len(want))
				}
				must(t, w.Write(&capture.Frame{Data: data}, at))
				want = append(want, int64(at.Round(unit[kind])/unit[kind]))
				if pause == 0 && at > 2*time.Hour {
					pause = 90 * time.Minute
				}
				at = times.next() + pause
			}
			must(t, w.Close())
			got := timesOf(t, path)
			if len(got) != len(want) {
				t.Fatalf("%d frames, want %d", len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("frame %d is at %d, want %d", i, got[i], want[i])
				}
			}
			t.Logf("%d frames", len(got))
		})
	}
}

// timesOf returns the times that ffprobe finds.
func timesOf(t *testing.T, path string) (all []int64) {
	t.Helper()
	out := tool(t, "ffprobe", "-v", "warning", "-show_entries", "packet=pts", "-of", "csv=p=0", path)
	for line := range strings.Lines(out) {
		at, err := strconv.ParseInt(strings.Trim(line, ",\n"), 10, 64)
		must(t, err)
		all = append(all, at)
	}
	return all
}
