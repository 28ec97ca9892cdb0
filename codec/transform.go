package codec

import (
	"fmt"
	"image"
	"regexp"
	"slices"
	"strconv"

	"github.com/tbcam/tbcam/capture"
)

// Transform changes the shape of raw frames: it cuts Crop out, turns that, and
// mirrors the result. The zero value leaves frames as they are.
type Transform struct {
	// Crop is in pixels of the frame as it comes; an empty one is all of it. It
	// is clipped to the frame, and begins where subsampled chroma does: up to
	// one pixel further left and up. Format and Apply ignore one that Check
	// refuses because nothing of it is inside.
	Crop   image.Rectangle
	Rotate int  // degrees clockwise: 0, 90, 180 or 270
	Mirror bool // left and right change places
}

// ParseRotate reads "0", "90", "180" or "270", degrees clockwise.
func ParseRotate(s string) (int, error) {
	degrees, err := strconv.Atoi(s)
	if err != nil || !slices.Contains([]int{0, 90, 180, 270}, degrees) {
		return 0, fmt.Errorf("rotation %q: want 90, 180 or 270, degrees clockwise", s)
	}
	return degrees, nil
}

var cropSyntax = regexp.MustCompile(`^[0-9]{1,4}x[0-9]{1,4}\+[0-9]{1,4}\+[0-9]{1,4}$`)

// ParseCrop reads a rectangle of pixels, "WxH+X+Y", which is not empty.
func ParseCrop(s string) (image.Rectangle, error) {
	var w, h, x, y int
	if cropSyntax.MatchString(s) {
		_, _ = fmt.Sscanf(s, "%dx%d+%d+%d", &w, &h, &x, &y) // cannot fail then
	}
	r := image.Rect(x, y, x+w, y+h)
	if r.Empty() {
		return r, fmt.Errorf("crop %q: want WxH+X+Y in pixels, for instance 640x480+0+120", s)
	}
	return r, nil
}

// Identity reports whether frames stay as they are.
func (t Transform) Identity() bool { return t == Transform{} }

// Check reports a crop that is not inside a frame of format in, and what is
// done instead.
func (t Transform) Check(in capture.Format) error {
	all := image.Rect(0, 0, in.Width, in.Height)
	switch kept := t.Crop.Intersect(all); {
	case t.Crop.Empty() || t.Crop.In(all):
		return nil
	case kept.Empty():
		return fmt.Errorf("crop %s is outside of the frame, which is %dx%d: it is not cropped", formatGeometry(t.Crop), in.Width, in.Height)
	default:
		return fmt.Errorf("crop %s is larger than the frame, which is %dx%d: %s is shown", formatGeometry(t.Crop), in.Width, in.Height, formatGeometry(kept))
	}
}

// formatGeometry returns what ParseCrop reads.
func formatGeometry(r image.Rectangle) string {
	return fmt.Sprintf("%dx%d+%d+%d", r.Dx(), r.Dy(), r.Min.X, r.Min.Y)
}

// Format returns what becomes of frames of format in. Raw ones that are
// changed become planar, as by PlanarFormat, or YUV444 where no raw format has
// the chroma of the result: 4:2:2 lying on its side, or an odd last column or
// line that comes first. Of a compressed format only the size is known.
func (t Transform) Format(in capture.Format) capture.Format {
	if t.Identity() {
		return in
	}
	out := in
	if !in.Pixel.Compressed() {
		out = PlanarFormat(in)
	}
	crop := t.cropOf(in)
	out.Width, out.Height = crop.Dx(), crop.Dy()
	if !in.Pixel.Compressed() && !t.keepsChroma(out) {
		out.Pixel = capture.YUV444
	}
	if t.onSide() {
		out.Width, out.Height = out.Height, out.Width
	}
	return out
}

// cropOf returns the part of a frame that is kept.
func (t Transform) cropOf(in capture.Format) image.Rectangle {
	all := image.Rect(0, 0, in.Width, in.Height)
	crop := t.Crop.Intersect(all)
	if crop.Empty() {
		return all
	}
	if in.Pixel.Compressed() {
		return crop
	}
	subX, subY := in.Pixel.Info().Subsampling()
	return crop.Sub(image.Pt(crop.Min.X%subX, crop.Min.Y%subY))
}

// onSide reports whether width and height change places.
func (t Transform) onSide() bool { return t.Rotate == 90 || t.Rotate == 270 }

// keepsChroma reports whether pixels that share chroma in a cropped frame do so
// in a raw format afterwards.
func (t Transform) keepsChroma(cropped capture.Format) bool {
	// Which of the edges come first afterwards: the right one, the lower one.
	right := (t.Rotate == 180 || t.Rotate == 270) != (t.Mirror && !t.onSide())
	lower := (t.Rotate == 180 || t.Rotate == 90) != (t.Mirror && t.onSide())
	subX, subY := cropped.Pixel.Info().Subsampling()
	return !(t.onSide() && subX != subY || right && cropped.Width%subX != 0 || lower && cropped.Height%subY != 0)
}

// Transformer applies a Transform to raw frames. It is for one goroutine.
type Transformer struct {
	Transform
	unpacker
	pool *capture.Pool
	full []byte // chroma without subsampling
}

// NewTransformer returns a transformer whose frames come from pool. The rotation
// is one that ParseRotate returns.
func NewTransformer(pool *capture.Pool, t Transform) *Transformer {
	r := &Transformer{Transform: t, pool: pool}
	r.turbo = newCompressor()
	return r
}

// Close frees the transformer's memory; RGB frames fail from then on. It may be
// called twice.
func (t *Transformer) Close() { t.turbo.closeHandle() }

// Apply takes the caller's reference over in every case and returns a frame of
// Transform.Format that the caller owns; its times and number are kept. Others
// may be reading f. The zero Transform returns f itself.
func (t *Transformer) Apply(f *capture.Frame) (*capture.Frame, error) {
	if t.Identity() {
		return f, nil
	}
	defer f.Release()
	g, err := t.applyTo(f)
	if err != nil {
		return nil, fmt.Errorf("codec: transform frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	return g, nil
}

func (t *Transformer) applyTo(f *capture.Frame) (*capture.Frame, error) {
	if err := checkRaw(f); err != nil {
		return nil, err
	}
	crop, from, to := t.cropOf(f.Format), PlanarFormat(f.Format), t.Format(f.Format)
	if !t.pool.Room(to.Size()) {
		return nil, fmt.Errorf("%w for %d bytes", ErrNoRoom, to.Size())
	}
	src, err := t.toPlanar(f)
	if err != nil {
		return nil, err
	}
	src = cropPlanes(src, from, rect{crop.Min.X, crop.Min.Y, crop.Dx(), crop.Dy()})
	if from.Pixel != to.Pixel {
		src = t.withoutSubsampling(src)
	}
	g := t.pool.Get(to.Size())
	g.CopyMetaFrom(to, f)
	for i, dst := range planesOf(to, g.Data) {
		if dst.height > 0 {
			rotatePlane(dst, src[i], t.Rotate, t.Mirror)
		}
	}
	return g, nil
}

// withoutSubsampling returns p with as much chroma as luma.
func (t *Transformer) withoutSubsampling(p frameView) frameView {
	w, h := p[0].width, p[0].height
	b := growBuffer(&t.full, 2*w*h)
	for i := 1; i < len(p); i++ {
		full := plane{b[(i-1)*w*h:], w, w, h}
		scalePlane(full, p[i])
		p[i] = full
	}
	return p
}
