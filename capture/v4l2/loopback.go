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
	// an output while nobody writes and a camera from then on; else always both.
	Capture, Output bool
	// Format and Rate are those that a writer set, or that keep_format=1 keeps;
	// zero where the next writer may choose.
	Format capture.Format
	Rate   capture.Rate
	// Buffers and MaxOpeners are its limits, 0 where sysfs does not tell.
	Buffers, MaxOpeners int
	// State is "capture" or "output", or "" before v4l2loopback 0.13.
	State string
}

// Loopbacks lists the v4l2loopback nodes that this user may open, by number.
func Loopbacks() ([]LoopbackNode, error) {
	all, err := nodes()
	if err != nil {
		return nil, err
	}
	var loopbacks []LoopbackNode
	for _, n := range all {
		if n.err == nil && n.isLoopback() {
			loopbacks = append(loopbacks, describeLoopback(n))
		}
	}
	return loopbacks, nil
}

func describeLoopback(n node) LoopbackNode {
	sysfs := filepath.Join("/sys/class/video4linux", filepath.Base(n.path))
	caps := n.cap.caps()
	l := LoopbackNode{
		Path:       n.path,
		Name:       n.name(),
		Bus:        n.bus(),
		Capture:    caps&capVideoCapture != 0,
		Output:     caps&capVideoOutput != 0,
		Buffers:    number(sysfs, "buffers"),
		MaxOpeners: number(sysfs, "max_openers"),
		State:      attribute(sysfs, "state"),
	}
	// The ioctls also tell of a format that nobody holds any more.
	if attribute(sysfs, "format") != "" {
		l.Format, l.Rate = currentFormat(n.path)
	}
	return l
}

// currentFormat asks on the side of the writer and, where one is there already,
// on that of the readers.
func currentFormat(path string) (capture.Format, capture.Rate) {
	fd, err := openNode(path)
	if err != nil {
		return capture.Format{}, capture.Rate{}
	}
	defer unix.Close(fd)
	for _, bufType := range []uint32{bufTypeVideoOutput, bufTypeVideoCapture} {
		if pix, err := getFmt(fd, bufType); err == nil {
			return formatOf(pix), getRate(fd, bufType)
		}
	}
	return capture.Format{}, capture.Rate{}
}

// attribute returns what the driver tells in sysfs, "" where it does not.
func attribute(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b))
}

func number(dir, name string) int {
	n, _ := strconv.Atoi(attribute(dir, name))
	return n
}
