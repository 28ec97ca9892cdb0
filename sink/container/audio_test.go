package container

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// withAudio are the kinds that hold audio, fileWithAudio those that are one file.
var (
	withAudio     = []Kind{Matroska, MP4, AVI, Directory}
	fileWithAudio = withAudio[:3]
)

// sound returns samples of a tone in noise, of a time on, of all channels.
func sound(format capture.AudioFormat, from, n int) []byte {
	var b []byte
	random := rand.New(rand.NewPCG(5, uint64(from)))
	for i := from; i < from+n; i++ {
		for c := range format.Channels {
			v := 8000*math.Sin(float64(i)/(7+float64(c))) + float64(random.IntN(200))
			b = binary.LittleEndian.AppendUint16(b, uint16(int16(v)))
		}
	}
	return b
}

// performance writes frames at uneven times, with audio up to each of them in blocks of
// uneven size, and returns all samples.
func performance(t testing.TB, w Writer, format capture.AudioFormat, frames int) (samples []byte) {
	t.Helper()
	times := newTimes(3)
	random := rand.New(rand.NewPCG(6, 6))
	written := 0
	for i := range frames {
		at := times.next()
		for n := int(capture.AudioSamples(at)) - written; n > 0; n = int(capture.AudioSamples(at)) - written {
			n = min(n, 470+random.IntN(20))
			block := sound(format, written, n)
			must(t, w.WriteAudio(block))
			samples = append(samples, block...)
			written += n
		}
		if i == frames/2 {
			must(t, w.Gap(capture.Lost{Driver: 7}, "cable"))
		}
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, i)}, at))
	}
	return samples
}

func audioOptions(kind Kind, format capture.AudioFormat) Options {
	o := options(kind, jpegs)
	o.Audio = format
	return o
}

// record makes a recording with audio.
func record(t testing.TB, kind Kind, format capture.AudioFormat, frames int) (path string, samples []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a."+kind.String())
	w, err := Create(path, audioOptions(kind, format))
	must(t, err)
	samples = performance(t, w, format, frames)
	must(t, w.Close())
	return path, samples
}

// audioPath returns the file that has the audio of a recording.
func audioPath(kind Kind, path string) string {
	if kind == Directory {
		return filepath.Join(path, audioFile)
	}
	return path
}

// decodeAudio returns the samples that ffmpeg finds, without an error. It warns of all PCM
// that its channels are guessed.
func decodeAudio(t testing.TB, path string) []byte {
	t.Helper()
	return []byte(tool(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-map", "0:a", "-f", "s16le", "-"))
}

// TestAudioRoundTrip: ffmpeg finds each sample in its place, each frame with its time,
// and copies both tracks without a warning into the same container.
func TestAudioRoundTrip(t *testing.T) {
	for _, kind := range withAudio {
		for _, format := range []capture.AudioFormat{capture.Mono, capture.Stereo} {
			t.Run(fmt.Sprintf("%v, %v", kind, format), func(t *testing.T) {
				t.Parallel()
				path, samples := record(t, kind, format, 120)
				if got := decodeAudio(t, audioPath(kind, path)); !bytes.Equal(got, samples) {
					t.Errorf("ffmpeg finds %d bytes of audio, want %d", len(got), len(samples))
				}
				if kind != Directory {
					checkAudioTimes(t, kind, path, format, len(samples)/format.SampleSize())
					copied := filepath.Join(t.TempDir(), "copy."+kind.String())
					// It warns of all PCM that it has to guess which channels these are. FLAC in
					// MP4 is an experiment for it, of which it warns in its own files, too.
					level := map[bool]string{true: "error", false: "warning"}[kind == MP4]
					tool(t, "ffmpeg", "-v", level, "-guess_layout_max", "0", "-i", path, "-map", "0", "-c", "copy", "-strict", "experimental", copied)
					if got := decodeAudio(t, copied); !bytes.Equal(got, samples) {
						t.Errorf("the copy has %d bytes of audio, want %d", len(got), len(samples))
					}
				}
				if got := hashes(t, kind, path, "warning"); kind == Directory && len(got) != 120 {
					t.Errorf("%d frames", len(got))
				}
			})
		}
	}
}

// checkAudioTimes fails the test unless each packet of audio has the time of its first
// sample. How many samples a packet has only PCM shows; FLAC frames have 4096 at most.
func checkAudioTimes(t *testing.T, kind Kind, path string, format capture.AudioFormat, total int) {
	t.Helper()
	out := tool(t, "ffprobe", "-v", "warning", "-of", "json", "-show_packets", "-select_streams", "a", path)
	var found struct {
		Packets []struct {
			Time string `json:"pts_time"`
			Size string `json:"size"`
		} `json:"packets"`
	}
	must(t, json.Unmarshal([]byte(out), &found))
	samples, last := 0, 0.0
	for _, p := range found.Packets {
		var at float64
		var size int
		fmt.Sscan(p.Time, &at)
		fmt.Sscan(p.Size, &size)
		want := float64(samples) / capture.AudioRate
		if d := math.Abs(at - want); kind != MP4 && d > 0.00051 { // Matroska rounds to a millisecond
			t.Fatalf("audio at %v belongs to %v", at, want)
		}
		if step := at - last; kind == MP4 && (step > largestFLAC/48000.0+1e-5 || step < 0) {
			t.Fatalf("audio at %v comes behind %v", at, last)
		}
		samples += size / format.SampleSize()
		last = at
	}
	if end := float64(total) / capture.AudioRate; last < end-0.1 || last > end {
		t.Errorf("the last packet is at %v of %v", last, end)
	}
}

// TestAudioPlays: mpv and GStreamer play both tracks to their end.
func TestAudioPlays(t *testing.T) {
	for _, kind := range fileWithAudio {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			path, samples := record(t, kind, capture.Mono, 60)
			dir := t.TempDir()
			tool(t, "mpv", "--no-config", "--msg-level=all=warn", "--untimed", "--vo=null", "--ao=pcm", "--ao-pcm-file="+dir+"/mpv.wav", path)
			heard, err := os.ReadFile(dir + "/mpv.wav")
			must(t, err)
			if !bytes.Contains(heard, samples[:len(samples)/2]) || len(heard) < len(samples) {
				t.Errorf("mpv plays %d bytes of audio, want %d", len(heard), len(samples))
			}
			decode := "identity"
			if kind == MP4 {
				decode = "flacparse ! flacdec"
			}
			args := fmt.Sprintf("-q filesrc location=%s ! %s name=d d.audio_0 ! queue ! %s ! audioconvert ! audio/x-raw,format=S16LE ! filesink location=%s/gst.raw d.video_0 ! queue ! jpegdec ! fakesink",
				path, demuxers[kind], decode, dir)
			tool(t, "gst-launch-1.0", strings.Fields(args)...)
			if got, err := os.ReadFile(dir + "/gst.raw"); err != nil || !bytes.Equal(got, samples) {
				t.Errorf("GStreamer plays %d bytes of audio, want %d (%v)", len(got), len(samples), err)
			}
		})
	}
}

