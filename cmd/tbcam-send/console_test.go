package main

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/transport"
)

// Where the controls of the camera that is on cannot be opened, a setting does not
// go to the camera that was on before.
func TestControlsOutOfReach(t *testing.T) {
	var told transport.Controls
	c := &console{log: slog.New(slog.DiscardHandler), report: func(c transport.Controls) { told = c }}
	before := pattern.Camera()
	c.on(before)()
	off := c.on(capture.Camera{Path: t.TempDir() + "/video9", Name: "other"})
	defer off()
	if told.Camera != "other" {
		t.Errorf("told are the controls of %q", told.Camera)
	}
	brightness := before.Controls[0]
	granted, err := c.set(capture.Setting{ID: brightness.ID, Value: brightness.Value + 1})
	if !errors.Is(err, capture.ErrNoCamera) {
		t.Errorf("granted is %+v, %v", granted, err)
	}
	if now := pattern.Camera().Controls[0].Value; now != brightness.Value {
		t.Errorf("the camera before has %d now", now)
	}
}
