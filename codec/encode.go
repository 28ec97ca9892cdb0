package codec

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
)

// passer passes raw frames through.
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

// jpegEncoder makes JPEGs of raw frames, with their subsampling and their
// samples as they are: limited-range ones are marked by a comment.
type jpegEncoder struct {
	counters
	pool    *capture.Pool
	quality int
	crew    *crew
	workers []*stripEncoder // as many as were needed so far
	jpeg    []byte          // has room for the largest strips, which frames need not have
	closed  bool
	divide  func(capture.Format) division // tests divide frames into strips of their own

	// Of the frame that is being encoded.
	rows    rawRows
	div     division
	lengths []int64  // of the JPEGs of strips, each of which has its room in jpeg
	strips  [][]byte // these JPEGs
	errs    []error  // of the workers
}

func newJPEGEncoder(quality int, pool *capture.Pool) (*jpegEncoder, error) {
	e := &jpegEncoder{pool: pool, quality: quality, divide: divideNow}
	e.crew = newCrew(e.encodeTaken)
	return e, e.hireEncoders(1)
}

// hireEncoders makes encoders until there are n.
func (e *jpegEncoder) hireEncoders(n int) error {
	if e.closed {
		return errors.New("the encoder is closed")
	}
	for len(e.workers) < n {
		w := &stripEncoder{unpacker: unpacker{turbo: newCompressor()}}
		if err := w.compressor.open(); err != nil {
			return fmt.Errorf("codec: make an encoder: %w", err)
		}
		e.workers = append(e.workers, w)
	}
	return nil
}

func (e *jpegEncoder) Close() {
	for _, w := range e.workers {
		w.turbo.closeHandle()
		w.compressor.close()
	}
	e.closed = true
}

func (e *jpegEncoder) Format(in capture.Format) capture.Format {
	out := PlanarFormat(in)
	out.Pixel = capture.MJPEG
	return out
}

func (e *jpegEncoder) Encode(f *capture.Frame) (*capture.Frame, error) {
	defer f.Release()
	g, err := e.encodeJPEG(f)
	if err != nil {
		e.countError(err)
		return nil, fmt.Errorf("codec: encode frame %d of %v: %w", f.Sequence, f.Format, err)
	}
	g.At[capture.Encoded] = time.Now()
	return g, nil
}

func (e *jpegEncoder) encodeJPEG(f *capture.Frame) (*capture.Frame, error) {
	if err := checkRaw(f); err != nil {
		return nil, err
	}
	if err := e.encodeStrips(f, e.divide(f.Format)); err != nil {
		return nil, err
	}
	size := jfif.JoinRoom(len(e.strips))
	for _, s := range e.strips {
		size += len(s)
	}
	g := e.pool.Get(size)
	g.CopyMetaFrom(e.Format(f.Format), f)
	data, err := jfif.AppendJoined(g.Data[:0], e.strips, g.Format.Height, g.Format.Range)
	if err != nil {
		g.Release()
		return nil, err
	}
	g.Data = data
	return g, nil
}

// encodeStrips fills e.strips.
func (e *jpegEncoder) encodeStrips(f *capture.Frame, d division) error {
	if err := e.hireEncoders(d.workers); err != nil {
		return err
	}
	n, room := d.stripCount(f.Format.Height), d.largestStrip(f.Format)
	e.rows, e.div = rowsOf(f), d
	growBuffer(&e.jpeg, n*room)
	e.lengths = slices.Grow(e.lengths[:0], n)[:n]
	workers := min(d.workers, n)
	e.errs = slices.Grow(e.errs[:0], workers)[:workers]
	e.crew.runParts(n, workers)
	e.rows = rawRows{} // the frame is going to be released
	if err := cmp.Or(e.errs...); err != nil {
		return err
	}
	e.strips = e.strips[:0]
	for i, length := range e.lengths {
		e.strips = append(e.strips, e.jpeg[i*room:][:length])
	}
	return nil
}

// encodeTaken encodes the strips that a worker takes, until one fails. It is called by
// several goroutines at once.
func (e *jpegEncoder) encodeTaken(worker int) {
	w, room := e.workers[worker], e.div.largestStrip(e.rows.format)
	if isDirect(e.rows.layout()) {
		e.errs[worker] = w.compressStrips(e.jpeg[:len(e.lengths)*room], e.lengths, e.crew.begun, e.div.rows, e.rows, e.quality)
		return
	}
	e.errs[worker] = nil
	for i, ok := e.crew.takePart(); ok; i, ok = e.crew.takePart() {
		top := i * e.div.rows
		n, err := w.encodeRows(e.jpeg[i*room:][:room], e.rows.cut(top, min(e.div.rows, e.rows.format.Height-top)), e.quality)
		if e.lengths[i] = int64(n); err != nil {
			e.errs[worker] = err
			return
		}
	}
}

// stripEncoder encodes rows of frames. It is for one goroutine at a time.
type stripEncoder struct {
	unpacker
	compressor
}

// encodeRows writes a JPEG of some rows, which have to be unpacked before, to out, and
// returns its length.
func (e *stripEncoder) encodeRows(out []byte, rows rawRows, quality int) (int, error) {
	p, err := e.rowsToPlanar(rows)
	if err != nil {
		return 0, err
	}
	return e.compress(out, rawRows{PlanarFormat(rows.format), p}, quality)
}

// isDirect reports whether frames of a layout are unpacked while they are encoded.
func isDirect(layout capture.Layout) bool {
	return layout == capture.Planar || layout == capture.SemiPlanar || layout == capture.Packed422
}
