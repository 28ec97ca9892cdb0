package local

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/pty"
	"github.com/tbcam/tbcam/fixtures/xvfb"
)

// hosts are two computers with a cable between them, each with keys of its own.
type hosts struct {
	*testing.T
	sender, viewer             string // ends of the cable
	senderState, viewerState   string
	senderScreen, viewerScreen *harness.Screen // nil: the program has no terminal
}

func newHosts(t *testing.T) *hosts {
	h := &hosts{T: t, senderState: t.TempDir(), viewerState: t.TempDir()}
	h.viewer, h.sender, _ = pty.Pair(t)
	return h
}

// run runs a command of a host to its end, and returns what it prints.
func (h *hosts) run(state, program string, args ...string) string {
	h.Helper()
	p := harness.Start(h.T, []string{"XDG_STATE_HOME=" + state}, program, args...)
	if code := p.WaitExit(); code != 0 {
		h.Fatalf("%s %q: exit code %d: %s", program, args, code, p.Err.String())
	}
	return strings.TrimSpace(p.Out.String())
}

// start starts both programs. The viewer records so many frames.
func (h *hosts) start(file, frames string) (sender, viewer *harness.Program) {
	viewer = harness.Prepare(h.T, "tbcam-view", "--stream="+h.viewer, "--record="+file, "--frames="+frames)
	viewer.Env = append(viewer.Env, "XDG_STATE_HOME="+h.viewerState)
	h.viewerScreen.Connect(viewer)
	viewer.Launch()
	args := append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--stream="+h.sender)
	sender = harness.Prepare(h.T, "tbcam-send", args...)
	sender.Env = append(sender.Env, "XDG_STATE_HOME="+h.senderState)
	h.senderScreen.Connect(sender)
	sender.Launch()
	return sender, viewer
}

// TestStrangersOverADevice: without a terminal both programs refuse a stranger, and name what helps;
// once each knows the other's key, frames come; who is forgotten is disconnected.
func TestStrangersOverADevice(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	sender, viewer := h.start(file, "40")
	for _, p := range []*harness.Program{sender, viewer} {
		harness.WaitUntil(t, "a refusal", func() bool { return strings.Contains(p.Err.String(), "not paired") })
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("something was recorded")
	}
	viewerKey := h.run(h.viewerState, "tbcam-view", "peers", "self")
	h.run(h.senderState, "tbcam-send", "peers", "add", viewerKey, "desktop")
	h.run(h.viewerState, "tbcam-view", "peers", "add", h.run(h.senderState, "tbcam-send", "peers", "self"), "laptop")
	if code := viewer.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	viewer = h.view(file+".2.mkv", "100000")
	harness.WaitUntil(t, "a recording", func() bool { info, err := os.Stat(file + ".2.mkv"); return err == nil && info.Size() > 50_000 })
	h.run(h.senderState, "tbcam-send", "peers", "forget", "desktop")
	harness.WaitUntil(t, "the end of the session", func() bool { return strings.Contains(viewer.Err.String(), "not paired") })
	log := h.run(h.senderState, "tbcam-send", "log")
	for want, times := range map[string]int{"refused  key": 1, "paired  desktop": 1, "connected  desktop": 2, "ended  desktop": 2, "forgot  desktop": 1} {
		if got := strings.Count(log, want); got < times {
			t.Errorf("the audit log has %q %d times:\n%s", want, got, log)
		}
	}
}

// view starts another viewer, without a terminal.
func (h *hosts) view(file, frames string) *harness.Program {
	return harness.Start(h.T, []string{"XDG_STATE_HOME=" + h.viewerState}, "tbcam-view", "--stream="+h.viewer, "--record="+file, "--frames="+frames)
}

// TestPairingInTerminals: the first session asks for the six digits that the viewer shows, the next one
// for nothing.
func TestPairingInTerminals(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	h.senderScreen, h.viewerScreen = harness.NewScreen(t), harness.NewScreen(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	_, viewer := h.start(file, "20")
	number := h.viewerScreen.Await(t, `on the camera's host: (\d{3} \d{3})`)
	h.senderScreen.Await(t, `(Type the six digits)`)
	wrong := "000000"
	if number == "000 000" {
		wrong = "000001"
	}
	h.senderScreen.Answer(t, wrong)
	h.senderScreen.Await(t, `(another number)`)
	h.senderScreen.Answer(t, number)
	h.grantAndConfirm(t, "y")
	if code := viewer.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if peers := h.run(h.senderState, "tbcam-send", "peers"); !strings.HasSuffix(peers, "all cameras, control") {
		t.Errorf("paired are %q", peers)
	}
	viewer = h.view(file+".2.mkv", "20")
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("exit code %d afterwards", code)
	}
}

