package sink

import (
	"bytes"
	"errors"
	"image"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// shown is an output that remembers the luma of what it gets.
type shown struct {
	need   Need
	frames *[][]byte
}

func (shown) Name() string          { return "test" }
func (s shown) Takes() Need         { return s.need }
func (s shown) Open() (Sink, error) { return s, nil }

func (s shown) Present(f *capture.Frame) error {
	defer f.Release()
	*s.frames = append(*s.frames, slices.Clone(f.Data))
	return nil
}

func (shown) Close() error { return nil }

// TestTransforming: an output gets the frame turned, one of every frame as it came.
func TestTransforming(t *testing.T) {
	pool := &capture.Pool{}
	d := Transforming(passing{}, codec.NewTransformer(pool, codec.Transform{Rotate: 90}), slog.New(slog.DiscardHandler))
	o := NewFanout(Options{Decoder: d})
	var sunk, recorded [][]byte
	addTo(t, o, shown{Decoded, &sunk}, shown{Every, &recorded})
	f := pool.Get(6)
	f.Format = capture.Format{Pixel: capture.GREY, Width: 3, Height: 2}
	copy(f.Data, "abcdef")
	o.Frame(f)
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	o.Run()
	if len(sunk) != 1 || string(sunk[0]) != "daebfc" {
		t.Errorf("the sink got %q", sunk)
	}
	if len(recorded) != 1 || string(recorded[0]) != "abcdef" {
		t.Errorf("the output of every frame got %q", recorded)
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

// TestCropThatDoesNotFit: the warning comes once for each size.
func TestCropThatDoesNotFit(t *testing.T) {
	pool := &capture.Pool{}
	var log bytes.Buffer
	transform := codec.Transform{Crop: image.Rect(2, 0, 5, 1)}
	d := Transforming(passing{}, codec.NewTransformer(pool, transform), slog.New(slog.NewTextHandler(&log, nil)))
	defer d.Close()
	for _, width := range []int{2, 2, 4, 4, 5, 5, 4} {
		f := pool.Get(width * 2)
		f.Format = capture.Format{Pixel: capture.GREY, Width: width, Height: 2}
		g, err := d.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[int]int{2: 2, 4: 2, 5: 3}[width]; g.Format.Width != want {
			t.Errorf("of %d columns %d are kept, want %d", width, g.Format.Width, want)
		}
		g.Release()
	}
	if got := strings.Count(log.String(), "crop 3x1+2+0"); got != 3 {
		t.Errorf("warned %d times, want 3:\n%s", got, &log)
	}
	damaged := pool.Get(1)
	if _, err := d.Decode(damaged); !errors.Is(err, errDamaged) {
		t.Errorf("a damaged frame: %v", err)
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}
