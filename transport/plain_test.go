package transport_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
)

func sampleJPEG(t *testing.T) []byte {
	image, err := os.ReadFile(filepath.Join("..", "fixtures", "jpeg", "good-420.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// A peer that sends nothing but frames is shown, however long it pauses.
func TestPlainMJPEG(t *testing.T) {
	inWorld(t, func(w *world) {
		image := sampleJPEG(t)
		var images [][]byte
		viewer := &transporttest.Consumer{T: t, Seen: func(f *capture.Frame) { images = append(images, bytes.Clone(f.Data)) }}
		w.open(viewer)
		bad := false
		w.receiver.Plain = func(f *capture.Frame) (*capture.Frame, error) {
			if bad = !bad; bad {
				f.Release()
				return nil, errors.New("beyond repair")
			}
			f.Format = transporttest.MJPEG720.Format
			return f, nil
		}
		trace := w.trace()
		w.viewing = start(w.receiver.Run)
		i := w.impostor(w.cable.Sender)
		for range 6 {
			i.raw(image)
			time.Sleep(2 * transport.Liveness)
		}
		i.conn.Close()
		w.waitFor(time.Second, "end", func() bool { return len(viewer.Events().Ends) == 1 })
		got := viewer.Events()
		if len(images) != 3 || !bytes.Equal(images[2], image) || len(got.Modes) != 1 || len(got.Peers) != 1 {
			t.Errorf("%d frames, %+v", len(images), got)
		}
		if !errors.Is(got.Ends[0], io.EOF) {
			t.Errorf("it ended with: %v", got.Ends[0])
		}
		if s := w.receiver.Stats(); w.stream.Stats().Frames != 3 || s.Damage.Records != 3 {
			t.Errorf("%+v", s)
		}
		w.cable.Change(func() {
			for _, s := range trace.steps {
				if s.from == w.cable.Viewer {
					t.Errorf("the viewer wrote %v", s.h.Type)
				}
			}
		})
	})
}

// TestPlainMJPEGOfNewSizes: a frame of a new size waits for the next of that size,
// or for the end of the stream; one that is alone is dropped and counted.
func TestPlainMJPEGOfNewSizes(t *testing.T) {
	for _, tt := range []struct {
		name, sizes, want string // letters for sizes; '-' for what Plain refuses
		modes             int
	}{
		{"one size", "aaaa", "aaaa", 1},
		{"only one", "a", "a", 1},
		{"one is alone", "aabaa", "aaaa", 1},
		{"the first is alone", "baaa", "aaa", 1},
		{"change", "aabb", "aabb", 2},
		{"change at the end", "aab", "aab", 2},
		{"all differ", "abcabc", "c", 1},
		{"impossible one", "aa-aa", "aaaa", 1},
		{"impossible one between new ones", "aab-bb", "aabbb", 2},
		{"there and back", "aabbaba", "aabbba", 3},
	} {
		t.Run(tt.name, func(t *testing.T) { checkPlainSizes(t, tt.sizes, tt.want, tt.modes) })
	}
}

func checkPlainSizes(t *testing.T, sizes, want string, modes int) {
	inWorld(t, func(w *world) {
		var got []byte
		viewer := &transporttest.Consumer{T: t, Seen: func(f *capture.Frame) { got = append(got, byte(f.Format.Width)) }}
		w.open(viewer)
		n := 0
		w.receiver.Plain = func(f *capture.Frame) (*capture.Frame, error) {
			size := sizes[n]
			if n++; size == '-' {
				f.Release()
				return nil, errors.New("impossible")
			}
			f.Format = transporttest.MJPEG720.Format
			f.Format.Width = int(size)
			return f, nil
		}
		w.viewing = start(w.receiver.Run)
		i := w.impostor(w.cable.Sender)
		for range sizes {
			i.raw(sampleJPEG(t))
		}
		i.conn.Close()
		w.waitFor(time.Second, "end", func() bool { return len(viewer.Events().Ends) == 1 })
		if string(got) != want || len(viewer.Events().Modes) != modes {
			t.Errorf("got %q in %d modes, want %q in %d", got, len(viewer.Events().Modes), want, modes)
		}
		dropped := uint64(len(sizes) - len(want))
		if s := w.receiver.Stats(); s.Damage.Records != dropped || w.stream.Stats().Frames != uint64(len(want)) || viewer.Events().Totals.Damaged != dropped {
			t.Errorf("%+v, lost %+v; want %d dropped", s, viewer.Events().Totals, dropped)
		}
	})
}

func TestPlainMJPEGRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		w.impostor(w.cable.Sender).raw(sampleJPEG(t))
		time.Sleep(time.Second)
		if log := w.log.String(); !strings.Contains(log, "it sends plain MJPEG") {
			t.Errorf("log: %q", log)
		}
	})
}

// What is neither records nor frames ends the session, and is not kept.
func TestNeitherRecordsNorFrames(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		i := w.impostor(w.cable.Sender)
		for range 50 {
			i.raw(transporttest.Sample(1, 200_000))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		opened := w.cable.Viewer.Opened()
		if got := w.screen.Events(); len(got.Peers) != 0 || opened != 2 {
			t.Errorf("%+v, opened %d times", got, opened)
		}
	})
}
