package main

import (
	"errors"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// windowHooks returns what the window's user can do here.
func (v *viewer) windowHooks() windowHooks {
	hooks := windowHooks{
		controls:   func() []capture.Control { return v.receiver.Controls().List },
		setControl: v.setFromWindow,
	}
	if v.o.record.path != "" {
		hooks.recordToggle, hooks.recording = v.toggleRecording, v.isRecording
	}
	return hooks
}

// toggleRecording starts the recording, or stops it. The window is there first.
func (v *viewer) toggleRecording() (string, error) {
	r := v.recording()
	if r == nil {
		return "", errors.New("recorder is not ready yet")
	}
	return r.toggle(), nil
}

func (v *viewer) isRecording() bool {
	r := v.recording()
	return r != nil && r.Recording()
}

// setFromWindow has a control set, and says why where that is not done.
func (v *viewer) setFromWindow(id uint32, value int64, failed func(error)) {
	if v.receiver.Controls().Locked {
		failed(errors.New("the sender does not allow changing them (tbcam-send --no-remote-control)"))
		return
	}
	v.setControl(capture.Setting{ID: id, Value: value}, func(_ capture.Setting, err error) {
		if err != nil && !errors.Is(err, transport.ErrSuperseded) { // by the next move of a slider
			failed(err)
		}
	})
}
