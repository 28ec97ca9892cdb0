package mediadevices_test

import (
	"errors"
	"image"
	"image/color"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/pion/mediadevices/pkg/driver"
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/mediadevices"
)

// fake is a driver of pion whose images come from a channel.
type fake struct {
	images  chan image.Image // closed: io.EOF
	modes   []prop.Media
	refuse  error         // of Open
	stuck   chan struct{} // if not nil, a read ends with this and not with Close
	closing chan struct{}
	release func()

	mu     sync.Mutex
	opened int
	closed int
}

func (f *fake) Open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return f.refuse
	}
	f.opened++
	f.closing = make(chan struct{})
	return nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	if f.stuck == nil {
		close(f.closing)
	}
	return nil
}

func (f *fake) Properties() []prop.Media { return f.modes }

func (f *fake) VideoRecord(prop.Media) (video.Reader, error) {
	return video.ReaderFunc(func() (image.Image, func(), error) {
		select {
		case img, ok := <-f.images:
			if !ok {
				return nil, nil, io.EOF
			}
			return img, f.release, nil
		case <-f.stuck:
			return nil, nil, io.EOF
		case <-f.closing:
			return nil, nil, io.EOF
		}
	}), nil
}

// media returns a mode of a driver of pion.
func media(format frame.Format, width, height int, fps float32) prop.Media {
	return prop.Media{Video: prop.Video{Width: width, Height: height, FrameRate: fps, FrameFormat: format}}
}

// newFake returns a driver of one mode, which is registered until the test ends.
func newFake(t *testing.T, images ...image.Image) *fake {
	t.Helper()
	f := &fake{
		images: make(chan image.Image, len(images)), modes: []prop.Media{media(frame.FormatI420, 4, 2, 30)},
		release: func() {},
	}
	for _, img := range images {
		f.images <- img
	}
	registerFake(t, f, "fake")
	return f
}

// registerFake registers a driver with pion's manager until the test ends.
func registerFake(t *testing.T, f *fake, label string) {
	t.Helper()
	if err := driver.GetManager().Register(f, driver.Info{Label: label, DeviceType: driver.Camera, Priority: driver.PriorityHigh}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deleteDrivers(label) })
}

// deleteDrivers deletes the drivers with a label from pion's manager.
func deleteDrivers(label string) {
	for _, d := range driver.GetManager().Query(func(d driver.Driver) bool { return d.Info().Label == label }) {
		driver.GetManager().Delete(d.ID())
	}
}

// offer returns a Driver of those of pion's drivers that have a label: not of videotest,
// which keeps a ticker of the test that used it last.
func offer(labels ...string) *mediadevices.Driver {
	return mediadevices.NewDriver(func() []driver.Driver {
		return driver.GetManager().Query(func(d driver.Driver) bool { return slices.Contains(labels, d.Info().Label) })
	})
}

// findFake returns a Driver of the fake, and the fake as a device.
func findFake(t *testing.T) (*mediadevices.Driver, capture.Device) {
	t.Helper()
	d := offer("fake")
	device, err := d.Find("fake")
	if err != nil {
		t.Fatal(err)
	}
	return d, device
}

// openFake opens the fake.
func openFake(t *testing.T, pool *capture.Pool) capture.Source {
	t.Helper()
	d, device := findFake(t)
	s, err := d.Open(device, capture.Mode{}, pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openAndRead opens the fake and reads its first image.
func openAndRead(t *testing.T, pool *capture.Pool) capture.Source {
	t.Helper()
	s := openFake(t, pool)
	f, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	return s
}

// checkEnd checks that a driver was closed as often as opened, and that no frame is
// left.
func (f *fake) checkEnd(t *testing.T, pool *capture.Pool) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened != f.closed {
		t.Errorf("opened %d times, closed %d times", f.opened, f.closed)
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
}

// grey returns an image in 4:2:0.
func grey(width, height int, luma byte) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = luma
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 10, 20
	}
	return img
}

var errRefused = errors.New("refused")

var red = color.NRGBA{255, 0, 0, 255}
