package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// all are the kinds.
var all = []Kind{Matroska, MP4, AVI, MJPEG, Directory}

// uneven records n frames at uneven times, with two gaps.
func uneven(t *testing.T, kind Kind, format capture.Format, n int) *film {
	t.Helper()
	f := shoot(t, kind, format)
	times := newTimes(uint64(kind))
	for i := range n {
		if i == n/3 || i == n/2 {
			must(t, f.Gap(capture.Lost{Driver: 3, Damaged: 1}, "no signal"))
		}
		f.add(times.next())
	}
	f.close()
	return f
}

// unit is the unit of a kind's times, 0 for none.
var unit = map[Kind]time.Duration{Matroska: time.Millisecond, MP4: time.Microsecond, AVI: time.Second / 30}

// expected returns the frames as they are to be in the file, with times in its
// units.
func (f *film) expected(kind Kind) []packet {
	want := make([]packet, len(f.want))
	last := int64(-1)
	for i, p := range f.want {
		at := p.At
		switch kind {
		case Matroska:
			at = int64(math.Round(float64(at) / 1e3))
		case AVI:
			at = max(int64(math.Round(float64(at)*30/1e6)), last+1)
		}
		want[i], last = packet{at, p.Hash}, at
	}
	return want
}

// wantPackets fails the test unless ffprobe finds exactly these frames.
func wantPackets(t *testing.T, kind Kind, path string, want []packet) {
	t.Helper()
	got := probe(t, kind, path).Packets
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Hash != want[i].Hash || unit[kind] > 0 && got[i].At != want[i].At {
			t.Fatalf("frame %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// pixels holds ffmpeg's name of each format.
var pixels = map[capture.PixelFormat]string{
	capture.MJPEG:   "yuvj420p",
	capture.JPEG:    "yuvj420p",
	capture.YUYV:    "yuyv422",
	capture.UYVY:    "uyvy422",
	capture.YVYU:    "yvyu422",
	capture.NV12:    "nv12",
	capture.NV21:    "nv21",
	capture.YUV420:  "yuv420p",
	capture.YVU420:  "yuv420p",
	capture.YUV422P: "yuv422p",
	capture.YUV444:  "yuv444p",
	capture.GREY:    "gray",
	capture.RGB24:   "rgb24",
	capture.BGR24:   "bgr24",
	capture.XBGR32:  "bgr0",
	capture.ABGR32:  "bgr0",
	capture.BGR32:   "bgr0",
	capture.RGBX32:  "rgb0",
	capture.RGBA32:  "rgb0",
	capture.XRGB32:  "0rgb",
	capture.ARGB32:  "0rgb",
	capture.RGB32:   "0rgb",
	capture.BGRX32:  "0bgr",
	capture.BGRA32:  "0bgr",
	capture.RGB565:  "rgb565le",
	capture.Y10:     "gray10le",
	capture.Y12:     "gray12le",
	capture.Y14:     "gray14le",
	capture.Y16:     "gray16le",
}

// unnamed are the formats that no player knows by any name.
var unnamed = []capture.PixelFormat{capture.NV16, capture.NV61, capture.NV24, capture.NV42}

// TestUnnamedFormats: what no player could show is refused.
func TestUnnamedFormats(t *testing.T) {
	for _, pixel := range unnamed {
		err := Matroska.Check(capture.Format{Pixel: pixel, Width: 16, Height: 16})
		if !errors.Is(err, ErrNoCode) {
			t.Errorf("%v: %v", pixel, err)
		}
	}
}

// TestRoundTrip: ffmpeg finds each frame bit by bit, each time exactly, and
// nothing to warn of.
func TestRoundTrip(t *testing.T) {
	check := func(kind Kind, pixel capture.PixelFormat) {
		t.Run(fmt.Sprintf("%v in %v", pixel, kind), func(t *testing.T) {
			t.Parallel()
			f := uneven(t, kind, capture.Format{Pixel: pixel, Width: 160, Height: 120, Range: capture.Full}, 100)
			wantPackets(t, kind, f.path, f.expected(kind))
			s := probe(t, kind, f.path).Streams[0]
			if s.Pixel != pixels[pixel] || s.Width != 160 || s.Height != 120 || s.Range != "pc" {
				t.Errorf("ffprobe sees %+v, want %s 160x120 pc", s, pixels[pixel])
			}
			args := append([]string{"-v", "warning", "-xerror"}, input(kind, f.path)...)
			tool(t, "ffmpeg", append(args, "-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-")...)
			if pixel.Compressed() {
				var hashes []string
				for _, p := range f.want {
					hashes = append(hashes, p.Hash)
				}
				remux(t, kind, f.path, hashes)
			}
		})
	}
	for _, pixel := range append(capture.RawFormats(), capture.MJPEG, capture.JPEG) {
		if !slices.Contains(unnamed, pixel) {
			check(Matroska, pixel)
		}
	}
	for _, kind := range all[1:] {
		check(kind, capture.MJPEG)
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		pixel  capture.PixelFormat
		matrix capture.Matrix
		rng    capture.Range
		want   [3]string // codec, matrix, range
	}{
		{Matroska, capture.NV12, capture.BT709, capture.Limited, [3]string{"rawvideo", "bt709", "tv"}},
		{Matroska, capture.YUYV, capture.BT601, capture.Limited, [3]string{"rawvideo", "bt470bg", "tv"}},
		{Matroska, capture.MJPEG, capture.BT601, capture.Full, [3]string{"mjpeg", "bt470bg", "pc"}},
		{Matroska, capture.RGB24, capture.BT601, capture.Limited, [3]string{"rawvideo", "gbr", "pc"}},
		{MP4, capture.MJPEG, capture.BT601, capture.Full, [3]string{"mjpeg", "bt470bg", "pc"}},
	} {
		f := shoot(t, c.kind, capture.Format{Pixel: c.pixel, Width: 160, Height: 120, Matrix: c.matrix, Range: c.rng})
		f.add(0)
		f.close()
		s := probe(t, c.kind, f.path).Streams[0]
		if got := [3]string{s.Codec, s.Matrix, s.Range}; got != c.want {
			t.Errorf("%v: ffprobe sees %v, want %v", c.pixel, got, c.want)
		}
	}
}

// TestFields: players learn that frames are interlaced, and which field is first.
// FFmpeg names the field that is stored first before the one that is shown first.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		pixel capture.PixelFormat
		field capture.Field
		want  string
	}{
		{Matroska, capture.UYVY, capture.TopFirst, "tb"},
		{Matroska, capture.MJPEG, capture.BottomFirst, "bt"},
		{Matroska, capture.MJPEG, capture.Progressive, "progressive"},
		{Matroska, capture.UYVY, 77, "progressive"},
		{MP4, capture.MJPEG, capture.TopFirst, "tb"},
		{MP4, capture.MJPEG, capture.BottomFirst, "bt"},
		{MP4, capture.MJPEG, capture.Progressive, ""},
	} {
		o := options(c.kind, capture.Format{Pixel: c.pixel, Width: 160, Height: 120})
		o.Tags.Field = c.field
		f := shootWith(t, o)
		f.add(0)
		f.close()
		if got := probe(t, c.kind, f.path).Streams[0].Field; got != c.want {
			t.Errorf("%v in %v, %v: ffprobe sees %q, want %q", c.pixel, c.kind, c.field, got, c.want)
		}
	}
}

func TestTags(t *testing.T) {
	for kind, want := range map[Kind]map[string]string{
		Matroska: {
			"CAMERA": "HD Webcam", "HOST": "laptop", "MODE": "mjpeg 160x120 30 fps", "DATE_RECORDED": "2026-07-01 10:00:00.250",
			"creation_time": "2026-07-01T10:00:00.250000Z",
		},
		MP4: {
			"CAMERA": "HD Webcam", "HOST": "laptop", "MODE": "mjpeg 160x120 30 fps", "DATE_RECORDED": "2026-07-01 10:00:00.250",
			"creation_time": "2026-07-01T10:00:00.000000Z",
		},
		AVI: {
			"ISRC": "HD Webcam", "comment": "mjpeg 160x120 30 fps, host laptop", "date": "2026-07-01 10:00:00.250",
			"software": "tbcam test",
		},
	} {
		f := shoot(t, kind, jpegs)
		f.add(0)
		f.close()
		tags := probe(t, kind, f.path).Format.Tags
		for name, value := range want {
			if tags[name] != value {
				t.Errorf("%v: %s is %q, want %q", kind, name, tags[name], value)
			}
		}
	}
}

// TestGaps: players show a chapter where frames are missing, also of a recording
// that was interrupted and repaired.
func TestGaps(t *testing.T) {
	for _, kind := range []Kind{Matroska, MP4} {
		f := shoot(t, kind, jpegs)
		for i := range 100 {
			if i == 30 || i == 60 {
				must(t, f.Gap(capture.Lost{Driver: 2, Damaged: 1, Superseded: 5}, ""))
				must(t, f.Gap(capture.Lost{}, "no\nsignal\x1b"))
			}
			f.add(time.Duration(i) * 40 * time.Millisecond)
		}
		must(t, f.Flush())
		data, err := os.ReadFile(f.path)
		must(t, err)
		interrupted := filepath.Join(t.TempDir(), "b."+kind.String())
		must(t, os.WriteFile(interrupted, data, 0o600))
		f.close()
		if _, err := Repair(interrupted); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{f.path, interrupted} {
			got := fmt.Sprint(probe(t, kind, path).Chapters)
			const text = "2 dropped at the camera, 1 damaged, 5 superseded before sending, no\uFFFDsignal\uFFFD"
			want := fmt.Sprintf("[{1.200000 map[title:%s]} {2.400000 map[title:%s]}]", text, text)
			if got != want {
				t.Errorf("%v: chapters are %s\nwant %s", kind, got, want)
			}
		}
	}
}

// demuxers are GStreamer's elements that read each kind.
var demuxers = map[Kind]string{Matroska: "matroskademux", MP4: "qtdemux", AVI: "avidemux"}

// TestGStreamer checks what its demuxers hand on. Of the raw formats it knows only
// some, see PixelInfo.Matroska.
func TestGStreamer(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		pixel capture.PixelFormat
		next  string // what the frames have to fit
	}{
		{Matroska, capture.MJPEG, "image/jpeg"},
		{MP4, capture.MJPEG, "image/jpeg"},
		{AVI, capture.MJPEG, "image/jpeg"},
		{Matroska, capture.YUYV, "video/x-raw,format=YUY2"},
		{Matroska, capture.UYVY, "video/x-raw,format=UYVY"},
		{Matroska, capture.YUV420, "video/x-raw,format=I420"},
		{Matroska, capture.YVU420, "video/x-raw,format=YV12"},
		{Matroska, capture.GREY, "video/x-raw,format=GRAY8"},
		{Matroska, capture.RGB24, "video/x-raw,format=RGB"},
		{Matroska, capture.BGR24, "video/x-raw,format=BGR"},
	} {
		t.Run(fmt.Sprintf("%v in %v", c.pixel, c.kind), func(t *testing.T) {
			t.Parallel()
			f := uneven(t, c.kind, capture.Format{Pixel: c.pixel, Width: 160, Height: 120, Range: capture.Full}, 60)
			wantDemuxed(t, c.kind, f.path, c.next, f.expected(c.kind))
		})
	}
}

