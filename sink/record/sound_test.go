package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/container"
)

const soundPeriod = 30000 // samples after which the ramp starts again

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// block returns the block of a number, as captured with the first frame and after it:
// each sample is its number on a ramp.
func (f *film) block(n int) *capture.Frame {
	b := f.pool.Get(capture.Mono.BlockSize())
	for i := range capture.AudioBlock {
		binary.LittleEndian.PutUint16(b.Data[2*i:], uint16((n*capture.AudioBlock+i)%soundPeriod))
	}
	b.Format, b.Sequence = capture.Format{Audio: capture.Mono}, uint32(n)
	b.Time = f.start.Add(time.Duration(n) * capture.AudioPeriod)
	return b
}

// perform records frames at 25 fps with their audio, which comes later than they do.
func (f *film) perform(t testing.TB, r *Recorder, frames int, late time.Duration) {
	t.Helper()
	for range frames {
		at := time.Duration(f.shown) * 40 * time.Millisecond
		for n := f.blocks; ; n++ {
			if f.blocks = n; time.Duration(n)*capture.AudioPeriod+late > at {
				break
			}
			if err := r.Write(f.block(n), Gap{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Write(f.frame(at), Gap{}); err != nil {
			t.Fatal(err)
		}
	}
}

// heard returns the samples in a file.
func heard(t testing.TB, path string) []int16 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", path, "-map", "0:a", "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	samples := make([]int16, len(out)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(out[2*i:]))
	}
	return samples
}

// wantSound fails the test unless the samples are those of a time on the ramp on, but for
// the two that the resampler is late, and silence at either end.
func wantSound(t testing.TB, name string, samples []int16, from time.Duration, silent int) {
	t.Helper()
	first := int(capture.AudioSamples(from))
	wrong := 0
	for i, v := range samples {
		if want := (first + i - 2 + soundPeriod) % soundPeriod; int(v) != want && want > 4 {
			wrong++
		}
	}
	if wrong > silent+8 {
		t.Errorf("%s: %d of %d samples are not in their place", name, wrong, len(samples))
	}
}

// TestSoundInSegments: files are cut in both tracks together, and what one file lacks the
// next one has: no sample is lost or comes twice.
func TestSoundInSegments(t *testing.T) {
	for _, kind := range []container.Kind{container.Matroska, container.MP4, container.AVI} {
		dir := t.TempDir()
		f := newFilm(capture.Format{Pixel: capture.MJPEG, Width: 32, Height: 16})
		f.size = 500
		o := Options{Path: filepath.Join(dir, "a."+kind.String()), Kind: kind, Audio: capture.Mono, Segment: Limit{Time: 2 * time.Second}}
		r := begin(t, o, nil)
		f.perform(t, r, 200, 0)
		closed(t, r, f)
		if s := r.Stats(); s.Frames != 200 || s.Dropped != 0 {
			t.Errorf("%+v", s)
		}
		if names := files(t, dir); len(names) != 4 {
			t.Fatalf("%v: files %v", kind, names)
		}
		for i, name := range []string{"a", "a-2", "a-3", "a-4"} {
			name += "." + kind.String()
			samples := heard(t, filepath.Join(dir, name))
			// The last file ends with the last block before the last frame.
			if want := 2 * capture.AudioRate; i < 3 && len(samples) != want || i == 3 && len(samples) < want-3*capture.AudioRate/50 {
				t.Errorf("%v: %s has %d samples, want %d", kind, name, len(samples), want)
			}
			wantSound(t, fmt.Sprint(kind, " ", name), samples, time.Duration(i)*2*time.Second, 0)
		}
	}
}

// TestSoundIsLate: audio that comes after its frames is in its place nevertheless.
func TestSoundIsLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	f := newFilm(yuyv)
	r := begin(t, Options{Path: path, Audio: capture.Mono}, nil)
	f.perform(t, r, 100, 700*time.Millisecond)
	closed(t, r, f)
	samples := heard(t, path)
	if d := 4*time.Second - 700*time.Millisecond - capture.AudioDuration(int64(len(samples))); d.Abs() > 50*time.Millisecond {
		t.Errorf("%d samples", len(samples))
	}
	wantSound(t, "late", samples, 0, 0)
}

