package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/capture/v4l2"
)

// drivers are asked in this order for the camera of a name: first those that know a
// few names exactly, then those that reach a device directly.
var drivers = []capture.Driver{pattern.Driver{}, v4l2.Driver{}, pipewire.Driver{}}

// hostCamera is a device and the driver that has it.
type hostCamera struct {
	capture.Device
	driver capture.Driver
}

// isSame reports whether it is the same device, however that may have changed.
func (c hostCamera) isSame(other hostCamera) bool {
	return c.Path == other.Path && c.driver == other.driver
}

func (c hostCamera) openSource(mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	return c.driver.Open(c.Device, mode, pool)
}

func (c hostCamera) openControls() (capture.Controls, error) { return c.driver.OpenControls(c.Device) }

// findAgain returns the camera after it was unplugged and plugged in again.
func (c hostCamera) findAgain() (hostCamera, error) {
	device, err := c.driver.FindAgain(c.Device)
	return hostCamera{device, c.driver}, err
}

// probeMode reports what keeps the camera from being opened now, if anything.
func (c hostCamera) probeMode(mode capture.Mode) error {
	prober, ok := c.driver.(capture.Prober)
	if !ok {
		return nil
	}
	if err := prober.Probe(c.Device, mode); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

// selectInput returns the camera as it is with an input and a standard, where it has
// a choice of them.
func (c hostCamera) selectInput(input, standard string) (hostCamera, error) {
	selector, ok := c.driver.(capture.InputSelector)
	if !ok {
		return c, nil
	}
	device, err := selector.SelectInput(c.Device, input, standard)
	return hostCamera{device, c.driver}, err
}

// watchAll returns a channel that receives when cameras of some drivers come and go;
// nil where they do neither. An error leaves the other drivers' changes.
func watchAll(ctx context.Context, drivers []capture.Driver) (<-chan struct{}, error) {
	var all chan struct{}
	var errs []error
	for _, d := range drivers {
		changes, err := d.Watch(ctx)
		if err != nil || changes == nil {
			errs = append(errs, err)
			continue
		}
		if all == nil {
			all = make(chan struct{}, 1)
		}
		go func() {
			for range changes {
				notifyOne(all)
			}
		}()
	}
	return all, errors.Join(errs...)
}

// modeError is returned when a camera lacks a mode.
type modeError struct {
	camera capture.Device
	err    error
}

func (e *modeError) Error() string {
	return fmt.Sprintf("%s (%s): %v", e.camera.Name, e.camera.Path, e.err)
}
func (e *modeError) Unwrap() error     { return e.err }
func (e *modeError) forViewer() string { return fmt.Sprintf("%s: %v", e.camera.Name, e.err) }

// textForViewer returns an error as a viewer may read it. Which programs, devices and
// files are involved concerns this host alone, and is in its log.
func textForViewer(err error) string {
	var known interface{ forViewer() string }
	if errors.As(err, &known) {
		return known.forViewer()
	}
	for _, kind := range [...]error{
		capture.ErrNoSignal, capture.ErrSignalChanged, capture.ErrBandwidth, capture.ErrBusy, capture.ErrGone, capture.ErrNoMode, capture.ErrAmbiguous, capture.ErrNoCamera, errHung,
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
