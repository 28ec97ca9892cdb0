package view

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"
)

// corners returns where the upper left and the upper right corner of a frame
// are on the screen.
func corners(p Pose, width, height int, screen image.Point) (left, right image.Point) {
	w, h := p.Turned(width, height)
	m := p.Matrix(p.Place(w, h, screen.X, screen.Y), width, height)
	at := func(x, y float64) image.Point {
		return image.Pt(int(math.Round(m[0]*x+m[1]*y+m[2])), int(math.Round(m[3]*x+m[4]*y+m[5])))
	}
	return at(0, 0), at(float64(width), 0)
}

// TestTurns presses M and R, and follows the upper edge of the frame.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		keys        string
		left, right image.Point
	}{
		{"", image.Pt(0, 0), image.Pt(400, 0)},
		{"M", image.Pt(400, 0), image.Pt(0, 0)},
		{"MM", image.Pt(0, 0), image.Pt(400, 0)},
		{"RR", image.Pt(400, 200), image.Pt(0, 200)},
		{"RRRR", image.Pt(0, 0), image.Pt(400, 0)},
		{"R", image.Pt(250, 0), image.Pt(250, 200)},  // 100x200 in the middle
		{"RM", image.Pt(150, 0), image.Pt(150, 200)}, // mirrors what is seen
		{"MR", image.Pt(250, 200), image.Pt(250, 0)}, // turns what is seen
		{"RMRM", image.Pt(0, 0), image.Pt(400, 0)},   // a turn there and one back
	} {
		p := NewPose()
		for _, k := range c.keys {
			if k == 'M' {
				p.Mirror()
			} else {
				p.Rotate()
			}
		}
		if left, right := corners(p, 400, 200, image.Pt(400, 200)); left != c.left || right != c.right {
			t.Errorf("%q: the upper edge is from %v to %v", c.keys, left, right)
		}
	}
}

// TestMagnify zooms at points: what lies there stays there, unless an edge of the
// frame would come into the screen.
func TestMagnify(t *testing.T) {
	screen := image.Pt(400, 300)
	p := NewPose()
	p.Magnify(2, 100, 150, 400, 300, screen)
	if b := p.Place(400, 300, 400, 300); p.Zoom() != 2 || b != (Box{-100, -150, 800, 600}) {
		t.Errorf("zoom %v: %v", p.Zoom(), b)
	}
	p.Pan(1000, -1000, 400, 300, screen)
	if b := p.Place(400, 300, 400, 300); b != (Box{0, -300, 800, 600}) {
		t.Errorf("panned to %v", b)
	}
	p.Pan(-10, 0, 400, 300, screen) // immediately, not after the way that was too far
	if b := p.Place(400, 300, 400, 300); b != (Box{-10, -300, 800, 600}) {
		t.Errorf("panned back to %v", b)
	}
	p.Magnify(100, 0, 0, 400, 300, screen)
	if p.Zoom() != MaxZoom {
		t.Errorf("zoom %v", p.Zoom())
	}
	p.Magnify(0.001, 0, 0, 400, 300, screen)
	if p != NewPose() {
		t.Errorf("the whole frame is %+v", p)
	}
}

// TestCovers: however it is turned, zoomed and panned, no more of the screen is
// empty than the whole frame leaves.
func TestCovers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		p, screen := NewPose(), image.Pt(1+r.IntN(2000), 1+r.IntN(2000))
		width, height := 1+r.IntN(2000), 1+r.IntN(2000)
		for range 20 {
			w, h := p.Turned(width, height)
			switch r.IntN(4) {
			case 0:
				p.Rotate()
			case 1:
				p.Mirror()
			case 2:
				p.Magnify(0.5+r.Float64(), r.Float64()*float64(screen.X), r.Float64()*float64(screen.Y), w, h, screen)
			case 3:
				p.Pan(1000*r.NormFloat64(), 1000*r.NormFloat64(), w, h, screen)
			}
		}
		w, h := p.Turned(width, height)
		b := p.Place(w, h, screen.X, screen.Y)
		checkCovered(t, b.X, b.W, float64(screen.X))
		checkCovered(t, b.Y, b.H, float64(screen.Y))
	}
}

func checkCovered(t *testing.T, at, length, screen float64) {
	t.Helper()
	before, after := at, screen-at-length
	covered := before <= 1e-6 && after <= 1e-6
	centred := math.Abs(before-after) <= 1+1e-6 && before >= -1-1e-6
	if !covered && !centred {
		t.Errorf("%v long at %v on a screen of %v", length, at, screen)
	}
}
