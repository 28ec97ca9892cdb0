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
var errLocked = errors.New("the sender does not allow changing them (tbcam-send --no-remote-control)")

// cameraControls is the controls of the camera that frames come from, or would. While
// the camera is on, the viewer learns what anybody sets; while it is off, it is opened
// for a moment to set one.
type cameraControls struct {
	locked   bool    // --no-remote-control
	keepRate bool    // --keep-rate
	grants   *grants // of the viewer
	log      *slog.Logger
	report   func(transport.Controls)

	mu       sync.Mutex
	camera   hostCamera       // whose controls they are; none while it is unplugged
	controls capture.Controls // nil while the camera is off
	state    transport.Controls
}

// controlFlags are the flags that belong to the controls.
type controlFlags struct{ locked, keepRate bool }

func (o *controlFlags) registerFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.locked, "no-remote-control", false, "make the camera's controls read-only for the viewer")
	f.BoolVar(&o.keepRate, "keep-rate", false, "keep the frame rate in the dark, with darker frames (exposure_dynamic_framerate=0)")
}

// isLocked reports whether the viewer may set nothing.
func (c *cameraControls) isLocked() bool { return c.locked || !c.grants.allowsControl() }

// updateLock reports whether the viewer may set controls, if that has changed.
func (c *cameraControls) updateLock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if locked := c.isLocked(); locked != c.state.Locked {
		c.state.Locked = locked
		c.report(c.state)
	}
}

// describe returns a setting as text, such as "brightness=5".
func (c *cameraControls) describe(s capture.Setting) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, control := range c.state.List {
		if control.ID == s.ID {
			return control.Key() + "=" + control.Format(s)
		}
	}
	return fmt.Sprintf("control %#x", s.ID)
}

// device returns the camera whose controls they are.
func (c *cameraControls) device() capture.Device {
	c.mu.Lock()
	defer c.mu.Unlock()
	return capture.Device{Path: c.state.Path, Name: c.state.Camera}
}

// connectSender reports the controls to a stream's viewer.
func (c *cameraControls) connectSender(s *transport.SenderStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = s.ReportControls
	c.report(c.state)
}

// hasCamera reports whether the controls of a camera are known.
func (c *cameraControls) hasCamera() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Path != ""
}

// cameraName returns which camera they are of, "" while there is none.
func (c *cameraControls) cameraName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Camera
}

// announceControls reports the controls of a camera that is off.
func (c *cameraControls) announceControls(camera hostCamera) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.camera = camera
	c.state = transport.Controls{Path: camera.Path, Camera: camera.Name, Opening: c.state.Opening, Locked: c.isLocked(), List: lockOwners(camera.Controls)}
	c.report(c.state)
}

// attachCamera follows the controls of a camera that was opened, until the returned function
// is called.
func (c *cameraControls) attachCamera(camera hostCamera) (off func()) {
	controls, err := camera.openControls()
	if err != nil {
		c.log.Warn("open the camera's controls", "err", err)
		c.announceControls(camera) // else a setting would go to the camera before
		return func() {}
	}
	c.mu.Lock()
	c.camera, c.controls = camera, controls
	c.state = transport.Controls{Path: camera.Path, Camera: camera.Name, Opening: c.state.Opening + 1, Locked: c.isLocked()}
	c.guardRate()
	c.reportList()
	c.mu.Unlock()
	var following sync.WaitGroup
	following.Go(func() { c.followChanges(controls) })
	return func() {
		c.mu.Lock()
		c.controls = nil
		c.mu.Unlock()
		if err := controls.Close(); err != nil {
			c.log.Warn("close camera controls", "err", err)
		}
		following.Wait()
	}
}

// forgetCamera reports that the camera was unplugged.
func (c *cameraControls) forgetCamera() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.camera, c.state = hostCamera{}, transport.Controls{Opening: c.state.Opening, Locked: c.isLocked()}
	c.report(c.state)
}

// guardRate has the camera keep its frame rate in the dark, if that was asked for
// and it can.
func (c *cameraControls) guardRate() {
	if !c.keepRate {
		return
	}
	_, err := c.controls.Set(capture.Setting{ID: capture.DynamicFramerate})
	switch {
	case errors.Is(err, capture.ErrNoControl):
		c.log.Info("the camera has no exposure_dynamic_framerate: --keep-rate has no effect")
	case err != nil:
		c.log.Warn("set exposure_dynamic_framerate: the camera may halve its frame rate in the dark", "err", err)
	}
}

// followChanges reports changes until the controls are closed.
func (c *cameraControls) followChanges(controls capture.Controls) {
	for controls.Wait() == nil {
		c.mu.Lock()
		if c.controls == controls {
			c.reportList()
		}
		c.mu.Unlock()
	}
}

// reportList reports the controls as they are now, if that is new.
func (c *cameraControls) reportList() {
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

// setControl sets a control for a viewer.
func (c *cameraControls) setControl(s capture.Setting) (capture.Setting, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.permitSetting(s.ID); err != nil {
		return capture.Setting{}, err
	}
	granted, err := c.setNow(s)
	if err != nil {
		c.log.Debug("set control", "id", s.ID, "err", err)
		return granted, &settingError{err}
	}
	return granted, nil
}

// permitSetting reports why a viewer may not set the control of an ID now.
func (c *cameraControls) permitSetting(id uint32) error {
	control := capture.Control{ID: id}
	if i := slices.IndexFunc(c.state.List, func(c capture.Control) bool { return c.ID == id }); i >= 0 {
		control = c.state.List[i]
	}
	switch {
	case c.locked:
		return errLocked
	case c.isLocked():
		return fmt.Errorf("%w: %w", capture.ErrControlLocked, errNotGranted)
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
func (c *cameraControls) setNow(s capture.Setting) (capture.Setting, error) {
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
		c.log.Debug("viewer set a control", "id", s.ID, "value", s.Value, "granted", granted.Value)
		c.reportList()
	}
	return granted, err
}
