package codec

import (
	"fmt"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// passer passes raw pictures through.
type passer struct{ counters }

func (p *passer) Format(in capture.Format) capture.Format { return in }

func (p *passer) Close() {}

func (p *passer) Encode(f *capture.Frame) (*capture.Frame, error) {
	if err := checkRaw(f); err != nil {
		defer f.Release()
		p.countError(err)
		return nil, fmt.Errorf("codec: pass frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	f.At[capture.Encoded] = time.Now()
	return f, nil
}

// jpegEncoder makes JPEGs of raw pictures, with their subsampling and their
// samples as they are: limited-range ones are marked by a comment.
type jpegEncoder struct {
	counters
	unpacker
	pool    *capture.Pool
	quality int
	padded  []byte // luma of odd sizes
	jpeg    []byte // has room for the largest JPEG, which frames need not have
}

func newJPEGEncoder(quality int, pool *capture.Pool) (*jpegEncoder, error) {
	e := &jpegEncoder{pool: pool, quality: quality}
	e.turbo = newCompressor()
	if e.turbo.handle == nil {
		return nil, fmt.Errorf("codec: make an encoder: %w", e.turbo.err())
	}
	return e, nil
}

func (e *jpegEncoder) Close() { e.turbo.close() }

func (e *jpegEncoder) Format(in capture.Format) capture.Format {
	out := PlanarFormat(in)
	out.Pixel = capture.MJPEG
	return out
}

func (e *jpegEncoder) Encode(f *capture.Frame) (*capture.Frame, error) {
	defer f.Release()
	jpeg, err := e.encode(f)
	if err != nil {
		e.countError(err)
		return nil, fmt.Errorf("codec: encode frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	g := e.pool.Get(len(jpeg) + jfif.MarkRoom)
	g.CopyMetaFrom(e.Format(f.Format), f)
	g.Data = jfif.AppendMarked(g.Data[:0], jpeg, g.Format.Range)
	g.At[capture.Encoded] = time.Now()
	return g, nil
}

// encode returns a JPEG that is valid until the next call.
func (e *jpegEncoder) encode(f *capture.Frame) ([]byte, error) {
	if err := checkRaw(f); err != nil {
		return nil, err
	}
	p, err := e.toPlanar(f)
	if err != nil {
		return nil, err
	}
	planar := PlanarFormat(f.Format)
	sub := jfif.SubsamplingOf(planar.Pixel)
	subX, subY := sub.Factors()
	p[0] = padded(p[0], subX, subY, &e.padded)
	out := growBuffer(&e.jpeg, jpegBound(planar, sub))
	n, err := e.turbo.compress(out, p, planar, sub, e.quality)
	return out[:n], err
}

// padded returns p with its sides rounded up to multiples of subX and subY by
// repeating its last samples, as TurboJPEG wants luma. The copy, if one is
// needed, lies in scratch.
func padded(p plane, subX, subY int, scratch *[]byte) plane {
	w, h := (p.width+subX-1)/subX*subX, (p.height+subY-1)/subY*subY
	if w == p.width && h == p.height {
		return p
	}
	q := plane{growBuffer(scratch, w*h), w, w, h}
	for y := range h {
		line := p.data[min(y, p.height-1)*p.stride:][:p.width]
		repeatPattern(q.data[y*w+copy(q.data[y*w:], line):][:w-p.width], line[p.width-1])
	}
	return q
}
