package hub

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// Conflict is the cause of a Failed status: the camera runs in a mode that another viewer
// asked for, and the request's differs.
const Conflict transport.Cause = "in-use"

// ErrConflict is wrapped by what ConflictError returns.
var ErrConflict = errors.New("camera runs in another mode")

// ConflictError returns the error of a status with the cause Conflict. It wraps
// capture.ErrNoMode too.
func ConflictError(text string) error { return &conflictError{text} }

type conflictError struct{ text string }

func (e *conflictError) Error() string { return e.text }

func (e *conflictError) Unwrap() []error { return []error{ErrConflict, capture.ErrNoMode} }

// conflictWith returns the error of a request that differs from what runs.
func conflictWith(runs fmt.Stringer) error {
	return ConflictError(fmt.Sprintf("another viewer has the camera in %v", runs))
}

// runningPrefix begins the name of a camera that is not to be turned on.
const runningPrefix = "running:"

// Running returns the name by which a request joins the camera of a name that runs, or
// with "" the first one that does. It turns none on. Only a hub knows such names.
func Running(name string) string { return runningPrefix + name }

// cameraState is what placing a request needs to know of a far camera.
type cameraState struct {
	kind capture.Kind
	want *capture.Want   // what is asked of it, nil: nothing
	mode *transport.Mode // nil: not known
	name string          // of the camera, "" where that is not known
	path string
	// failed: what is asked cannot be had, so that nobody misses it.
	failed bool
}

// placement is where a request belongs.
type placement struct {
	index int           // of the camera; one more than there are: another is to be opened
	want  *capture.Want // to ask of it, nil: what runs there will do
	err   error
}

// errNotRunning is returned for a camera that is not to be turned on.
var errNotRunning = errors.New("the camera is off: no viewer on this stream needs frames")

// placeNewcomer finds the camera of a request whose viewer has none yet. What runs
// there goes on: a want that differs is a conflict.
func placeNewcomer(cameras []cameraState, want capture.Want) placement {
	name, onlyRunning := strings.CutPrefix(want.Camera, runningPrefix)
	want.Camera = nameOf(name)
	for i, c := range cameras {
		if c.kind == want.Kind && c.want != nil && c.mayBe(want.Camera) {
			if onlyRunning {
				return placement{index: i}
			}
			merged, err := c.merge(want)
			return placement{i, merged, err}
		}
	}
	if onlyRunning {
		return placement{err: errNotRunning}
	}
	return placement{index: idleCamera(cameras, want.Kind, want.Camera), want: &want}
}

// placeChange finds the camera of another request of a viewer that has one of the kind: it changes
// that one, for all who look, unless it names another that runs.
func placeChange(cameras []cameraState, now int, want capture.Want) placement {
	if strings.HasPrefix(want.Camera, runningPrefix) {
		return placeNewcomer(cameras, want)
	}
	want.Camera = nameOf(want.Camera)
	for i, c := range cameras {
		if i != now && c.kind == want.Kind && c.want != nil && want.Camera != "" && !cameras[now].mayBe(want.Camera) && c.mayBe(want.Camera) {
			return placeNewcomer(cameras, want)
		}
	}
	if !cameras[now].failed {
		want = want.WithDefaults(*cameras[now].want)
	}
	return placement{index: now, want: &want}
}

// nameOf returns the name that a request gives a camera, "" for the first one.
func nameOf(name string) string {
	if name == "auto" {
		return ""
	}
	return name
}

// mayBe reports whether a name certainly means the camera. Parts of names are resolved
// by the sender, who knows all that it has.
func (c cameraState) mayBe(name string) bool {
	switch {
	case name == "":
		return true
	case c.want != nil && nameOf(c.want.Camera) == name:
		return true
	}
	return c.name != "" && capture.Device{Path: c.path, Name: c.name}.Is(name)
}

// contains reports whether a name may be a part of the camera's.
func (c cameraState) contains(name string) bool {
	return c.mayBe(name) || c.name != "" && strings.Contains(strings.ToLower(c.name), strings.ToLower(name))
}

// merge returns what is to be asked of a camera that runs, so that a newcomer has what it
// wants too; nil if nothing. What is not known yet may be chosen.
func (c cameraState) merge(want capture.Want) (*capture.Want, error) {
	want.Camera = ""
	if c.failed {
		want = want.WithDefaults(*c.want)
		return &want, nil
	}
	if c.mode != nil {
		return nil, checkMode(want, *c.want, c.mode.Source)
	}
	both := c.want.WithDefaults(want)
	if want.WithDefaults(both) != both {
		return nil, conflictWith(*c.want)
	}
	if both == *c.want {
		return nil, nil
	}
	return &both, nil
}

// checkMode returns an error if what was asked is not what runs. Where a driver granted
// something else than asked, asking for the same is no conflict.
func checkMode(want, asked capture.Want, source capture.Mode) error {
	pixel := want.Pixel == 0 || want.Pixel == asked.Pixel || want.Pixel == source.Pixel
	size := want.Width == 0 || want.Width == asked.Width && want.Height == asked.Height ||
		want.Width == source.Width && want.Height == source.Height
	rate := want.FPS == 0 || want.FPS == asked.FPS || math.Abs(want.FPS-source.Rate.FPS()) <= 0.1
	if pixel && size && rate {
		return nil
	}
	return conflictWith(source)
}

// idleCamera returns the stopped camera of a kind that had the name last, else any stopped one,
// else one more than there are.
func idleCamera(cameras []cameraState, kind capture.Kind, name string) int {
	found := len(cameras)
	for i, c := range cameras {
		switch {
		case c.want != nil || c.kind != kind:
		case name != "" && c.mayBe(name):
			return i
		case found == len(cameras):
			found = i
		}
	}
	return found
}
