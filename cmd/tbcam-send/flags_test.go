package main

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/cmd/internal/clitest"
)

// TestDocumentedConfig: the example in the documentation has no mistake.
func TestDocumentedConfig(t *testing.T) {
	clitest.Configure(t, "tbcam-send", clitest.DocumentedConfig(t, "send.toml"))
	root, ran := newCommand(), false
	root.RunE = func(c *cobra.Command, _ []string) error {
		ran = c.Flag("camera").Value.String() == "[C920,/dev/video2]" && c.Flag("stats").Value.String() == "json"
		return nil
	}
	root.SetArgs(nil)
	if err := root.Execute(); err != nil || !ran {
		t.Errorf("%v, applied: %v", err, ran)
	}
}

func TestHelp(t *testing.T) { clitest.CheckHelp(t, newCommand) }

func TestManual(t *testing.T) { clitest.CheckManual(t, newCommand) }

// Mistakes are named in the program's words, with what was meant.
func TestMistakes(t *testing.T) {
	clitest.CheckErrors(t, newCommand, []clitest.Case{
		{Args: "--sise 640x480", Want: "unknown flag --sise; did you mean --size?; see tbcam-send --help"},
		{Args: "lst", Want: `unknown argument "lst"; did you mean list?`},
		{Args: "help lis", Want: `unknown argument "lis"; did you mean list`},
		{Args: "--fps many", Want: `--fps "many": want a number`},
		{Args: "--fps -1", Want: "--fps -1"},
		{Args: "--quality", Want: "--quality needs a value: QUALITY"},
		{Args: "--quality 5x", Want: `--quality "5x": want a whole number`},
		{Args: "--duration 5", Want: `--duration "5": want a time such as 90s or 10m`},
		{Args: "--wait=perhaps", Want: `--wait "perhaps": want true or false`},
		{Args: "--size 640", Want: "--size"},
		{Args: "--format h265", Want: "--format"},
		{Args: "--codec gif", Want: "--codec"},
		{Args: "--stats xml", Want: `--stats "xml": want text or json`},
		{Args: "--log xml", Want: `--log "xml": want text or json`},
		{Args: "--allow-user nobody-here", Want: `--allow-user "nobody-here": no such user`},
		{Args: "-x", Want: "unknown flag -x"},
		{Args: "list", Config: "sise = 1\n", Want: `FILE:1: unknown key "sise"; did you mean size?`},
	}...)
}
