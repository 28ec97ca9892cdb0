package codec

import (
	"errors"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

func TestShrink(t *testing.T) {
	for _, tt := range []struct {
		from   capture.Format
		pixels int
		want   capture.Format
	}{
		{formatOf(capture.YUYV, 64, 48), 64 * 48, formatOf(capture.YUYV, 64, 48)},
		{formatOf(capture.YUYV, 64, 48), 64*48 - 1, formatOf(capture.YUV422P, 32, 24)},
		{formatOf(capture.GREY, 99, 99), 40 * 40, formatOf(capture.GREY, 33, 33)},
		{formatOf(capture.NV12, 200, 2), 10, formatOf(capture.YUV420, 10, 1)},
	} {
		pool := newPool(t)
		f := frameOf(pool, tt.from, photo(tt.from))
		g, err := newConverter(t).Shrink(f, pool, tt.pixels)
		if err != nil {
			t.Fatal(err)
		}
		if g.Format != tt.want || len(g.Data) != tt.want.Size() || g.Sequence != 7 || (g == f) != (tt.from == tt.want) {
			t.Errorf("%v in %d pixels is %v", tt.from, tt.pixels, g.Format)
		}
		g.Release()
	}
}

// TestNoRoom: what has no room in the pool is dropped, and is no damage.
func TestNoRoom(t *testing.T) {
	pool := newPool(t)
	pool.Limit = 10_000
	_, err := newDecoder(t, pool).Decode(frameOf(pool, sampleFormat, readFixture(t, "good-422")))
	if !errors.Is(err, ErrNoRoom) || errors.Is(err, jfif.ErrDamaged) {
		t.Errorf("Decode: %v", err)
	}
	raw := formatOf(capture.GREY, 90, 90)
	if _, err := newConverter(t).Shrink(frameOf(pool, raw, photo(raw)), pool, 5000); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Shrink: %v", err)
	}
	if _, err := NewTransformer(pool, Transform{Mirror: true}).Apply(frameOf(pool, raw, photo(raw))); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Apply: %v", err)
	}
}
