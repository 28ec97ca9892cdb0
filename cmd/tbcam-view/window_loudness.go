package main

import (
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/audio"
	"github.com/tbcam/tbcam/sink/window"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// loudnessBlocks is of how many blocks the window shows the loudest sample: ten times per
// second.
const loudnessBlocks = 10

// loudness is how loud the far microphone is, as the window shows it.
type loudness struct {
	seen   bool // the window shows a meter
	muted  bool
	peak   float64 // of the blocks that came since it was shown, 1 for full scale
	blocks int     // their number
	last   time.Time
}

// Listens implements sink.Listener: only while the window shows a meter. That alone does not
// turn the far microphone on.
func (s *windowOutput) Listens() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loudness.seen && !s.closed
}

// hearBlock takes over a block, and shows how loud some are.
func (s *windowOutput) hearBlock(f *capture.Frame) {
	defer f.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.loudness
	l.peak = max(l.peak, audio.Peak(f.Data))
	l.last = time.Now()
	if l.blocks++; l.blocks >= loudnessBlocks && s.window != nil {
		s.showLoudness(s.window)
	}
}

// showLoudness has a window show how loud the last blocks were. s.mu is held.
func (s *windowOutput) showLoudness(w *window.Window) {
	if !s.hears {
		return
	}
	l := &s.loudness
	w.SetMicrophone(shm.Microphone{
		Level: float32(max(audio.Decibels(l.peak), shm.MinLevel)), Flows: l.blocks > 0, Muted: l.muted,
	})
	l.peak, l.blocks = 0, 0
}

// checkSilence shows that blocks no longer come.
func (s *windowOutput) checkSilence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window != nil && s.loudness.seen && time.Since(s.loudness.last) > statusEvery {
		s.showLoudness(s.window)
	}
}

// watchLoudness notes whether a window shows how loud blocks are.
func (s *windowOutput) watchLoudness(w *window.Window, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loudness.seen = on
	s.loudness.peak, s.loudness.blocks = 0, 0
}

// toggleMute mutes the far microphone, or unmutes it.
func (s *windowOutput) toggleMute(w *window.Window) {
	if s.actions.toggleMute == nil {
		w.Notice("No microphone to mute: start tbcam-view with --virtual-microphone or --listen")
		return
	}
	muted := s.actions.toggleMute()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loudness.muted = muted
	s.showLoudness(w)
}
