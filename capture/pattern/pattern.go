package pattern

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// The paths of the test cameras.
const (
	Name      = "pattern"
	Name2     = "pattern2"
	NamePhoto = "pattern-photo" // with the detail of a photograph
)

var (
	formats = []capture.PixelFormat{capture.YUYV, capture.NV12, capture.YUV420}
	sizes   = [][2]int{{160, 120}, {320, 240}, {640, 480}, {1280, 720}, {1920, 1080}, {3840, 2160}}
	rates   = []uint32{5, 15, 30, 60}
)

// Driver is the test cameras. It implements capture.Driver.
type Driver struct{}

var _ capture.Driver = Driver{}

// Name returns "pattern".
func (Driver) Name() string { return Name }

// Devices lists the test cameras, which are always there.
func (Driver) Devices() ([]capture.Device, error) {
	devices := make([]capture.Device, len(cameras))
	for i, c := range cameras {
		devices[i] = c.describeDevice()
	}
	return devices, nil
}

// Find returns the test camera of that path or name; none for "".
func (Driver) Find(name string) (capture.Device, error) {
	for _, c := range cameras {
		if d := c.describeDevice(); d.Is(name) {
			return d, nil
		}
	}
	if name == "" {
		return capture.Device{}, capture.ErrNoneFound
	}
	return capture.Device{}, fmt.Errorf("%w: %q", capture.ErrNoCamera, name)
}

// FindAgain returns the same device: a test camera never goes away.
func (d Driver) FindAgain(device capture.Device) (capture.Device, error) { return d.Find(device.Path) }

// Open starts a camera in one of its modes.
func (Driver) Open(d capture.Device, mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	c, err := cameraOf(d)
	if err != nil {
		return nil, err
	}
	return openCamera(c, mode, pool)
}

// OpenControls opens the controls of a camera.
func (Driver) OpenControls(d capture.Device) (capture.Controls, error) {
	c, err := cameraOf(d)
	if err != nil {
		return nil, err
	}
	return c.openControls(), nil
}

// Watch returns nil: a test camera neither appears nor goes away.
func (Driver) Watch(context.Context) (<-chan struct{}, error) { return nil, nil }

// Camera describes the first test camera.
func Camera() capture.Device { return cameras[0].describeDevice() }

func (c *camera) describeDevice() capture.Device {
	d := capture.Device{Path: c.path, Name: c.name, Driver: "tbcam", Bus: c.path, Test: true, Controls: c.listControls()}
	for _, pixel := range formats {
		for _, size := range sizes {
			for _, rate := range rates {
				d.Modes = append(d.Modes, capture.Mode{
					Pixel: pixel, Width: size[0], Height: size[1], Rate: capture.Rate{Num: rate, Den: 1},
				})
			}
		}
	}
	return d
}

func cameraOf(d capture.Device) (*camera, error) {
	for _, c := range cameras {
		if c.path == d.Path {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", capture.ErrNoCamera, d.Path)
}

// Source draws frames at a steady rate. The frame with counter n is captured
// n periods after the source was opened, whether or not anybody reads it. It is opened
// so that one frame lies on each full second of the wall clock, in which the camera
// flashes.
type Source struct {
	camera *camera
	mode   capture.Mode
	pool   *capture.Pool
	period time.Duration
	clock  clock
	blank  []byte // a frame without the parts that move
	timer  *time.Timer
	code   [codeBytes]byte // of Read

	mu     sync.Mutex // held by Read
	next   int        // counter of the next frame
	lost   capture.Lost
	closed chan struct{}
	once   sync.Once
}

// Open starts the first test camera; mode must be one of Camera's.
func Open(mode capture.Mode, pool *capture.Pool) (*Source, error) {
	return openCamera(cameras[0], mode, pool)
}

func openCamera(c *camera, mode capture.Mode, pool *capture.Pool) (*Source, error) {
	if mode.Rate.Num == 0 || mode.Rate.Den == 0 {
		return nil, fmt.Errorf("open %s: %w: %v has no frame rate", c.path, capture.ErrNoMode, mode)
	}
	s := &Source{
		camera: c, mode: mode, pool: pool,
		period: time.Second * time.Duration(mode.Rate.Den) / time.Duration(mode.Rate.Num),
		clock:  newClock(time.Now(), mode.Rate),
		timer:  time.NewTimer(0),
		closed: make(chan struct{}),
	}
	text, err := newCaption(c.name, mode)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.path, err)
	}
	color := c.color(mode.Width)
	s.blank = drawStill(s.Format(), func(x, y int) [3]byte { return text.over(x, y, color(x, y)) })
	return s, nil
}

