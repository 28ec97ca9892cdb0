package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// offer is the cameras that viewers may have: those that --camera names, in that
// order, else all ordinary ones. The first one is for those who do not choose.
type offer struct {
	drivers []capture.Driver
	names   []string // at least one; "" stands for all ordinary cameras
	grants  grants   // of the present viewer
}

// newOffer takes the values of --camera.
func newOffer(drivers []capture.Driver, names []string) *offer {
	o := &offer{drivers: drivers}
	for _, name := range names {
		if name == "auto" {
			name = ""
		}
		o.names = append(o.names, name)
	}
	if len(o.names) == 0 {
		o.names = []string{""}
	}
	return o
}

// isOpen reports whether cameras are on offer that nobody named.
func (o *offer) isOpen() bool { return slices.Contains(o.names, "") }

// chooseMode finds a camera and its mode: the camera that was used last, if any.
func (o *offer) chooseMode(want capture.Want, last hostCamera) (hostCamera, capture.Mode, error) {
	c, err := o.findCamera(want.Camera, last)
	if err == nil && !o.grants.allowsCamera(c.Device) {
		err = &refusal{errNotGranted.Error()}
	}
	if err == nil {
		c, err = c.selectInput(want.Input, want.Standard)
	}
	if err != nil {
		return hostCamera{}, capture.Mode{}, err
	}
	mode, err := capture.ChooseMode(c.Modes, want)
	if err != nil {
		err = &modeError{c.Device, err}
	}
	return c, mode, err
}

func (o *offer) findCamera(name string, last hostCamera) (hostCamera, error) {
	switch {
	case last.Path != "":
		return last.findAgain()
	case name == "":
		return o.findFirst()
	case slices.Contains(o.names, name):
		return o.findNamed(name)
	}
	return o.findOffered(name)
}

// findFirst returns the first camera that is there; the error is that of the first
// name.
func (o *offer) findFirst() (c hostCamera, err error) {
	for _, name := range o.names {
		found, missing := o.findNamed(name)
		if missing == nil && !o.grants.allowsCamera(found.Device) {
			missing = o.findGranted(name, &found)
		}
		if missing == nil {
			return found, nil
		}
		if err == nil {
			err = missing
		}
	}
	return hostCamera{}, err
}

// findGranted finds another camera of a name, which the viewer may have.
func (o *offer) findGranted(name string, found *hostCamera) error {
	cameras, err := o.listNamed(name)
	for _, c := range cameras {
		if o.grants.allowsCamera(c.Device) {
			*found = c
			return nil
		}
	}
	if err != nil {
		return err
	}
	return &refusal{errNotGranted.Error()}
}

// findNamed returns the camera that the owner of this host means. Any device may be
// opened for that.
func (o *offer) findNamed(name string) (hostCamera, error) {
	var missing error
	for _, d := range o.drivers {
		device, err := d.Find(name)
		switch {
		case err == nil:
			return hostCamera{device, d}, nil
		case !errors.Is(err, capture.ErrNoCamera), errors.Is(err, capture.ErrAmbiguous):
			return hostCamera{}, err
		case missing == nil, !errors.Is(err, capture.ErrNoneFound):
			missing = err // the last driver that has cameras names what there is instead
		}
	}
	return hostCamera{}, missing
}

// findOffered returns the camera that a viewer asks for. It is a stranger: it may
// choose among the cameras on offer, but not have any path opened.
func (o *offer) findOffered(name string) (hostCamera, error) {
	cameras, err := o.listOffered()
	device, missing := capture.FindDevice(devicesOf(cameras), name)
	switch {
	case missing == nil:
		return cameras[slices.IndexFunc(cameras, func(c hostCamera) bool { return c.Path == device.Path })], nil
	case err != nil:
		return hostCamera{}, err
	case errors.Is(missing, capture.ErrAmbiguous):
		return hostCamera{}, missing
	case !o.isOpen():
		return hostCamera{}, &refusal{o.onlyOffered()}
	case strings.HasPrefix(name, "/"), o.hasUnoffered(name):
		return hostCamera{}, &refusal{fmt.Sprintf("%q", name)}
	}
	return hostCamera{}, missing
}

