package mediadevices

import (
	"errors"
	"fmt"
	"image"
	"io"
	"slices"
	"sync"

	"github.com/pion/mediadevices/pkg/driver"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

// Camera is the far camera as a driver of pion. It is the driver of a
// virtualcam.Camera: that has it registered with pion's manager from its Start to its
// Close, gives it frames at a steady rate and in one size, whatever happens behind it,
// and knows whether somebody records.
//
// The images have limited range, as those of pion's own cameras. Each is valid until
// its release function is called.
type Camera struct {
	info driver.Info

	mu     sync.Mutex
	opened bool // by a virtualcam.Camera, which has one node at a time
}

// formats is what an image.YCbCr can hold and encoders take.
var formats = []capture.PixelFormat{capture.YUV420}

// NewCamera returns a camera that pion lists with a label.
func NewCamera(label string) *Camera {
	return &Camera{info: driver.Info{Label: label, Name: label, DeviceType: driver.Camera}}
}

var _ virtualcam.Driver = (*Camera)(nil)

// errOne is why a Camera makes no more nodes.
var errOne = errors.New("make a node: a pion driver is one camera")

// Formats returns the one of the images.
func (c *Camera) Formats() []capture.PixelFormat { return formats }

// Nodes returns the one that there is.
func (c *Camera) Nodes(string) ([]virtualcam.NodeInfo, error) {
	return []virtualcam.NodeInfo{{Path: c.info.Label, Name: c.info.Label}}, nil
}

// Make fails: there is one node.
func (c *Camera) Make() error { return errOne }

// Open registers the camera with pion's manager.
func (c *Camera) Open(_ string, f capture.Format, r capture.Rate) (virtualcam.Node, error) {
	if !slices.Contains(formats, f.Pixel) {
		return nil, fmt.Errorf("%w: %v is not %v", virtualcam.ErrFormat, f.Pixel, formats)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened {
		return nil, virtualcam.ErrInUse
	}
	n := &node{camera: c, format: f, fps: float32(r.FPS()), users: make(chan int, 1)}
	id, err := register(recorder{n}, c.info)
	if err != nil {
		return nil, err
	}
	n.id, c.opened = id, true
	return n, nil
}

// registering is held by register, which looks what is new in pion's manager.
var registering sync.Mutex

// register registers a driver and returns its ID, which pion does not.
func register(a driver.Adapter, info driver.Info) (id string, err error) {
	registering.Lock()
	defer registering.Unlock()
	var before []string
	hasInfo := func(d driver.Driver) bool { return d.Info() == info }
	for _, d := range driver.GetManager().Query(hasInfo) {
		before = append(before, d.ID())
	}
	if err := driver.GetManager().Register(a, info); err != nil {
		return "", err
	}
	for _, d := range driver.GetManager().Query(hasInfo) {
		if !slices.Contains(before, d.ID()) {
			id = d.ID()
		}
	}
	return id, nil
}

// node is an open Camera. It implements virtualcam.Node.
type node struct {
	camera *Camera
	id     string // in pion's manager
	format capture.Format
	fps    float32

	mu     sync.Mutex
	box    *capture.Mailbox // of who records; nil while nobody does
	users  chan int         // the newest number of those
	closed bool
}

// Write hands a frame to who records: a reference, no copy.
func (n *node) Write(f *capture.Frame) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.box != nil {
		n.box.Put(f.Retain())
	}
	return nil
}

// Users returns where the number of those who record comes from: pion lets one do so
// at a time.
func (n *node) Users() (<-chan int, error) { return n.users, nil }

// Close deletes the camera from pion's manager, and ends a recording with io.EOF.
func (n *node) Close() error {
	driver.GetManager().Delete(n.id)
	n.setBox(nil)
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.users)
	}
	n.mu.Unlock()
	n.camera.mu.Lock()
	n.camera.opened = false
	n.camera.mu.Unlock()
	return nil
}

// setBox begins a recording, or with nil ends it. It reports whether the node is open.
func (n *node) setBox(box *capture.Mailbox) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	if n.box != nil {
		n.box.Close()
		n.box.Discard()
	}
	n.box = box
	select { // what virtualcam did not take yet is out of date
	case <-n.users:
	default:
	}
	if box != nil {
		n.users <- 1
	} else {
		n.users <- 0
	}
	return true
}

// recorder is what pion sees of a node: a driver.Adapter and a driver.VideoRecorder.
type recorder struct{ node *node }

// Open does nothing: pion opens each driver that it looks at. The far camera turns on
// when somebody records.
func (r recorder) Open() error { return nil }

// Close ends the recording.
func (r recorder) Close() error {
	r.node.setBox(nil)
	return nil
}

// Properties returns the one format.
func (r recorder) Properties() []prop.Media {
	f := r.node.format
	return []prop.Media{{Video: prop.Video{Width: f.Width, Height: f.Height, FrameRate: r.node.fps, FrameFormat: frame.FormatI420}}}
}

// VideoRecord begins a recording.
func (r recorder) VideoRecord(prop.Media) (video.Reader, error) {
	v := &reader{box: capture.NewMailbox(), free: make(chan []byte, keepFree)}
	if !r.node.setBox(v.box) {
		return nil, io.EOF
	}
	return v, nil
}

// keepFree is how many images a reader keeps that were released.
const keepFree = 4

// reader is a recording. It copies frames: pion need not release an image, and shares
// it among readers that do not say when they are done.
type reader struct {
	box  *capture.Mailbox
	free chan []byte
}

// Read waits for the newest frame. It implements video.Reader.
func (v *reader) Read() (image.Image, func(), error) {
	f, ok := <-v.box.Frames()
	if !ok {
		return nil, func() {}, io.EOF
	}
	defer f.Release()
	var data []byte
	select {
	case data = <-v.free:
	default:
		data = make([]byte, len(f.Data))
	}
	copy(data, f.Data)
	var once sync.Once
	return imageOf(f.Format, data), func() { once.Do(func() { v.release(data) }) }, nil
}

// release keeps the memory of an image for another one.
func (v *reader) release(data []byte) {
	select {
	case v.free <- data:
	default:
	}
}

// imageOf returns an image that lies in data.
func imageOf(f capture.Format, data []byte) *image.YCbCr {
	p, _ := f.Planes()
	return &image.YCbCr{
		Y: data[:p[1].Offset], Cb: data[p[1].Offset:p[2].Offset], Cr: data[p[2].Offset:],
		YStride: p[0].Stride, CStride: p[1].Stride,
		SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, f.Width, f.Height),
	}
}
