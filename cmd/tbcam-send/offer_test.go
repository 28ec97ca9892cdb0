package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/transport"
)

// shelf is a driver of devices that are only found, and of one path beside them.
type shelf struct {
	capture.Driver
	devices []capture.Device
	link    string // leads to the first device
	asked   []string
}

func (s *shelf) Name() string                       { return "shelf" }
func (s *shelf) Devices() ([]capture.Device, error) { return slices.Clone(s.devices), nil }

func (s *shelf) Find(name string) (capture.Device, error) {
	s.asked = append(s.asked, name)
	if name == s.link {
		return s.devices[0], nil
	}
	for _, d := range s.devices {
		if name == "" && d.IsOrdinary() {
			return d, nil
		}
	}
	if name == "" {
		return capture.Device{}, capture.ErrNoneFound
	}
	return capture.FindDevice(s.devices, name)
}

func (s *shelf) Watch(context.Context) (<-chan struct{}, error) { return make(chan struct{}), nil }

// laptop has a camera, one that sees infrared, a screen, and two of one name.
func laptop() *shelf {
	return &shelf{link: "/dev/v4l/by-id/secret", devices: []capture.Device{
		{Path: "/dev/video0", Name: "HD Webcam"},
		{Path: "/dev/video4", Name: "Twin"},
		{Path: "/dev/video6", Name: "Twin"},
		{Path: "screen1", Name: "Screen", Screen: true},
		{Path: "/dev/video2", Name: "Face", Infrared: true},
	}}
}

// offers are values of --camera, what is offered then, what a viewer gets that chooses
// none, and what it gets by a name: a path, or what the error is.
var offers = []struct {
	names   []string
	offered string
	first   string
	chosen  map[string]string
}{
	{nil, "/dev/video0 /dev/video4 /dev/video6", "/dev/video0", map[string]string{
		"/dev/video4":           "/dev/video4",
		"webcam":                "/dev/video0",
		"twin":                  "several have that name",
		"pattern":               `no such camera: "pattern"`,
		"Face":                  `no such camera: "Face"`,
		"screen1":               `no such camera: "screen1"`,
		"/dev/video2":           `no such camera: "/dev/video2"`,
		"/dev/v4l/by-id/secret": `no such camera: "/dev/v4l/by-id/secret"`,
		"nobody's":              `no such camera: "nobody's"`,
	}},
	{[]string{"pattern2", "pattern"}, "pattern2 pattern", "pattern2", map[string]string{
		"pattern":         "pattern",
		"Test pattern 2":  "pattern2",
		"HD Webcam":       "no such camera: only pattern2, pattern are offered",
		"/dev/video0":     "no such camera: only pattern2, pattern are offered",
		"test":            "several have that name",
		"../../etc/shape": "no such camera: only pattern2, pattern are offered",
	}},
	{[]string{"/dev/v4l/by-id/secret"}, "/dev/video0", "/dev/video0", map[string]string{
		"/dev/v4l/by-id/secret": "/dev/video0",
		"/dev/video0":           "/dev/video0",
		"Twin":                  "no such camera: only one is offered (tbcam-send --camera)",
	}},
	{[]string{"gone", "face", "/dev/video6", "face"}, "/dev/video2 /dev/video6", "/dev/video2", map[string]string{
		"gone":     `no such camera: "gone"`, // it may come
		"Twin":     "/dev/video6",
		"pattern2": "only 4 are offered",
	}},
	{[]string{"pattern", "auto"}, "pattern /dev/video0 /dev/video4 /dev/video6", "pattern", map[string]string{
		"HD Webcam": "/dev/video0",
		"pattern2":  `no such camera: "pattern2"`,
	}},
}

func TestOffer(t *testing.T) {
	for _, c := range offers {
		o := newOffer([]capture.Driver{pattern.Driver{}, laptop()}, c.names)
		list, err := o.listOffered()
		var paths []string
		for _, camera := range list {
			paths = append(paths, camera.Path)
		}
		if got := strings.Join(paths, " "); err != nil || got != c.offered {
			t.Errorf("%q: offered are %s, %v; want %s", c.names, got, err, c.offered)
		}
		c.chosen[""] = c.first
		for name, want := range c.chosen {
			got, err := o.findCamera(name, hostCamera{})
			if text := fmt.Sprint(got.Path, err); !strings.HasPrefix(text, want) && !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%q: %q is %s, want %s", c.names, name, text, want)
			}
		}
	}
}

// A viewer's words never reach a driver, which may open a path.
func TestViewersWordsAreNotOpened(t *testing.T) {
	host := laptop()
	o := newOffer([]capture.Driver{host}, nil)
	if c, err := o.findCamera("/etc/passwd", hostCamera{}); !errors.Is(err, capture.ErrNoCamera) {
		t.Errorf("found is %+v, %v", c, err)
	}
	if slices.Contains(host.asked, "/etc/passwd") {
		t.Error("the driver was asked for it")
	}
}

// Only drivers whose cameras may come and go are watched.
func TestWatchedDrivers(t *testing.T) {
	host := laptop()
	drivers := []capture.Driver{pattern.Driver{}, host}
	for _, c := range []struct {
		names []string
		want  int
	}{{nil, 2}, {[]string{"pattern", "pattern2"}, 1}, {[]string{"twin"}, 2}, {[]string{"pattern", "HD Webcam"}, 2}, {[]string{"gone"}, 2}} {
		if got := newOffer(drivers, c.names).watchedDrivers(); len(got) != c.want {
			t.Errorf("%q: %d drivers are watched, want %d", c.names, len(got), c.want)
		}
	}
	if changes, err := watchAll(t.Context(), []capture.Driver{pattern.Driver{}}); changes != nil || err != nil {
		t.Errorf("the test cameras change: %v", err)
	}
}

// A viewer that chooses among several test cameras gets the one that it asked for.
func TestViewerChoosesAmongTheOffered(t *testing.T) {
	onStage(t, func(s *stage) {
		for n, c := range []struct{ asked, want string }{{"", "Test pattern"}, {"pattern2", "Test pattern 2"}, {"pattern", "Test pattern"}} {
			number := uint32(n + 1)
			s.Start(number, capture.Want{Camera: c.asked})
			if p, _ := s.next(); p.Info.Camera != c.want || p.Info.Request != number {
				t.Errorf("%q: mode is %+v, want %s", c.asked, p.Info, c.want)
			}
			synctest.Wait()
			s.want(transport.Status{State: transport.Running, Request: number}, n+1, n)
		}
	}, pattern.Name, pattern.Name2)
}
