package pipewire

/*
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/internal/monotonic"
)

// maxAge is how long before its arrival a frame may have been captured: a stamp
// outside of that is of another clock, as libcamera's may be after a suspend.
const maxAge = 2 * time.Second

// maxFrame bounds an encoded frame.
const maxFrame = 64 << 20

// Source reads a camera of PipeWire.
type Source struct {
	path   string
	mode   capture.Mode
	format capture.Format
	pool   *capture.Pool
	planes []C.struct_tb_plane // none of an encoded format
	conn   *conn

	reading sync.Mutex // held by Read
	closing sync.Once
	closed  atomic.Bool
	input   *C.struct_tb_input // freed under reading
	lost    atomic.Pointer[capture.Lost]

	// Accessed only by Read.
	gaps    uint64
	last    uint64
	counted bool
}

// open starts to read a device in a mode.
func open(d capture.Device, mode capture.Mode, pool *capture.Pool) (*Source, error) {
	if mode.Pixel.Info().SPA == 0 {
		return nil, fmt.Errorf("open %s: %w: %v", d.Path, capture.ErrNoMode, mode)
	}
	c, err := connect()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", d.Path, err)
	}
	s := &Source{path: d.Path, pool: pool, conn: c}
	s.lost.Store(new(capture.Lost))
	if err := s.start(d, mode); err != nil {
		c.close()
		return nil, err
	}
	return s, nil
}

// start starts to read, in the mode that the node grants.
func (s *Source) start(d capture.Device, mode capture.Mode) error {
	n, err := s.conn.find(d)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if !s.conn.isManaged() {
		return fmt.Errorf("open %s: %w", d.Path, ErrNoSessionManager)
	}
	serial := append([]byte(n.serial), 0)
	video := videoOf(mode)
	res := C.tb_input_open(&s.input, s.conn.c, C.uint32_t(n.id), (*C.char)(unsafe.Pointer(&serial[0])), &video, answerMS)
	if res < 0 {
		return explainOpen(d.Path, mode, int(res))
	}
	s.mode = capture.Mode{
		Pixel: capture.FromSPA(uint32(video.format)), Width: int(video.width), Height: int(video.height),
		Rate: capture.Rate{Num: uint32(video.num), Den: uint32(video.den)},
	}
	s.format = formatOf(s.mode)
	s.planes = planesOf(s.format)
	if err := s.format.Check(); err != nil {
		C.tb_input_close(s.input)
		return fmt.Errorf("open %s: %w: %w", d.Path, capture.ErrNoMode, err)
	}
	return nil
}

// explainOpen returns why a node is not read.
func explainOpen(path string, mode capture.Mode, res int) error {
	switch syscall.Errno(-res) {
	case syscall.EIO: // the stream ended in an error: no format that both have
		return fmt.Errorf("open %s: %w: %v", path, capture.ErrNoMode, mode)
	case syscall.EBUSY:
		return fmt.Errorf("open %s: %w", path, capture.ErrBusy)
	case syscall.ENODEV:
		return fmt.Errorf("open %s: %w", path, capture.ErrGone)
	}
	return explain("open "+path, res)
}

// formatOf returns the format of frames of a mode, in the usual colour.
func formatOf(m capture.Mode) capture.Format {
	f := capture.Format{Pixel: m.Pixel, Width: m.Width, Height: m.Height}
	if info := m.Pixel.Info(); info.Layout == capture.Coded || info.IsRGB() || info.Planar == capture.GREY {
		f.Range = capture.Full
	}
	return f
}

// planesOf returns the planes of packed frames of a format.
func planesOf(f capture.Format) []C.struct_tb_plane {
	packed, n := f.Planes()
	planes := make([]C.struct_tb_plane, n)
	for i, p := range packed[:n] {
		planes[i] = C.struct_tb_plane{
			offset: C.size_t(p.Offset), row: C.size_t(p.Stride), lines: C.size_t(p.Lines),
			// In one buffer, the padded lines of chroma are as much shorter as these are.
			subsampling: C.size_t((packed[0].Stride + p.Stride - 1) / p.Stride),
		}
	}
	return planes
}

// Mode returns what the node granted.
func (s *Source) Mode() capture.Mode { return s.mode }

// Format returns the format of the frames that Read returns.
func (s *Source) Format() capture.Format { return s.format }

// Lost counts the frames that were not delivered so far.
func (s *Source) Lost() capture.Lost { return *s.lost.Load() }

// Read waits for the newest valid frame and returns a copy of it, owned by the caller.
// It ends with capture.ErrClosed, or with capture.ErrGone where the node or PipeWire
// went away.
func (s *Source) Read() (*capture.Frame, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	for {
		if s.closed.Load() {
			return nil, capture.ErrClosed
		}
		var raw C.struct_tb_frame
		if C.tb_input_take(s.input, &raw) != 0 {
			if f := s.copy(&raw); f != nil {
				return f, nil
			}
			continue
		}
		if err := s.checkState(); err != nil {
			return nil, err
		}
		s.conn.wait() // or Close has interrupted it
	}
}

// checkState returns why no more frames come, if that is so.
func (s *Source) checkState() error {
	var state C.struct_tb_input_state
	C.tb_input_state(s.input, &state)
	s.lost.Store(&capture.Lost{Driver: s.gaps, Damaged: uint64(state.damaged), Superseded: uint64(state.superseded)})
	switch {
	case bool(state.gone):
		return fmt.Errorf("read %s: %w", s.path, capture.ErrGone)
	case state.error < 0:
		return fmt.Errorf("read %s: %w: %s", s.path, capture.ErrGone, C.GoString(&state.text[0]))
	}
	return nil
}

// copy returns the frame that was taken, nil where it is not whole.
func (s *Source) copy(raw *C.struct_tb_frame) *capture.Frame {
	dequeued := time.Now()
	size := s.format.Size()
	if s.format.Pixel.Compressed() {
		size = min(int(raw.size), maxFrame)
	}
	f := s.pool.Get(size)
	var planes *C.struct_tb_plane
	if len(s.planes) > 0 {
		planes = &s.planes[0]
	}
	if C.tb_input_copy(s.input, unsafe.Pointer(&f.Data[0]), C.size_t(size), planes, C.int(len(s.planes))) < 0 {
		f.Release()
		return nil
	}
	if bool(raw.has_seq) {
		s.countGap(uint64(raw.seq))
		f.Sequence = uint32(raw.seq)
	}
	f.Format, f.Time = s.format, captureTime(time.Duration(raw.pts), time.Duration(raw.arrived))
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, dequeued
	return f
}

// captureTime returns the time of a stamp on CLOCK_MONOTONIC, that of the arrival where
// the stamp cannot be of that clock.
func captureTime(stamp, arrived time.Duration) time.Time {
	if age := arrived - stamp; age < 0 || age > maxAge {
		stamp = arrived
	}
	return monotonic.Time(stamp)
}

// countGap adds the frames that were lost before this one. A number that does not rise
// means nothing: some nodes do not count.
func (s *Source) countGap(sequence uint64) {
	if missed := int64(sequence - s.last - 1); s.counted && missed > 0 && missed < 1<<16 {
		s.gaps += uint64(missed)
	}
	s.last, s.counted = sequence, true
}

// Close wakes Read, waits until it has left, and frees the camera. It may be called
// from any goroutine, and twice.
func (s *Source) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.conn.interrupt()
		s.reading.Lock()
		defer s.reading.Unlock()
		C.tb_input_close(s.input)
		s.conn.close()
	})
	return nil
}
