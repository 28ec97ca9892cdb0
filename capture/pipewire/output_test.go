package pipewire

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// small is a format that costs little.
var small = capture.Format{Pixel: capture.YUV420, Width: 320, Height: 240}

var rate15 = capture.Rate{Num: 15, Den: 1}

// publish publishes a camera until the test ends.
func publish(t testing.TB, name string, f capture.Format) *Output {
	t.Helper()
	o, err := OpenOutput(Camera{Name: name, Description: name + " of the test", Format: f, Rate: rate15})
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
// the numbers of those that were given to readers: on a busy machine these may keep all
// buffers.
func play(t testing.TB, o *Output, format capture.Format) (stop func() []uint32) {
	t.Helper()
	var pool capture.Pool
	source, err := pattern.Open(capture.Mode{Pixel: format.Pixel, Width: format.Width, Height: format.Height, Rate: rate15}, &pool)
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
			before := o.Kept()
			if err := o.Write(f); err != nil {
				t.Error(err)
			}
			if o.Kept() == before {
				written = append(written, readCode(t, format, f.Data))
			}
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
			files := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
			var readers []func() error
			for _, file := range files {
				reader := s.Command("timeout", "60", "gst-launch-1.0", "-q", "pipewiresrc", "target-object=tbcam", "num-buffers=40", "!", "video/x-raw", "!", "filesink", "location="+file)
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
			wantEvery(t, files, format, stop())
		})
	}
}

// wantEvery checks that files hold all frames that were written, from when all of them
// were being read for a while: to link a reader stops the others for a moment.
func wantEvery(t *testing.T, files []string, format capture.Format, written []uint32) {
	t.Helper()
	var shown [][]uint32
	begin := uint32(0)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var numbers []uint32
		for frame := range slices.Chunk(data, format.Size()) {
			numbers = append(numbers, readCode(t, format, frame))
		}
		shown, begin = append(shown, numbers), max(begin, numbers[5])
	}
	for i, numbers := range shown {
		numbers = numbers[slices.Index(numbers, begin):]
		want := written[slices.Index(written, begin):]
		if len(numbers) < 20 || !slices.Equal(numbers, want[:len(numbers)]) {
			t.Errorf("reader %d was given %d frames,\n%v; want\n%v", i, len(numbers), numbers, want)
		}
	}
}

// TestHungReader: a reader that hangs does not stop the others for good, and gets frames
// again itself.
func TestHungReader(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	o := publish(t, "tbcam", small)
	play(t, o, small)
	var files []string
	var readers []*exec.Cmd
	for range 2 {
		file := filepath.Join(t.TempDir(), "frames")
		reader := s.Command("gst-launch-1.0", "-q", "pipewiresrc", "target-object=tbcam", "!", "video/x-raw", "!", "filesink", "buffer-mode=unbuffered", "location="+file)
		if err := reader.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = reader.Process.Kill()
			_ = reader.Wait() // it was killed
		})
		files, readers = append(files, file), append(readers, reader)
	}
	waitFrames := func(what, file string, more int64) {
		t.Helper()
		size := func() int64 {
			info, err := os.Stat(file)
			if err != nil {
				return 0
			}
			return info.Size()
		}
		want := size() + more*int64(small.Size())
		for end := time.Now().Add(30 * time.Second); size() < want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s gets no frames", what)
			}
		}
	}
	for _, file := range files {
		waitFrames("a reader", file, 5)
	}
	if err := readers[0].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFrames("the other reader", files[1], 30)
	if err := readers[0].Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitFrames("the reader that hung", files[0], 5)
	waitFrames("the other reader then", files[1], 5)
}

// TestManagerStartsLate: what is published before the session manager has started, as at
// login, is there with it.
func TestManagerStartsLate(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	s.Stop(pwsession.WirePlumber, syscall.SIGTERM)
	var opening sync.WaitGroup
	opening.Go(func() {
		o, err := OpenOutput(Camera{Name: "tbcam", Format: small, Rate: rate15})
		if err != nil {
			t.Error(err)
			return
		}
		o.Close()
	})
	opening.Go(func() {
		p, err := OpenPlayer(AudioNode{Name: "tbcam-mic", Microphone: true, Format: capture.Mono})
		if err != nil {
			t.Error(err)
			return
		}
		p.Close()
	})
	s.Run(pwsession.WirePlumber)
	opening.Wait()
}
