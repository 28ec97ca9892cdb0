package v4l2

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

const (
	// queueLength is how many buffers circulate: one being filled, one being
	// copied out, and two for when the reader is late.
	queueLength = 4
	// pollTimeout bounds how long a camera that vanished without a word stays
	// unnoticed.
	pollTimeout = 2 * time.Second
)

// Source captures from a camera. It implements capture.Source.
type Source struct {
	path    string
	fd      int
	wake    int // eventfd that ends a wait
	mode    capture.Mode
	format  capture.Format
	packing packing
	pool    *capture.Pool
	bufType uint32
	perSet  int                  // buffers of a frame: more than one where planes are apart
	buffers [][maxBuffers][]byte // the driver's, mapped

	reading sync.Mutex // held while the descriptors and buffers are in use
	poll    [2]unix.PollFd
	buf     filled // of the last ioctl
	newest  filled // the newest valid frame that drainQueue found
	last    uint32 // sequence number
	counted bool   // last is valid

	driver, damaged, superseded atomic.Uint64

	closed  atomic.Bool
	closing sync.Once
	err     error // of Close
}

var _ capture.Source = (*Source)(nil)

// filled is a buffer of the driver's queue, with what a multi-planar device reports
// of each plane. A single-planar one has its first plane set from the rest.
type filled struct {
	buffer
	planes [maxBuffers]bufPlane
}

// Open starts the camera at a device node in the mode nearest to the one asked
// for that the driver grants. Frames come from pool. The error wraps
// capture.ErrBusy, capture.ErrGone, capture.ErrNoCamera, capture.ErrNoMode or
// capture.ErrNoSignal where that is the reason.
func Open(path string, mode capture.Mode, pool *capture.Pool) (*Source, error) {
	n := inspectNode(path)
	if err := n.notCamera(); err != nil {
		return nil, err
	}
	return openSource(path, mode, 0, pool)
}

// Probe reports what keeps the camera from being opened in that mode now, if
// anything. It does not start the camera.
func (Driver) Probe(c capture.Device, mode capture.Mode) error {
	path := c.Path
	n := inspectNode(path)
	if err := n.notCamera(); err != nil {
		return err
	}
	fd, err := openNode(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	s := &Source{path: path, fd: fd, bufType: captureType(n.cap.nodeCaps())}
	return s.negotiateMode(mode, 0)
}

// openSource also asks for a number of bytes per line, which tests do.
func openSource(path string, mode capture.Mode, bytesPerLine uint32, pool *capture.Pool) (*Source, error) {
	fd, err := openNode(path)
	if err != nil {
		return nil, err
	}
	s := &Source{path: path, fd: fd, pool: pool}
	s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := s.startStream(mode, bytesPerLine); err != nil {
		s.freeBuffers()
		return nil, err
	}
	return s, nil
}

func (s *Source) startStream(mode capture.Mode, bytesPerLine uint32) error {
	s.poll = [2]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN | unix.POLLPRI}, {Fd: int32(s.wake), Events: unix.POLLIN}}
	c, err := queryCap(s.fd)
	if err != nil {
		return explainError("VIDIOC_QUERYCAP", s.path, err)
	}
	s.bufType = captureType(c.nodeCaps())
	subscribeSource(s.fd) // before the signal is looked at, so that no change is missed
	if err := followSignal(s.fd, s.path); err != nil {
		return err
	}
	if err := s.negotiateMode(mode, bytesPerLine); err != nil {
		return err
	}
	if err := s.mapBuffers(); err != nil {
		return err
	}
	// All of them are the driver's before the stream starts: what a camera sends while
	// it has no buffer is lost.
	for i := range s.buffers {
		if err := s.queueBuffer(uint32(i)); err != nil {
			return err
		}
	}
	return s.streamOn()
}

