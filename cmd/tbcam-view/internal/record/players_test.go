package record

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/at-wat/ebml-go"

	"github.com/tbcam/tbcam/capture"
)

// players says what ffmpeg calls each format.
var players = map[capture.PixelFormat]string{
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
}

// TestRoundTrip writes every format with uneven times: players have to find each
// picture bit by bit and each time to the millisecond.
func TestRoundTrip(t *testing.T) {
	for _, pixel := range append(capture.RawFormats(), capture.MJPEG, capture.JPEG) {
		t.Run(pixel.String(), func(t *testing.T) {
			t.Parallel()
			format := capture.Format{Pixel: pixel, Width: 64, Height: 48, Range: capture.Full}
			path, film := uneven(t, format, uint64(pixel))
			wantPackets(t, path, film.want)
			s := probe(t, path).Streams[0]
			if s.Pixel != players[pixel] || s.Width != 64 || s.Height != 48 || s.Range != "pc" {
				t.Errorf("ffprobe sees %+v, want %s 64x48 pc", s, players[pixel])
			}
			if out := tool(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-"); out != "" {
				t.Errorf("ffmpeg complains: %s", out)
			}
		})
	}
}

// uneven records about 100 frames with gaps from half a millisecond to 3 s.
func uneven(t *testing.T, format capture.Format, seed uint64) (path string, f *film) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	path = filepath.Join(t.TempDir(), "a.mkv")
	r := start(t, path, Options{})
	f = newFilm(format)
	for after := time.Duration(0); len(f.want) < 100; {
		if err := r.Write(f.frame(after)); err != nil {
			t.Fatal(err)
		}
		gap := time.Millisecond + time.Duration(random.ExpFloat64()*float64(60*time.Millisecond))
		if random.IntN(30) == 0 {
			gap = time.Duration(random.Int64N(int64(3 * time.Second)))
		}
		after += max(gap, time.Millisecond)
	}
	closed(t, r)
	f.allReleased(t)
	return path, f
}

func TestColour(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pixel  capture.PixelFormat
		matrix capture.Matrix
		rng    capture.Range
		want   [3]string // codec, matrix, range
	}{
		{capture.NV12, capture.BT709, capture.Limited, [3]string{"rawvideo", "bt709", "tv"}},
		{capture.YUYV, capture.BT601, capture.Limited, [3]string{"rawvideo", "bt470bg", "tv"}},
		{capture.MJPEG, capture.BT601, capture.Full, [3]string{"mjpeg", "bt470bg", "pc"}},
		{capture.RGB24, capture.BT601, capture.Limited, [3]string{"rawvideo", "gbr", "pc"}},
	} {
		path := filepath.Join(t.TempDir(), "a.mkv")
		r := start(t, path, Options{})
		newFilm(capture.Format{Pixel: c.pixel, Width: 64, Height: 48, Matrix: c.matrix, Range: c.rng}).roll(t, r, 2)
		closed(t, r)
		s := probe(t, path).Streams[0]
		if got := [3]string{s.Codec, s.Matrix, s.Range}; got != c.want {
			t.Errorf("%v: ffprobe sees %v, want %v", c.pixel, got, c.want)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.mkv")
	r := start(t, path, Options{Origin: func() (camera, host string) { return "HD Webcam", "laptop" }})
	film := newFilm(mjpeg)
	film.start = time.Date(2026, 7, 1, 12, 0, 0, 250_000_000, time.FixedZone("", 7200))
	film.roll(t, r, 1)
	closed(t, r)
	tags := probe(t, path).Format.Tags
	for name, want := range map[string]string{
		"CAMERA":        "HD Webcam",
		"HOST":          "laptop",
		"MODE":          "mjpeg 320x240",
		"DATE_RECORDED": "2026-07-01 10:00:00.250",
		"encoder":       "tbcam",
		"creation_time": "2026-07-01T10:00:00.250000Z",
	} {
		if tags[name] != want {
			t.Errorf("%s is %q, want %q", name, tags[name], want)
		}
	}
}

// TestGStreamer checks what its demuxer hands on. Of the raw formats it knows
// only some, see fourCCs.
func TestGStreamer(t *testing.T) {
	for _, c := range []struct {
		pixel capture.PixelFormat
		next  string // what the pictures have to fit
	}{
		{capture.MJPEG, "image/jpeg"},
		{capture.YUYV, "video/x-raw,format=YUY2"},
		{capture.UYVY, "video/x-raw,format=UYVY"},
		{capture.YUV420, "video/x-raw,format=I420"},
		{capture.YVU420, "video/x-raw,format=YV12"},
		{capture.GREY, "video/x-raw,format=GRAY8"},
		{capture.RGB24, "video/x-raw,format=RGB"},
		{capture.BGR24, "video/x-raw,format=BGR"},
	} {
		t.Run(c.pixel.String(), func(t *testing.T) {
			t.Parallel()
			format := capture.Format{Pixel: c.pixel, Width: 64, Height: 48, Range: capture.Full}
			path, film := uneven(t, format, uint64(c.pixel))
			wantDemuxed(t, path, c.next, film.want)
		})
	}
}

func wantDemuxed(t *testing.T, path, caps string, want []packet) {
	t.Helper()
	dir := t.TempDir()
	tool(t, "gst-launch-1.0", "-q", "filesrc", "location="+path, "!", "matroskademux", "!", caps,
		"!", "multifilesink", "location="+dir+"/%05d")
	names := files(t, dir)
	if len(names) != len(want) {
		t.Fatalf("GStreamer found %d frames, want %d", len(names), len(want))
	}
	for i, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || hashOf(data) != want[i].Hash {
			t.Fatalf("GStreamer's frame %d is another one (%v)", i, err)
		}
	}
}

