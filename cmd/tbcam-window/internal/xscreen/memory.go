package xscreen

import (
	"github.com/jezek/xgb/shm"
	"golang.org/x/sys/unix"
)

// memory is that of a canvas.
type memory struct {
	bytes   []byte
	mapped  bool    // it is a System V segment
	segment shm.Seg // as the server calls that; 0 where it does not see it
}

// free gives the memory back. It may be called twice.
func (m *memory) free() {
	if m.mapped {
		_ = unix.SysvShmDetach(m.bytes) // fails only for what is no segment
	}
	*m = memory{}
}

// provideMemory makes the memory at least so large. A server that cannot see it, as one on
// another host or in a container, is sent its content.
func (s *Screen) provideMemory(size int) {
	if size <= len(s.memory.bytes) {
		return
	}
	if s.memory.segment != 0 {
		shm.Detach(s.conn, s.memory.segment)
	}
	s.memory.free()
	if s.shared {
		s.memory = s.share(size)
	}
	if s.memory.bytes == nil {
		s.memory.bytes = make([]byte, size)
	}
}

// share returns memory that the server sees; without bytes where there is none to share.
func (s *Screen) share(size int) (m memory) {
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, size, unix.IPC_CREAT|0o600)
	if err != nil {
		return m
	}
	// From the end of this function on it lives until both have let go of it, however
	// they end.
	defer unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	if m.bytes, err = unix.SysvShmAttach(id, 0, 0); err != nil {
		return memory{}
	}
	m.mapped = true
	segment, err := shm.NewSegId(s.conn)
	if err == nil && shm.AttachChecked(s.conn, segment, uint32(id), true).Check() == nil {
		m.segment = segment
	}
	return m
}
