package transport

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/mjpeg"
	"github.com/tbcam/tbcam/transport/wire"
)

// maxSniff bounds what is read before it is clear what the peer speaks.
const maxSniff = 8 << 20

// sniff reads until it is clear whether the peer sends plain MJPEG: a whole
// picture came before any record. It returns what it read.
func sniff(src io.Reader) (head []byte, plain bool, err error) {
	s := &sniffer{src: src}
	// Almost always a record is all that it takes.
	first := make([]byte, wire.PacketSize)
	n, err := s.Read(first)
	if err == nil {
		_, err = mjpeg.NewReader(io.MultiReader(bytes.NewReader(first[:n]), s), maxSniff).Next()
	}
	if errors.Is(err, errNotPlain) || errors.Is(err, mjpeg.ErrTooLarge) {
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
	r := rs.receiver
	rs.peer, rs.begun = &Peer{Program: "plain MJPEG", Host: printable(r.Link.String(), maxText)}, true
	r.Viewer.Connected(*rs.peer)
	pictures := mjpeg.NewReader(src, MaxFrame)
	for sequence := uint32(0); ; sequence++ {
		picture, err := pictures.Next()
		if errors.Is(err, mjpeg.ErrTooLarge) {
			rs.countDamaged(len(picture))
			continue
		}
		if err != nil {
			return err
		}
		rs.plainPicture(picture, sequence)
	}
}

// plainPicture hands a picture over, unless it is damaged.
func (rs *receiverSession) plainPicture(picture []byte, sequence uint32) {
	r := rs.receiver
	f := r.Pool.Get(len(picture))
	copy(f.Data, picture)
	f.Sequence, f.Time = sequence, time.Now()
	f.At[capture.Received] = f.Time
	f, err := r.Plain(f)
	if err != nil {
		r.Log.Debug("picture dropped", "why", err)
		rs.countDamaged(len(picture))
		return
	}
	if f.Format != rs.mode.Format && !r.modes.take(modeLimit) {
		f.Release()
		r.Log.Debug("picture dropped", "err", "its format changes too often")
		rs.countDamaged(len(picture))
		return
	}
	if f.Format != rs.mode.Format {
		rs.mode = Mode{Number: rs.mode.Number + 1, Camera: "plain MJPEG", Format: f.Format}
		rs.mode.Source = capture.Mode{Pixel: f.Format.Pixel, Width: f.Format.Width, Height: f.Format.Height}
		r.Viewer.Mode(rs.mode)
	}
	r.count(func(s *Stats) {
		s.Frames++
		s.Bytes += uint64(len(f.Data))
	})
	r.Viewer.Frame(f, capture.Lost{})
}

func (rs *receiverSession) countDamaged(bytes int) {
	rs.receiver.count(func(s *Stats) {
		s.Damage.Records++
		s.Damage.Bytes += uint64(bytes)
	})
}
