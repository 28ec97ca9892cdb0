package shm

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// ErrSlot: the other process put something into the shared memory that cannot be.
var ErrSlot = errors.New("shared memory names an impossible slot")

// fresh marks the newest frame as not taken yet.
const fresh = 1 << 31

// control is the start of the shared memory. A side that passes a slot on
// swaps its number with the one in newest; so each slot has one owner at a time.
type control struct {
	newest atomic.Uint32
	_      uint32
	ids    [Slots]atomic.Uint64 // of the frame in each slot
}

func controlOf(memory []byte) *control { return (*control)(unsafe.Pointer(&memory[0])) }

// Writer is the side of tbcam-view. It is used by one goroutine at a time.
type Writer struct {
	Layout
	memory []byte
	mine   uint32
}

// NewWriter makes memory for frames of a planar format. The file is for the
// other process; the caller sends it and closes it.
//
// The memory is allocated immediately and sealed: whatever the other process does
// to the file, writing here raises no SIGBUS.
func NewWriter(f capture.Format) (*Writer, *os.File, error) {
	layout, err := NewLayout(f)
	if err != nil {
		return nil, nil, fmt.Errorf("share frames: %w", err)
	}
	file, err := sealedMemory(int64(layout.totalSize()))
	if err != nil {
		return nil, nil, fmt.Errorf("share %d bytes of memory: %w", layout.totalSize(), err)
	}
	memory, err := mapShared(file, layout.totalSize())
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	controlOf(memory).newest.Store(1)
	return &Writer{Layout: layout, memory: memory}, file, nil
}

func sealedMemory(size int64) (*os.File, error) {
	const name, flags = "tbcam frames", unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // older than Linux 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), name)
	for {
		if err = unix.Fallocate(fd, 0, 0, size); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, os.NewSyscallError("fallocate", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		file.Close()
		return nil, os.NewSyscallError("seal", err)
	}
	return file, nil
}

func mapShared(file *os.File, size int) ([]byte, error) {
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return memory, os.NewSyscallError("mmap", err)
}

// Next returns the planes of a free slot, to be filled and then published.
func (w *Writer) Next() [3][]byte { return w.slotPlanes(w.memory, int(w.mine)) }

// Publish makes what was written the newest frame, with an identity of the
// caller's choice, and reports whether it superseded one that was not taken.
// The error is ErrSlot; the other process is then not to be trusted any more.
func (w *Writer) Publish(id uint64) (superseded bool, err error) {
	c := controlOf(w.memory)
	c.ids[w.mine].Store(id)
	old := c.newest.Swap(w.mine | fresh)
	slot := old &^ fresh
	if slot >= Slots || slot == w.mine {
		return false, fmt.Errorf("%w (%#x)", ErrSlot, old)
	}
	w.mine = slot
	return old&fresh != 0, nil
}

// Close unmaps the memory. It must not be called twice.
func (w *Writer) Close() error { return os.NewSyscallError("munmap", unix.Munmap(w.memory)) }

// Reader is the side of the window. It is used by one goroutine at a time.
type Reader struct {
	Layout
	Format capture.Format
	memory []byte
	mine   uint32
}

// NewReader maps the memory that came with a format, and closes the file.
func NewReader(f capture.Format, file *os.File) (*Reader, error) {
	defer file.Close()
	layout, err := NewLayout(f)
	if err != nil {
		return nil, fmt.Errorf("map frames: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("map frames: %w", err)
	}
	if info.Size() < int64(layout.totalSize()) {
		return nil, fmt.Errorf("map frames: %d bytes are too few for %v", info.Size(), f)
	}
	memory, err := mapShared(file, layout.totalSize())
	if err != nil {
		return nil, fmt.Errorf("map frames: %w", err)
	}
	return &Reader{Layout: layout, Format: f, memory: memory, mine: 2}, nil
}

// Take returns the planes and the identity of the newest frame, or false if
// there is none that was not taken before. They stay as they are until the next
// call that returns true, or Close.
func (r *Reader) Take() (planes [3][]byte, id uint64, ok bool) {
	c := controlOf(r.memory)
	if c.newest.Load()&fresh == 0 {
		return planes, 0, false
	}
	slot := c.newest.Swap(r.mine) &^ fresh
	if slot >= Slots {
		panic(ErrSlot) // the parent alone writes here, and it checks
	}
	r.mine = slot
	return r.slotPlanes(r.memory, int(slot)), c.ids[slot].Load(), true
}

// Close unmaps the memory. It must not be called twice.
func (r *Reader) Close() error { return os.NewSyscallError("munmap", unix.Munmap(r.memory)) }
