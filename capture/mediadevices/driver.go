package mediadevices

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/pion/mediadevices/pkg/driver"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
)

// Name is the name of the Driver.
const Name = "mediadevices"

// watchEvery is how often a Driver looks for other drivers: pion reports no changes.
const watchEvery = time.Second

// Driver offers pion's drivers of video as cameras. It implements capture.Driver and
// capture.Excluder.
type Driver struct {
	list func() []driver.Driver
	mu   sync.Mutex // held while a driver changes its state, which pion does not lock
}

// NewDriver returns a Driver of what list returns; nil lists all that are registered
// with pion's manager, and record video.
func NewDriver(list func() []driver.Driver) *Driver {
	if list == nil {
		list = func() []driver.Driver { return driver.GetManager().Query(driver.FilterVideoRecorder()) }
	}
	return &Driver{list: list}
}

var _ interface {
	capture.Driver
	capture.Excluder
} = (*Driver)(nil)

// Name returns "mediadevices".
func (d *Driver) Name() string { return Name }

// Devices lists the drivers that can be opened, in the order of their priority.
func (d *Driver) Devices() ([]capture.Device, error) {
	devices, _ := d.describeAll()
	return devices, nil
}

// Unusable returns why drivers cannot be opened.
func (d *Driver) Unusable() []error {
	_, errs := d.describeAll()
	return errs
}

// describeAll describes each driver, or returns why that is not possible.
func (d *Driver) describeAll() (devices []capture.Device, errs []error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.sorted() {
		if device, err := describe(p); err != nil {
			errs = append(errs, err)
		} else {
			devices = append(devices, device)
		}
	}
	return devices, errs
}

// sorted returns the drivers, the one that pion prefers first. Its manager has them in
// no order.
func (d *Driver) sorted() []driver.Driver {
	drivers := slices.DeleteFunc(d.list(), func(p driver.Driver) bool { return !driver.FilterVideoRecorder()(p) })
	slices.SortStableFunc(drivers, func(a, b driver.Driver) int {
		return cmp.Or(cmp.Compare(b.Info().Priority, a.Info().Priority), cmp.Compare(a.Info().Label, b.Info().Label), cmp.Compare(a.ID(), b.ID()))
	})
	return drivers
}

// describe lists what a driver can do. It knows that only while it is open.
func describe(p driver.Driver) (capture.Device, error) {
	info := p.Info()
	device := capture.Device{
		Path: p.ID(), Name: cmp.Or(info.Name, info.Label), Driver: Name, Bus: info.Label,
		Screen: info.DeviceType == driver.Screen,
	}
	if p.Status() == driver.StateClosed {
		if err := p.Open(); err != nil {
			return device, fmt.Errorf("open %s: %w", device.Name, err)
		}
		defer p.Close() // it was opened to be asked
	}
	for _, m := range p.Properties() {
		if mode := modeOf(m); mode.Pixel != 0 && !slices.Contains(device.Modes, mode) {
			device.Modes = append(device.Modes, mode)
		}
	}
	return device, nil
}

// Find returns the driver with that ID or name; "" is the first one that is ordinary.
func (d *Driver) Find(name string) (capture.Device, error) {
	devices, _ := d.describeAll()
	if name != "" {
		return capture.FindDevice(devices, name)
	}
	if first := slices.IndexFunc(devices, capture.Device.IsOrdinary); first >= 0 {
		return devices[first], nil
	}
	return capture.Device{}, capture.ErrNoneFound
}

// FindAgain returns the driver that was registered for the same camera.
func (d *Driver) FindAgain(gone capture.Device) (capture.Device, error) {
	devices, _ := d.describeAll()
	return capture.FindAgain(gone, slices.DeleteFunc(devices, func(c capture.Device) bool { return c.Name != gone.Name }))
}

// Open starts a driver and waits for its first image, which has its format.
func (d *Driver) Open(device capture.Device, mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	p, media, err := d.start(device, mode)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device.Name, err)
	}
	return startSource(p, media, pool, &d.mu)
}