// grantAndConfirm ends a pairing in the programs' terminals: the sender's user answers whether
// controls may be set, and grants no microphone; the viewer's confirms.
func (h *hosts) grantAndConfirm(t *testing.T, controls string) {
	t.Helper()
	h.senderScreen.Await(t, `(set the camera's controls)`)
	h.senderScreen.Answer(t, controls)
	h.senderScreen.Await(t, `(hear a microphone)`)
	h.senderScreen.Answer(t, "n")
	h.viewerScreen.Await(t, `(Did tbcam-send accept it)`)
	h.viewerScreen.Answer(t, "y")
}

// pair runs the pair command of a host in a terminal.
func (h *hosts) pair(state, program string, args ...string) (*harness.Screen, *harness.Program) {
	s := harness.NewScreen(h.T)
	p := harness.Prepare(h.T, program, append([]string{"pair"}, args...)...)
	p.Env = append(p.Env, "XDG_STATE_HOME="+state)
	s.Connect(p)
	p.Launch()
	return s, p
}

// pairByNumber has two pair commands pair, by the number that the viewer's shows.
func (h *hosts) pairByNumber(sender, viewer *harness.Screen, commands ...*harness.Program) {
	h.Helper()
	number := viewer.Await(h.T, `on the camera's host: (\d{3} \d{3})`)
	sender.Await(h.T, `(Type the six digits)`)
	sender.Answer(h.T, number)
	viewer.Await(h.T, `(Did tbcam-send accept it)`)
	viewer.Answer(h.T, "y")
	for _, p := range commands {
		if code := p.WaitExit(); code != 0 || !strings.HasPrefix(p.Out.String(), "paired with ") {
			h.Errorf("%v: exit code %d, %q", p.Args, code, p.Out.String())
		}
	}
}

// TestPairReachesServices: the pair commands pair two programs that run without a terminal, which
// go on, with rights from flags.
func TestPairReachesServices(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	file := filepath.Join(t.TempDir(), "a.mkv")
	sender, viewer := h.start(file, "20")
	harness.WaitUntil(t, "a refusal", func() bool { return strings.Contains(sender.Err.String(), "tbcam-send pair") })
	senderScreen, senderPair := h.pair(h.senderState, "tbcam-send", "--control")
	viewerScreen, viewerPair := h.pair(h.viewerState, "tbcam-view")
	h.pairByNumber(senderScreen, viewerScreen, senderPair, viewerPair)
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("exit code %d of the viewer that was paired", code)
	}
	if peers := h.run(h.senderState, "tbcam-send", "peers"); !strings.HasSuffix(peers, "all cameras, control") {
		t.Errorf("paired are %q", peers)
	}
}

// TestPairOnce: a viewer that is paired once has the camera for one session, and neither end
// keeps the other; where no program runs there is no session.
func TestPairOnce(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	alone, alonePair := h.pair(h.senderState, "tbcam-send", "--once")
	if code := alonePair.WaitExit(); code != 1 || alone.Await(t, `(start it first)`) == "" {
		t.Errorf("exit code %d without a program", code)
	}
	sender, viewer := h.start(filepath.Join(t.TempDir(), "a.mkv"), "20")
	harness.WaitUntil(t, "a refusal", func() bool { return strings.Contains(sender.Err.String(), "tbcam-send pair") })
	senderScreen, senderPair := h.pair(h.senderState, "tbcam-send", "--once", "--control=false")
	viewerScreen, viewerPair := h.pair(h.viewerState, "tbcam-view")
	h.pairByNumber(senderScreen, viewerScreen, senderPair, viewerPair)
	if code := viewer.WaitExit(); code != 0 {
		t.Errorf("exit code %d of the viewer that was paired", code)
	}
	for program, state := range map[string]string{"tbcam-send": h.senderState, "tbcam-view": h.viewerState} {
		if peers := h.run(state, program, "peers"); peers != "" {
			t.Errorf("%s keeps %q", program, peers)
		}
	}
	if log := h.run(h.senderState, "tbcam-send", "log"); !strings.Contains(log, "for one session") {
		t.Errorf("the audit log is %q", log)
	}
}

