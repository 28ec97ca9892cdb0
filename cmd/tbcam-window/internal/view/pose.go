package view

import (
	"image"
	"math"
)

// MaxZoom is the largest magnification over the whole frame in the window.
const MaxZoom = 16

// Pose is how a frame is turned, and what part of it is seen. All of it is the
// window's alone: no other output shows a turned frame.
type Pose struct {
	turns    int  // quarters, clockwise, after mirroring
	mirrored bool // left and right
	zoom     float64
	// centre is what lies in the middle of the screen, in fractions of the turned
	// frame's width and height.
	centre [2]float64
}

// NewPose returns the pose of an upright, whole frame.
func NewPose() Pose { return Pose{zoom: 1, centre: [2]float64{0.5, 0.5}} }

// Zoom returns the magnification, 1 to MaxZoom.
func (p *Pose) Zoom() float64 { return p.zoom }

// Whole shows the whole frame.
func (p *Pose) Whole() { p.zoom, p.centre = 1, [2]float64{0.5, 0.5} }

// Rotate turns what is seen by a quarter, clockwise.
func (p *Pose) Rotate() {
	p.turns = (p.turns + 1) % 4
	p.centre = [2]float64{1 - p.centre[1], p.centre[0]}
}

// Mirror exchanges left and right of what is seen.
func (p *Pose) Mirror() {
	// To mirror what was turned is to turn the other way what was mirrored.
	p.turns, p.mirrored = (4-p.turns)%4, !p.mirrored
	p.centre[0] = 1 - p.centre[0]
}

// Turn returns how the frame is turned: mirrored first, if it is, and then by so many
// quarters, clockwise.
func (p *Pose) Turn() (mirrored bool, quarters int) { return p.mirrored, p.turns }

// Turned returns the size of a frame as it is seen.
func (p *Pose) Turned(width, height int) (w, h int) {
	if p.turns%2 == 1 {
		return height, width
	}
	return width, height
}

// Box is where a turned frame lies on a screen, in pixels of that.
type Box struct{ X, Y, W, H float64 }

// Rectangle returns the box in whole pixels.
func (b Box) Rectangle() image.Rectangle {
	return image.Rect(int(math.Round(b.X)), int(math.Round(b.Y)), int(math.Round(b.X+b.W)), int(math.Round(b.Y+b.H)))
}

// Place returns where a frame lies on a screen, which it may exceed.
func (p *Pose) Place(width, height, screenWidth, screenHeight int) Box {
	x, y, w, h := Letterbox(width, height, screenWidth, screenHeight)
	if p.zoom == 1 {
		return Box{float64(x), float64(y), float64(w), float64(h)}
	}
	b := Box{W: float64(w) * p.zoom, H: float64(h) * p.zoom}
	b.X = startOf(b.W, float64(screenWidth), p.centre[0])
	b.Y = startOf(b.H, float64(screenHeight), p.centre[1])
	return b
}

// startOf returns where something of some length begins on a screen: in its middle,
// or so that the centre is there and the screen is covered.
func startOf(length, screen, centre float64) float64 {
	if length <= screen {
		return (screen - length) / 2
	}
	return min(0, max(screen-length, screen/2-centre*length))
}

// Magnify zooms by a factor so that the point of the frame at (x, y) of the
// screen stays where it is.
func (p *Pose) Magnify(factor float64, x, y float64, width, height int, screen image.Point) {
	before := p.Place(width, height, screen.X, screen.Y)
	u, v := (x-before.X)/before.W, (y-before.Y)/before.H
	p.zoom = min(MaxZoom, max(1, p.zoom*factor))
	if p.zoom < 1.01 {
		p.Whole()
		return
	}
	after := p.Place(width, height, screen.X, screen.Y)
	p.centre = [2]float64{u + (float64(screen.X)/2-x)/after.W, v + (float64(screen.Y)/2-y)/after.H}
	p.settleCentre(width, height, screen)
}

// Pan moves the frame by (dx, dy) pixels of the screen, as far as there is more.
func (p *Pose) Pan(dx, dy float64, width, height int, screen image.Point) {
	b := p.Place(width, height, screen.X, screen.Y)
	p.centre[0] -= dx / b.W
	p.centre[1] -= dy / b.H
	p.settleCentre(width, height, screen)
}

// settleCentre makes the centre the one of what is seen, after Place has kept to the edges.
func (p *Pose) settleCentre(width, height int, screen image.Point) {
	b := p.Place(width, height, screen.X, screen.Y)
	p.centre = [2]float64{(float64(screen.X)/2 - b.X) / b.W, (float64(screen.Y)/2 - b.Y) / b.H}
}

// Matrix returns the map from pixels of the upright frame of a size to the
// screen: x' = m[0]*x + m[1]*y + m[2], y' = m[3]*x + m[4]*y + m[5].
func (p *Pose) Matrix(b Box, width, height int) [6]float64 {
	w, h := float64(width), float64(height)
	// In fractions of the frame, with the origin in its middle.
	m := [4]float64{1, 0, 0, 1}
	if p.mirrored {
		m[0] = -1
	}
	for range p.turns { // (x, y) becomes (-y, x)
		m = [4]float64{-m[2], -m[3], m[0], m[1]}
	}
	return [6]float64{
		b.W * m[0] / w, b.W * m[1] / h, b.X + b.W*(1-m[0]-m[1])/2,
		b.H * m[2] / w, b.H * m[3] / h, b.Y + b.H*(1-m[2]-m[3])/2,
	}
}
