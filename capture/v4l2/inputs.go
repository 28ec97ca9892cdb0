package v4l2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// standards are the names of analogue standards (videodev2.h, V4L2_STD_*). The
// first that has all of a driver's is its name.
var standards = []struct {
	name string
	bits uint64
}{
	{"pal", 0xff},
	{"ntsc", 0xb000},
	{"secam", 0xff0000},
	{"pal-m", 0x100},
	{"pal-n", 0x200},
	{"pal-nc", 0x400},
	{"pal-60", 0x800},
	{"ntsc-443", 0x4000},
	{"ntsc-j", 0x2000},
}

// std525 holds the standards of 525 lines, of which the bottom field is the older
// one (Documentation/userspace-api/media/v4l/field-order.rst).
const std525 = 0xf900

// maxInputs bounds a driver's list.
const maxInputs = 64

// listInputs returns the inputs of a device that has a choice of them, or of
// analogue standards, or follows a signal; none of a webcam.
func listInputs(fd int) []capture.Input {
	var inputs []capture.Input
	current, err := currentInput(fd)
	if err != nil {
		return nil
	}
	matters := false
	for i := range uint32(maxInputs) {
		in := input{index: i}
		if callDriver(fd, vidiocEnumInput, unsafe.Pointer(&in)) != nil {
			break
		}
		matters = matters || i > 0 || in.std != 0 || in.capabilities&inCapDVTimings != 0
		inputs = append(inputs, describeInput(fd, in, current))
	}
	if !matters {
		return nil
	}
	return inputs
}

func describeInput(fd int, in input, current uint32) capture.Input {
	d := capture.Input{Number: int(in.index), Name: cString(in.name[:]), Current: in.index == current}
	for _, s := range standards {
		if in.std&s.bits != 0 {
			d.Standards = append(d.Standards, s.name)
		}
	}
	if !d.Current {
		return d
	}
	if len(d.Standards) > 0 {
		d.Standard = standardName(getStandard(fd))
	}
	if err := checkSignal(fd, in); err != nil {
		d.Problem = err.Error()
	}
	return d
}

func standardName(bits uint64) string {
	for _, s := range standards {
		if bits != 0 && bits&^s.bits == 0 {
			return s.name
		}
	}
	return ""
}

// getStandard returns the current standard, 0 where the device has none.
func getStandard(fd int) (bits uint64) {
	if callDriver(fd, vidiocGStd, unsafe.Pointer(&bits)) != nil {
		return 0
	}
	return bits
}

func currentInput(fd int) (uint32, error) {
	var index uint32
	err := callDriver(fd, vidiocGInput, unsafe.Pointer(&index))
	return index, err
}

// SelectInput makes a camera use an input, by number or (part of its) name, and an
// analogue standard, and describes it again; "" leaves either as it is. The error
// wraps capture.ErrNoMode where the camera has no such input or standard.
func (Driver) SelectInput(c capture.Device, name, standard string) (capture.Device, error) {
	if name == "" && standard == "" {
		return c, nil
	}
	fd, err := openNode(c.Path)
	if err != nil {
		return c, err
	}
	defer unix.Close(fd)
	if err := selectInput(fd, c, name); err != nil {
		return c, err
	}
	if err := selectStandard(fd, c, standard); err != nil {
		return c, err
	}
	return Describe(c.Path)
}

func selectInput(fd int, c capture.Device, name string) error {
	if name == "" {
		return nil
	}
	wanted, err := matchInput(c, name)
	if err != nil {
		return err
	}
	index := uint32(wanted.Number)
	if current, err := currentInput(fd); err == nil && current == index {
		return nil // setting it again may fail while it is in use
	}
	if err := callDriver(fd, vidiocSInput, unsafe.Pointer(&index)); err != nil {
		return explainError("VIDIOC_S_INPUT", c.Path, err)
	}
	return nil
}

// matchInput returns the input that a user means.
func matchInput(c capture.Device, name string) (capture.Input, error) {
	var part []capture.Input
	names := make([]string, len(c.Inputs))
	for i, in := range c.Inputs {
		if name == strconv.Itoa(in.Number) || strings.EqualFold(name, in.Name) {
			return in, nil
		}
		if strings.Contains(strings.ToLower(in.Name), strings.ToLower(name)) {
			part = append(part, in)
		}
		names[i] = fmt.Sprintf("%d %s", in.Number, in.Name)
	}
	switch {
	case len(part) == 1:
		return part[0], nil
	case len(names) == 0:
		return capture.Input{}, fmt.Errorf("%w: %s has no choice of inputs", capture.ErrNoMode, c.Name)
	}
	return capture.Input{}, fmt.Errorf("%w: input %q; %s has %s", capture.ErrNoMode, name, c.Name, strings.Join(names, ", "))
}

