package mediadevices_test

import (
	"errors"
	"image"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/mediadevices/pkg/driver"
	"github.com/pion/mediadevices/pkg/prop"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/mediadevices"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

// far is a far camera that pion's manager has.
type far struct {
	*virtualcam.Camera
	pool  capture.Pool
	needs chan bool
}

var small = capture.Format{Pixel: capture.YUV420, Width: 64, Height: 48}

// publish publishes a far camera of 30 frames per second.
func publish(t *testing.T, camera *mediadevices.Camera) *far {
	t.Helper()
	f := &far{needs: make(chan bool, 10)}
	f.Camera = virtualcam.New(virtualcam.Options{
		Driver: camera, Want: small, OnDemand: true, Pool: &f.pool, Need: func(yes bool) { f.needs <- yes },
	})
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return f
}

// show presents frames of a luma for a time.
func (f *far) show(t *testing.T, luma byte, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / 30) {
		g := f.pool.Get(small.Size())
		g.Format = small
		for i := range g.Data {
			g.Data[i] = luma
		}
		if err := f.Present(g); err != nil {
			t.Error(err)
		}
	}
}

// end closes it; nothing may be left.
func (f *far) end(t *testing.T) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	f.checkFrames(t)
}

func (f *far) checkFrames(t *testing.T) {
	t.Helper()
	if n := f.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames are not released", n)
	}
}

// find returns pion's drivers with a label.
func find(label string) []driver.Driver {
	return driver.GetManager().Query(driver.FilterAnd(driver.FilterVideoRecorder(), func(d driver.Driver) bool { return d.Info().Label == label }))
}

// record has pion record from a driver.
func record(t *testing.T, d driver.Driver) func() (luma byte, release func(), err error) {
	t.Helper()
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	all := d.Properties()
	if len(all) != 1 || all[0].Width != 64 || all[0].Height != 48 || all[0].FrameRate != 30 {
		t.Errorf("properties: %v", all)
	}
	r, err := d.(driver.VideoRecorder).VideoRecord(prop.Media{})
	if err != nil {
		t.Fatal(err)
	}
	return func() (byte, func(), error) {
		img, release, err := r.Read()
		if err != nil {
			return 0, nil, err
		}
		ycc := img.(*image.YCbCr)
		if ycc.Rect != image.Rect(0, 0, 64, 48) || len(ycc.Y) != 64*48 || len(ycc.Cb) != 32*24 || len(ycc.Cr) != 32*24 {
			t.Errorf("image %v of %d, %d and %d bytes", ycc.Rect, len(ycc.Y), len(ycc.Cb), len(ycc.Cr))
		}
		return ycc.Y[0], release, nil
	}
}

// TestCamera: pion finds the far camera, which is on while somebody records and three
// seconds more, and shows a placeholder while there is no frame.
func TestCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := publish(t, mediadevices.NewCamera("far"))
		drivers := find("far")
		if len(drivers) != 1 {
			t.Fatalf("pion has %d drivers", len(drivers))
		}
		read := record(t, drivers[0])
		if !<-f.needs {
			t.Error("it is not needed")
		}
		luma, _, err := read()
		if err != nil {
			t.Fatal(err)
		}
		placeholder := luma
		go f.show(t, 77, time.Second)
		for luma == placeholder {
			if luma, _, err = read(); err != nil { // without a release: pion needs none
				t.Fatal(err)
			}
		}
		if luma != 77 {
			t.Errorf("the luma is %d", luma)
		}
		time.Sleep(5 * time.Second) // without frames
		if luma, _, err = read(); err != nil || luma != placeholder {
			t.Errorf("the luma is %d, %v; want a placeholder of %d", luma, err, placeholder)
		}
		begin := time.Now()
		if err := drivers[0].Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := read(); !errors.Is(err, io.EOF) {
			t.Errorf("a read after Close: %v", err)
		}
		if <-f.needs || time.Since(begin) != 3*time.Second {
			t.Errorf("it is needed after %v", time.Since(begin))
		}
		f.end(t)
		if len(find("far")) != 0 {
			t.Error("pion still has the driver")
		}
	})
}

// TestCameraEnds: the end of the far camera ends a recording.
func TestCameraEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		camera := mediadevices.NewCamera("far")
		for range 2 {
			f := publish(t, camera)
			d := find("far")[0]
			read := record(t, d)
			time.AfterFunc(time.Second, func() { _ = f.Close() })
			for {
				_, release, err := read()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				release()
				release() // is harmless
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			f.checkFrames(t)
		}
	})
}

// TestCameraReusesMemory: images that were released cost no memory.
func TestCameraReusesMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := publish(t, mediadevices.NewCamera("far"))
		d := find("far")[0]
		read := record(t, d)
		go f.show(t, 77, 10*time.Second)
		synctest.Wait()
		size := float64(small.Size())
		allocations := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				_, release, err := read()
				if err != nil {
					b.Fatal(err)
				}
				release()
			}
		}).AllocedBytesPerOp()
		if float64(allocations) > size/2 {
			t.Errorf("%d bytes are allocated for an image of %g", allocations, size)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		f.end(t)
	})
}

// TestCameraFormat: only what pion's images can hold.
func TestCameraFormat(t *testing.T) {
	camera := mediadevices.NewCamera("far")
	_, err := camera.Open("", capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}, capture.Rate{Num: 30, Den: 1})
	if !errors.Is(err, virtualcam.ErrFormat) || len(find("far")) != 0 {
		t.Errorf("%v, %d drivers", err, len(find("far")))
	}
	n, err := camera.Open("", small, capture.Rate{Num: 30, Den: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := camera.Open("", small, capture.Rate{}); !errors.Is(err, virtualcam.ErrInUse) {
		t.Errorf("a second opening: %v", err)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
}

// TestBothHalves: a Driver captures from a Camera, through pion.
func TestBothHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := publish(t, mediadevices.NewCamera("far"))
		d := offer("far")
		device, err := d.Find("far")
		if err != nil {
			t.Fatal(err)
		}
		var pool capture.Pool
		s, err := d.Open(device, device.Modes[0], &pool)
		if err != nil || s.Format() != small {
			t.Fatalf("%v, %v", s, err)
		}
		go f.show(t, 99, time.Second)
		for seen := byte(0); seen != 99; {
			g, err := s.Read()
			if err != nil {
				t.Fatal(err)
			}
			seen = g.Data[0]
			g.Release()
		}
		time.Sleep(2 * time.Second)
		if err := s.Close(); err != nil || pool.Outstanding() != 0 {
			t.Errorf("%v; %d frames are not released", err, pool.Outstanding())
		}
		f.end(t)
	})
}
