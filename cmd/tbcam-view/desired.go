package main

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/preset"
	"github.com/tbcam/tbcam/transport"
)

// desiredControls are what the user wants of the controls: a preset, a guard of the frame
// rate, and what was set since. They are set again whenever the far camera was
// opened again, since one that lost its power has forgotten them.
type desiredControls struct {
	preset   preset.Preset
	keepRate bool
	log      *slog.Logger
	// setControl is that of the transport.ReceiverStream.
	setControl func(capture.Setting, func(capture.Setting, error))

	mu      sync.Mutex
	set     []desiredSetting // in the order in which they were made
	opening uint32           // of the camera that has them; 0: none in this session
	logged  string           // the last warning
}

// desiredSetting was made in this run, of one camera.
type desiredSetting struct {
	camera string
	capture.Setting
}

// noteConnected takes note that a session has begun: its sender counts openings from the start.
func (d *desiredControls) noteConnected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opening = 0
}

// controlsChanged sets all of them again if this is a camera that was opened again.
func (d *desiredControls) controlsChanged(c transport.Controls) {
	d.mu.Lock()
	again := c.Opening != d.opening && len(c.List) > 0
	if again {
		d.opening = c.Opening
	}
	d.mu.Unlock()
	if !again {
		return
	}
	settings := d.settingsFor(c)
	if c.Locked && len(settings) > 0 {
		d.logOnce("controls unchanged: the sender does not allow changing them (tbcam-send --no-remote-control)")
		return
	}
	for _, s := range settings {
		d.setControl(s, func(_ capture.Setting, err error) {
			if err != nil && !errors.Is(err, transport.ErrSuperseded) { // by what the user sets
				d.logOnce("restore control: " + err.Error())
			}
		})
	}
}

// logOnce logs what it did not log just before: a camera may be opened often.
func (d *desiredControls) logOnce(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.logged != text {
		d.logged = text
		d.log.Warn(text)
	}
}

// settingsFor returns what is desired of a camera, the newest last.
func (d *desiredControls) settingsFor(c transport.Controls) []capture.Setting {
	settings, err := d.preset.Settings(c.List)
	if err != nil {
		d.logOnce("preset applied in part: " + oneLine(err).Error())
	}
	if d.keepRate {
		guard := capture.Setting{ID: capture.DynamicFramerate}
		if slices.ContainsFunc(c.List, func(c capture.Control) bool { return c.ID == guard.ID }) {
			settings = append(settings, guard)
		} else {
			d.logOnce("the camera has no exposure_dynamic_framerate: --keep-rate has no effect")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.set {
		if s.camera == c.Camera {
			settings = append(settings, s.Setting)
		}
	}
	return settings
}

// rememberSetting remembers what was granted, in place of an older setting of that control. A
// button that was pressed once is not to be pressed again.
func (d *desiredControls) rememberSetting(c transport.Controls, s capture.Setting) {
	if slices.ContainsFunc(c.List, func(c capture.Control) bool { return c.ID == s.ID && c.Type == "button" }) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set = slices.DeleteFunc(d.set, func(m desiredSetting) bool { return m.camera == c.Camera && m.ID == s.ID })
	d.set = append(d.set, desiredSetting{c.Camera, s})
}
