package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/cmd/internal/clitest"
)

func TestHelp(t *testing.T) { clitest.CheckHelp(t, newCommand) }

func TestManual(t *testing.T) { clitest.CheckManual(t, newCommand) }

// Mistakes are named in the program's words, before a display is looked for.
func TestMistakes(t *testing.T) {
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	clitest.CheckErrors(t, newCommand, []clitest.Case{
		{Args: "--virtual-camra auto", Want: "unknown flag --virtual-camra; did you mean --virtual-camera?"},
		{Args: "controll", Want: `unknown argument "controll"; did you mean`},
		{Args: "--size 640", Want: "--size"},
		{Args: "help lis", Want: `unknown argument "lis"; did you mean list`},
		{Args: "--fps many", Want: `--fps "many": want a number`},
		{Args: "--fps -1", Want: "--fps -1"},
		{Args: "--format h265", Want: "--format"},
		{Args: "--preset none", Want: "--preset"},
		{Args: "--frames -5", Want: `--frames "-5": want a whole number, not negative`},
		{Args: "--rotate 45", Want: "--rotate"},
		{Args: "--crop 640", Want: "--crop"},
		{Args: "--record a.mkv --every x", Want: `--every "x": want a time`},
		{Args: "--record a.mkv --segment x", Want: "--segment"},
		{Args: "--record a.mkv --keep x", Want: "--keep"},
		{Args: "--record a.mkv --record-buffer x", Want: "--record-buffer"},
		{Args: "--record a.mkv --pre-roll x", Want: "--pre-roll"},
		{Args: "--microphone auto", Want: "--microphone needs an output: --virtual-microphone, --listen or --record FILE.mkv"},
		{Args: "--microphone auto --record a.mjpeg", Want: "--microphone: mjpeg has no place for audio"},
		{Args: "--microphone auto --record a.mkv --every 10s", Want: "--microphone: a time-lapse (--every) has no audio"},
		{Args: "--record a.gif", Want: "--record a.gif"},
		{Args: "--record a.mkv --record-format gif", Want: "--record-format"},
		{Args: "--virtual-camera x", Want: "--virtual-camera x"},
		{Args: "--virtual-camera auto --virtual-camera-format gif", Want: "--virtual-camera-format"},
		{Args: "--virtual-camera auto --virtual-camera-size x", Want: "--virtual-camera-size"},
		{Args: "--virtual-camera auto --fit x", Want: "--fit"},
		{Args: "--virtual-microphone --audio-delay soon", Want: "--audio-delay soon: want auto, or 0 to 1000 ms"},
		{Args: "--virtual-camera auto --audio-delay 80", Want: "--audio-delay needs --virtual-microphone or --listen"},
		{Args: "--snapshot a.gif", Want: "--snapshot"},
		{Args: "list --timeout 5", Want: `--timeout "5": want a time such as 90s or 10m`},
		{Config: "size = \"640\"\n", Want: "--size"},
	}...)
}

// TestConfig: flags come before the environment, that before the file, and a mistake in the
// file has its line.
func TestConfig(t *testing.T) {
	clitest.CheckErrors(t, newCommand, []clitest.Case{
		{Config: "\n\nsise = \"640x480\"\n", Want: `FILE:3: unknown key "sise"; did you mean size?`},
		{Config: "fps = \"many\"\n", Want: `FILE:1: fps "many": want a number`},
		{Config: "stats = \"xml\"\n", Want: `FILE:1: stats "xml": want text or json`},
		{Config: "fps = [1, 2]\n", Want: "FILE:1: fps takes one value"},
		{Config: "fps = 2026-11-30\n", Want: "FILE:1: fps: want a text between quotes"},
		{Config: "window = true\n[record]\n", Want: "FILE:2: [record]: there are no tables"},
		{Config: "fps = 30\nfps = 60\n", Want: "FILE"},
		{Config: "fps = \nwindow = true\n", Want: "FILE:1: "},
		{Config: "allow-unpaired = true\n", Want: "FILE:1: allow-unpaired is for the command line only"},
		{Config: "a.b = 1\n", Want: `FILE:1: unknown key "a.b"`},
	}...)
}

// TestConfigIsApplied: what is set where.
func TestConfigIsApplied(t *testing.T) {
	const file = "stream = \"file\"\nfps = 12.5\nwindow = true\nframes = 1_000\nvirtual-camera = [\"pipewire\", \"/dev/video7\"]\n"
	for _, c := range []struct{ args, variable, want string }{
		{"", "", "stream=file fps=12.5 window=true frames=1000 virtual-camera=[pipewire,/dev/video7]"},
		{"--fps 5 --window=false", "", "stream=file fps=5 window=false"},
		{"", "environment", "stream=environment fps=12.5"},
		{"--stream flag", "environment", "stream=flag fps=12.5"},
		{"mode", "", "stream=file fps=0"},
		{"controls", "environment", "stream=environment"},
	} {
		clitest.Configure(t, "tbcam-view", file)
		t.Setenv("TBCAM_STREAM", c.variable)
		got := flagsOf(t, strings.Fields(c.args)...)
		for _, want := range strings.Fields(c.want) {
			name, value, _ := strings.Cut(want, "=")
			if got(name) != value {
				t.Errorf("%q with %q: %s is %s, want %s", c.args, c.variable, name, got(name), value)
			}
		}
	}
}

// TestDocumentedConfig: the example in the documentation is applied.
func TestDocumentedConfig(t *testing.T) {
	clitest.Configure(t, "tbcam-view", clitest.DocumentedConfig(t, "view.toml"))
	got := flagsOf(t)
	if got("camera") != "C920" || got("size") != "1280x720" || got("virtual-camera") != "[auto]" || got("placeholder") != "Back in a minute" {
		t.Errorf("camera %s, size %s, virtual cameras %s", got("camera"), got("size"), got("virtual-camera"))
	}
}

// flagsOf runs a command but for what it does, and returns the values of its flags.
func flagsOf(t *testing.T, args ...string) func(name string) string {
	t.Helper()
	var ran *cobra.Command
	root := newCommand()
	for _, c := range append(root.Commands(), root) {
		c.RunE = func(c *cobra.Command, _ []string) error {
			ran = c
			return nil
		}
	}
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return func(name string) string { return ran.Flag(name).Value.String() }
}

// TestCompletion: what the shells offer.
func TestCompletion(t *testing.T) {
	clitest.Configure(t, "tbcam-view", "")
	for args, want := range map[string]string{
		"--fit ": "contain crop stretch", "--stats ": "text json", "--record-format ": "mkv mp4 avi mjpeg jpg",
		"--virtual-camera-format ": "auto yuyv yu12 mjpeg", "--rotate ": "90 180 270", "--size 1": "1280x720 1920x1080",
		"--virtual-camera ": "auto pipewire v4l2loopback", "--format ": "auto mjpeg yuyv nv12", "--camera ": "auto", "--microphone ": "auto",
	} {
		offered := complete(t, args)
		for _, value := range strings.Fields(want) {
			if !strings.Contains(offered, "\n"+value) {
				t.Errorf("%q offers %q, want %q", args, offered, value)
			}
		}
		if want != "" && !strings.Contains(offered, ":4") && !strings.Contains(offered, ":36") {
			t.Errorf("%q completes files, too: %q", args, offered)
		}
	}
}

// complete returns what the shells get for a command line.
func complete(t *testing.T, line string) string {
	t.Helper()
	var out strings.Builder
	root := newCommand()
	root.SetArgs(append([]string{"__complete"}, strings.Split(line, " ")...))
	root.SetOut(&out)
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return "\n" + out.String()
}
