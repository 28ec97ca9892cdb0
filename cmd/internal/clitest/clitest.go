// Package clitest checks the commands of a program: what --help prints, and what
// errors say.
package clitest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// goWords matches words of Go's own in errors, and types in help.
var goWords = regexp.MustCompile(`strconv|invalid syntax|parsing|invalid argument|time:|unmarshal|context |\bEOF\b|shorthand|\b(string|strings|stringArray|u?int(64)?|float(64)?|duration)\b(: | {2})`)

// CheckHelp fails the test where the help of a command is wider than 80 columns, shows a
// type of Go, or has a flag of the program that is in no group.
func CheckHelp(t *testing.T, newRoot func() *cobra.Command) {
	t.Helper()
	var check func(args ...string)
	check = func(args ...string) {
		text, err := run(newRoot(), append(args, "--help")...)
		if err != nil {
			t.Fatalf("%v --help: %v", args, err)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%v --help: %q is too wide, or ends in blanks", args, line)
			}
			if goWords.MatchString(line) {
				t.Errorf("%v --help: %q has a type of Go", args, line)
			}
		}
		if strings.Contains(text, "\nOther:\n") {
			t.Errorf("%v --help: flags are in no group:\n%s", args, text[strings.Index(text, "\nOther:\n"):])
		}
		found, _, _ := newRoot().Find(args)
		for _, below := range found.Commands() {
			if below.IsAvailableCommand() {
				check(append(args[:len(args):len(args)], below.Name())...)
			}
		}
	}
	check()
}

// Case is a command line that is wrong, and what its error must have.
type Case struct {
	Args   string // separated by blanks
	Config string // content of the configuration file
	Want   string
}

// CheckErrors fails the test where the error of a case lacks its text, or has Go's own words.
func CheckErrors(t *testing.T, newRoot func() *cobra.Command, cases ...Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Args+c.Config, func(t *testing.T) {
			path := Configure(t, newRoot().Name(), c.Config)
			_, err := run(newRoot(), strings.Fields(c.Args)...)
			if err == nil {
				t.Fatalf("no error; want %q", c.Want)
			}
			text := strings.ReplaceAll(err.Error(), path, "FILE")
			if !strings.Contains(text, c.Want) || goWords.MatchString(text) || strings.Contains(text, "\n") {
				t.Errorf("the error is %q, want %q in it", text, c.Want)
			}
		})
	}
}

// Configure gives the test a configuration file of a program, and returns its path. No other
// configuration has an effect.
func Configure(t *testing.T, program, text string) (path string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	path = filepath.Join(dir, "tbcam", strings.TrimPrefix(program, "tbcam-")+".toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if text == "" {
		return path
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command and returns what it printed.
func run(root *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(io.Discard)
	err := root.Execute()
	return out.String(), err
}

// CheckManual fails the test where the manual pages lack a section or a flag, or groff warns.
func CheckManual(t *testing.T, newRoot func() *cobra.Command) {
	t.Helper()
	dir := t.TempDir()
	if _, err := run(newRoot(), "man", dir); err != nil {
		t.Fatal(err)
	}
	pages, _ := filepath.Glob(dir + "/*.1")
	page, err := os.ReadFile(filepath.Join(dir, newRoot().Name()+".1"))
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SIGNALS", "ENVIRONMENT", "FILES", "SEE ALSO"} {
		if !strings.Contains(string(page), "\n.SH "+section+"\n") {
			t.Errorf("there is no section %s", section)
		}
	}
	newRoot().Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(string(page), strings.ReplaceAll("--"+f.Name, "-", `\-`)+`\fR`) {
			t.Errorf("there is no --%s", f.Name)
		}
	})
	out, err := exec.Command("groff", append([]string{"-man", "-ww", "-Tutf8", "-Kutf8", "-z"}, pages...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("groff: %v: %s", err, out)
	}
}

// DocumentedConfig returns the example of a configuration file in docs/configuration.md.
func DocumentedConfig(t *testing.T, file string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```toml\n(# [^\n]*" + regexp.QuoteMeta(file) + "\n.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatalf("there is no example of %s", file)
	}
	return string(block[1])
}
