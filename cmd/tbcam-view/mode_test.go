package main

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// TestModes: a change is granted, refused or not answered; what is refused is taken
// back, and what was not asked for stays.
func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		granted := transport.Mode{Number: 2, Camera: "HD"}
		var asked []capture.Want
		begun := capture.Want{Camera: "HD", Width: 640, Height: 480}
		var m *modes
		needed := true
		m = newModes(begun, func(w capture.Want) bool {
			asked = append(asked, w)
			time.AfterFunc(time.Millisecond, func() { // the sender answers
				m.change(func() {
					switch {
					case w.Pixel == capture.NV12:
						m.status = transport.Status{State: transport.Failed, Text: "no such mode"}
					case w.FPS != 5:
						m.mode = &granted
					}
				})
			})
			return needed
		})
		if _, err := m.now(); err == nil || !strings.Contains(err.Error(), "waits for tbcam-send") {
			t.Errorf("before there is a mode: %v", err)
		}
		faster := begun
		faster.FPS = 60
		if mode, err := m.set(t.Context(), capture.Want{FPS: 60}); err != nil || mode != granted {
			t.Errorf("granted: %+v, %v", mode, err)
		}
		if _, err := m.set(t.Context(), capture.Want{Pixel: capture.NV12}); err == nil || err.Error() != "no such mode" {
			t.Errorf("refused: %v", err)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.set(ctx, capture.Want{FPS: 5}); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("not answered: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := m.set(t.Context(), capture.Want{FPS: -1}); err == nil {
			t.Error("a wish that nobody can have was sent")
		}
		if mode, err := m.now(); err != nil || mode != granted {
			t.Errorf("in the end it has %+v, %v", mode, err)
		}
		needed = false
		if _, err := m.set(t.Context(), capture.Want{FPS: 30}); err == nil || !strings.Contains(err.Error(), "no application looks") {
			t.Errorf("while nobody needs pictures: %v", err)
		}
		time.Sleep(time.Second)
		refused, slower, unseen := faster, faster, faster
		refused.Pixel, slower.FPS, unseen.FPS = capture.NV12, 5, 30
		// What is refused, not answered or seen by nobody is taken back.
		if want := []capture.Want{faster, refused, faster, slower, faster, unseen, faster}; !reflect.DeepEqual(asked, want) {
			t.Errorf("asked %+v\nwant  %+v", asked, want)
		}
	})
}