// interruptedWithAudio returns what a recording with audio is before its end, and after it.
func interruptedWithAudio(t testing.TB, kind Kind, frames int) (interrupted, ended, samples []byte) {
	t.Helper()
	disk := newMemory(nil)
	w, err := openKind(&file{disk: disk, seekable: true, named: true}, audioOptions(kind, capture.Stereo))
	must(t, err)
	samples = performance(t, w, capture.Stereo, frames)
	must(t, w.Flush())
	interrupted = bytes.Clone(disk.data)
	must(t, w.Close())
	return interrupted, disk.data, samples
}

// TestAudioRepairIsTheProperEnd: of both tracks.
func TestAudioRepairIsTheProperEnd(t *testing.T) {
	for _, kind := range fileWithAudio {
		interrupted, ended, _ := interruptedWithAudio(t, kind, 100)
		disk := newMemory(interrupted)
		report, err := repairFile(disk, int64(len(interrupted)))
		if err != nil || report.Frames != 100 || report.Cut != 0 {
			t.Errorf("%v: %+v, %v", kind, report, err)
		}
		if !bytes.Equal(disk.data, ended) {
			t.Errorf("%v: the repaired file is another one", kind)
		}
		if again, err := repairFile(disk, int64(len(ended))); err != nil || !again.Whole {
			t.Errorf("%v: repaired once more: %+v, %v", kind, again, err)
		}
	}
}

// TestAudioRepairTorn cuts recordings anywhere: what is before the cut stays, the tracks
// end within two seconds of each other, and players find nothing to complain of.
func TestAudioRepairTorn(t *testing.T) {
	for _, kind := range fileWithAudio {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			interrupted, ended, samples := interruptedWithAudio(t, kind, 60)
			for seed := range uint64(40) {
				random := rand.New(rand.NewPCG(seed, 9))
				data := [][]byte{interrupted, ended}[seed%2]
				data = data[:len(data)/4+random.IntN(len(data)*3/4)]
				if seed%4 == 3 {
					data = append(bytes.Clone(data), make([]byte, random.IntN(9000))...)
				}
				disk := newMemory(data)
				report, err := repairFile(disk, int64(len(data)))
				must(t, err)
				if again, err := repairFile(disk, int64(len(disk.data))); err != nil || !again.Whole {
					t.Fatalf("seed %d: repaired once more: %+v, %v", seed, again, err)
				}
				if seed%4 != 0 {
					continue // ffmpeg takes its time
				}
				path := filepath.Join(t.TempDir(), "a."+kind.String())
				must(t, os.WriteFile(path, disk.data, 0o600))
				got := decodeAudio(t, path)
				if !bytes.HasPrefix(samples, got) {
					t.Errorf("seed %d: audio is another one", seed)
				}
				heard := capture.AudioDuration(int64(len(got) / capture.Stereo.SampleSize()))
				if d := (report.Duration - heard).Abs(); d > 4*time.Second {
					t.Errorf("seed %d: %v of audio in %v", seed, heard, report.Duration)
				}
			}
		})
	}
}

