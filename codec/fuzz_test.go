package codec

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegbomb"
)

// addSamples seeds a fuzzer with all sample JPEGs.
func addSamples(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(fixtures, "*.jpg"))
	if err != nil || len(paths) == 0 {
		f.Fatal("no samples: ", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// addBombs seeds a fuzzer with JPEGs that cost much.
func addBombs(f *testing.F) {
	f.Add(jpegbomb.Progressive(100, 50, 16))
	f.Add(jpegbomb.Progressive(100, 50, 17))
	f.Add(jpegbomb.Flat(256, 256, 200_000))
}

// formatFor returns the format of a JPEG, or any.
func formatFor(data []byte) capture.Format {
	h, err := jfif.ParseHeader(data)
	if err != nil {
		return sampleFormat
	}
	return h.Format()
}

// FuzzRepair: what passes needs no second repair; what does not has a cause.
func FuzzRepair(f *testing.F) {
	addSamples(f)
	addBombs(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		pool := newPool(t)
		e := newEncoder(t, Copy, 0, pool)
		g, err := e.Encode(frameOf(pool, formatFor(data), data))
		if err != nil {
			var cause jfif.Cause
			if !errors.As(err, &cause) || !errors.Is(err, jfif.ErrDamaged) || e.Counts()[cause] != 1 {
				t.Errorf("error is %v, counts are %v", err, e.Counts())
			}
			return
		}
		once, counts := bytes.Clone(g.Data), e.Counts()
		g, err = e.Encode(g)
		if err != nil || !bytes.Equal(g.Data, once) || e.Counts() != counts {
			t.Fatalf("the second time differs: error %v, counts %v and %v", err, counts, e.Counts())
		}
		g.Release()
	})
}

// FuzzDecode: hostile data neither crashes nor gets past the limits.
func FuzzDecode(f *testing.F) {
	addSamples(f)
	addBombs(f)
	limits := Limits{Width: 256, Height: 256}
	f.Fuzz(func(t *testing.T, data []byte) {
		pool := newPool(t)
		d := NewDecoder(pool, limits)
		defer d.Close()
		g, err := d.Decode(frameOf(pool, formatFor(data), data))
		if err != nil {
			if !errors.Is(err, jfif.ErrDamaged) {
				t.Errorf("error is %v", err)
			}
			return
		}
		defer g.Release()
		if g.Format.Width > limits.Width || g.Format.Height > limits.Height || len(g.Data) != g.Format.Size() {
			t.Errorf("%v of %d bytes", g.Format, len(g.Data))
		}
	})
}
