package pipewire

/*
#cgo CFLAGS: -O2 -I/usr/include/pipewire-0.3 -I/usr/include/spa-0.2 -D_REENTRANT
#cgo noescape tb_output_write
#cgo nocallback tb_output_write
#cgo noescape tb_input_take
#cgo nocallback tb_input_take
#cgo noescape tb_input_copy
#cgo nocallback tb_input_copy
#cgo noescape tb_input_state
#cgo nocallback tb_input_state
#cgo noescape tb_output_state
#cgo nocallback tb_output_state
#cgo noescape tb_player_state
#cgo nocallback tb_player_state
#include <stdlib.h>
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// answerTime bounds how long PipeWire may take to answer, on a busy machine.
const answerTime = 5 * time.Second

const answerMS = C.int(answerTime / time.Millisecond)

// load finds the library, once.
var load = sync.OnceValue(func() error {
	var text [256]C.char
	if C.tb_load(&text[0], C.size_t(len(text))) < 0 {
		return fmt.Errorf("load PipeWire: %w (%s)", ErrNoLibrary, C.GoString(&text[0]))
	}
	return nil
})

// conn is a connection to the daemon.
type conn struct {
	c    *C.struct_tb_conn
	wake *os.File // readable when something has changed
	raw  syscall.RawConn
	// changes counts what has changed, apart from blocks of audio that have come.
	changes *C.uint32_t
}

// managerWait is how long a session manager may take to start: at login it follows PipeWire,
// as the services that publish cameras and microphones do.
const managerWait = 3 * time.Second

// connectManaged connects where a session manager runs; with realTime as connectAs does.
func connectManaged(realTime bool) (*conn, error) {
	for end := time.Now().Add(managerWait); ; time.Sleep(managerWait / 30) {
		c, err := connectAs(realTime)
		if err != nil || c.isManaged() {
			return c, err
		}
		c.close()
		if time.Now().After(end) {
			return nil, ErrNoSessionManager
		}
	}
}

// connect connects to the daemon of this session.
func connect() (*conn, error) { return connectAs(false) }

// connectAs connects to the daemon; with realTime, what plays does so in time on a busy
// host, where this user may have real-time priority.
func connectAs(realTime bool) (*conn, error) {
	if err := load(); err != nil {
		return nil, err
	}
	if err := findSocket(); err != nil {
		return nil, fmt.Errorf("connect to PipeWire: %w", err)
	}
	c := new(conn)
	if res := C.tb_conn_open(&c.c, C.bool(realTime), answerMS); res < 0 {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, explain("connect to PipeWire", int(res)))
	}
	c.wake = os.NewFile(uintptr(C.tb_conn_wake(c.c)), "pipewire")
	raw, err := c.wake.SyscallConn()
	if err != nil {
		c.close()
		return nil, fmt.Errorf("connect to PipeWire: %w", err)
	}
	c.raw, c.changes = raw, C.tb_conn_changes(c.c)
	return c, nil
}

// wait returns when something may have changed; false after interrupt.
func (c *conn) wait() bool { return c.raw.Read(readCounter) == nil }

// readCounter takes what an eventfd counts, and reports whether it did not have to wait. The
// call cannot block, and so spares the runtime what it prepares for one that does.
func readCounter(fd uintptr) bool {
	var count [8]byte
	_, _, err := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&count[0])), uintptr(len(count)))
	return err != syscall.EAGAIN
}

// interrupt ends wait for good. The descriptor stays open: C writes to it.
func (c *conn) interrupt() { _ = c.wake.SetReadDeadline(time.Unix(1, 0)) }

// close ends the connection. Nobody may use it any more.
func (c *conn) close() {
	c.interrupt()
	C.tb_conn_close(c.c)
	c.wake.Close()
}

// nodes returns the cameras and microphones that PipeWire has now.
func (c *conn) nodes() []node {
	var raw [C.TB_NODES]C.struct_tb_node
	n := int(C.tb_conn_nodes(c.c, &raw[0]))
	nodes := make([]node, n)
	for i := range nodes {
		nodes[i] = newNode(&raw[i])
	}
	return nodes
}

// isManaged reports whether a session manager runs.
func (c *conn) isManaged() bool { return bool(C.tb_conn_managed(c.c)) }