// TestSoundVanishes: silence of exact length is in the place of a microphone that was gone.
func TestSoundVanishes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	f := newFilm(yuyv)
	r := begin(t, Options{Path: path, Audio: capture.Mono}, nil)
	f.perform(t, r, 50, 0)
	for range 125 { // 5 s without a block
		noError(t, r.Write(f.frame(time.Duration(f.shown)*40*time.Millisecond), Gap{}))
	}
	f.blocks += 500
	f.perform(t, r, 50, 0)
	closed(t, r, f)
	samples := heard(t, path)
	if d := 9*time.Second - capture.AudioDuration(int64(len(samples))); d.Abs() > 50*time.Millisecond {
		t.Errorf("%d samples", len(samples))
	}
	wantSound(t, "vanished", samples, 0, 5*capture.AudioRate)
	if s := r.Stats().Audio; capture.AudioDuration(s.Silence-5*capture.AudioRate).Abs() > 50*time.Millisecond || s.Dropped > capture.AudioBlock {
		t.Errorf("%+v", s)
	}
}

// TestSoundPreRoll: the audio of before the start is in the file, from its first frame on.
func TestSoundPreRoll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	f := newFilm(yuyv)
	r := begin(t, Options{Path: path, Audio: capture.Mono, Waiting: true, PreRoll: time.Second}, nil)
	f.perform(t, r, 75, 0)
	r.Record(true)
	f.perform(t, r, 50, 0)
	closed(t, r, f)
	packets := probeFrames(t, path)
	from := time.Duration(125-packets) * 40 * time.Millisecond
	samples := heard(t, path)
	if packets < 74 || packets > 76 || len(samples) < (packets-2)*1920 || len(samples) > packets*1920 {
		t.Errorf("%d frames and %d samples", packets, len(samples))
	}
	wantSound(t, "pre-roll", samples, from, capture.AudioBlock)
}

// probeFrames returns how many frames are in a file.
func probeFrames(t testing.TB, path string) int {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts", "-of", "csv=p=0", path).Output()
	noError(t, err)
	lines := 0
	for _, b := range out {
		if b == '\n' {
			lines++
		}
	}
	return lines
}

// TestSoundAfterFailure: where a file was removed, the next one has both tracks in step.
func TestSoundAfterFailure(t *testing.T) {
	dir := t.TempDir()
	f := newFilm(yuyv)
	r := begin(t, Options{Path: filepath.Join(dir, "a.mkv"), Audio: capture.Mono, Sync: 20 * time.Millisecond}, nil)
	f.perform(t, r, 50, 0)
	for range 200 {
		if r.Stats().Frames == 50 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	noError(t, os.Remove(r.Stats().File))
	f.perform(t, r, 100, 0)
	for range 500 { // until it has noticed
		if r.Stats().Files == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	closed(t, r, f)
	names := files(t, dir)
	if len(names) != 1 {
		t.Fatalf("files %v", names)
	}
	path := filepath.Join(dir, names[0])
	from := time.Duration(150-probeFrames(t, path)) * 40 * time.Millisecond
	wantSound(t, "the next file", heard(t, path), from, 4*capture.AudioBlock)
}

// TestSoundConverted: blocks of one channel go into both of a track.
func TestSoundConverted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	f := newFilm(yuyv)
	r := begin(t, Options{Path: path, Audio: capture.Stereo}, nil)
	f.perform(t, r, 50, 0)
	closed(t, r, f)
	var left []int16
	for both := heard(t, path); len(both) > 0; both = both[2:] {
		if left = append(left, both[0]); both[0] != both[1] {
			t.Fatalf("sample %d is %d and %d", len(left), both[0], both[1])
		}
	}
	if d := 2*time.Second - capture.AudioDuration(int64(len(left))); d.Abs() > 50*time.Millisecond {
		t.Errorf("%d samples", len(left))
	}
	wantSound(t, "converted", left, 0, 0)
}

// TestSoundRefused: the blocks of a time-lapse, and those for which there is no track, go, and
// a kind without a place for audio is refused.
func TestSoundRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mkv")
	for _, o := range []Options{{Path: path}, {Path: path, Audio: capture.Mono, Every: time.Second}} {
		o.Force = true
		f := newFilm(yuyv)
		r := begin(t, o, nil)
		f.perform(t, r, 30, 0)
		closed(t, r, f)
	}
	if _, err := New(Options{Path: "a.mjpeg", Kind: container.MJPEG, Audio: capture.Mono}); !errors.Is(err, container.ErrNoAudio) {
		t.Error(err)
	}
}

// TestKeepRemovesSound: a directory goes with its audio.
func TestKeepRemovesSound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	noError(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"00000001.jpg", "frames.csv", "audio.wav"} {
		noError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	noError(t, removeSegment(segment{path: dir, dir: true}))
}
