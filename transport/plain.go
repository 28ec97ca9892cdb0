package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/transport/wire"
)

// maxPlain bounds a frame of plain MJPEG, in bytes: its reader keeps the stream in a
// buffer of twice that.
const maxPlain = MaxFrame / 2

// maxSniff bounds what is read before it is clear what the peer sends.
const maxSniff = 8 << 20

// sniffPlain reads until it is clear whether the peer sends plain MJPEG: a whole
// image came before any record. It returns what it read.
func sniffPlain(src io.Reader) (head []byte, plain bool, err error) {
	s := &sniffer{src: src}
	// Almost always a record is all that it takes.
	first := make([]byte, wire.PacketSize)
	n, err := s.Read(first)
	if err == nil {
		_, err = jfif.NewSplitter(io.MultiReader(bytes.NewReader(first[:n]), s), maxSniff).Next()
	}
	if errors.Is(err, errNotPlain) || errors.Is(err, jfif.ErrTooLong) {
		return s.head, false, nil
	}
	return s.head, err == nil, err
}

var errNotPlain = errors.New("the peer sends no plain MJPEG")

// sniffer keeps what it reads, and ends with errNotPlain where a record begins.
type sniffer struct {
	src     io.Reader
	head    []byte
	checked int // bytes of head in which no record begins
}

func (s *sniffer) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	s.head = append(s.head, p[:n]...)
	for ; s.checked+wire.HeaderSize <= len(s.head); s.checked++ {
		if _, err := wire.ParseHeader(s.head[s.checked:]); err == nil || errors.Is(err, wire.ErrVersion) {
			return 0, errNotPlain
		}
	}
	if len(s.head) > maxSniff {
		return 0, errNotPlain
	}
	return n, err
}

// readPlain reads plain MJPEG. Such a session has no control, no credits and no
// times but that of arrival.
func (rs *receiverSession) readPlain(src io.Reader) error {
	rs.plain.Store(true)
	rs.peer, rs.begun = &Peer{Program: "plain MJPEG", Host: cutPrintable(rs.receiver.Link.String(), maxText)}, true
	frames := jfif.NewSplitter(src, maxPlain)
	p := plainStream{session: rs}
	defer p.dropWaiting()
	for sequence := uint32(0); ; sequence++ {
		rs.meetStreams()
		data, err := frames.Next()
		switch {
		case errors.Is(err, jfif.ErrTooLong):
			p.countDamaged(len(data))
		case err != nil:
			if errors.Is(err, io.EOF) {
				p.deliverWaiting()
			}
			return err
		default:
			p.handleImage(data, sequence)
		}
	}
}

// plainStream hands frames of plain MJPEG over. A frame of a new format waits for
// the next: a damaged header must not change the mode, with which a recording
// begins a new file.
type plainStream struct {
	session *receiverSession
	waiting *capture.Frame // nil without one
	lost    capture.Lost
}

// streamNumber returns the number that the images are of.
func (p *plainStream) streamNumber() *incoming { return &p.session.streams[1] }

// handleImage makes a frame of data, and hands over what need not wait.
func (p *plainStream) handleImage(data []byte, sequence uint32) {
	r := p.session.receiver
	if !r.Pool.Room(len(data)) {
		p.countDamaged(len(data))
		return
	}
	f := r.Pool.Get(len(data))
	copy(f.Data, data)
	f.Sequence, f.Time = sequence, time.Now()
	f.At[capture.Received] = f.Time
	f, err := r.Plain(f)
	switch {
	case err != nil:
		r.Log.Debug("frame dropped", "err", err)
		p.countDamaged(len(data))
	case f.Format == p.streamNumber().mode.Format:
		p.dropWaiting()
		p.deliverFrame(f)
	case p.waiting != nil && p.waiting.Format == f.Format:
		p.deliverWaiting()
		p.deliverFrame(f)
	default:
		p.dropWaiting()
		p.waiting = f
	}
}

// deliverWaiting hands over the frame that waits.
func (p *plainStream) deliverWaiting() {
	if p.waiting != nil {
		p.deliverFrame(p.waiting)
		p.waiting = nil
	}
}

// dropWaiting counts the frame that waits as damaged.
func (p *plainStream) dropWaiting() {
	if f := p.waiting; f != nil {
		p.session.receiver.Log.Debug("frame dropped", "err", fmt.Errorf("the only one of %v", f.Format))
		p.countDamaged(len(f.Data))
		f.Release()
		p.waiting = nil
	}
}

// deliverFrame takes over a frame, and announces its format if that is new.
func (p *plainStream) deliverFrame(f *capture.Frame) {
	in := p.streamNumber()
	if in.user == nil {
		f.Release()
		return
	}
	if f.Format != in.mode.Format && in.user.modes.Take() > 0 {
		p.session.receiver.Log.Debug("frame dropped", "err", "its format changes too often")
		p.countDamaged(len(f.Data))
		f.Release()
		return
	}
	if f.Format != in.mode.Format {
		in.mode = Mode{Number: in.mode.Number + 1, Camera: "plain MJPEG", Format: f.Format}
		in.mode.Source = capture.Mode{Pixel: f.Format.Pixel, Width: f.Format.Width, Height: f.Format.Height}
		in.user.consumer.Mode(in.mode)
	}
	in.user.countFrame(len(f.Data))
	in.user.consumer.Frame(f, p.lost)
}

func (p *plainStream) countDamaged(bytes int) {
	p.lost.Damaged++
	if user := p.streamNumber().user; user != nil {
		user.consumer.Lost(p.lost)
	}
	p.session.receiver.addDamage(1, uint64(bytes))
}
