package capture

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Driver is one way to cameras: a kernel interface, a sound or video server, a test
// pattern. A program knows its drivers as a list and never by name. A driver may
// also be a Prober, an InputSelector or an Excluder. Its methods may be called from
// any goroutine.
type Driver interface {
	// Name identifies the driver in logs.
	Name() string
	// Devices lists what can be opened, in the order in which it is offered.
	Devices() ([]Device, error)
	// Find returns the device that a user means by a path or a name; "" is the first
	// one that IsOrdinary. The error wraps ErrNoCamera where there is none, and names
	// what there is instead.
	Find(name string) (Device, error)
	// FindAgain returns a device after it was unplugged and plugged in again. The
	// error wraps ErrNoCamera while it is missing.
	FindAgain(gone Device) (Device, error)
	// Open starts a device in the mode nearest to the one asked for that it grants.
	// Frames come from pool.
	Open(d Device, mode Mode, pool *Pool) (Source, error)
	// OpenControls opens the controls of a device, beside whoever captures from it.
	OpenControls(d Device) (Controls, error)
	// Watch returns a channel that receives when devices appeared or went away; nil
	// where they never do. Changes that were not received yet are one. The channel is
	// closed when ctx ends.
	Watch(ctx context.Context) (<-chan struct{}, error)
}

// Prober is a Driver that can check a device without starting it.
type Prober interface {
	// Probe reports what keeps a device from being opened in that mode now, if anything.
	Probe(d Device, mode Mode) error
}

// InputSelector is a Driver of devices that have several inputs.
type InputSelector interface {
	// SelectInput makes a device use an input, by number or (part of its) name, and an
	// analogue standard, and describes it again; "" leaves either as it is. The error
	// wraps ErrNoMode where the device has no such input or standard.
	SelectInput(d Device, input, standard string) (Device, error)
}

// Excluder is a Driver that sees devices which it does not list.
type Excluder interface {
	// Unusable returns why devices that may be cameras cannot be used.
	Unusable() []error
}

// IsOrdinary reports whether the device is a camera that may be chosen though no user
// named it: it shows the world in front of it, in colour.
func (d Device) IsOrdinary() bool { return !d.Test && !d.Infrared && !d.Screen }

// Is reports whether d is the device of that path or name, in any case.
func (d Device) Is(name string) bool { return d.Path == name || strings.EqualFold(d.Name, name) }

// AmbiguousError is returned when several devices may be meant. It wraps ErrAmbiguous.
type AmbiguousError struct {
	Name    string // as it was asked for
	Devices []Device
}

// Error lists the devices.
func (e *AmbiguousError) Error() string {
	texts := make([]string, len(e.Devices))
	for i, d := range e.Devices {
		texts[i] = fmt.Sprintf("%s (%s)", d.Path, d.Name)
	}
	return fmt.Sprintf("%v: %s may be %s", ErrAmbiguous, e.Name, strings.Join(texts, ", "))
}

// Unwrap returns ErrAmbiguous.
func (e *AmbiguousError) Unwrap() error { return ErrAmbiguous }

// FindDevice returns the device of a path or a name, whole or in part, in any case.
// The error wraps ErrNoCamera.
func FindDevice(devices []Device, name string) (Device, error) {
	var whole, part []Device
	for _, d := range devices {
		switch {
		case d.Path == name:
			return d, nil
		case d.Is(name):
			whole = append(whole, d)
		case strings.Contains(strings.ToLower(d.Name), strings.ToLower(name)):
			part = append(part, d)
		}
	}
	if len(whole) == 0 {
		whole = part
	}
	return ChooseDevice(whole, name)
}

// ChooseDevice returns the device that is meant among those of a name. The error
// wraps ErrNoCamera.
func ChooseDevice(found []Device, name string) (Device, error) {
	// A laptop's two sensors may have one name.
	meant := slices.DeleteFunc(slices.Clone(found), func(d Device) bool { return !d.IsOrdinary() })
	switch {
	case len(found) == 0:
		return Device{}, fmt.Errorf("%w: %q", ErrNoCamera, name)
	case len(found) == 1:
		return found[0], nil
	case len(meant) == 1:
		return meant[0], nil
	}
	return Device{}, &AmbiguousError{Name: strconv.Quote(name), Devices: found}
}

// FindAgain returns which of the devices of its name is the one that was unplugged:
// the one on that bus, whatever its path is now; else the only one. The error wraps
// ErrNoCamera.
func FindAgain(gone Device, named []Device) (Device, error) {
	byBus := make(map[string][]Device)
	for _, d := range named {
		byBus[d.Bus] = append(byBus[d.Bus], d)
	}
	again := byBus[gone.Bus]
	switch {
	case len(named) == 0:
		return Device{}, fmt.Errorf("%w: %s on %s", ErrNoCamera, gone.Name, gone.Bus)
	case len(again) > 0:
	case len(byBus) == 1:
		again = named
	default:
		return Device{}, &AmbiguousError{Name: gone.Name + ", which is not on " + gone.Bus + " any more,", Devices: named}
	}
	// A camera may have a second sensor under the same name: the modes differ.
	same := slices.IndexFunc(again, func(d Device) bool { return slices.Equal(d.Modes, gone.Modes) })
	return again[max(same, 0)], nil
}
