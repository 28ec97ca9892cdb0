package pipewire

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// small is a format that costs little.
var small = capture.Format{Pixel: capture.YUV420, Width: 320, Height: 240}

var rate30 = capture.Rate{Num: 30, Den: 1}

// publish publishes a camera until the test ends.
func publish(t testing.TB, name string, f capture.Format) *Output {
	t.Helper()
	o, err := OpenOutput(Camera{Name: name, Description: name + " of the test", Format: f, Rate: rate30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// play writes the pattern's frames until the returned function is called, which returns
// the numbers that they show.
func play(t testing.TB, o *Output, format capture.Format) (stop func() []uint32) {
	t.Helper()
	var pool capture.Pool
	source, err := pattern.Open(capture.Mode{Pixel: format.Pixel, Width: format.Width, Height: format.Height, Rate: rate30}, &pool)
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	var written []uint32
	playing.Go(func() {
		for {
			f, err := source.Read()
			if err != nil {
				return
			}
			if err := o.Write(f); err != nil {
				t.Error(err)
			}
			written = append(written, readCode(t, format, f.Data))
			f.Release()
		}
	})
	stop = sync.OnceValue(func() []uint32 {
		source.Close()
		playing.Wait()
		return written
	})
	t.Cleanup(func() { stop() })
	return stop
}

// readCode returns the counter that a frame shows.
func readCode(t testing.TB, format capture.Format, data []byte) uint32 {
	t.Helper()
	step := 1 // from one sample of luma to the next
	if format.Pixel == capture.YUYV {
		step = 2
	}
	stamp, err := pattern.ReadLuma(image.Rect(0, 0, format.Width, format.Height), func(x, y int) byte {
		return data[(y*format.Width+x)*step]
	})
	if err != nil {
		t.Fatal(err)
	}
	return stamp.Counter
}

// TestReaders: two GStreamer readers at a time get every frame once, in both formats.
func TestReaders(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	for _, format := range []capture.Format{small, {Pixel: capture.YUYV, Width: 320, Height: 240}} {
		t.Run(format.Pixel.String(), func(t *testing.T) {
			o := publish(t, "tbcam", format)
			stop := play(t, o, format)
			const frames = 60
			files := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
			var readers []func() error
			for _, file := range files {
				reader := s.Command("timeout", "60", "gst-launch-1.0", "-q", "pipewiresrc", "target-object=tbcam", "num-buffers=60", "!", "video/x-raw", "!", "filesink", "location="+file)
				var text bytes.Buffer
				reader.Stdout, reader.Stderr = &text, &text
				if err := reader.Start(); err != nil {
					t.Fatal(err)
				}
				readers = append(readers, func() error {
					if err := reader.Wait(); err != nil {
						return fmt.Errorf("%w: %s", err, &text)
					}
					return nil
				})
			}
			for _, wait := range readers {
				if err := wait(); err != nil {
					t.Fatal(err)
				}
			}
			written := stop()
			for _, file := range files {
				wantEvery(t, file, format, frames, written)
			}
			if kept := o.Kept(); kept > 0 {
				t.Errorf("readers kept %d frames from being written", kept)
			}
		})
	}
}

// wantEvery checks that a file has so many frames, all that were written from its first
// one on.
func wantEvery(t *testing.T, file string, format capture.Format, frames int, written []uint32) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != frames*format.Size() {
		t.Fatalf("%d bytes, want %d frames of %d", len(data), frames, format.Size())
	}
	first := slices.Index(written, readCode(t, format, data))
	for i := range frames {
		number := readCode(t, format, data[i*format.Size():][:format.Size()])
		if want := written[first+i]; number != want {
			t.Fatalf("frame %d shows %d, want %d", i, number, want)
		}
	}
}
