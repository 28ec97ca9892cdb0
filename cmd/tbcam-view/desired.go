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
// opened anew, since one that lost its power has forgotten them.
type desiredControls struct {
	preset   preset.Preset
	keepRate bool
	log      *slog.Logger
	send     func(capture.Setting, func(capture.Setting, error))

	mu      sync.Mutex
	set     []desiredSetting // in the order in which they were made
	opening uint32     // of the camera that has them; 0: none in this session
	said    string     // the last warning
}

// desiredSetting was made in this run, of one camera.
type desiredSetting struct {
	camera string
	capture.Setting
}

// controlsChanged implements transport.Receiver.ControlsChanged.
func (v *viewer) controlsChanged(c transport.Controls) { v.wishes.changed(c) }

// connected says that a session has begun: its sender counts openings anew.
func (w *desiredControls) connected() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opening = 0
}

// changed sets all wishes if this is a camera that was opened anew.
func (w *desiredControls) changed(c transport.Controls) {
	w.mu.Lock()
	anew := c.Opening != w.opening && len(c.List) > 0
	if anew {
		w.opening = c.Opening
	}
	w.mu.Unlock()
	if !anew {
		return
	}
	settings := w.of(c)
	if c.Locked && len(settings) > 0 {
		w.warn("the controls stay as they are: the sender forbids to set them (tbcam-send --no-remote-control)")
		return
	}
	for _, s := range settings {
		w.send(s, func(_ capture.Setting, err error) {
			if err != nil && !errors.Is(err, transport.ErrSuperseded) { // by the user's own wish
				w.warn("a control was not set again: " + err.Error())
			}
		})
	}
}

// warn says what it did not say just before: a camera may be opened often.
func (w *desiredControls) warn(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said != text {
		w.said = text
		w.log.Warn(text)
	}
}

// of returns the wishes for a camera, the newest last.
func (w *desiredControls) of(c transport.Controls) []capture.Setting {
	settings, err := w.preset.Settings(c.List)
	if err != nil {
		w.warn("not all of the preset can be set: " + oneLine(err).Error())
	}
	if w.keepRate {
		guard := capture.Setting{ID: capture.DynamicFramerate}
		if slices.ContainsFunc(c.List, func(c capture.Control) bool { return c.ID == guard.ID }) {
			settings = append(settings, guard)
		} else {
			w.warn("the camera has no exposure_dynamic_framerate: --keep-rate changes nothing")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.set {
		if s.camera == c.Camera {
			settings = append(settings, s.Setting)
		}
	}
	return settings
}

// add remembers what was granted, in place of an older wish for that control. A
// button that was pressed once is not to be pressed again.
func (w *desiredControls) add(c transport.Controls, s capture.Setting) {
	if slices.ContainsFunc(c.List, func(c capture.Control) bool { return c.ID == s.ID && c.Type == "button" }) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set = slices.DeleteFunc(w.set, func(m desiredSetting) bool { return m.camera == c.Camera && m.ID == s.ID })
	w.set = append(w.set, desiredSetting{c.Camera, s})
}

// setControl sets a control of the far camera for the user, and does not wait.
// done, if not nil, is called by another goroutine with what was granted.
func (v *viewer) setControl(s capture.Setting, done func(capture.Setting, error)) {
	now := v.receiver.Controls()
	v.receiver.SetControl(s, func(granted capture.Setting, err error) {
		if err == nil {
			v.wishes.add(now, granted)
		}
		if done != nil {
			done(granted, err)
		}
	})
}