// TestAudioRepairLostData: FLAC frames that did not reach the disk are not kept.
func TestAudioRepairLostData(t *testing.T) {
	interrupted, _, samples := interruptedWithAudio(t, MP4, 60)
	clear(interrupted[len(interrupted)-5000:]) // the audio is last
	path := filepath.Join(t.TempDir(), "a.mp4")
	must(t, os.WriteFile(path, interrupted, 0o600))
	report, err := Repair(path)
	must(t, err)
	got := decodeAudio(t, path)
	if report.Frames != 60 || !bytes.HasPrefix(samples, got) || len(got) < len(samples)/2 || len(got) == len(samples) {
		t.Errorf("%+v, %d of %d bytes of audio", report, len(got), len(samples))
	}
}

// TestAudioWAVRepair: a directory whose recorder was killed has a head that is too small,
// and half a sample.
func TestAudioWAVRepair(t *testing.T) {
	path, samples := record(t, Directory, capture.Stereo, 20)
	name := filepath.Join(path, audioFile)
	data, err := os.ReadFile(name)
	must(t, err)
	torn := append(wavHeader(capture.Stereo, 400), data[wavHead:]...)
	must(t, os.WriteFile(name, append(torn, 1, 2, 3), 0o600))
	report, err := Repair(path)
	if err != nil || report.Whole || report.Frames != 20 {
		t.Errorf("%+v, %v", report, err)
	}
	if got, _ := os.ReadFile(name); !bytes.Equal(got, data) || !bytes.Equal(data[wavHead:], samples) {
		t.Error("the repaired file is another one")
	}
	if report, err = Repair(path); err != nil || !report.Whole {
		t.Errorf("repaired once more: %+v, %v", report, err)
	}
}

// TestAudioParts: each part of a large AVI has an index of both streams, by which ffmpeg
// seeks.
func TestAudioParts(t *testing.T) {
	defer func(size int64) { riffSize = size }(riffSize)
	riffSize = 400 << 10
	path, samples := record(t, AVI, capture.Stereo, 150)
	if got := decodeAudio(t, path); !bytes.Equal(got, samples) {
		t.Errorf("ffmpeg finds %d bytes of audio, want %d", len(got), len(samples))
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if n := bytes.Count(data, []byte(audioIx)); n < 3 {
		t.Errorf("%d indexes of audio", n)
	}
	interrupted := data[:len(data)*2/3]
	must(t, os.WriteFile(path, interrupted, 0o600))
	_, err = Repair(path)
	must(t, err)
	if got := decodeAudio(t, path); !bytes.HasPrefix(samples, got) || len(got) < len(samples)/2 {
		t.Errorf("repaired: %d of %d bytes of audio", len(got), len(samples))
	}
}

// TestAudioRefused: what has no place for audio is refused before it makes a file.
func TestAudioRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mjpeg")
	if _, err := Create(path, audioOptions(MJPEG, capture.Mono)); !errors.Is(err, ErrNoAudio) {
		t.Error(err)
	}
	for _, kind := range withAudio {
		o := audioOptions(kind, capture.AudioFormat{Rate: 44100, Channels: 1})
		if w, err := Create(filepath.Join(t.TempDir(), "a"), o); err == nil {
			w.Close()
			t.Errorf("%v takes %v", kind, o.Audio)
		}
	}
}

// TestAudioAhead: where no frames come, audio is written all the same.
func TestAudioAhead(t *testing.T) {
	for _, kind := range withAudio {
		path := filepath.Join(t.TempDir(), "a")
		w, err := Create(path, audioOptions(kind, capture.Mono))
		must(t, err)
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 0)}, 0))
		var samples []byte
		for i := range 700 { // 70 s
			block := sound(capture.Mono, i*longestBlock, longestBlock)
			must(t, w.WriteAudio(block))
			samples = append(samples, block...)
		}
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 1)}, 35*time.Second))
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 2)}, 70*time.Second))
		must(t, w.Close())
		if got := decodeAudio(t, audioPath(kind, path)); !bytes.Equal(got, samples) {
			t.Errorf("%v: %d bytes of audio, want %d", kind, len(got), len(samples))
		}
	}
}
