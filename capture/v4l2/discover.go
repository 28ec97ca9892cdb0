package v4l2

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// node is a /dev/videoN and what it reports of itself.
type node struct {
	path   string
	number int
	cap    capability
	err    error // why it could not be asked
}

func (n *node) name() string   { return cString(n.cap.card[:]) }
func (n *node) driver() string { return cString(n.cap.driver[:]) }
func (n *node) bus() string    { return cString(n.cap.busInfo[:]) }

// isLoopback goes by the driver's name; some builds write it in one word.
func (n *node) isLoopback() bool {
	return n.driver() == "v4l2 loopback" || n.driver() == "v4l2loopback"
}

// String describes the node to a user.
func (n *node) String() string {
	if n.err != nil {
		return n.err.Error()
	}
	return fmt.Sprintf("%s (%s)", n.path, n.name())
}

// inspectNode asks a node what it is.
func inspectNode(path string) node {
	n := node{path: path}
	n.number, _ = strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "video"))
	fd, err := openNode(path)
	if err != nil {
		n.err = err
		return n
	}
	defer unix.Close(fd)
	if n.cap, err = queryCap(fd); err != nil {
		n.err = fmt.Errorf("%s is not a V4L2 device: %w", path, err)
	}
	return n
}

// listNodes inspects every /dev/videoN, in the order in which cameras are offered:
// real ones first, then by number.
func listNodes() ([]node, error) {
	entries, err := os.ReadDir("/dev")
	if err != nil {
		return nil, err
	}
	var found []node
	for _, e := range entries {
		number, isVideo := strings.CutPrefix(e.Name(), "video")
		if _, err := strconv.ParseUint(number, 10, 16); isVideo && err == nil {
			found = append(found, inspectNode("/dev/"+e.Name()))
		}
	}
	slices.SortFunc(found, func(a, b node) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.number, b.number))
	})
	return found, nil
}

// rank puts loopback nodes after real cameras.
func (n *node) rank() int {
	if n.isLoopback() {
		return 1
	}
	return 0
}

// sensorDrivers are those of which some versions do not set V4L2_CAP_IO_MC.
var sensorDrivers = []string{"ipu3-cio2", "ipu6", "isys", "unicam", "rp1-cfe"}

// notCamera returns why the node is not a camera that this package can use, nil
// if it is one.
func (n *node) notCamera() error {
	caps := n.cap.nodeCaps()
	sensor := slices.ContainsFunc(sensorDrivers, func(s string) bool { return strings.Contains(n.driver(), s) })
	switch {
	case n.err != nil:
		return n.err
	case caps&capMetaCapture != 0:
		return n.notCameraError(errors.New("is a metadata node"))
	case caps&(capVideoM2M|capVideoM2MMPlane) != 0:
		return n.notCameraError(errors.New("converts video"))
	case caps&(capVideoCapture|capVideoCaptureMPlane) == 0:
		return n.notCameraError(errors.New("does not capture video"))
	case caps&capIOMC != 0, sensor:
		return n.notCameraError(capture.ErrNeedsLibcamera)
	case caps&capStreaming == 0:
		return n.notCameraError(errors.New("cannot stream"))
	}
	return nil
}

func (n *node) notCameraError(reason error) error {
	return fmt.Errorf("%w: %s (%s, driver %s) %w", capture.ErrNoCamera, n.path, n.name(), n.driver(), reason)
}

// Driver is the V4L2 cameras of this host. It implements capture.Driver,
// capture.Prober, capture.InputSelector and capture.Excluder.
type Driver struct{}

var _ interface {
	capture.Driver
	capture.Prober
	capture.InputSelector
	capture.Excluder
} = Driver{}

// Name returns "v4l2".
func (Driver) Name() string { return "v4l2" }

// Devices lists the cameras that can be opened: real ones by device number, then
// v4l2loopback nodes, then those that see infrared only. Unusable lists the others.
func (Driver) Devices() ([]capture.Device, error) {
	all, err := listNodes()
	if err != nil {
		return nil, err
	}
	var cameras []capture.Device
	for _, n := range all {
		if c, err := describeCamera(n); err == nil {
			cameras = append(cameras, c)
		}
	}
	return colorFirst(cameras), nil
}

// Open starts the camera in the mode nearest to the one asked for; see the function
// Open.
func (Driver) Open(c capture.Device, mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	s, err := Open(c.Path, mode, pool)
	if err != nil {
		return nil, err // and no nil *Source
	}
	return s, nil
}

// OpenControls opens the controls of the camera; see the function OpenControls.
func (Driver) OpenControls(c capture.Device) (capture.Controls, error) {
	controls, err := OpenControls(c.Path)
	if err != nil {
		return nil, err // and no nil *Controls
	}
	return controls, nil
}

// Unusable returns why devices that may be cameras cannot be used, for instance
// that this user may not open them.
func (Driver) Unusable() []error {
	all, err := listNodes()
	if err != nil {
		return nil // as Devices reports
	}
	var reasons []error
	for _, n := range all {
		if _, err := describeCamera(n); n.err != nil || errors.Is(err, capture.ErrNeedsLibcamera) {
			reasons = append(reasons, err)
		}
	}
	return reasons
}