// negotiateMode sets format and rate. What the driver answers is what counts.
func (s *Source) negotiateMode(mode capture.Mode, bytesPerLine uint32) error {
	granted, err := setCaptureFmt(s.fd, s.bufType, pixFormat{
		width:        uint32(mode.Width),
		height:       uint32(mode.Height),
		pixelFormat:  uint32(mode.Pixel),
		field:        fieldNone,
		bytesPerLine: bytesPerLine,
	})
	if err != nil {
		return explainError("VIDIOC_S_FMT", s.path, err)
	}
	pix := granted.pix
	s.format, s.perSet = formatOf(pix), len(granted.strides)
	if err := s.format.Check(); err != nil {
		return fmt.Errorf("open %s: %w: %v: the driver gives %w", s.path, capture.ErrNoMode, mode, err)
	}
	if !wholeFrames(pix.field) {
		return fmt.Errorf("open %s: %w: %v: the driver gives half frames (V4L2 field %d)", s.path, capture.ErrNoMode, mode, pix.field)
	}
	// A JPEG is copied from one buffer; only planes may lie apart.
	if s.format.Pixel.Compressed() && s.perSet != 1 {
		return fmt.Errorf("open %s: %w: the driver gives %v in %d buffers", s.path, capture.ErrNoMode, s.format, s.perSet)
	}
	if !s.format.Pixel.Compressed() {
		if s.packing, err = newPackingOf(s.format, granted.strides); err != nil {
			return fmt.Errorf("open %s: %w: %w", s.path, capture.ErrNoMode, err)
		}
	}
	s.mode = capture.Mode{Pixel: s.format.Pixel, Width: s.format.Width, Height: s.format.Height}
	// After the format, since S_FMT of uvcvideo sets the default interval of the frame
	// size (uvc_v4l2_try_format).
	s.mode.Rate = setRate(s.fd, s.bufType, mode.Rate)
	if !s.format.Pixel.Compressed() {
		s.mode.Field = fieldOrder(pix.field, getStandard(s.fd))
	}
	return nil
}

func wholeFrames(field uint32) bool {
	switch field {
	case fieldAny, fieldNone, fieldInterlaced, fieldInterlacedTB, fieldInterlacedBT:
		return true
	}
	return false
}

// fieldOrder returns the order of the fields in whole frames: without a word of the
// driver that of the analogue standard, and top first for digital video
// (Documentation/userspace-api/media/v4l/field-order.rst).
func fieldOrder(field uint32, standard uint64) capture.Field {
	switch {
	case field == fieldInterlacedBT, field == fieldInterlaced && standard&std525 != 0:
		return capture.BottomFirst
	case field == fieldInterlacedTB, field == fieldInterlaced:
		return capture.TopFirst
	}
	return capture.Progressive
}

func (s *Source) mapBuffers() error {
	request := requestBuffers{count: queueLength, typ: s.bufType, memory: memoryMMap}
	if err := callDriver(s.fd, vidiocReqBufs, unsafe.Pointer(&request)); err != nil {
		return explainError("VIDIOC_REQBUFS", s.path, err)
	}
	for i := range request.count {
		if err := s.callBuffer(vidiocQueryBuf, i); err != nil {
			return explainError("VIDIOC_QUERYBUF", s.path, err)
		}
		if err := s.mapBuffer(); err != nil {
			return explainError("mmap", s.path, err)
		}
	}
	return nil
}

// mapBuffer maps what s.buf describes.
func (s *Source) mapBuffer() error {
	s.buffers = append(s.buffers, [maxBuffers][]byte{})
	last := &s.buffers[len(s.buffers)-1]
	for i := range s.perSet {
		offset, length := int64(s.buf.m), int(s.buf.length)
		if s.bufType == bufTypeVideoCaptureMPlane {
			// The union m has the pointer to the planes here, and each plane its own
			// offset.
			offset, length = int64(s.buf.planes[i].offset), int(s.buf.planes[i].length)
		}
		mapped, err := unix.Mmap(s.fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		last[i] = mapped
	}
	return nil
}

// callBuffer calls the driver with s.buf, of a number. It returns the bare errno:
// one in an interface costs no memory.
func (s *Source) callBuffer(request uintptr, index uint32) error {
	s.buf = filled{buffer: buffer{index: index, typ: s.bufType, memory: memoryMMap}}
	if s.bufType != bufTypeVideoCaptureMPlane {
		err := callDriver(s.fd, request, unsafe.Pointer(&s.buf.buffer))
		s.buf.planes[0].bytesUsed = s.buf.bytesUsed
		return err
	}
	// The planes are in s, which lives longer than the call and never moves.
	s.buf.m, s.buf.length = uint64(uintptr(unsafe.Pointer(&s.buf.planes))), uint32(s.perSet)
	return callDriver(s.fd, request, unsafe.Pointer(&s.buf.buffer))
}

func (s *Source) streamOn() error {
	err := callDriver(s.fd, vidiocStreamOn, unsafe.Pointer(&s.bufType))
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("VIDIOC_STREAMON %s: %w for %v: %w", s.path, capture.ErrBandwidth, s.mode, err)
	}
	if err != nil {
		return explainError("VIDIOC_STREAMON", s.path, err)
	}
	return nil
}