// hasUnoffered reports whether a name is that of a camera which is not on offer.
func (o *offer) hasUnoffered(name string) bool {
	cameras, _ := listCameras(o.drivers)
	return slices.ContainsFunc(cameras, func(c hostCamera) bool { return c.Is(name) && !c.IsOrdinary() })
}

// onlyOffered names what is on offer, but for paths, which concern this host alone.
func (o *offer) onlyOffered() string {
	names := slices.DeleteFunc(slices.Clone(o.names), func(name string) bool { return strings.HasPrefix(name, "/") })
	switch {
	case len(o.names) == 1 && len(names) == 0:
		return "only one is offered (tbcam-send --camera)"
	case len(o.names) == 1:
		return fmt.Sprintf("only %s is offered (tbcam-send --camera)", names[0])
	case len(names) < len(o.names):
		return fmt.Sprintf("only %d are offered (tbcam-send --camera)", len(o.names))
	}
	return fmt.Sprintf("only %s are offered (tbcam-send --camera)", strings.Join(names, ", "))
}

// listOffered returns the cameras on offer that are there, each once.
func (o *offer) listOffered() ([]hostCamera, error) {
	var list []hostCamera
	var errs []error
	for _, name := range o.names {
		cameras, err := o.listNamed(name)
		errs = append(errs, err)
		for _, c := range cameras {
			if o.grants.allowsCamera(c.Device) && !slices.ContainsFunc(list, c.isSame) {
				list = append(list, c)
			}
		}
	}
	return list, errors.Join(errs...)
}

// listNamed returns the cameras on offer by one name.
func (o *offer) listNamed(name string) ([]hostCamera, error) {
	if name == "" {
		cameras, err := listCameras(o.drivers)
		return slices.DeleteFunc(cameras, func(c hostCamera) bool { return !c.IsOrdinary() }), err
	}
	c, err := o.findNamed(name)
	switch {
	case errors.Is(err, capture.ErrNoCamera):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []hostCamera{c}, nil
}

// listMissing returns why cameras that were named are not there.
func (o *offer) listMissing() []error {
	var errs []error
	for _, name := range o.names {
		if _, err := o.findNamed(name); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// watchedDrivers returns the drivers whose cameras may come to be on offer: those of all that
// is named, or every one while something is missing.
func (o *offer) watchedDrivers() []capture.Driver {
	var watched []capture.Driver
	for _, name := range o.names {
		c, err := o.findNamed(name)
		if err != nil || name == "" {
			return o.drivers
		}
		if !slices.Contains(watched, c.driver) {
			watched = append(watched, c.driver)
		}
	}
	return watched
}

// listCameras lists this host's cameras, test cameras last.
func listCameras(drivers []capture.Driver) ([]hostCamera, error) {
	var cameras, test []hostCamera
	var errs []error
	for _, d := range drivers {
		devices, err := d.Devices()
		errs = append(errs, err)
		for _, device := range devices {
			if device.Test {
				test = append(test, hostCamera{device, d})
				continue
			}
			cameras = append(cameras, hostCamera{device, d})
		}
	}
	return append(cameras, test...), errors.Join(errs...)
}

func devicesOf(cameras []hostCamera) []capture.Device {
	devices := make([]capture.Device, len(cameras))
	for i, c := range cameras {
		devices[i] = c.Device
	}
	return devices
}

// refusal is the answer to a viewer that asks for a camera which it cannot have.
type refusal struct{ reason string }

func (r *refusal) Error() string     { return capture.ErrNoCamera.Error() + ": " + r.reason }
func (r *refusal) Unwrap() error     { return capture.ErrNoCamera }
func (r *refusal) forViewer() string { return r.Error() }
