package desktop

import (
	"encoding/json"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/fixtures/listening"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// microphoneNode is the node of the virtual microphone.
const microphoneNode = "tbcam-mic"

// slowCycles leaves a busy machine time: 43 ms for a cycle.
const slowCycles = `
context.properties = { default.clock.min-quantum = 2048 default.clock.quantum = 2048 }
`

// hearing is a call without video: the test microphone, and a virtual one on the same host.
type hearing struct {
	session        *pwsession.Session
	flag           string
	sender, viewer *harness.Program
}

// startHearing starts a session with both programs in it.
func startHearing(t *testing.T) *hearing {
	t.Helper()
	h := &hearing{session: pwsession.Start(t, pwsession.Options{PipeWire: slowCycles, Services: []string{pwsession.Pulse}})}
	h.session.Enter(t)
	h.flag, _ = harness.NewSocket(t)
	h.sender = harness.StartSender(t, h.flag, "--microphone=pattern")
	h.startViewer(t)
	return h
}

// startViewer starts a viewer with a virtual microphone alone, which opens no window.
func (h *hearing) startViewer(t *testing.T) {
	t.Helper()
	h.viewer = harness.StartViewer(t, h.flag, "--virtual-microphone", "--stats=json")
	harness.WaitUntil(t, "the virtual microphone", func() bool { return h.session.HasNode(microphoneNode) })
	h.viewer.WaitText("connected to tbcam-send")
}

// record starts parecord, which reads the virtual microphone.
func (h *hearing) record(t *testing.T) *listening.Recorder {
	t.Helper()
	return listening.Record(t, h.session.Command("parecord", "--latency-msec=20", "--rate=48000", "--channels=1",
		"--format=s16le", "--raw", "-d", microphoneNode))
}

// waitTone waits until a recorder hears the test microphone, and returns what it has heard.
func waitTone(t *testing.T, when string, r *listening.Recorder) (heard listening.Heard) {
	t.Helper()
	harness.WaitUntil(t, "the tone "+when, func() bool {
		time.Sleep(300 * time.Millisecond) // all of it is read each time
		heard = r.Heard()
		return heard.CheckTone() == nil
	})
	return heard
}

// wantCounted checks that each gap that parecord hears was counted by the viewer, and returns
// what hears it. On a busy machine an application misses cycles of the sound server, which
// nobody counts: so one recording of three counts.
func (h *hearing) wantCounted(t *testing.T) *listening.Recorder {
	t.Helper()
	for attempt := 1; ; attempt++ {
		r := h.record(t)
		heard := waitTone(t, "in parecord", r)
		begin := time.Now()
		var p meter.Playback
		harness.WaitUntil(t, "figures", func() bool {
			p = h.playback()
			return p.Listening && p.Latency > 0 && time.Since(begin) > time.Second
		})
		t.Logf("%+v; %+v", heard, p)
		err := heard.CheckGaps(p.Dropped, p.Silence+p.Lost*capture.AudioBlock)
		if err == nil {
			return r
		}
		if r.Kill(); attempt == 3 {
			t.Fatal(err)
		}
	}
}

// playback returns the newest figures of the virtual microphone.
func (h *hearing) playback() (p meter.Playback) {
	text := h.viewer.Out.String()
	lines := strings.Split(text[:strings.LastIndexByte(text, '\n')+1], "\n")
	var s meter.Summary
	if n := len(lines); n < 2 || json.Unmarshal([]byte(lines[n-2]), &s) != nil || len(s.Playback) == 0 {
		return p
	}
	return s.Playback[0]
}

// TestVirtualMicrophone: the far microphone is on while an application listens to the virtual
// one, and for 3 s after it was killed; the camera never is. Each gap that parecord hears was
// counted. The node is gone within a second of the viewer's death, and is there again with
// the next one.
func TestVirtualMicrophone(t *testing.T) {
	h := startHearing(t)
	if countText(h.sender, "microphone is on") > 0 {
		t.Error("the far microphone is on before anybody listens")
	}
	h.wantCounted(t).Kill()
	begin := time.Now()
	h.sender.WaitText("microphone is off")
	if took := time.Since(begin); took < 2*time.Second || took > 20*time.Second {
		t.Errorf("the far microphone went off %v after the last listener", took)
	}
	if countText(h.sender, "camera is on") > 0 {
		t.Error("the camera was turned on for the microphone")
	}
	begin = time.Now()
	h.viewer.Stop(syscall.SIGKILL)
	harness.WaitUntil(t, "the end of the node", func() bool { return !h.session.HasNode(microphoneNode) })
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the node is there until %v after the viewer was killed", took)
	}
	h.startViewer(t)
	waitTone(t, "of the next viewer", h.record(t))
}

// TestMicrophoneInBrowsers: Chromium and Firefox hear the tone, both at once, also after the
// sender was killed and another one came.
func TestMicrophoneInBrowsers(t *testing.T) {
	h := startHearing(t)
	browsers := []*browser{
		browse(t, h.session, "chromium", harness.ServeSoundPage),
		browse(t, h.session, "firefox-esr", harness.ServeSoundPage),
	}
	for _, b := range browsers {
		b.waitTone(t, "the test microphone")
	}
	h.sender.Stop(syscall.SIGKILL)
	h.sender = harness.StartSender(t, h.flag, "--microphone=pattern")
	for _, b := range browsers {
		b.waitTone(t, "that of another sender")
	}
}

// waitTone waits for sound of the tone, which is loud in a quarter of each second, and as
// well in tune as the browser can measure.
func (b *browser) waitTone(t *testing.T, what string) {
	t.Helper()
	const hertz, loud = 1000, -40
	_, _ = b.page.TakeSounds() // of before
	begin, found := time.Now(), 0
	defer func() { t.Logf("%s heard %+v last", b.name, b.sound) }()
	harness.WaitUntil(t, b.name+" to hear "+what, func() bool {
		sounds, failed := b.page.TakeSounds()
		if failed != "" {
			t.Fatalf("%s: the page gets %s", b.name, failed)
		}
		for _, s := range sounds {
			if s.Label != "Default" && !strings.Contains(s.Label, "tbcam far microphone") {
				t.Fatalf("%s listens to %q", b.name, s.Label)
			}
			b.sound = s
			if s.Level > loud && math.Abs(s.Hertz-hertz) <= s.Bin {
				found++
			}
		}
		return found >= 6
	})
	t.Logf("%s hears %s after %v", b.name, what, time.Since(begin).Round(10*time.Millisecond))
}
