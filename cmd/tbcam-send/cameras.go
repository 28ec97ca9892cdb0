package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/v4l2"
)

// listCameras lists this host's cameras and the pattern, which is always there.
func listCameras() ([]capture.Device, error) {
	cameras, err := v4l2.Cameras()
	return append(cameras, pattern.Camera()), err
}

// chooseMode finds a camera and its mode: the camera that was used last, if any.
func chooseMode(want capture.Want, last capture.Device) (capture.Device, capture.Mode, error) {
	camera, err := findCamera(want.Camera, last)
	if err == nil && camera.Path != pattern.Name {
		camera, err = v4l2.SelectInput(camera, want.Input, want.Standard)
	}
	if err != nil {
		return capture.Device{}, capture.Mode{}, err
	}
	mode, err := capture.ChooseMode(camera.Modes, want)
	if err != nil {
		err = &modeError{camera, err}
	}
	return camera, mode, err
}

func findCamera(name string, last capture.Device) (capture.Device, error) {
	switch {
	case name == pattern.Name:
		return pattern.Camera(), nil
	case last.Path != "":
		return v4l2.FindAgain(last)
	}
	return v4l2.Find(name)
}

func openCamera(camera capture.Device, mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	if camera.Path == pattern.Name {
		return pattern.Open(mode, pool)
	}
	return v4l2.Open(camera.Path, mode, pool)
}

// probeCamera reports what keeps a camera from being opened now, if anything.
func probeCamera(camera capture.Device, mode capture.Mode) error {
	if camera.Path == pattern.Name {
		return nil
	}
	if err := v4l2.Probe(camera.Path, mode); err != nil {
		return fmt.Errorf("%s: %w", camera.Name, err)
	}
	return nil
}

func openControls(camera capture.Device) (capture.Controls, error) {
	if camera.Path == pattern.Name {
		return pattern.OpenControls(), nil
	}
	return v4l2.OpenControls(camera.Path)
}

// permit reports why a viewer may not have the camera that it asks for, where base
// is what the flags ask for. It is a stranger: it may choose among the cameras,
// unless --camera has chosen one, but not have any path opened.
func permit(base, want capture.Want) error {
	if want.Camera == "" || want.Camera == base.Camera {
		return nil
	}
	isPath := func(name string) bool { return strings.HasPrefix(name, "/") }
	switch {
	case isPath(base.Camera):
		return &refusal{"only one is offered (tbcam-send --camera)"}
	case base.Camera != "":
		return &refusal{fmt.Sprintf("only %s is offered (tbcam-send --camera)", base.Camera)}
	case !isPath(want.Camera):
		return nil
	}
	cameras, err := listCameras()
	if err == nil && !slices.ContainsFunc(cameras, func(c capture.Device) bool { return c.Path == want.Camera }) {
		err = &refusal{fmt.Sprintf("%q", want.Camera)}
	}
	return err
}

// refusal is the answer to a viewer that asks for a camera which it cannot have.
type refusal struct{ reason string }

func (r *refusal) Error() string     { return capture.ErrNoCamera.Error() + ": " + r.reason }
func (r *refusal) Unwrap() error     { return capture.ErrNoCamera }
func (r *refusal) forViewer() string { return r.Error() }

// modeError says that a camera lacks a mode.
type modeError struct {
	camera capture.Device
	err    error
}

func (e *modeError) Error() string {
	return fmt.Sprintf("%s (%s): %v", e.camera.Name, e.camera.Path, e.err)
}
func (e *modeError) Unwrap() error     { return e.err }
func (e *modeError) forViewer() string { return fmt.Sprintf("%s: %v", e.camera.Name, e.err) }

// textForViewer is what a viewer is told of an error. Which programs, devices and
// files are involved concerns this host alone, and is in its log.
func textForViewer(err error) string {
	var known interface{ forViewer() string }
	if errors.As(err, &known) {
		return known.forViewer()
	}
	for _, kind := range [...]error{
		capture.ErrNoSignal, capture.ErrSignalChanged, capture.ErrBusy, capture.ErrGone, capture.ErrNoMode, capture.ErrAmbiguous, capture.ErrNoCamera, errHung,
	} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return "camera may not be opened"
	}
	return "camera cannot be used"
}