var presentation = regexp.MustCompile(`pts: (\d+):(\d\d):(\d\d)\.(\d{9})`)

func wantDemuxed(t *testing.T, kind Kind, path, caps string, want []packet) {
	t.Helper()
	dir := t.TempDir()
	out := tool(t, "gst-launch-1.0", "-v", "filesrc", "location="+path, "!", demuxers[kind], "!", caps,
		"!", "identity", "silent=false", "!", "multifilesink", "location="+dir+"/%05d")
	times := presentation.FindAllStringSubmatch(out, -1)
	names, err := filepath.Glob(dir + "/*")
	if err != nil || len(names) != len(want) || len(times) != len(want) {
		t.Fatalf("GStreamer found %d frames with %d times, want %d (%v)", len(names), len(times), len(want), err)
	}
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || hashOf(data) != want[i].Hash {
			t.Fatalf("GStreamer's frame %d is another one (%v)", i, err)
		}
		at, err := time.ParseDuration(fmt.Sprintf("%sh%sm%s.%ss", times[i][1], times[i][2], times[i][3], times[i][4]))
		// 1/30 s is no whole number of nanoseconds.
		if d := at - time.Duration(want[i].At)*unit[kind]; err != nil || d.Abs() > time.Duration(want[i].At)*time.Nanosecond {
			t.Fatalf("GStreamer has frame %d at %v, want %v (%v)", i, at, time.Duration(want[i].At)*unit[kind], err)
		}
	}
}