func TestMediaInfoDuration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.mkv")
	r := start(t, path, Options{})
	newFilm(mjpeg).roll(t, r, 90)
	closed(t, r)
	out := strings.TrimSpace(tool(t, "mediainfo", "--Output=General;%Duration%", path))
	if ms, err := strconv.ParseFloat(out, 64); err != nil || ms < 2999 || ms > 3001 {
		t.Errorf("mediainfo shows %q ms for 90 frames at 30 fps", out)
	}
}

// TestIndex checks that the positions in the file are exact.
func TestIndex(t *testing.T) {
	t.Parallel()
	path, film := uneven(t, yuyv, 7)
	p, data := parse(t, path)
	for _, s := range p.Segment.SeekHead.Seek {
		if !bytes.HasPrefix(data[s.SeekPosition:], s.SeekID) {
			t.Errorf("no %x at %d", s.SeekID, s.SeekPosition)
		}
	}
	if n := len(p.Segment.Cues.CuePoint); n < 2 {
		t.Fatalf("%d cues", n)
	}
	for _, c := range p.Segment.Cues.CuePoint {
		cluster := data[c.CueTrackPositions.CueClusterPosition:]
		if !bytes.HasPrefix(cluster, ebml.ElementCluster.Bytes()) || binary.BigEndian.Uint64(cluster[14:]) != c.CueTime {
			t.Errorf("no cluster of %d ms at %d", c.CueTime, c.CueTrackPositions.CueClusterPosition)
		}
	}
	last := film.want[len(film.want)-1].At
	if d := int64(p.Segment.Info.Duration); d <= last || d > last+1000 {
		t.Errorf("duration %d ms, the last frame is at %d ms", d, last)
	}
}

func TestClustersAreShort(t *testing.T) {
	t.Parallel()
	path, _ := uneven(t, yuyv, 8)
	p, _ := parse(t, path)
	for _, c := range p.Segment.Cluster {
		if last := c.SimpleBlock[len(c.SimpleBlock)-1].Timecode; last < 0 || last >= 1000 {
			t.Errorf("cluster %d ms has a frame %d ms later", c.Timecode, last)
		}
	}
}

func TestClustersAreSmall(t *testing.T) {
	m := matroska{}
	m.add(0, make([]byte, clusterSize/2))
	m.add(1, make([]byte, clusterSize/4))
	if m.full(2, 1000) {
		t.Error("full at three quarters")
	}
	if !m.full(2, clusterSize/4) {
		t.Error("not full at its size")
	}
}
