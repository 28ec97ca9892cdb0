package v4l2

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// LoopbackNode describes a v4l2loopback node, in use or not.
type LoopbackNode struct {
	Path string
	Name string // its card_label
	Bus  string
	// Capture and Output are what it announces now. With exclusive_caps=1 it is
	// an output while no program writes and a camera from then on; else always both.
	Capture, Output bool
	// Exclusive: it was made with exclusive_caps=1, without which Chromium
	// does not list it.
	Exclusive bool
	// Format and Rate are those that a writer set, or that keep_format=1 keeps;
	// zero where the next writer may choose.
	Format capture.Format
	Rate   capture.Rate
	// Buffers and MaxOpeners are its limits, 0 where sysfs lacks them.
	Buffers, MaxOpeners int
	// State is "capture" or "output", or "" before v4l2loopback 0.13.
	State string
	// ReportsUsage: Output.Users works.
	ReportsUsage bool
	// KeepsFormat: a program had it keep its format.
	KeepsFormat bool
	// Err is why it could not be opened and asked; all but Path and Name is
	// unknown then.
	Err error
}

// Loopback describes the node at path. The error wraps ErrNoLoopback where there is
// none, and ErrNotLoopback where the node is something else.
func Loopback(path string) (LoopbackNode, error) {
	n, err := findLoopback(path)
	if err != nil {
		return LoopbackNode{}, err
	}
	return describeLoopback(n), nil
}

// Loopbacks lists the v4l2loopback nodes, by number.
func Loopbacks() ([]LoopbackNode, error) {
	all, err := listNodes()
	if err != nil {
		return nil, err
	}
	var loopbacks []LoopbackNode
	for _, n := range all {
		switch {
		case n.err == nil && n.isLoopback():
			loopbacks = append(loopbacks, describeLoopback(n))
		case n.err != nil && readNumber(sysfsPath(n.path), "max_openers") > 0: // no other driver has that
			loopbacks = append(loopbacks, LoopbackNode{Path: n.path, Name: readAttribute(sysfsPath(n.path), "name"), Err: n.err})
		}
	}
	return loopbacks, nil
}

// sysfsPath returns where the kernel describes a node.
func sysfsPath(path string) string {
	return filepath.Join("/sys/class/video4linux", filepath.Base(path))
}

func describeLoopback(n node) LoopbackNode {
	sysfs := sysfsPath(n.path)
	caps := n.cap.nodeCaps()
	l := LoopbackNode{
		Path:       n.path,
		Name:       n.name(),
		Bus:        n.bus(),
		Capture:    caps&capVideoCapture != 0,
		Output:     caps&capVideoOutput != 0,
		Buffers:    readNumber(sysfs, "buffers"),
		MaxOpeners: readNumber(sysfs, "max_openers"),
		State:      readAttribute(sysfs, "state"),
	}
	// Before 0.13 an idle node that keeps its format announces both ways as well.
	l.Exclusive = !(l.Capture && l.Output) || l.State == "" && exclusiveParameter(l.Bus)
	fd, err := openNode(n.path)
	if err != nil {
		return l
	}
	defer unix.Close(fd)
	_, err = subscribeUsage(fd)
	l.ReportsUsage, l.KeepsFormat = err == nil, keepsFormat(fd)
	// The ioctls also report a format that no program holds any more.
	if readAttribute(sysfs, "format") != "" {
		l.Format, l.Rate = currentFormat(fd)
	}
	return l
}

// exclusiveParameter returns the module's option for a node that it made when it
// was loaded. The end of the bus, platform:v4l2loopback-000, is its index.
func exclusiveParameter(bus string) bool {
	options := strings.Split(readAttribute("/sys/module/v4l2loopback/parameters", "exclusive_caps"), ",")
	index, err := strconv.Atoi(bus[strings.LastIndex(bus, "-")+1:])
	return err == nil && index < len(options) && options[index] == "Y"
}

// currentFormat asks on the side of the writer and, where one is connected already,
// on that of the readers.
func currentFormat(fd int) (capture.Format, capture.Rate) {
	for _, bufType := range []uint32{bufTypeVideoOutput, bufTypeVideoCapture} {
		if pix, err := getFmt(fd, bufType); err == nil {
			return formatOf(pix), getRate(fd, bufType)
		}
	}
	return capture.Format{}, capture.Rate{}
}

// readAttribute returns what the driver reports in sysfs, "" where it does not.
func readAttribute(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b))
}

func readNumber(dir, name string) int {
	n, _ := strconv.Atoi(readAttribute(dir, name))
	return n
}