// colorFirst moves cameras that see infrared only to the end.
func colorFirst(cameras []capture.Device) []capture.Device {
	last := func(c capture.Device) int {
		if c.Infrared {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(cameras, func(a, b capture.Device) int { return cmp.Compare(last(a), last(b)) })
	return cameras
}

// Describe returns what is known of the camera at a device node or a symbolic
// link to one. The error wraps capture.ErrNoCamera where there is no camera.
func Describe(path string) (capture.Device, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return capture.Device{}, fmt.Errorf("%w: %s does not exist", capture.ErrNoCamera, path)
	}
	return describeCamera(inspectNode(target))
}

// Find returns the camera that a user means: the first one in colour for "", the
// one at a path, or the one of that name, whole or in part, in any case. The
// error wraps capture.ErrNoCamera and names the cameras that there are.
func (Driver) Find(name string) (capture.Device, error) {
	if strings.HasPrefix(name, "/") {
		return Describe(name)
	}
	all, err := listNodes()
	if err != nil {
		return capture.Device{}, err
	}
	candidates, err := matchCameras(all, name)
	if err != nil {
		return capture.Device{}, err
	}
	return chooseCamera(candidates, name, all, describeCamera)
}

// chooseCamera returns the camera that is meant among the candidates of a name.
func chooseCamera(candidates []node, name string, all []node, ask func(node) (capture.Device, error)) (capture.Device, error) {
	var found []capture.Device
	for _, n := range candidates {
		c, err := ask(n)
		switch {
		case err != nil && len(candidates) == 1:
			return c, err
		case err != nil:
			continue
		case name == "" && c.IsOrdinary():
			return c, nil
		}
		found = append(found, c)
	}
	switch {
	case len(found) == 0:
		return capture.Device{}, noCamera(capture.ErrNoneFound, all)
	case name == "":
		return capture.Device{}, noCamera(capture.ErrNotNamed, all)
	}
	return capture.ChooseDevice(colorFirst(found), name)
}

// matchCameras returns the cameras that name may mean, in the order to try them.
func matchCameras(all []node, name string) ([]node, error) {
	cameras := slices.DeleteFunc(slices.Clone(all), func(n node) bool { return n.notCamera() != nil })
	if name == "" {
		if len(cameras) == 0 {
			return nil, noCamera(capture.ErrNoneFound, all)
		}
		return cameras, nil
	}
	var whole, part []node
	for _, n := range cameras {
		switch {
		case strings.EqualFold(n.name(), name):
			whole = append(whole, n)
		case strings.Contains(strings.ToLower(n.name()), strings.ToLower(name)):
			part = append(part, n)
		}
	}
	switch {
	case len(whole) > 0:
		return whole, nil
	case len(part) > 0:
		return part, nil
	}
	return nil, noCamera(fmt.Errorf("%w: %q", capture.ErrNoCamera, name), all)
}

// noCamera adds to an error what there is instead: the cameras, and the first node
// of each kind that would be one.
func noCamera(err error, all []node) error {
	var cameras []node
	var sensor, closed error
	for _, n := range all {
		switch err := n.notCamera(); {
		case err == nil:
			cameras = append(cameras, n)
		case errors.Is(err, capture.ErrNeedsLibcamera):
			sensor = cmp.Or(sensor, fmt.Errorf("%v %w", &n, capture.ErrNeedsLibcamera))
		case n.err != nil:
			closed = cmp.Or(closed, err)
		}
	}
	if len(cameras) == 0 && sensor == nil && closed == nil {
		return err
	}
	if err == capture.ErrNoneFound { // for which plugging one in would help
		err = fmt.Errorf("%w: no usable one found", capture.ErrNoCamera)
	}
	if len(cameras) > 0 {
		err = fmt.Errorf("%w; there is %s", err, joinNodes(cameras))
	}
	for _, more := range []error{sensor, closed} {
		if more != nil {
			err = fmt.Errorf("%w; %w", err, more)
		}
	}
	return err
}

func joinNodes(nodes []node) string {
	texts := make([]string, len(nodes))
	for i := range nodes {
		texts[i] = nodes[i].String()
	}
	return strings.Join(texts, ", ")
}

// FindAgain returns the camera c after it was unplugged and plugged in again: the
// one of that name on that bus, whatever its device number is now; else the only
// one of that name. The error wraps capture.ErrNoCamera while there is none, and
// capture.ErrAmbiguous where it may be one of several.
func (Driver) FindAgain(c capture.Device) (capture.Device, error) {
	all, err := listNodes()
	if err != nil {
		return capture.Device{}, err
	}
	var named []capture.Device
	for _, n := range all {
		if n.err != nil || n.name() != c.Name {
			continue
		}
		if found, err := describeCamera(n); err == nil {
			named = append(named, found)
		}
	}
	return capture.FindAgain(c, named)
}

// describeCamera lists what the camera at a node can do.
func describeCamera(n node) (capture.Device, error) {
	if err := n.notCamera(); err != nil {
		return capture.Device{}, err
	}
	bufType := captureType(n.cap.nodeCaps())
	fd, cam, err := openEnumerator(n.path, bufType)
	if err != nil {
		return capture.Device{}, err
	}
	defer unix.Close(fd)
	_ = followSignal(fd, n.path) // its size is the only one; a lack of it shows in the inputs
	modes := listModes(fd, bufType, cam)
	if len(modes) > 0 && !slices.ContainsFunc(modes, func(m capture.Mode) bool { return !isBayer(m.Pixel) }) {
		return capture.Device{}, n.notCameraError(fmt.Errorf("delivers only %s, raw sensor data: it %w", capture.FormatNames(modes), capture.ErrNeedsLibcamera))
	}
	return capture.Device{
		Path:     n.path,
		Name:     n.name(),
		Driver:   n.driver(),
		Bus:      n.bus(),
		Modes:    modes,
		Controls: listControls(fd),
		Inputs:   listInputs(fd),
		Infrared: isInfrared(modes),
	}, nil
}
