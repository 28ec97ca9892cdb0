package main

import (
	"time"

	"github.com/tbcam/tbcam/capture"
)

// How many frames are kept: JPEGs that may still be decoded, and decoded ones
// that the window may still show; fewer of large ones, but one.
const (
	maxJPEGs  = 8
	maxUnseen = 4
	maxKept   = 64 << 20 // bytes of each
)

// snapshotHistory keeps the frame that the window shows, for a snapshot, and those that
// it may show next: each with the JPEG that it came as. It is not safe for
// concurrent use.
type snapshotHistory struct {
	jpegs  []*capture.Frame // as received, the oldest first
	unseen []pair           // presented after the one that is shown, the oldest first
	shown  pair
}

// pair is a frame; jpeg is nil if it came raw.
type pair struct{ raw, jpeg *capture.Frame }

// addReceived takes over the reference of a frame as it came.
func (s *snapshotHistory) addReceived(f *capture.Frame) {
	if !f.Format.Pixel.Compressed() {
		f.Release()
		return
	}
	s.jpegs = append(s.jpegs, f)
	for len(s.jpegs) > maxJPEGs || len(s.jpegs) > 1 && bytesOf(s.jpegs) > maxKept {
		s.jpegs[0].Release()
		s.jpegs = s.jpegs[1:]
	}
}

// bytesOf returns the memory of frames.
func bytesOf(frames []*capture.Frame) (bytes int) {
	for _, f := range frames {
		bytes += cap(f.Data)
	}
	return bytes
}

// addPresented takes over the reference of a decoded frame.
func (s *snapshotHistory) addPresented(f *capture.Frame) {
	s.unseen = append(s.unseen, pair{f, s.jpegOf(f)})
	for len(s.unseen) > max(1, min(maxUnseen, maxKept/max(1, cap(f.Data)))) {
		s.unseen[0].release()
		s.unseen = s.unseen[1:]
	}
}

func (s *snapshotHistory) jpegOf(f *capture.Frame) *capture.Frame {
	for _, j := range s.jpegs {
		if j.Sequence == f.Sequence && j.Time.Equal(f.Time) {
			return j.Retain()
		}
	}
	return nil
}

// noteShown notes which frame the window shows, by its number and time.
func (s *snapshotHistory) noteShown(sequence uint32, captured time.Time) {
	for i, u := range s.unseen {
		if u.raw.Sequence != sequence || !u.raw.At[capture.Captured].Equal(captured) {
			continue
		}
		s.shown.release()
		for _, older := range s.unseen[:i] {
			older.release()
		}
		s.shown, s.unseen = u, s.unseen[i+1:]
		return
	}
}

// currentPair returns the frame that is shown, which the caller releases. Both
// frames are nil before the first one.
func (s *snapshotHistory) currentPair() pair { return s.shown.retain() }

// newestFrame returns the frame that was presented last, which the caller releases,
// or nil.
func (s *snapshotHistory) newestFrame() *capture.Frame {
	last := s.shown
	if n := len(s.unseen); n > 0 {
		last = s.unseen[n-1]
	}
	if last.raw == nil {
		return nil
	}
	return last.raw.Retain()
}

// releaseAll gives everything back.
func (s *snapshotHistory) releaseAll() {
	for _, j := range s.jpegs {
		j.Release()
	}
	for _, u := range s.unseen {
		u.release()
	}
	s.shown.release()
	*s = snapshotHistory{}
}

func (s pair) retain() pair {
	for _, f := range []*capture.Frame{s.raw, s.jpeg} {
		if f != nil {
			f.Retain()
		}
	}
	return s
}

func (s pair) release() {
	for _, f := range []*capture.Frame{s.raw, s.jpeg} {
		if f != nil {
			f.Release()
		}
	}
}
