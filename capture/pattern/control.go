package pattern

import (
	"fmt"
	"slices"
	"sync"

	"github.com/tbcam/tbcam/capture"
)

// IDs of the controls: as V4L2 numbers them (include/uapi/linux/
// v4l2-controls.h), or in the range for a driver's own.
const (
	idBrightness = 0x00980900
	idBlock      = 0x0098f900
	idSpeed      = 0x0098f901
)

// camera is one test camera: like a real one, it keeps what was set from one opening
// to the next, and notifies all who have it open.
type camera struct {
	path, name string
	number     int // of its code, from 1

	mu       sync.Mutex
	controls []capture.Control
	open     map[*Controls]bool
}

// cameras are the cameras of this package.
var cameras = []*camera{newCamera(1, Name, "Test pattern"), newCamera(2, Name2, "Test pattern 2"), newCamera(3, NamePhoto, "Test photo")}

func newCamera(number int, path, name string) *camera {
	return &camera{path: path, name: name, number: number, open: map[*Controls]bool{}, controls: []capture.Control{
		{ID: idBrightness, Name: "Brightness", Type: "int", Min: -64, Max: 64, Step: 1},
		{ID: idBlock, Name: "Block", Type: "menu", Max: 2, Step: 1, Default: 1, Value: 1, Menu: []capture.ControlMenuItem{
			{Index: 0, Name: "None"}, {Index: 1, Name: "Moving"}, {Index: 2, Name: "Still"},
		}},
		{ID: idSpeed, Name: "Block Speed", Type: "int", Min: 0, Max: 32, Step: 4, Default: 4, Value: 4},
		{ID: capture.DynamicFramerate, Name: "Exposure, Dynamic Framerate", Type: "bool", Max: 1, Step: 1, Default: 1, Value: 1},
	}}
}

// listControls returns a copy of the controls. The speed has no effect but on a block
// that moves.
func (c *camera) listControls() []capture.Control {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.Clone(c.controls)
	for i := range list {
		list[i].Inactive = list[i].ID == idSpeed && indexOfControl(list, idBlock) != 1
	}
	return list
}

func indexOfControl(list []capture.Control, id uint32) int {
	i := slices.IndexFunc(list, func(c capture.Control) bool { return c.ID == id })
	return int(list[i].Value)
}

// controlValue returns the value of a control, without making garbage for each frame.
func (c *camera) controlValue(id uint32) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return indexOfControl(c.controls, id)
}

// Controls implements capture.Controls.
type Controls struct {
	camera  *camera
	changed chan struct{} // one was set; closed by Close
}

func (c *camera) openControls() *Controls {
	controls := &Controls{camera: c, changed: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[controls] = true
	return controls
}

// List returns the controls with their values.
func (c *Controls) List() ([]capture.Control, error) { return c.camera.listControls(), nil }

// Set changes a control, to the step at or below the value.
func (c *Controls) Set(s capture.Setting) (capture.Setting, error) {
	list := c.camera.listControls()
	i := slices.IndexFunc(list, func(c capture.Control) bool { return c.ID == s.ID })
	if i < 0 {
		return capture.Setting{}, fmt.Errorf("%w: ID %#x", capture.ErrNoControl, s.ID)
	}
	if err := list[i].Check(s); err != nil {
		return capture.Setting{}, err
	}
	s.Value -= (s.Value - list[i].Min) % list[i].Step
	c.camera.mu.Lock()
	defer c.camera.mu.Unlock()
	c.camera.controls[i].Value = s.Value
	for other := range c.camera.open {
		if other != c {
			other.notifyChange()
		}
	}
	return s, nil
}

func (c *Controls) notifyChange() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Wait returns when another opening has changed a control.
func (c *Controls) Wait() error {
	if _, ok := <-c.changed; !ok {
		return capture.ErrClosed
	}
	return nil
}

// Close wakes Wait.
func (c *Controls) Close() error {
	c.camera.mu.Lock()
	defer c.camera.mu.Unlock()
	if c.camera.open[c] {
		delete(c.camera.open, c)
		close(c.changed)
	}
	return nil
}
