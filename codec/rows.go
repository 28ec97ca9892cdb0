package codec

import "github.com/tbcam/tbcam/capture"

// rawRows are whole rows of a raw frame: its planes, in the order of memory and as
// wide as its layout has them, and the format of a frame of just these rows.
type rawRows struct {
	format capture.Format
	planes [3]plane
}

// rowsOf returns all rows of a raw frame.
func rowsOf(f *capture.Frame) (r rawRows) {
	r.format = f.Format
	planes, n := f.Format.Planes()
	for i, l := range planes[:n] {
		r.planes[i] = plane{f.Data[l.Offset:], l.Stride, l.Stride, l.Lines}
	}
	switch r.layout() {
	case capture.SemiPlanar:
		r.planes[1].width /= 2 // pairs
	case capture.Planar:
	default:
		r.planes[0].width = f.Format.Width
	}
	return r
}

// cut returns n rows from one on, which is a multiple of the rows that share chroma.
func (r rawRows) cut(from, n int) rawRows {
	r.format.Height = n
	planes, count := r.format.Planes()
	_, subY := r.format.Pixel.Info().Subsampling()
	for i, l := range planes[:count] {
		r.planes[i] = r.planes[i].lines(from, l.Lines)
		from /= subY // of the planes of chroma
		subY = 1
	}
	return r
}

func (r *rawRows) layout() capture.Layout { return r.format.Pixel.Info().Layout }

// ordered returns the planes of a planar layout as Y', Cb and Cr.
func (r *rawRows) ordered() frameView {
	p := frameView(r.planes)
	p[1], p[2] = chromaOrder(p, r.format.Pixel)
	return p
}

// splitChroma writes the pairs of a SemiPlanar layout to the chroma of dst.
func (r *rawRows) splitChroma(dst frameView) {
	c0, c1 := chromaOrder(dst, r.format.Pixel)
	splitPairs(c0, c1, r.planes[1])
}