// Mode returns the mode that was asked for.
func (s *Source) Mode() capture.Mode { return s.mode }

// Format returns the format of the frames.
func (s *Source) Format() capture.Format {
	return capture.Format{Pixel: s.mode.Pixel, Width: s.mode.Width, Height: s.mode.Height}
}

// Lost counts the frames that were not read in time.
func (s *Source) Lost() capture.Lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Read waits for the next frame that is due.
func (s *Source) Read() (*capture.Frame, error) {
	s.timer.Reset(time.Until(s.nextDue()))
	select {
	case <-s.timer.C:
	case <-s.closed:
		return nil, capture.ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest := s.clock.newest(time.Now()); newest > s.next {
		s.lost.Superseded += uint64(newest - s.next)
		s.next = newest
	}
	f := s.pool.Get(len(s.blank))
	f.Format, f.Sequence = s.Format(), uint32(s.next)
	f.Time = s.clock.timeOf(s.next)
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, time.Now()
	s.drawFrame(f)
	s.next++
	return f, nil
}

func (s *Source) nextDue() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.timeOf(s.next)
}

// Close wakes Read. The timer and the buffers need no freeing.
func (s *Source) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

const black, white = 16, 235 // of limited range

// drawFrame paints a frame: the blank one, the code, a block that moves, and the flash.
func (s *Source) drawFrame(f *capture.Frame) {
	copy(f.Data, s.blank)
	code := &s.code
	Stamp{Camera: s.camera.number, Counter: f.Sequence, Time: f.Time}.encodeTo(code)
	w, h := f.Format.Width, f.Format.Height
	for i := range codeColumns * codeRows {
		x, y := i%codeColumns, i/codeColumns
		value := byte(black)
		if code[i/8]&(0x80>>(i%8)) != 0 {
			value = white
		}
		fillLuma(f, x*w/codeColumns, (x+1)*w/codeColumns,
			y*h/(codeRows*codeShare), (y+1)*h/(codeRows*codeShare), value)
	}
	s.drawBlock(f)
	s.drawFlash(f)
}

// drawBlock paints the block, once for each number that the camera has, and the
// brightness of the lines below the code.
func (s *Source) drawBlock(f *capture.Frame) {
	w, h := f.Format.Width, f.Format.Height
	if n := s.camera.controlValue(idBrightness); n != 0 {
		brightenLines(f, h/codeShare, n)
	}
	side := h / 8
	at := 0
	switch s.camera.controlValue(idBlock) {
	case 0:
		return
	case 1:
		at = int(f.Sequence) * s.camera.controlValue(idSpeed) % (2 * (w - side))
	}
	if at > w-side {
		at = 2*(w-side) - at // on its way back
	}
	for n := range s.camera.number {
		top := h/2 + n*3*side/2
		fillLuma(f, at, at+side, top, top+side, white)
	}
}

// brightenLines adds n to the luma of all lines from top on.
func brightenLines(f *capture.Frame, top, n int) {
	planes, _ := f.Format.Planes()
	step := 1
	if f.Format.Pixel == capture.YUYV {
		step = 2
	}
	for y := top; y < f.Format.Height; y++ {
		line := f.Data[y*planes[0].Stride:][:f.Format.Width*step]
		for x := 0; x < len(line); x += step {
			line[x] = byte(min(max(int(line[x])+n, black), white))
		}
	}
}

// fillLuma sets the luma of a rectangle.
func fillLuma(f *capture.Frame, left, right, top, bottom int, value byte) {
	planes, _ := f.Format.Planes()
	step := 1
	if f.Format.Pixel == capture.YUYV {
		step = 2
	}
	for y := top; y < bottom; y++ {
		line := f.Data[y*planes[0].Stride:]
		for x := left * step; x < right*step; x += step {
			line[x] = value
		}
	}
}

// colors are the bars' Y', Cb and Cr: 75 % bars in BT.601 limited range
// (ITU-R BT.471-1), white to black.
var colors = [8][3]byte{
	{180, 128, 128}, {162, 44, 142}, {131, 156, 44}, {112, 72, 58},
	{84, 184, 198}, {65, 100, 212}, {35, 212, 114}, {black, 128, 128},
}

// color returns what the camera sees, in frames of a width: the second one has the bars
// the other way round.
func (c *camera) color(width int) func(x, y int) [3]byte {
	colors := colors
	switch c.path {
	case NamePhoto:
		return photo().color
	case Name2:
		slices.Reverse(colors[:])
	}
	return func(x, _ int) [3]byte { return colors[x*len(colors)/width] }
}