func selectStandard(fd int, c capture.Device, name string) error {
	if name == "" {
		return nil
	}
	index, err := currentInput(fd)
	if err != nil {
		return explainError("VIDIOC_G_INPUT", c.Path, err)
	}
	in := input{index: index}
	if err := callDriver(fd, vidiocEnumInput, unsafe.Pointer(&in)); err != nil {
		return explainError("VIDIOC_ENUMINPUT", c.Path, err)
	}
	bits, err := matchStandard(in, name)
	if current := getStandard(fd); err != nil || current != 0 && current&^bits == 0 {
		return err
	}
	if err := callDriver(fd, vidiocSStd, unsafe.Pointer(&bits)); err != nil {
		return explainError("VIDIOC_S_STD", c.Path, err)
	}
	return nil
}

// matchStandard returns what an input has of a standard.
func matchStandard(in input, name string) (uint64, error) {
	var names []string
	for _, s := range standards {
		if in.std&s.bits == 0 {
			continue
		}
		if strings.EqualFold(s.name, name) {
			return in.std & s.bits, nil
		}
		names = append(names, s.name)
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("%w: input %s has no analogue standard", capture.ErrNoMode, cString(in.name[:]))
	}
	return 0, fmt.Errorf("%w: standard %q; input %s has %s", capture.ErrNoMode, name, cString(in.name[:]), strings.Join(names, ", "))
}

// followSignal makes the device capture what its current input receives. The error
// wraps capture.ErrNoSignal where that is nothing.
func followSignal(fd int, path string) error {
	index, err := currentInput(fd)
	if err != nil {
		return nil // a webcam need not have inputs
	}
	in := input{index: index}
	if callDriver(fd, vidiocEnumInput, unsafe.Pointer(&in)) != nil {
		return nil
	}
	if err := checkSignal(fd, in); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if in.capabilities&inCapDVTimings == 0 {
		return nil
	}
	var received dvTimings
	if callDriver(fd, vidiocQueryDVTimings, unsafe.Pointer(&received)) != nil {
		return nil
	}
	if err := callDriver(fd, vidiocSDVTimings, unsafe.Pointer(&received)); err != nil {
		return explainError("VIDIOC_S_DV_TIMINGS", path, err)
	}
	return nil
}

// receivedSize returns the size of the timings that the current input is set to,
// zero where it has none.
func receivedSize(fd int) size {
	var t dvTimings
	if callDriver(fd, vidiocGDVTimings, unsafe.Pointer(&t)) != nil {
		return size{}
	}
	return size{binary.NativeEndian.Uint32(t[4:]), binary.NativeEndian.Uint32(t[8:])}
}

// checkSignal returns an error if the current input receives nothing that can be
// captured.
func checkSignal(fd int, in input) error {
	what := ""
	var received dvTimings
	switch err := callDriver(fd, vidiocQueryDVTimings, unsafe.Pointer(&received)); {
	case in.status&(inStatusNoPower|inStatusNoSignal) != 0, errors.Is(err, unix.ENOLINK):
	case errors.Is(err, unix.ENOLCK):
		what = " that is steady"
	case errors.Is(err, unix.ERANGE):
		what = " with timings that the device can receive"
	default:
		return nil
	}
	return fmt.Errorf("%w%s on input %d %s", capture.ErrNoSignal, what, in.index, cString(in.name[:]))
}

// subscribeSource asks for events of a signal that changes. Few drivers have them.
// They are of one input each, whose number is their id
// (Documentation/userspace-api/media/v4l/vidioc-dqevent.rst).
func subscribeSource(fd int) {
	index, _ := currentInput(fd) // 0 where the device has no inputs
	s := eventSubscription{typ: eventSourceChange, id: index}
	_ = callDriver(fd, vidiocSubscribeEvent, unsafe.Pointer(&s))
}

// sourceChanged takes the events that are waiting, and reports whether one is of a
// signal whose size changed, or that came or went.
func sourceChanged(fd int) (changed bool) {
	var e event
	for callDriver(fd, vidiocDQEvent, unsafe.Pointer(&e)) == nil {
		changed = changed || e.typ == eventSourceChange && e.count&srcChangeResolution != 0
		if e.pending == 0 {
			break
		}
	}
	return changed
}
