package main

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/preset"
	"github.com/tbcam/tbcam/transport"
)

var webcam = []capture.Control{
	{ID: 1, Name: "Brightness", Type: "int", Max: 100, Value: 50},
	{ID: 2, Name: "Reset", Type: "button", WriteOnly: true},
	{ID: 3, Name: "Label", Type: "string", Max: 9},
	{ID: capture.DynamicFramerate, Name: "Exposure, Dynamic Framerate", Type: "bool", Max: 1, Value: 1},
}

// TestDesiredControls: what is set again, when, and in which order.
func TestDesiredControls(t *testing.T) {
	var log strings.Builder
	var sent []capture.Setting
	d := &desiredControls{
		keepRate: true, log: slog.New(slog.NewTextHandler(&log, nil)),
		preset: preset.Preset{Camera: "HD", Values: map[string]string{"brightness": "10", "label": "a", "hue": "1"}},
		setControl: func(s capture.Setting, done func(capture.Setting, error)) {
			sent = append(sent, s)
			done(s, map[bool]error{true: errors.New("refused")}[s.ID == 3])
		},
	}
	now := transport.Controls{Camera: "HD", List: webcam}
	expect := func(what string, opening uint32, want ...capture.Setting) {
		t.Helper()
		sent = nil
		now.Opening = opening
		d.controlsChanged(now)
		if !reflect.DeepEqual(sent, want) {
			t.Errorf("%s: sent %+v, want %+v", what, sent, want)
		}
	}
	fromPreset := []capture.Setting{{ID: 1, Value: 10}, {ID: 3, Text: "a"}, {ID: capture.DynamicFramerate}}
	expect("a camera that was never on", 0)
	expect("a camera", 1, fromPreset...)
	for _, want := range []string{"refused", "1 controls of the preset"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
	expect("the same opening", 1)
	d.rememberSetting(now, capture.Setting{ID: 1, Value: 20})
	d.rememberSetting(now, capture.Setting{ID: 2})
	d.rememberSetting(now, capture.Setting{ID: 1, Value: 30})
	made := append(fromPreset, capture.Setting{ID: 1, Value: 30})
	expect("a replug", 2, made...)
	d.noteConnected()
	expect("another session", 2, made...)
	now.Camera = "another"
	expect("another camera", 3, fromPreset...)
	now.Locked = true
	expect("a sender that forbids it", 4)
	now.Locked, now.List = false, webcam[:1]
	log.Reset()
	expect("a camera with little", 5, capture.Setting{ID: 1, Value: 10})
	if !strings.Contains(log.String(), "--keep-rate has no effect") {
		t.Errorf("the log is %s", &log)
	}
}

// TestListShown: what a sender does not allow to change is read-only, and only there.
func TestListShown(t *testing.T) {
	list := []capture.Control{{ID: 1}, {ID: 2, ReadOnly: true}}
	for _, locked := range []bool{false, true} {
		got := listShown(transport.Controls{Locked: locked, List: list})
		if got[0].ReadOnly != locked || !got[1].ReadOnly || list[0].ReadOnly {
			t.Errorf("locked %v: %+v of %+v", locked, got, list)
		}
	}
}
