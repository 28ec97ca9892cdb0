package pipewire

/*
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
)

// perUnit is by what controls with fractions are multiplied: those of libcamera go from
// -1 to 1, and a capture.Control has whole numbers.
const perUnit = 1000

// scaleOf returns by what the values of a control are multiplied.
func scaleOf(c *C.struct_tb_control) float64 {
	if c._type == C.TB_FLOAT {
		return perUnit
	}
	return 1
}

// controlsOf returns what a node lets others set.
func controlsOf(raw []C.struct_tb_control) []capture.Control {
	controls := []capture.Control{}
	for i := range raw {
		controls = append(controls, controlOf(&raw[i]))
	}
	return controls
}

func controlOf(raw *C.struct_tb_control) capture.Control {
	scale := scaleOf(raw)
	c := capture.Control{
		ID: uint32(raw.id), Name: C.GoString(&raw.name[0]), Type: "int", Step: 1,
		Min: int64(float64(raw.min) * scale), Max: int64(float64(raw.max) * scale),
		Default: int64(float64(raw.initial) * scale), Value: int64(float64(raw.value) * scale),
		WriteOnly: !bool(raw.has_value),
	}
	switch {
	case raw._type == C.TB_BOOL:
		c.Type = "bool"
	case raw.n_labels > 0:
		c.Type = "menu"
		for i := range raw.n_labels {
			c.Menu = append(c.Menu, capture.ControlMenuItem{Index: int64(raw.numbers[i]), Name: C.GoString(&raw.labels[i][0])})
		}
	}
	return c
}

// Controls are the controls of a node.
type Controls struct {
	path string
	node node

	mu     sync.Mutex // held while C is called
	conn   *conn
	closed bool
}

// OpenControls opens the controls of a device.
func (Driver) OpenControls(d capture.Device) (capture.Controls, error) {
	c, err := connect()
	if err != nil {
		return nil, fmt.Errorf("open controls of %s: %w", d.Path, err)
	}
	n, err := c.find(d)
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open controls: %w", err)
	}
	return &Controls{path: d.Path, node: n, conn: c}, nil
}

// List returns the controls with their values.
func (c *Controls) List() (controls []capture.Control, err error) {
	err = c.ask(func(raw []C.struct_tb_control) error {
		controls = controlsOf(raw)
		return nil
	})
	return controls, err
}

// ask calls do with what the node answers.
func (c *Controls) ask(do func([]C.struct_tb_control) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return capture.ErrClosed
	}
	raw := C.struct_tb_node{id: C.uint32_t(c.node.id)}
	res := C.tb_conn_describe(c.conn.c, &raw, answerMS)
	defer C.tb_node_free(&raw)
	if res < 0 {
		return fmt.Errorf("read controls of %s: %w", c.path, capture.ErrGone)
	}
	return do(unsafe.Slice(raw.controls, raw.n_controls))
}

// Set sets a control, and returns what the node made of it.
func (c *Controls) Set(s capture.Setting) (capture.Setting, error) {
	err := c.ask(func(raw []C.struct_tb_control) error {
		i := slices.IndexFunc(raw, func(r C.struct_tb_control) bool { return uint32(r.id) == s.ID })
		if i < 0 {
			return fmt.Errorf("%w: ID %#x", capture.ErrNoControl, s.ID)
		}
		if err := controlOf(&raw[i]).Check(s); err != nil {
			return err
		}
		value := C.double(float64(s.Value) / scaleOf(&raw[i]))
		if res := C.tb_conn_set_control(c.conn.c, C.uint32_t(c.node.id), raw[i].id, raw[i]._type, value, answerMS); res < 0 {
			return explain("set control of "+c.path, int(res))
		}
		return nil
	})
	if err != nil {
		return capture.Setting{}, err
	}
	list, err := c.List()
	if i := slices.IndexFunc(list, func(l capture.Control) bool { return l.ID == s.ID }); i >= 0 && !list[i].WriteOnly {
		s.Value = list[i].Value
	}
	return s, err
}

// Wait returns when the node has gone, or after Close: nodes do not report what other
// programs set.
func (c *Controls) Wait() error {
	for c.conn.wait() {
		c.mu.Lock()
		closed := c.closed
		gone := !closed && !slices.ContainsFunc(c.conn.nodes(), func(n node) bool { return n.id == c.node.id })
		c.mu.Unlock()
		switch {
		case closed:
			return capture.ErrClosed
		case gone:
			return fmt.Errorf("%s: %w", c.path, capture.ErrGone)
		}
	}
	return capture.ErrClosed
}

// Close wakes Wait. It may be called twice.
func (c *Controls) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.conn.close()
	}
	return nil
}
