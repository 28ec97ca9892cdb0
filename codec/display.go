package codec

import (
	"errors"
	"fmt"
	"image"
	"math"

	"github.com/tbcam/tbcam/capture"
)

// BGRA is an opaque image as an X server takes it: each pixel is a byte of blue, of
// green, of red and of alpha.
type BGRA struct {
	Pix           []byte
	Stride        int // bytes from one line to the next
	Width, Height int // pixels
}

// Bounds returns the rectangle of the image, which begins at (0, 0).
func (m BGRA) Bounds() image.Rectangle { return image.Rect(0, 0, m.Width, m.Height) }

// plane returns the image as a plane of pixels.
func (m BGRA) plane() plane { return plane{m.Pix, m.Stride, m.Width, m.Height} }

func (m BGRA) check() error {
	if m.Width <= 0 || m.Height <= 0 || m.Stride < 4*m.Width || len(m.Pix) < m.Stride*(m.Height-1)+4*m.Width {
		return fmt.Errorf("%d bytes are no room for %dx%d pixels", len(m.Pix), m.Width, m.Height)
	}
	return nil
}

// Planes is a frame of a PlanarFormat, whose planes may have padded lines.
type Planes struct {
	Format  capture.Format
	Data    [3][]byte
	Strides [3]int
}

// view returns the planes, of which a greyscale frame has one.
func (p *Planes) view() (v frameView, err error) {
	if p.Format.Pixel.Info().Planar != p.Format.Pixel || p.Format.Check() != nil {
		return v, fmt.Errorf("%v has no planes", p.Format)
	}
	layout, n := p.Format.Planes()
	for i, l := range layout[:n] {
		v[i] = plane{p.Data[i], p.Strides[i], l.Stride, l.Lines}
		if !v[i].fitsData() {
			return v, fmt.Errorf("plane %d of %v is too short", i, p.Format)
		}
	}
	return v, nil
}

// Pose is where and how a frame is seen.
type Pose struct {
	To         image.Rectangle // that the frame fills, which may exceed the image
	Mirrored   bool            // left and right, before it is turned
	Quarters   int             // it is turned by, clockwise: 0 to 3
	Brightness float64         // 1 for all of it
}

// Display draws frames for a screen where no graphics card does: turned, scaled and
// converted. It is for one goroutine; the zero value is ready.
type Display struct{ turned, scaled []byte }

// Draw draws a frame as far as it is inside of dst, with the colours that its matrix and
// range make of it (to 1/255). No more of it is scaled than is seen.
func (d *Display) Draw(dst BGRA, p *Planes, pose Pose) error {
	src, err := p.view()
	if err = errors.Join(err, dst.check()); err != nil {
		return fmt.Errorf("codec: draw a frame: %w", err)
	}
	to := pose.To
	seen := to.Intersect(dst.Bounds())
	if seen.Empty() {
		return nil
	}
	// All of it is done to planes: they are less to scale than pixels, and libyuv
	// rounds them better.
	src = d.turnPlanes(src, pose)
	src, at := cropToSeen(src, seen.Sub(to.Min), to.Size())
	src = d.scalePlanes(src, at.Dx(), at.Dy())
	cut := seen.Sub(to.Min).Sub(at.Min)
	for i := range src {
		src[i] = src[i].cropTo(cut.Min.X, cut.Min.Y, cut.Dx(), cut.Dy(), 1)
	}
	offset, factors := factorsOf(p.Format, pose.Brightness)
	bgra(dst.plane().cropTo(seen.Min.X, seen.Min.Y, seen.Dx(), seen.Dy(), 4), src, offset, &factors)
	return nil
}

// turnPlanes returns the planes turned.
func (d *Display) turnPlanes(src frameView, pose Pose) frameView {
	if pose.Quarters == 0 && !pose.Mirrored {
		return src
	}
	quarters := pose.Quarters
	if pose.Mirrored { // rotatePlane mirrors afterwards: that is to turn the other way
		quarters = 4 - quarters
	}
	b := growBuffer(&d.turned, 3*src[0].width*src[0].height)
	for i, p := range src {
		w, h := p.width, p.height
		if quarters%2 == 1 {
			w, h = h, w
		}
		src[i] = plane{b, w, w, h}
		b = b[w*h:]
		if h > 0 {
			rotatePlane(src[i], p, 90*(quarters%4), pose.Mirrored)
		}
	}
	return src
}

// cropToSeen returns what of src covers the part seen of it, when it is scaled to
// size, and where that lies then: a few pixels more than is seen.
func cropToSeen(src frameView, seen image.Rectangle, size image.Point) (frameView, image.Rectangle) {
	width, height := src[0].width, src[0].height
	x0, x1 := coverSamples(seen.Min.X, seen.Max.X, size.X, width)
	y0, y1 := coverSamples(seen.Min.Y, seen.Max.Y, size.Y, height)
	for i, p := range src {
		if p.height > 0 {
			subX, subY := (width+p.width-1)/p.width, (height+p.height-1)/p.height
			src[i] = p.cropTo(x0/subX, y0/subY, (x1-x0+subX-1)/subX, (y1-y0+subY-1)/subY, 1)
		}
	}
	return src, image.Rect(x0*size.X/width, y0*size.Y/height, x1*size.X/width, y1*size.Y/height)
}

// coverSamples returns which of n samples cover low to high, when they are scaled to
// a length of size. It begins and ends where subsampled chroma does.
func coverSamples(low, high, size, n int) (first, last int) {
	return low * n / size &^ 1, min(((high*n+size-1)/size+1)&^1, n)
}

// scalePlanes returns planes of one size without subsampling.
func (d *Display) scalePlanes(src frameView, width, height int) frameView {
	b := growBuffer(&d.scaled, len(src)*width*height)
	for i, p := range src {
		if p.height == 0 { // grey: any chroma will do, its factors are 0
			src[i] = src[0]
			continue
		}
		if p.width == width && p.height == height {
			continue
		}
		src[i] = plane{b[i*width*height:], width, width, height}
		scalePlane(src[i], p)
	}
	return src
}

// factorsOf returns what bgra needs for the inverse of BT.601 section 2.5.1 or
// BT.709 section 3.2.
func factorsOf(f capture.Format, brightness float64) (offset int, factors [5]int32) {
	kr, kb := 0.299, 0.114
	if f.Matrix == capture.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	luma, chroma := 1.0, 1.0
	if f.Range == capture.Limited {
		offset, luma, chroma = 16, 255.0/219, 255.0/224
	}
	if f.Pixel == capture.GREY {
		chroma = 0
	}
	red, blue, kg := 2*(1-kr)*chroma, 2*(1-kb)*chroma, 1-kr-kb
	for i, x := range [...]float64{luma, red, -blue * kb / kg, -red * kr / kg, blue} {
		factors[i] = int32(math.Round(x * brightness * (1 << 14)))
	}
	return offset, factors
}
