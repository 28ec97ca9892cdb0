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
	for len(head) < maxSniff {
		head = append(head, make([]byte, wire.MaxRecord)...)
		n, err := src.Read(head[len(head)-wire.MaxRecord:])
		head = head[:len(head)-wire.MaxRecord+n]
		if err != nil && n == 0 {
			return head, false, err
		}
		if holdsRecord(head) {
			break
		}
		if _, err := mjpeg.NewReader(bytes.NewReader(head), maxSniff).Next(); err == nil {
			return head, true, nil
		}
	}
	return head, false, nil
}

// holdsRecord reports whether there is the header of a record.
func holdsRecord(head []byte) bool {
	for at := range head {
		if _, err := wire.ParseHeader(head[at:]); err == nil || errors.Is(err, wire.ErrVersion) {
			return true
		}
	}
	return false
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