// Mode returns what the driver granted; the rate is zero where it has none.
func (s *Source) Mode() capture.Mode { return s.mode }

// Format returns the format of the frames that Read returns.
func (s *Source) Format() capture.Format { return s.format }

// Lost counts the frames that were not delivered so far.
func (s *Source) Lost() capture.Lost {
	return capture.Lost{
		Driver:     s.driver.Load(),
		Damaged:    s.damaged.Load(),
		Superseded: s.superseded.Load(),
	}
}

// Read waits for the newest valid frame and returns a copy of it, owned by the
// caller. It ends with capture.ErrClosed, with capture.ErrGone or
// capture.ErrSignalChanged where opening the camera again is what may help, or with
// the driver's error.
func (s *Source) Read() (*capture.Frame, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	for {
		if err := s.waitReady(); err != nil {
			return nil, err
		}
		found, err := s.drainQueue()
		if err != nil {
			return nil, err
		}
		if found {
			return s.takeNewest()
		}
	}
}

// waitReady returns when a buffer may be ready.
func (s *Source) waitReady() error {
	for {
		if s.closed.Load() {
			return capture.ErrClosed
		}
		n, err := unix.Poll(s.poll[:], int(pollTimeout.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return explainError("poll", s.path, err)
		case n == 0:
			// Nothing came for a while: ask whether the device is still connected.
			if _, err := queryCap(s.fd); err != nil {
				return explainError("VIDIOC_QUERYCAP", s.path, err)
			}
		case s.poll[0].Revents&unix.POLLHUP != 0:
			return explainError("poll", s.path, unix.ENODEV)
		case s.poll[0].Revents&unix.POLLPRI != 0 && sourceChanged(s.fd):
			return fmt.Errorf("%s: %w", s.path, capture.ErrSignalChanged)
		case s.poll[0].Revents != 0:
			return nil
		}
	}
}

// drainQueue dequeues what is ready and leaves the newest valid frame in s.newest;
// all others go back to the driver immediately. A driver that fills buffers faster
// than this loop empties them does not hold it: it ends after one round.
func (s *Source) drainQueue() (found bool, err error) {
	for range s.buffers {
		switch err := s.dequeueBuffer(); {
		case err == unix.EAGAIN && !found && s.poll[0].Revents&unix.POLLERR != 0:
			// poll returns immediately while the queue has failed, and there is
			// nothing to dequeue: without an error Read would spin.
			return false, s.streamError("poll", unix.EIO)
		case err == unix.EAGAIN:
			return found, nil
		case err != nil:
			return false, s.streamError("VIDIOC_DQBUF", err)
		}
		s.countGap(s.buf.sequence)
		rejected := s.buf.index
		switch {
		case !s.isWhole(&s.buf):
			s.damaged.Add(1)
		case found:
			s.superseded.Add(1)
			// Both are good. The newer one is kept, and the older one's buffer goes back.
			rejected, s.newest = s.newest.index, s.buf
		default:
			found, s.newest = true, s.buf
			continue
		}
		if err := s.queueBuffer(rejected); err != nil {
			return false, err
		}
	}
	return found, nil
}

// dequeueBuffer fills s.buf.
func (s *Source) dequeueBuffer() error { return s.callBuffer(vidiocDQBuf, 0) }

func (s *Source) queueBuffer(index uint32) error {
	if err := s.callBuffer(vidiocQBuf, index); err != nil {
		return s.streamError("VIDIOC_QBUF", err)
	}
	return nil
}

// streamError explains an error of a running stream. EIO is what a camera gives
// between being unplugged and being known to be (videobuf2-core.c): to open it
// again is the remedy for both.
func (s *Source) streamError(op string, err error) error {
	if errors.Is(err, unix.EIO) {
		return fmt.Errorf("%s %s: %w: %w", op, s.path, capture.ErrGone, err)
	}
	return explainError(op, s.path, err)
}

// countGap adds the frames that the driver dropped before this one. A number
// that does not rise means nothing: some drivers do not count.
func (s *Source) countGap(sequence uint32) {
	if missed := int32(sequence - s.last - 1); s.counted && missed > 0 {
		s.driver.Add(uint64(missed))
	}
	s.last, s.counted = sequence, true
}

// isWhole reports whether the buffer holds a whole frame, as far as its
// description goes.
func (s *Source) isWhole(b *filled) bool {
	if b.flags&bufFlagError != 0 || int(b.index) >= len(s.buffers) {
		return false
	}
	data := s.bufferData(b)
	for i := range s.perSet {
		if len(data[i]) < max(1, s.packing.need[i]) {
			return false
		}
	}
	return true
}

// bufferData returns what the driver wrote to each buffer of a frame; nothing where
// that would not fit.
func (s *Source) bufferData(b *filled) (data [maxBuffers][]byte) {
	for i, mapped := range s.buffers[b.index] {
		used, offset := int(b.planes[i].bytesUsed), int(b.planes[i].dataOffset)
		if offset <= used && used <= len(mapped) {
			data[i] = mapped[offset:used]
		}
	}
	return data
}

// takeNewest copies the newest frame out of its buffer, which it gives back.
func (s *Source) takeNewest() (*capture.Frame, error) {
	b := &s.newest
	dequeued := time.Now()
	data := s.bufferData(b)
	size := s.format.Size()
	if s.format.Pixel.Compressed() {
		size = len(data[0])
	}
	f := s.pool.Get(size)
	if s.format.Pixel.Compressed() {
		copy(f.Data, data[0])
	} else {
		s.packing.packFrame(f.Data, data)
	}
	// Only after the copy: from here on the driver may write to the buffer.
	if err := s.queueBuffer(b.index); err != nil {
		f.Release()
		return nil, err
	}
	f.Format, f.Sequence = s.format, b.sequence
	f.Time = captureTime(&b.buffer, dequeued)
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, dequeued
	return f, nil
}

// Close wakes Read, waits until it has left, and frees the camera. It may be
// called from any goroutine, and twice.
func (s *Source) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.wakeUp()
		s.reading.Lock()
		defer s.reading.Unlock()
		s.err = s.freeBuffers()
	})
	return s.err
}

func (s *Source) wakeUp() {
	one := [8]byte{1}
	unix.Write(s.wake, one[:]) // fails only when it is set already
}

// freeBuffers gives everything back. The queue stops before its memory goes. Errors of
// an unplugged camera mean nothing here.
func (s *Source) freeBuffers() error {
	callDriver(s.fd, vidiocStreamOff, unsafe.Pointer(&s.bufType))
	for _, set := range s.buffers {
		for _, mapped := range set[:s.perSet] {
			unix.Munmap(mapped)
		}
	}
	// After the mappings: drivers without V4L2_BUF_CAP_SUPPORTS_ORPHANED_BUFS refuse it
	// while one is left (EBUSY).
	none := requestBuffers{typ: s.bufType, memory: memoryMMap}
	callDriver(s.fd, vidiocReqBufs, unsafe.Pointer(&none))
	unix.Close(s.wake)
	if err := unix.Close(s.fd); err != nil {
		return explainError("close", s.path, err)
	}
	return nil
}