// TestGStreamerPlays decodes all frames.
func TestGStreamerPlays(t *testing.T) {
	for _, kind := range all {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			f := uneven(t, kind, jpegs, 60)
			source := []string{"filesrc", "location=" + f.path}
			if demuxer := demuxers[kind]; demuxer != "" {
				source = append(source, "!", demuxer)
			}
			if kind == Directory {
				source = []string{"multifilesrc", "location=" + f.path + "/" + frameFile, "index=1", "caps=image/jpeg,framerate=30/1"}
			}
			out := tool(t, "gst-launch-1.0", append(append([]string{"-v"}, source...),
				"!", "jpegdec", "!", "identity", "silent=false", "!", "fakesink")...)
			if n := strings.Count(out, "last-message = chain"); n != 60 {
				t.Errorf("GStreamer played %d frames, want 60", n)
			}
		})
	}
}

// TestMPVPlays has mpv write each frame that it shows.
func TestMPVPlays(t *testing.T) {
	for _, kind := range all {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			f := uneven(t, kind, jpegs, 100)
			dir := t.TempDir()
			args := []string{"--no-config", "--msg-level=all=warn", "--ao=null", "--untimed", "--vo=image", "--vo-image-outdir=" + dir}
			switch kind {
			case MJPEG: // it does not trust what ffmpeg takes it for
				args = append(args, "--demuxer-lavf-format=mjpeg", f.path)
			case Directory:
				args = append(args, "--mf-fps=30", "mf://"+f.path+"/*.jpg")
			default:
				args = append(args, f.path)
			}
			if out := tool(t, "mpv", args...); strings.Contains(out, "[mkv]") {
				t.Errorf("mpv complains: %s", out)
			}
			shown, err := os.ReadDir(dir)
			if err != nil || len(shown) != 100 {
				t.Errorf("mpv showed %d frames, want 100 (%v)", len(shown), err)
			}
		})
	}
}