// start opens a driver and returns what it is to record.
func (d *Driver) start(device capture.Device, mode capture.Mode) (driver.Driver, prop.Media, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	drivers := d.sorted()
	at := slices.IndexFunc(drivers, func(p driver.Driver) bool { return p.ID() == device.Path })
	if at < 0 {
		return nil, prop.Media{}, capture.ErrGone
	}
	p := drivers[at]
	if p.Status() != driver.StateClosed {
		return nil, prop.Media{}, capture.ErrBusy
	}
	if err := p.Open(); err != nil {
		return nil, prop.Media{}, err
	}
	media, ok := nearest(p.Properties(), mode)
	if !ok {
		return nil, prop.Media{}, cmp.Or(p.Close(), error(capture.ErrNoMode))
	}
	return p, media, nil
}

// OpenControls opens the controls of a driver: pion has none.
func (d *Driver) OpenControls(capture.Device) (capture.Controls, error) {
	return &noControls{closed: make(chan struct{})}, nil
}

// Watch reports drivers that were registered or deleted.
func (d *Driver) Watch(ctx context.Context) (<-chan struct{}, error) {
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for before := d.ids(); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := d.ids()
			if slices.Equal(now, before) {
				continue
			}
			before = now
			select {
			case changes <- struct{}{}:
			default: // nobody received the last one yet
			}
		}
	}()
	return changes, nil
}

func (d *Driver) ids() (ids []string) {
	for _, p := range d.sorted() {
		ids = append(ids, p.ID())
	}
	return ids
}

// decoded has the pixel format of the images that pion makes of each of its formats;
// a driver may make others, so that the first image decides. Depth is no camera.
var decoded = map[frame.Format]capture.PixelFormat{
	frame.FormatI420:  capture.YUV420,
	frame.FormatNV12:  capture.YUV420,
	frame.FormatNV21:  capture.YUV420,
	frame.FormatI444:  capture.YUV444,
	frame.FormatYUY2:  capture.YUV422P,
	frame.FormatYUYV:  capture.YUV422P,
	frame.FormatUYVY:  capture.YUV422P,
	frame.FormatMJPEG: capture.YUV422P,
	frame.FormatRGBA:  capture.RGBA32,
	"":                capture.RGBA32,
}

// modeOf returns one of a driver's modes; Pixel is 0 where tbcam cannot use it.
func modeOf(m prop.Media) capture.Mode {
	mode := capture.Mode{Pixel: decoded[m.FrameFormat], Width: m.Width, Height: m.Height, Rate: rateOf(m.FrameRate)}
	if (capture.Format{Pixel: mode.Pixel, Width: mode.Width, Height: mode.Height}).Check() != nil {
		mode.Pixel = 0
	}
	return mode
}

// maxRate bounds what a driver may claim, in frames per second.
const maxRate = 10000

// rateOf returns a rate, zero where it is not known; 29.97 is 30000/1001.
func rateOf(fps float32) capture.Rate {
	const den = 1001
	switch whole := math.Round(float64(fps)); {
	case !(fps > 0 && fps <= maxRate): // nor is it NaN
		return capture.Rate{}
	case math.Abs(float64(fps)-whole) < 0.001:
		return capture.Rate{Num: uint32(whole), Den: 1}
	}
	return capture.Rate{Num: uint32(math.Round(float64(fps) * den)), Den: den}
}

// nearest returns the one of a driver's modes that is nearest to the wanted one.
func nearest(all []prop.Media, want capture.Mode) (best prop.Media, found bool) {
	wanted := prop.MediaConstraints{VideoConstraints: prop.VideoConstraints{
		Width: prop.Int(want.Width), Height: prop.Int(want.Height), FrameRate: prop.Float(want.Rate.FPS()),
	}}
	least := math.Inf(1)
	for _, m := range all {
		mode := modeOf(m)
		if mode.Pixel == 0 {
			continue
		}
		distance, _ := wanted.FitnessDistance(m)
		if mode.Pixel != want.Pixel {
			distance++
		}
		if distance < least {
			best, least, found = m, distance, true
		}
	}
	return best, found
}

// noControls is a camera without controls. It implements capture.Controls.
type noControls struct {
	closed chan struct{}
	once   sync.Once
}

func (c *noControls) List() ([]capture.Control, error) { return nil, nil }
func (c *noControls) Set(capture.Setting) (capture.Setting, error) {
	return capture.Setting{}, capture.ErrNoControl
}
func (c *noControls) Wait() error { <-c.closed; return capture.ErrClosed }
func (c *noControls) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
