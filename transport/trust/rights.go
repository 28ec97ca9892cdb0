package trust

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// AllCameras stands in Rights.Cameras for every camera on offer.
const AllCameras = "all"

// Rights is what a sender's owner grants a viewer.
type Rights struct {
	// Cameras lists devices, parts of names as --camera takes them, or AllCameras.
	Cameras    []string `json:"cameras"`
	Microphone bool     `json:"microphone"`
	Control    bool     `json:"control"` // of cameras
}

// maxCameras bounds Rights.Cameras; the length of each is that of a name.
const maxCameras = 16

// check refuses rights that cannot be kept or sent.
func (r Rights) check() error {
	if len(r.Cameras) > maxCameras {
		return fmt.Errorf("%w: %d, allowed are %d", ErrCameras, len(r.Cameras), maxCameras)
	}
	for _, camera := range r.Cameras {
		if camera == "" || len(camera) > maxName || capture.Printable(camera) != camera {
			return fmt.Errorf("%w: %q", ErrCameras, camera)
		}
	}
	return nil
}

// ErrCameras is returned for cameras that cannot be granted.
var ErrCameras = errors.New("cannot grant these cameras")

// Grant is what a sender's user decides about a viewer while pairing.
type Grant struct {
	Rights Rights `json:"rights"`
	// Once admits the viewer to this session only: neither end keeps the other.
	Once bool `json:"once,omitempty"`
}

// DefaultRights returns what pairing grants unless the owner decides otherwise: to
// see, not to listen, and not to change anything.
func DefaultRights() Rights { return Rights{Cameras: []string{AllCameras}} }

// AllowsCamera reports whether the viewer may have a camera. A microphone is none, whatever
// its name: Microphone decides.
func (r Rights) AllowsCamera(d capture.Device) bool {
	return d.Kind == capture.Video && slices.ContainsFunc(r.Cameras, func(camera string) bool {
		return camera == AllCameras || camera == d.Path ||
			strings.Contains(strings.ToLower(d.Name), strings.ToLower(camera))
	})
}

// String lists the rights for a person.
func (r Rights) String() string {
	var granted []string
	switch {
	case slices.Contains(r.Cameras, AllCameras):
		granted = append(granted, "all cameras")
	case len(r.Cameras) > 0:
		granted = append(granted, "cameras "+strings.Join(r.Cameras, ", "))
	}
	if r.Microphone {
		granted = append(granted, "microphone")
	}
	if r.Control {
		granted = append(granted, "control")
	}
	if len(granted) == 0 {
		return "nothing"
	}
	return strings.Join(granted, ", ")
}

// Equal reports whether both grant the same.
func (r Rights) Equal(other Rights) bool {
	return slices.Equal(r.Cameras, other.Cameras) && r.Microphone == other.Microphone && r.Control == other.Control
}
