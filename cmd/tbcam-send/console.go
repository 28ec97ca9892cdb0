package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// errLocked answers a viewer under --no-remote-control.
var errLocked = errors.New("the sender forbids it (tbcam-send --no-remote-control)")

// console is the controls of the camera that pictures come from, or would. While
// it is on, what anybody sets is told to the viewer; while it is off, its node is
// opened for a moment to set one.
type console struct {
	locked   bool // --no-remote-control
	keepRate bool // --keep-rate
	log      *slog.Logger
	report   func(transport.Controls)

	mu       sync.Mutex
	camera   hostCamera       // whose controls they are; none while it is unplugged
	controls capture.Controls // nil while the camera is off
	state    transport.Controls
}

// consoleFlags are the flags that belong to the console.
type consoleFlags struct{ locked, keepRate bool }

func (o *consoleFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&o.locked, "no-remote-control", false, "let the viewer see the camera's controls, but not set them")
	f.BoolVar(&o.keepRate, "keep-rate", false, "have the camera keep its frame rate in the dark, where pictures may get darker (exposure_dynamic_framerate=0)")
}

// connect makes the console that of the sender's viewers.
func (c *console) connect(s *transport.Sender) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.SetControl, c.report = c.set, s.ReportControls
	c.report(c.state)
}

// hasCamera reports whether the controls of a camera are known.
func (c *console) hasCamera() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Path != ""
}

// offer tells of the controls of a camera that is off.
func (c *console) offer(camera hostCamera) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.camera = camera
	c.state = transport.Controls{Path: camera.Path, Camera: camera.Name, Opening: c.state.Opening, Locked: c.locked, List: lockOwners(camera.Controls)}
	c.report(c.state)
}

// on follows the controls of a camera that was opened, until the returned function
// is called.
func (c *console) on(camera hostCamera) (off func()) {
	controls, err := camera.openControls()
	if err != nil {
		c.log.Warn("the camera's controls are out of reach", "why", err)
		c.offer(camera) // else a setting would go to the camera before
		return func() {}
	}
	c.mu.Lock()
	c.camera, c.controls = camera, controls
	c.state = transport.Controls{Path: camera.Path, Camera: camera.Name, Opening: c.state.Opening + 1, Locked: c.locked}
	c.guardRate()
	c.tell()
	c.mu.Unlock()
	var following sync.WaitGroup
	following.Go(func() { c.follow(controls) })
	return func() {
		c.mu.Lock()
		c.controls = nil
		c.mu.Unlock()
		if err := controls.Close(); err != nil {
			c.log.Warn("close the camera's controls", "why", err)
		}
		following.Wait()
	}
}

// gone tells that the camera was unplugged.
func (c *console) gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.camera, c.state = hostCamera{}, transport.Controls{Opening: c.state.Opening, Locked: c.locked}
	c.report(c.state)
}

// guardRate has the camera keep its frame rate in the dark, if that was asked for
// and it can.
func (c *console) guardRate() {
	if !c.keepRate {
		return
	}
	_, err := c.controls.Set(capture.Setting{ID: capture.DynamicFramerate})
	switch {
	case errors.Is(err, capture.ErrNoControl):
		c.log.Info("the camera has no exposure_dynamic_framerate: --keep-rate changes nothing")
	case err != nil:
		c.log.Warn("the camera may halve its frame rate in the dark", "why", err)
	}
}

// follow tells of changes until the controls are closed.
func (c *console) follow(controls capture.Controls) {
	for controls.Wait() == nil {
		c.mu.Lock()
		if c.controls == controls {
			c.tell()
		}
		c.mu.Unlock()
	}
}

// tell reports what the camera says of its controls, if that is new.
func (c *console) tell() {
	list, err := c.controls.List()
	list = lockOwners(list)
	if err != nil || c.state.List != nil && reflect.DeepEqual(list, c.state.List) {
		return
	}
	c.state.List = list
	c.report(c.state)
}

// lockOwners returns the controls as a viewer may set them.
func lockOwners(list []capture.Control) []capture.Control {
	list = slices.Clone(list)
	for i := range list {
		list[i].ReadOnly = list[i].ReadOnly || list[i].IsOwners()
	}
	return list
}

// set implements transport.Sender.SetControl.
func (c *console) set(s capture.Setting) (capture.Setting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.permit(s.ID); err != nil {
		return capture.Setting{}, err
	}
	granted, err := c.setNow(s)
	if err != nil {
		c.log.Debug("set control", "id", s.ID, "err", err)
		return granted, &settingError{err}
	}
	return granted, nil
}

// permit reports why a viewer may not set the control of an ID now.
func (c *console) permit(id uint32) error {
	control := capture.Control{ID: id}
	if i := slices.IndexFunc(c.state.List, func(c capture.Control) bool { return c.ID == id }); i >= 0 {
		control = c.state.List[i]
	}
	switch {
	case c.locked:
		return errLocked
	case c.state.Path == "":
		return fmt.Errorf("set control: %w; plug it in again", capture.ErrGone)
	case control.IsOwners():
		return fmt.Errorf("%w: %s is set on the camera's host only", capture.ErrControlLocked, cmp.Or(control.Key(), "it"))
	}
	return nil
}

// settingError is an error of a setting, in words for the viewer.
type settingError struct{ err error }

func (e *settingError) Unwrap() error { return e.err }

func (e *settingError) Error() string {
	for _, kind := range [...]error{capture.ErrNoControl, capture.ErrControlLocked, capture.ErrControlValue} {
		if errors.Is(e.err, kind) {
			return e.err.Error() // it names the control and what it takes
		}
	}
	return textForViewer(e.err)
}

// setNow sets a control. A camera that is off is opened for it.
func (c *console) setNow(s capture.Setting) (capture.Setting, error) {
	if c.controls == nil {
		controls, err := c.camera.openControls()
		if err != nil {
			return capture.Setting{}, err
		}
		defer controls.Close()
		c.controls = controls
		defer func() { c.controls = nil }()
	}
	granted, err := c.controls.Set(s)
	if err == nil {
		c.log.Debug("the viewer sets a control", "id", s.ID, "value", s.Value, "granted", granted.Value)
		c.tell()
	}
	return granted, err
}
