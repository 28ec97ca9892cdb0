package pwmic

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/fixtures/listening"
	"github.com/tbcam/tbcam/fixtures/otheruser"
	"github.com/tbcam/tbcam/fixtures/pwsession"
	"github.com/tbcam/tbcam/sink/virtualmic"
)

// patience bounds what a busy machine may take.
const patience = 30 * time.Second

func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// play plays the test microphone until the test ends.
func play(t *testing.T, d virtualmic.Driver, onDemand bool) *virtualmic.Microphone {
	t.Helper()
	var log bytes.Buffer
	m := virtualmic.New(virtualmic.Options{
		Name: "virtual microphone", Driver: d, OnDemand: onDemand, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	var pool capture.Pool
	source, err := pattern.OpenMicrophone(capture.Mono, &pool)
	if err != nil {
		t.Fatal(err)
	}
	var playing sync.WaitGroup
	playing.Go(func() {
		for {
			f, err := source.Read()
			if err != nil {
				return
			}
			if err := m.Present(f); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() {
		source.Close()
		playing.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if n := pool.Outstanding(); n > 0 {
			t.Errorf("%d blocks are not released", n)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return m
}

// parecord starts a recording of a source through pipewire-pulse.
func parecord(t *testing.T, s *pwsession.Session, source string) *listening.Recorder {
	t.Helper()
	return listening.Record(t, s.Command("parecord", "--latency-msec=20", "--rate=48000", "--channels=1", "--format=s16le", "--raw", "-d", source))
}

// parecordAgain starts a recording after a restart. WirePlumber 0.4 forgets for good what
// connects while it starts, and logs "This should never happen".
func parecordAgain(t *testing.T, s *pwsession.Session) *listening.Recorder {
	t.Helper()
	for range 5 {
		r := parecord(t, s, Name)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if r.Len() > 0 {
				return r
			}
		}
		r.Kill()
	}
	t.Fatal("nothing is recorded")
	return nil
}

// gstreamer starts a recording with GStreamer.
func gstreamer(t *testing.T, s *pwsession.Session) *listening.Recorder {
	t.Helper()
	return listening.Record(t, s.Command("gst-launch-1.0", "-q", "pipewiresrc", "target-object="+Name, "!",
		"audio/x-raw,rate=48000", "!", "audioconvert", "!", "audio/x-raw,format=S16LE,channels=1", "!", "fdsink", "fd=1"))
}

// hear waits until applications have heard some seconds, and checks the tone.
func hear(t *testing.T, when string, seconds int, by *listening.Recorder) listening.Heard {
	t.Helper()
	waitUntil(t, "an application to hear "+when, func() bool { return by.Len() > seconds*capture.AudioRate })
	heard := by.Heard()
	if err := heard.CheckTone(); err != nil {
		t.Errorf("%s: %v", when, err)
	}
	return heard
}

// wantCounted checks that each gap in what parecord hears was counted. On a busy machine an
// application misses cycles of the sound server, which nobody counts: so one recording of
// three counts. GStreamer then drops samples itself.
func wantCounted(t *testing.T, m *virtualmic.Microphone, when string, begin func() *listening.Recorder) {
	t.Helper()
	var err error
	for range 3 {
		r := begin()
		heard := hear(t, when, 4, r)
		s := m.Stats()
		t.Logf("%s: %+v; %+v", when, heard, s)
		if err = heard.CheckGaps(s.Dropped, s.Silence); err == nil {
			return
		}
		r.Kill()
	}
	t.Errorf("%s: %v", when, err)
}

// TestApplicationsListen: parecord and GStreamer hear the tone, and each gap was counted.
// The far microphone is needed while they do and for 3 s after they were killed.
func TestApplicationsListen(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: slowCycles, Services: []string{pwsession.Pulse}})
	s.Enter(t)
	m := play(t, Microphone{Description: "Far microphone"}, true)
	if sources := s.Output("pactl", "list", "sources"); !strings.Contains(sources, "Far microphone") {
		t.Errorf("the sources are %s", sources)
	}
	if m.Listens() {
		t.Error("it is needed before anybody listens")
	}
	var a *listening.Recorder
	b := gstreamer(t, s)
	wantCounted(t, m, "in parecord", func() *listening.Recorder { a = parecord(t, s, Name); return a })
	hear(t, "in GStreamer", 4, b)
	a.Kill()
	time.Sleep(200 * time.Millisecond)
	if !m.Stats().Listening {
		t.Error("nobody listens, after one of two was killed")
	}
	b.Kill()
	begin := time.Now()
	waitUntil(t, "the far microphone to be released", func() bool { return !m.Listens() })
	if took := time.Since(begin); took < 2900*time.Millisecond {
		t.Errorf("it was needed for %v after the last listener", took)
	}
	otheruser.Do(t, func() {
		if err := s.Command("pactl", "list", "short", "sources").Run(); err == nil {
			t.Error("another user sees the microphone")
		}
	})
}

// TestRestarts: the microphone survives restarts of pipewire-pulse and WirePlumber, and is
// there within 2 s after one of PipeWire.
func TestRestarts(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: slowCycles, Services: []string{pwsession.Pulse}})
	s.Enter(t)
	m := play(t, Microphone{}, true)
	for _, name := range []string{pwsession.Pulse, pwsession.WirePlumber, pwsession.PipeWire} {
		if name == pwsession.PipeWire {
			s.Stop(pwsession.Pulse, 15) // which ends with it
		}
		s.Restart(name)
		begin := time.Now()
		waitUntil(t, "the microphone", func() bool { return s.HasNode(Name) })
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%v after a restart of %s it is there", took, name)
		}
		if name == pwsession.PipeWire {
			s.Run(pwsession.Pulse)
		}
		var r *listening.Recorder
		wantCounted(t, m, "after a restart of "+name, func() *listening.Recorder { r = parecordAgain(t, s); return r })
		r.Kill()
	}
}

// slowCycles leaves a busy machine time: 43 ms for a cycle. One that comes too late is missed
// by applications, too, which count nothing.
const slowCycles = `
context.properties = { default.clock.min-quantum = 2048 default.clock.quantum = 2048 }
`

// nullSink is a loudspeaker that nobody hears.
const nullSink = `
context.objects = [
  { factory = adapter args = { factory.name = support.null-audio-sink node.name = speaker node.description = "Speaker" media.class = Audio/Sink audio.position = [ FL FR ] } } ]
`

// TestSpeaker: the default sink plays the microphone.
func TestSpeaker(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: slowCycles + nullSink, Services: []string{pwsession.Pulse}})
	s.Enter(t)
	m := play(t, Speaker{}, false)
	wantCounted(t, m, "at the loudspeaker", func() *listening.Recorder { return parecord(t, s, "speaker.monitor") })
}

// TestNoPipeWire: without PipeWire, the error names that and nothing is left.
func TestNoPipeWire(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("PIPEWIRE_RUNTIME_DIR", filepath.Join(t.TempDir(), "none"))
	m := virtualmic.New(virtualmic.Options{Name: "virtual microphone", Driver: Microphone{}})
	if err := m.Start(); err == nil {
		t.Error("it starts")
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestBlocksCost: to give PipeWire a block costs no allocation.
func TestBlocksCost(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	node, err := Microphone{}.Open(capture.Stereo)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	block := make([]byte, capture.Stereo.BlockSize())
	if allocs := testing.AllocsPerRun(1000, func() {
		if _, err := node.Write(block); err != nil {
			t.Fatal(err)
		}
		node.Adjust(1, 0)
	}); allocs > 0 {
		t.Errorf("%v allocations per block", allocs)
	}
}
