package main

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// modeSender is a demand with a sender behind it, which answers after a millisecond.
type modeSender struct {
	modes   *modes
	request uint32
	unseen  bool // nobody needs frames
	asked   []capture.Want
	kept    []capture.Want
}

func (s *modeSender) keep(want capture.Want) { s.kept = append(s.kept, want) }
func (s *modeSender) ask(want capture.Want) (uint32, bool) {
	s.request++
	s.asked = append(s.asked, want)
	request := s.request
	time.AfterFunc(time.Millisecond, func() { s.answer(request, want) })
	return request, !s.unseen
}

// answer grants all but NV12, which it refuses; for YUYV it has to wait, and 5 frames
// per second it does not answer.
func (s *modeSender) answer(request uint32, want capture.Want) {
	status := transport.Status{State: transport.Running, Request: request}
	switch {
	case want.FPS == 5:
		return
	case want.Pixel == capture.NV12:
		status.State, status.Text, status.Cause = transport.Refused, "no such mode", transport.NoMode
	case want.Pixel == capture.YUYV:
		status.State, status.Text, status.Cause = transport.Waiting, "busy", transport.Busy
	default:
		s.modes.setMode(transport.Mode{Number: request, Camera: want.Camera, Request: request})
	}
	s.modes.setStatus(status)
}

// TestModes: a change is granted, refused or not answered; what cannot be had is taken
// back, and what was not asked for stays.
func TestModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := capture.Want{Camera: "HD", Width: 640, Height: 480}
		s := &modeSender{}
		m := newModes(begun, s)
		s.modes = m
		if _, err := m.current(); err == nil || !strings.Contains(err.Error(), "waiting for tbcam-send") {
			t.Errorf("before there is a mode: %v", err)
		}
		// What another request was told is no answer.
		m.setStatus(transport.Status{State: transport.Failed, Text: "of another", Request: 77})
		faster := begun
		faster.FPS = 60
		granted, err := m.requestMode(t.Context(), capture.Want{FPS: 60})
		if err != nil || granted.Request != 1 {
			t.Errorf("granted: %+v, %v", granted, err)
		}
		time.Sleep(time.Second)
		_, err = m.requestMode(t.Context(), capture.Want{Pixel: capture.NV12})
		if !errors.Is(err, capture.ErrNoMode) || err.Error() != "no such mode" {
			t.Errorf("refused: %v", err)
		}
		if mode, err := m.current(); err != nil || mode != granted {
			t.Errorf("after a refusal it has %+v, %v", mode, err)
		}
		if _, err := m.requestMode(t.Context(), capture.Want{Pixel: capture.YUYV}); !errors.Is(err, capture.ErrBusy) {
			t.Errorf("busy: %v", err)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.requestMode(ctx, capture.Want{FPS: 5}); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("not answered: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := m.requestMode(t.Context(), capture.Want{FPS: -1}); err == nil {
			t.Error("a wish that nobody can have was sent")
		}
		if mode, err := m.current(); err != nil || mode.Request != s.request {
			t.Errorf("in the end it has %+v, %v", mode, err)
		}
		s.unseen = true
		if _, err := m.requestMode(t.Context(), capture.Want{FPS: 30}); err == nil || !strings.Contains(err.Error(), "no application reads") {
			t.Errorf("while nobody needs frames: %v", err)
		}
		time.Sleep(time.Second)
		refused, busy, slower, unseen := faster, faster, faster, faster
		refused.Pixel, busy.Pixel, slower.FPS, unseen.FPS = capture.NV12, capture.YUYV, 5, 30
		// What is not granted is taken back; what is refused was never begun.
		if want := []capture.Want{faster, refused, busy, faster, slower, faster, unseen, faster}; !reflect.DeepEqual(s.asked, want) {
			t.Errorf("asked %+v\nwant  %+v", s.asked, want)
		}
		if want := []capture.Want{faster}; !reflect.DeepEqual(s.kept, want) {
			t.Errorf("kept %+v, want %+v", s.kept, want)
		}
	})
}
