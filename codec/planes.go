package codec

import "github.com/tbcam/tbcam/capture"

// plane is a rectangle of samples in memory.
type plane struct {
	data          []byte
	stride        int // bytes per line
	width, height int // samples (of a packed format: pixels)
}

// cropTo returns the rectangle of w x h samples cropTo (x, y), each of size bytes.
func (p plane) cropTo(x, y, w, h, size int) plane {
	return plane{p.data[y*p.stride+x*size:], p.stride, w, h}
}

// lines returns n lines from one on.
func (p plane) lines(from, n int) plane {
	return plane{p.data[from*p.stride:], p.stride, p.width, n}
}

// fitsData reports whether data holds every line.
func (p plane) fitsData() bool {
	return p.stride >= p.width && len(p.data) >= p.stride*(p.height-1)+p.width
}

// frameView is Y', Cb and Cr; greyscale frames lack the last two.
type frameView [3]plane

// PlanarFormat returns the planar format of 8 bits that holds frames of a raw
// format with all their chroma: YUV420, YUV422P, YUV444 or GREY. RGB becomes
// full-range BT.601; other samples keep their matrix and range, and the upper 8
// of their bits.
func PlanarFormat(in capture.Format) capture.Format {
	info, out := in.Pixel.Info(), in
	if info.Layout == capture.Coded {
		return out
	}
	out.Pixel = info.Planar
	if info.IsRGB() {
		out.Matrix, out.Range = capture.BT601, capture.Full
	}
	return out
}

// planesOf returns the planes of a frame of a planar format that lies in data.
func planesOf(f capture.Format, data []byte) (p frameView) {
	planes, n := f.Planes()
	for i, l := range planes[:n] {
		p[i] = plane{data[l.Offset:], l.Stride, l.Stride, l.Lines}
	}
	if f.Pixel.Info().CrFirst {
		p[1], p[2] = p[2], p[1]
	}
	return p
}

// growBuffer returns a buffer of n bytes, b itself if it is large enough.
func growBuffer(b *[]byte, n int) []byte {
	if cap(*b) < n {
		*b = make([]byte, n)
	}
	return (*b)[:n]
}

// unpacker makes planar frames of raw frames. It is for one goroutine.
type unpacker struct {
	turbo    turbo // a compressor, for RGB
	scratch  []byte
	expanded []byte // RGB of less than 8 bits as 32-bit pixels
}

// toPlanar returns the frame as its PlanarFormat. The planes are the frame's own
// where its layout allows, and else stay valid until the next call.
func (u *unpacker) toPlanar(f *capture.Frame) (frameView, error) { return u.rowsToPlanar(rowsOf(f)) }

// rowsToPlanar is toPlanar of some rows of a frame.
func (u *unpacker) rowsToPlanar(r rawRows) (frameView, error) {
	if r.layout() == capture.Planar {
		return r.ordered(), nil
	}
	to := PlanarFormat(r.format)
	p := planesOf(to, growBuffer(&u.scratch, to.Size()))
	if r.layout() == capture.SemiPlanar {
		p[0] = r.planes[0]
		r.splitChroma(p)
		return p, nil
	}
	return p, u.unpackRows(p, r)
}

// unpackInto writes the frame to the planes of its PlanarFormat.
func (u *unpacker) unpackInto(dst frameView, f *capture.Frame) error {
	return u.unpackRows(dst, rowsOf(f))
}

// unpackRows is unpackInto of some rows of a frame.
func (u *unpacker) unpackRows(dst frameView, r rawRows) error {
	switch info := r.format.Pixel.Info(); info.Layout {
	case capture.PackedRGB:
		return u.turbo.fromRGB(dst, r.planes[0].data, info.RGB)
	case capture.RGB16:
		return u.turbo.fromRGB(dst, u.expandRGB565(r), bgrx)
	case capture.Words:
		narrowWords(dst[0], r.planes[0], info.Bits)
	case capture.Packed422:
		c0, c1 := chromaOrder(dst, info.Pixel)
		unpack422(dst[0], c0, c1, r.planes[0], info.ChromaFirst)
	case capture.SemiPlanar:
		scalePlane(dst[0], r.planes[0])
		r.splitChroma(dst)
	default:
		resamplePlanes(dst, r.ordered())
	}
	return nil
}

// bgrx is the order of what expand returns, as PixelInfo.RGB has it.
var bgrx = [4]int{2, 1, 0, 4}

// expandRGB565 returns rows of RGB565 as pixels of 32 bits, until the next call.
func (u *unpacker) expandRGB565(r rawRows) []byte {
	w, h := r.format.Width, r.format.Height
	b := growBuffer(&u.expanded, 4*w*h)
	expandRGB565(plane{b, 4 * w, w, h}, r.planes[0])
	return b
}

// chromaOf returns the interleaved chroma of a frame in data, in pairs.
func chromaOf(f capture.Format, data []byte) plane {
	planes, _ := f.Planes()
	l := planes[1]
	return plane{data[l.Offset:], l.Stride, l.Stride / 2, l.Lines}
}

// packedPlane returns the only plane of a packed frame in data.
func packedPlane(f capture.Format, data []byte) plane {
	planes, _ := f.Planes()
	return plane{data, planes[0].Stride, f.Width, f.Height}
}

// chromaOrder returns the chroma planes in the order in which a format has them.
func chromaOrder(p frameView, pixel capture.PixelFormat) (first, second plane) {
	if pixel.Info().CrFirst {
		return p[2], p[1]
	}
	return p[1], p[2]
}

// resamplePlanes fills dst with src: scaled, subsampled and coloured as dst is.
func resamplePlanes(dst, src frameView) {
	for i := range dst {
		if dst[i].height > 0 {
			dst[i].fillFrom(src[i])
		}
	}
}

// neutral is the chroma of grey.
const neutral = 128

// fillFrom fills p with src, scaled; without src it is the chroma of a grey frame.
func (p plane) fillFrom(src plane) {
	if src.height > 0 {
		scalePlane(p, src)
		return
	}
	for y := range p.height {
		repeatPattern(p.data[y*p.stride:][:p.width], neutral)
	}
}

// repeatPattern repeats pattern over b.
func repeatPattern(b []byte, pattern ...byte) {
	for n := copy(b, pattern); n > 0 && n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}
