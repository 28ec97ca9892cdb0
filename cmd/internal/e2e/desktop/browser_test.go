package desktop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// browser shows the camera on a page, or listens to the microphone.
type browser struct {
	name    string
	session *pwsession.Session
	serve   func(*testing.T) *harness.Page
	page    *harness.Page
	cmd     *exec.Cmd
	log     harness.Output
	crashed bool // once, which is borne
	last    pattern.Stamp
	sound   harness.PageSound // that was heard last
	first   harness.PageFrame // whose label and size are kept
}

// firefoxSettings allow camera and microphone without asking, the camera by PipeWire, and leave out what a
// new profile shows and fetches.
const firefoxSettings = `
user_pref("media.webrtc.camera.allow-pipewire", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.startup.max_resumed_crashes", -1);
user_pref("app.normandy.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
`

// command returns the browser that opens a page, with its switch for PipeWire.
func (b *browser) command(t *testing.T) *exec.Cmd {
	t.Helper()
	profile := filepath.Join(b.session.Dir, b.name)
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	if b.name == "chromium" {
		return b.session.Command(b.name, "--headless", "--no-sandbox", "--use-fake-ui-for-media-stream", "--disable-gpu",
			"--autoplay-policy=no-user-gesture-required", "--enable-features=WebRtcPipeWireCamera", "--no-first-run", "--user-data-dir="+profile, b.page.URL)
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxSettings), 0o600); err != nil {
		t.Fatal(err)
	}
	return b.session.Command(b.name, "--headless", "--no-remote", "--profile", profile, b.page.URL)
}

// browse opens a page in a browser until the test ends.
func browse(t *testing.T, s *pwsession.Session, name string, serve func(*testing.T) *harness.Page) *browser {
	t.Helper()
	b := &browser{name: name, session: s, serve: serve}
	b.open(t)
	t.Cleanup(func() {
		b.end()
		if t.Failed() {
			t.Logf("%s: %s", name, harness.Tail(b.log.String()))
		}
	})
	return b
}

// open starts the browser with a page of its own.
func (b *browser) open(t *testing.T) {
	t.Helper()
	b.page = b.serve(t)
	b.cmd = b.command(t)
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v; install it with `make deps`", b.name, err)
	}
}

// end kills the browser with all its processes.
func (b *browser) end() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	_ = b.cmd.Wait() // it was killed
}

// take returns the frames that the page saw since the last call. A track that ended
// fails the test, but for a crash of Chromium's process for cameras, which is
// Chromium's own (RaceDetected in webrtc's video_capture_pipewire.cc): then it is
// started again, once.
func (b *browser) take(t *testing.T) []harness.PageFrame {
	t.Helper()
	frames, failed := b.page.Take()
	switch {
	case failed == "":
		return frames
	case b.name == "chromium" && !b.crashed && strings.Contains(b.log.String(), "RaceDetected"):
		t.Logf("Chromium's process for cameras crashed, a known fault of Chromium; it is started again")
		b.crashed = true
		b.end()
		b.open(t)
		return nil
	}
	t.Fatalf("%s: the page gets %s", b.name, failed)
	return nil
}

// waitFrames waits for some of the camera's frames that were captured after now. All
// have one label and size, and none is older than the one before it.
func (b *browser) waitFrames(t *testing.T, what string) {
	t.Helper()
	begin, fresh := time.Now(), 0
	harness.WaitUntil(t, b.name+" to show "+what, func() bool {
		for _, f := range b.take(t) {
			stamp, err := f.Stamp()
			if err != nil {
				continue // a placeholder
			}
			b.checkFrame(t, f, stamp)
			if stamp.Time.After(begin) && stamp.Counter != b.last.Counter {
				fresh++
			}
			b.last = stamp
		}
		return fresh >= 5
	})
	t.Logf("%s shows %s after %v", b.name, what, time.Since(begin).Round(10*time.Millisecond))
}

func (b *browser) checkFrame(t *testing.T, f harness.PageFrame, stamp pattern.Stamp) {
	t.Helper()
	if b.first.Label == "" {
		b.first = f
		t.Logf("%s shows %q, %dx%d", b.name, f.Label, f.Width, f.Height)
	}
	if f.Label != b.first.Label || f.Width != 320 || f.Height != 240 {
		t.Errorf("%s: the page shows %q, %dx%d", b.name, f.Label, f.Width, f.Height)
	}
	if stamp.Time.Before(b.last.Time) {
		t.Errorf("%s: a frame is %v older than the one before it", b.name, b.last.Time.Sub(stamp.Time))
	}
}

// waitPlaceholder waits for some frames that are not the camera's.
func (b *browser) waitPlaceholder(t *testing.T, when string) {
	t.Helper()
	others := 0
	harness.WaitUntil(t, b.name+" to show a placeholder "+when, func() bool {
		for _, f := range b.take(t) {
			if _, err := f.Stamp(); err != nil {
				others++
			}
		}
		return others >= 3
	})
}