func TestMediaInfo(t *testing.T) {
	for _, kind := range []Kind{Matroska, MP4, AVI} {
		interrupted, _ := filmed(t, kind, 200)
		path := filepath.Join(t.TempDir(), "a."+kind.String())
		must(t, os.WriteFile(path, interrupted[:len(interrupted)-100], 0o600))
		report, err := Repair(path)
		if err != nil {
			t.Fatal(err)
		}
		out := tool(t, "mediainfo", "--Output=General;%Duration%|%IsTruncated%", path)
		duration, truncated, _ := strings.Cut(strings.TrimSpace(out), "|")
		ms, err := strconv.ParseFloat(duration, 64)
		if d := ms - float64(report.Duration.Milliseconds()); err != nil || math.Abs(d) > 1 || truncated != "" {
			t.Errorf("%v: mediainfo shows %q, want %v", kind, out, report.Duration)
		}
	}
}

// TestSeek: ffmpeg finds the last frame before a time by the index.
func TestSeek(t *testing.T) {
	for _, kind := range []Kind{Matroska, MP4, AVI} {
		f := shoot(t, kind, jpegs)
		for i := range 300 {
			f.add(time.Duration(i) * time.Second / 10)
		}
		f.close()
		out := tool(t, "ffprobe", "-v", "warning", "-of", "json", "-show_packets", "-show_data_hash", "sha256",
			"-read_intervals", "25.25%+#1", f.path)
		var p probed
		must(t, json.Unmarshal([]byte(out), &p))
		first := map[Kind]int{Matroska: 250, MP4: 252, AVI: 252}[kind] // Matroska's index is of seconds
		if len(p.Packets) != 1 || p.Packets[0].Hash != f.want[first].Hash {
			t.Errorf("%v: found %v, want frame %d", kind, p.Packets, first)
		}
	}
}

// TestRepairedPlays damages the head of a second in the middle, tears the last
// frame, and has all players play what a repair makes of it.
func TestRepairedPlays(t *testing.T) {
	for kind, start := range chunkStarts {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			data, _ := filmed(t, kind, 200)
			middle := len(data)/2 + bytes.Index(data[len(data)/2:], []byte(start))
			clear(data[middle : middle+4])
			path := filepath.Join(t.TempDir(), "a."+kind.String())
			must(t, os.WriteFile(path, data[:len(data)-100], 0o600))
			report, err := Repair(path)
			must(t, err)
			if report.Frames < 150 || report.Frames > 198 {
				t.Errorf("%+v", report)
			}
			var want []string
			next := 0
			for _, p := range probe(t, kind, path).Packets {
				for next < 200 && hashOf(sampleFrame(jpegs, next)) != p.Hash {
					next++
				}
				want = append(want, p.Hash)
			}
			if next == 200 || len(want) != report.Frames {
				t.Errorf("ffprobe finds %d frames, Repair %d", len(want), report.Frames)
			}
			remux(t, kind, path, want)
			out := tool(t, "gst-launch-1.0", "-v", "filesrc", "location="+path, "!", demuxers[kind], "!", "jpegdec",
				"!", "identity", "silent=false", "!", "fakesink")
			if n := strings.Count(out, "last-message = chain"); n != report.Frames {
				t.Errorf("GStreamer played %d frames, want %d", n, report.Frames)
			}
			dir := t.TempDir()
			tool(t, "mpv", "--no-config", "--msg-level=all=warn", "--ao=null", "--untimed", "--vo=image", "--vo-image-outdir="+dir, path)
			if shown, err := os.ReadDir(dir); err != nil || len(shown) != report.Frames {
				t.Errorf("mpv showed %d frames, want %d (%v)", len(shown), report.Frames, err)
			}
		})
	}
}