// TestPairAlone: where no program runs, the pair commands pair by themselves.
func TestPairAlone(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	senderScreen, senderPair := h.pair(h.senderState, "tbcam-send", "--stream="+h.sender, "--camera=C920")
	viewerScreen, viewerPair := h.pair(h.viewerState, "tbcam-view", "--stream="+h.viewer)
	h.pairByNumber(senderScreen, viewerScreen, senderPair, viewerPair)
	if peers := h.run(h.senderState, "tbcam-send", "peers"); !strings.Contains(peers, "C920") {
		t.Errorf("paired are %q", peers)
	}
	if peers := h.run(h.viewerState, "tbcam-view", "peers"); peers == "" {
		t.Error("the viewer has paired with nobody")
	}
}

// TestPairIsRefused: a user who presses Enter ends the pair command, and the service goes on
// without the peer. Without a terminal, and on a socket, there is nothing to pair.
func TestPairIsRefused(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	sender, _ := h.start(filepath.Join(t.TempDir(), "a.mkv"), "20")
	harness.WaitUntil(t, "a refusal", func() bool { return strings.Contains(sender.Err.String(), "tbcam-send pair") })
	senderScreen, senderPair := h.pair(h.senderState, "tbcam-send")
	_, _ = h.pair(h.viewerState, "tbcam-view")
	senderScreen.Await(t, `(Type the six digits)`)
	senderScreen.Answer(t, "")
	if code := senderPair.WaitExit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if peers := h.run(h.senderState, "tbcam-send", "peers"); peers != "" {
		t.Errorf("paired are %q", peers)
	}
	if log := h.run(h.senderState, "tbcam-send", "log"); !strings.Contains(log, "not paired  (not confirmed by the user: declined)") {
		t.Errorf("the audit log is %q", log)
	}
	for _, args := range [][]string{{"pair"}, {"pair", "--stream=unix:/x"}} {
		if p := harness.Start(t, []string{"XDG_STATE_HOME=" + h.senderState}, "tbcam-send", args...); p.WaitExit() != 2 {
			t.Errorf("%q: %s", args, p.Err.String())
		}
	}
}

