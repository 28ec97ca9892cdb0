package codec

import (
	"sync/atomic"

	"github.com/tbcam/tbcam/codec/jfif"
)

// partsPerWorker is more than one, so that who is late delays the others less.
const partsPerWorker = 3

// partDecoder decodes JPEGs in parts that begin at restart markers.
type partDecoder struct {
	crew    *crew
	stopped *atomic.Uint32
	workers []*partWorker // as many as were needed so far

	// Of the frame that is being decoded.
	planes frameView
	jpeg   []byte
	header jfif.Header
	parts  []jfif.Part
	failed atomic.Bool
}

// partWorker is what one goroutine at a time decodes parts with.
type partWorker struct {
	libjpeg
	header []byte
}

func (d *partDecoder) init(stopped *atomic.Uint32) {
	d.stopped = stopped
	d.crew = newCrew(d.decodeParts)
}

// decode fills p with a JPEG in at most n parts, and reports whether it could.
func (d *partDecoder) decode(p frameView, jpeg []byte, h *jfif.Header, workers, n int) bool {
	d.parts = h.AppendParts(d.parts[:0], jpeg, n)
	if len(d.parts) == 0 {
		return false
	}
	for len(d.workers) < workers {
		d.workers = append(d.workers, &partWorker{libjpeg: libjpeg{stopped: d.stopped}})
	}
	d.planes, d.jpeg, d.header = p, jpeg, *h
	d.failed.Store(false)
	d.crew.runParts(len(d.parts), min(workers, len(d.parts)))
	d.planes, d.jpeg = frameView{}, nil // the caller releases them
	return !d.failed.Load()
}

// decodeParts decodes the parts that a worker takes. It is called by several goroutines at
// once.
func (d *partDecoder) decodeParts(worker int) {
	for i, ok := d.crew.takePart(); ok; i, ok = d.crew.takePart() {
		d.decodePart(worker, i)
	}
}

func (d *partDecoder) decodePart(worker, i int) {
	if d.failed.Load() {
		return
	}
	w, part := d.workers[worker], d.parts[i]
	w.header = d.header.AppendPartHeader(w.header[:0], d.jpeg, part)
	out := linesOf(d.planes, d.header.Subsampling, part)
	if w.decodePart(out, w.header, d.jpeg[part.Start:part.End], part.Restart, i == len(d.parts)-1) != nil {
		d.failed.Store(true)
	}
}

// linesOf returns the lines of planes that a part fills.
func linesOf(p frameView, sub jfif.Subsampling, part jfif.Part) frameView {
	_, subY := sub.Factors()
	p[0] = p[0].lines(part.Top, part.Lines)
	_, lines := sub.Chroma(1, part.Lines)
	for i := 1; i < sub.Components(); i++ {
		p[i] = p[i].lines(part.Top/subY, lines)
	}
	return p
}
