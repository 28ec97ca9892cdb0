package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/transport"
)

// Where the controls of the camera that is on cannot be opened, a setting does not
// go to the camera that was on before.
func TestControlsOutOfReach(t *testing.T) {
	var reported transport.Controls
	c := &cameraControls{log: slog.New(slog.DiscardHandler), report: func(c transport.Controls) { reported = c }}
	before := hostCamera{pattern.Camera(), pattern.Driver{}}
	c.attachCamera(before)()
	off := c.attachCamera(hostCamera{capture.Device{Path: t.TempDir() + "/video9", Name: "other"}, v4l2.Driver{}})
	defer off()
	if reported.Camera != "other" {
		t.Errorf("reported are the controls of %q", reported.Camera)
	}
	brightness := before.Controls[0]
	granted, err := c.setControl(capture.Setting{ID: brightness.ID, Value: brightness.Value + 1})
	if !errors.Is(err, capture.ErrNoCamera) {
		t.Errorf("granted is %+v, %v", granted, err)
	}
	if now := pattern.Camera().Controls[0].Value; now != brightness.Value {
		t.Errorf("the camera before has %d now", now)
	}
}

// What shows people that they are seen, or lights them, is never set remotely; a
// viewer sees it as read-only.
func TestOwnersControlsAreNotSetRemotely(t *testing.T) {
	var reported transport.Controls
	c := &cameraControls{log: slog.New(slog.DiscardHandler), report: func(c transport.Controls) { reported = c }}
	camera := hostCamera{pattern.Camera(), pattern.Driver{}}
	led := capture.Control{ID: 0x0098f902, Name: "LED1 Mode", Type: "int", Max: 3}
	camera.Controls = append(camera.Controls, led)
	c.announceControls(camera)
	if last := reported.List[len(reported.List)-1]; !last.ReadOnly || reported.List[0].ReadOnly || camera.Controls[0].ReadOnly {
		t.Errorf("reported are %+v", reported.List)
	}
	const privacy = 0x009a0910 // which the list lacks
	for id, message := range map[uint32]string{led.ID: "led1_mode is set on the camera's host only", privacy: "it is set on the camera's host only"} {
		if _, err := c.setControl(capture.Setting{ID: id, Value: 1}); !errors.Is(err, capture.ErrControlLocked) || !strings.Contains(err.Error(), message) {
			t.Errorf("%#x: %v", id, err)
		}
	}
}

// What a setting fails with is reported without this host's devices and programs.
func TestErrorsOfSettings(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("%w: brightness takes 0 to 9, not 10", capture.ErrControlValue):              "invalid control value: brightness takes 0 to 9, not 10",
		fmt.Errorf("open /dev/video0: %w, held by firefox (pid 1234)", capture.ErrBusy):         "camera is busy",
		fmt.Errorf("VIDIOC_S_EXT_CTRLS brightness /dev/video0: %w", errors.New("out of range")): "camera cannot be used",
	} {
		if got := (&settingError{err}).Error(); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