// TestPairingByTheWindow: the window's user confirms the sender by a key, also where a terminal
// asks, too.
func TestPairingByTheWindow(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	display := xvfb.Start(t)
	h.viewerScreen = harness.NewScreen(t)
	viewer := harness.Prepare(t, "tbcam-view", "--stream="+h.viewer, "--window", "--frames=20")
	viewer.Env = append(viewer.Env, "XDG_STATE_HOME="+h.viewerState, "DISPLAY="+display.Name)
	h.viewerScreen.Connect(viewer)
	viewer.Launch()
	service := harness.Start(t, []string{"XDG_STATE_HOME=" + h.senderState}, "tbcam-send", append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--stream="+h.sender)...)
	harness.WaitUntil(t, "a refusal", func() bool { return strings.Contains(service.Err.String(), "tbcam-send pair") })
	senderScreen, senderPair := h.pair(h.senderState, "tbcam-send", "--control=false")
	number := h.viewerScreen.Await(t, `on the camera's host: (\d{3} \d{3})`)
	senderScreen.Await(t, `(Type the six digits)`)
	senderScreen.Answer(t, number)
	h.viewerScreen.Await(t, `(Did tbcam-send accept it)`)
	display.Xdotool(t, "key", "p")
	for _, p := range []*harness.Program{senderPair, viewer} {
		if code := p.WaitExit(); code != 0 {
			t.Errorf("%v: exit code %d", p.Args, code)
		}
	}
}

// TestOnCamera: a command follows the camera, and learns whom it is on for.
func TestOnCamera(t *testing.T) {
	t.Parallel()
	flag, _ := harness.NewSocket(t)
	lamp := filepath.Join(t.TempDir(), "lamp")
	viewer := harness.StartViewer(t, flag, "--record="+t.TempDir()+"/a.mkv", "--frames=5")
	sender := harness.StartSender(t, flag, "--on-camera", `echo "$TBCAM_STATE $TBCAM_PEER" >>`+lamp)
	if code := viewer.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	state := func() string { text, _ := os.ReadFile(lamp); return string(text) }
	harness.WaitUntil(t, "the lamp to go off", func() bool { return state() == "on a viewer on this host\noff \n" })
	if err := sender.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	sender.WaitExit()
	if state() != "on a viewer on this host\noff \n" {
		t.Errorf("the lamp was %q", state())
	}
}

// TestPlainMJPEGIsSeen: plain MJPEG to a device needs no proof, so a person has to ask for it, sees that
// the camera is on, and finds it in the audit log.
func TestPlainMJPEGIsSeen(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	args := append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--wire=mjpeg", "--stream="+h.sender, "--frames=5")
	state := []string{"XDG_STATE_HOME=" + h.senderState}
	if p := harness.Start(t, state, "tbcam-send", args...); p.WaitExit() != 2 || !strings.Contains(p.Err.String(), "--allow-unpaired") {
		t.Errorf("without a wish: %s", p.Err.String())
	}
	reader, err := os.OpenFile(h.viewer, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	lamp := filepath.Join(t.TempDir(), "lamp")
	p := harness.Start(t, state, "tbcam-send", append(args, "--allow-unpaired", "--on-camera", `echo "$TBCAM_STATE $TBCAM_PEER" >>`+lamp)...)
	if code := p.WaitExit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text, _ := os.ReadFile(lamp); string(text) != "on whoever reads plain MJPEG\noff \n" {
		t.Errorf("the lamp was %q", text)
	}
	log := h.run(h.senderState, "tbcam-send", "log")
	for _, want := range []string{"camera on  whoever reads plain MJPEG", "camera off  whoever reads plain MJPEG"} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, log)
		}
	}
}

