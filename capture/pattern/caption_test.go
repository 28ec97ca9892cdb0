package pattern

import (
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// TestCaption: there is white on black, only where the code and the blocks are not, and
// none in frames in which nobody could read it.
func TestCaption(t *testing.T) {
	for _, size := range sizes {
		mode := capture.Mode{Pixel: capture.YUYV, Width: size[0], Height: size[1], Rate: capture.Rate{Num: 30, Den: 1}}
		text, err := newCaption("Test pattern", mode)
		if err != nil {
			t.Fatal(err)
		}
		if text == nil {
			if mode.Height >= smallestCaption {
				t.Errorf("%v has no caption", size)
			}
			continue
		}
		p := text.plate
		if p.Min.X < 0 || p.Max.X > mode.Width || p.Min.Y < mode.Height/codeShare || p.Max.Y > mode.Height/2 {
			t.Errorf("%v: the caption is at %v", size, p)
		}
		inks := map[byte]int{}
		for y := range mode.Height {
			for x := range mode.Width {
				if c := text.over(x, y, [3]byte{1, 2, 3}); c != [3]byte{1, 2, 3} {
					inks[c[0]]++
				}
			}
		}
		if inks[white] == 0 || inks[black] < inks[white] {
			t.Errorf("%v: %d white pixels, %d black ones", size, inks[white], inks[black])
		}
	}
}