// TestMicrophoneIsARight: a paired viewer neither finds the microphone nor hears it, until the sender's
// owner grants that; and no more, once that is taken back.
func TestMicrophoneIsARight(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	h.run(h.senderState, "tbcam-send", "peers", "add", h.run(h.viewerState, "tbcam-view", "peers", "self"), "desktop")
	h.run(h.viewerState, "tbcam-view", "peers", "add", h.run(h.senderState, "tbcam-send", "peers", "self"), "laptop")
	sender := harness.Start(t, []string{"XDG_STATE_HOME=" + h.senderState}, "tbcam-send",
		append(harness.SmallPattern[:len(harness.SmallPattern):len(harness.SmallPattern)], "--stream="+h.sender, "--microphone=pattern")...)
	settings := []string{"XDG_STATE_HOME=" + h.viewerState, "XDG_RUNTIME_DIR=" + t.TempDir()}
	listen := func() *harness.Program {
		return harness.Start(t, settings, "tbcam-view", "--stream="+h.viewer, "--microphone=auto", "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))
	}
	listed := func() bool {
		p := harness.Start(t, settings, "tbcam-view", "list", "--stream="+h.viewer)
		if code := p.WaitExit(); code != 0 || !strings.Contains(p.Out.String(), "Test pattern") {
			t.Errorf("list: exit code %d, %q", code, p.Out.String())
		}
		return strings.Contains(p.Out.String(), "Test microphone")
	}
	viewer := listen()
	viewer.WaitText("the sender's owner has not granted it")
	harness.WaitUntil(t, "frames", func() bool { return harness.CountFrames(viewer) > 20 })
	if n := harness.ParseMicrophone(viewer.Out.String()).Frames; listed() || n > 0 || strings.Contains(sender.Err.String(), "microphone is on") {
		t.Errorf("without the right: listed, or %d blocks were heard", n)
	}
	viewer.Stop(syscall.SIGINT)
	h.run(h.senderState, "tbcam-send", "peers", "grant", "desktop", "--microphone")
	viewer = listen()
	harness.WaitUntil(t, "sound", func() bool { return harness.ParseMicrophone(viewer.Out.String()).Frames > 20 })
	if !listed() {
		t.Error("with the right: not listed")
	}
	h.run(h.senderState, "tbcam-send", "peers", "grant", "desktop", "--microphone=false")
	viewer.WaitText("the sender's owner has not granted it")
	sender.WaitText("microphone is off")
	log := h.run(h.senderState, "tbcam-send", "log")
	for _, want := range []string{"microphone on  desktop  Test microphone", "microphone off  desktop  Test microphone"} {
		if n := strings.Count(log, want); n != 1 {
			t.Errorf("the audit log has %q %d times:\n%s", want, n, log)
		}
	}
}

// TestDoctorExaminesKeys: it finds the key, the paired senders and the program that can be paired; a
// key file that others may read is named with the command that fixes it.
func TestDoctorExaminesKeys(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	state := h.viewerState
	expect := func(parts ...string) {
		t.Helper()
		p := harness.Start(t, []string{"XDG_STATE_HOME=" + state}, "tbcam-view", "doctor")
		p.WaitExit() // its code depends on this host's modules, too
		for _, part := range parts {
			if text := p.Out.String(); !strings.Contains(text, part) {
				t.Errorf("it does not find %q:\n%s", part, text)
			}
		}
	}
	inOrder := "ok    the files of keys in " + state + "/tbcam are in order; "
	expect(inOrder+"a key is made", "ok    no sender is paired yet", "ok    tbcam-view pair works alone")
	if _, err := os.Stat(state + "/tbcam"); err == nil {
		t.Error("it has made files")
	}
	key := h.run(state, "tbcam-view", "peers", "self")
	h.run(state, "tbcam-view", "peers", "add", h.run(h.senderState, "tbcam-send", "peers", "self"), "laptop")
	h.view(filepath.Join(t.TempDir(), "a.mkv"), "1")
	harness.WaitUntil(t, "its socket", func() bool {
		sockets, _ := filepath.Glob(state + "/tbcam/pair-*.sock")
		return len(sockets) > 0
	})
	expect(inOrder+"your key is "+key[:8], "ok    paired senders: laptop", "reaches what runs on a device: 1 tbcam-view")
	file := state + "/tbcam/identity.pem"
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	expect("WRONG senders at devices are refused: open "+file, "-> run: chmod go-rwx "+file)
}

// shown replaces what README.md shows as an example by what it stands for here.
var shown = strings.NewReplacer(
	`482 913`, `\d{3} \d{3}`, `482913`, ``, `"anna@laptop"`, `"[^"]+"`, `on laptop`, `on \S+`, `on desktop`, `on \S+`,
	`Integrated Camera`, `Test pattern`, `/dev/video0`, `pattern`, `mjpeg 1280x720 30 fps`, `\S+ 320x240 30 fps`, `stream: tbcam\)`, `stream: \S+\)`,
	`\[y/N\] y`, `\[y/N\] `, `\[y/N\] n`, `\[y/N\] `,
)

// printedAt returns patterns of the lines that README.md shows behind a prompt.
func printedAt(t *testing.T, prompt string) (patterns []string) {
	t.Helper()
	page, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "\n"+prompt+"\n")
	lines, _, ends := strings.Cut(after, "\n\n")
	lines, _, _ = strings.Cut(lines, "\n```")
	if !found || !ends {
		t.Fatalf("README.md has no lines behind %q", prompt)
	}
	for _, line := range strings.Split(lines, "\n") {
		patterns = append(patterns, "("+shown.Replace(regexp.QuoteMeta(line))+")")
	}
	return patterns
}

// TestFirstMinute: two computers that meet for the first time print what README.md shows.
func TestFirstMinute(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	h.senderScreen, h.viewerScreen = harness.NewScreen(t), harness.NewScreen(t)
	_, viewer := h.start(filepath.Join(t.TempDir(), "a.mkv"), "60")
	h.senderScreen.Await(t, `(Type the six digits)`)
	h.senderScreen.Answer(t, h.viewerScreen.Await(t, `on the camera's host: (\d{3} \d{3})`))
	h.grantAndConfirm(t, "n")
	if code := viewer.WaitExit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for prompt, s := range map[string]*harness.Screen{"desktop$ tbcam-view": h.viewerScreen, "laptop$ tbcam-send": h.senderScreen} {
		for _, pattern := range printedAt(t, prompt) {
			if s.Find(pattern) == "" {
				t.Errorf("%s does not print %s, but:\n%s", prompt, pattern, s.Text())
			}
		}
	}
}
