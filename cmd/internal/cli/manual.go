package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// Manual is what the manual page of a program has beside what --help has.
type Manual struct {
	Signals     []Term
	Files       []Term
	Environment []Term
}

// Term is a word with its meaning.
type Term struct{ Word, Meaning string }

// exitTerms are the exit codes of all commands.
var exitTerms = []Term{
	{"0", "done, or ended by Ctrl-C, SIGTERM or a terminal that closed (SIGHUP)"},
	{"1", "a failure not listed here; the time of --timeout is up"},
	{"2", "wrong flags, arguments or configuration"},
	{"3", "no such camera"},
	{"4", "the camera is busy"},
	{"5", "the camera lacks the mode that was asked for"},
	{"6", "the stream does not exist or cannot be used"},
	{"7", "a window, virtual camera or file cannot be used"},
	{"130", "interrupted before there was a result, or by a second Ctrl-C during shutdown"},
}

// commonFiles, commonSignals and commonEnvironment are those of both programs.
var (
	commonFiles = []Term{
		{"/dev/tbstreamN", "the device of a USB4STREAM"},
		{"$XDG_STATE_HOME/tbcam/", "the key of this user, paired computers, and the audit log (~/.local/state/tbcam)"},
	}
	commonSignals = []Term{
		{"SIGINT, SIGTERM", "shut down cleanly; a second one ends the program immediately"},
		{"SIGHUP", "shut down cleanly, unless it is ignored (nohup)"},
	}
	commonEnvironment = []Term{
		{streamVariable, "stream to use where no --stream is given; it comes before the configuration file"},
		{"XDG_CONFIG_HOME, XDG_STATE_HOME", "directories of the files below (~/.config, ~/.local/state)"},
	}
)

// configTerm describes the configuration file.
func (p *program) configTerm() Term {
	return Term{
		"$XDG_CONFIG_HOME/tbcam/" + p.configName(),
		"configuration in TOML: the flags of this program without their dashes, as in size = \"1280x720\", camera = [\"C920\"] or verbose = true; " +
			"flags on the command line come first, and commands read stream, allow-user, log and verbose alone",
	}
}

// manualCommand returns the hidden command that writes the manual pages, for make install.
func (p *program) manualCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages", Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return Mark(fmt.Errorf("name one directory; see %s --help", c.CommandPath()), ErrUsage)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return p.writeManual(p.root, args[0])
		},
	}
}

// writeManual writes the page of a command, and those of the commands below it.
func (p *program) writeManual(c *cobra.Command, dir string) error {
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(p.manualPage(c)), 0o644); err != nil {
		return err
	}
	for _, below := range c.Commands() {
		if !below.IsAvailableCommand() || below.Name() == "completion" {
			continue
		}
		if err := p.writeManual(below, dir); err != nil {
			return err
		}
	}
	return nil
}

// manualPage returns the page of a command in roff.
func (p *program) manualPage(c *cobra.Command) string {
	var m manWriter
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&m, ".TH %q 1 \"\" tbcam \"User Commands\"\n.nh\n.ad l\n", strings.ToUpper(name))
	m.startSection("NAME")
	fmt.Fprintf(&m, "%s \\- %s\n", escapeRoff(name), escapeRoff(strings.ToLower(c.Short[:1])+c.Short[1:]))
	m.startSection("SYNOPSIS")
	if c.Runnable() {
		fmt.Fprintf(&m, ".B %s\n", escapeRoff(c.UseLine()))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&m, ".br\n.B %s\n.I COMMAND\n.RB [ flags ]\n", escapeRoff(c.CommandPath()))
	}
	m.startSection("DESCRIPTION")
	m.writeParagraphs(cmp.Or(c.Long, c.Short))
	m.startSection("OPTIONS")
	for _, s := range p.sections(c) {
		fmt.Fprintf(&m, ".SS %s\n", escapeRoff(s.title))
		for _, f := range s.flags {
			label := "\\fB" + escapeRoff("--"+f.Name) + "\\fR"
			if f.Shorthand != "" {
				label = "\\fB" + escapeRoff("-"+f.Shorthand) + "\\fR, " + label
			}
			if value := p.placeholder(f); value != "" {
				label += " \\fI" + escapeRoff(value) + "\\fR"
			}
			m.writeTerm(label, describeFlag(f))
		}
	}
	p.writeManualEnd(&m, c)
	return m.String()
}

// writeManualEnd writes the sections after the options.
func (p *program) writeManualEnd(m *manWriter, c *cobra.Command) {
	if text := c.Annotations[AfterText]; text != "" {
		m.startSection(strings.ToUpper(c.Annotations[AfterTitle]))
		m.writeParagraphs(text)
	}
	if c.Example != "" {
		m.startSection("EXAMPLES")
		m.writeParagraphs(c.Example)
	}
	m.writeTerms("EXIT STATUS", exitTerms)
	m.writeTerms("SIGNALS", append(commonSignals[:len(commonSignals):len(commonSignals)], p.manual.Signals...))
	m.writeTerms("ENVIRONMENT", append(commonEnvironment[:len(commonEnvironment):len(commonEnvironment)], p.manual.Environment...))
	m.writeTerms("FILES", append(append([]Term{p.configTerm()}, commonFiles...), p.manual.Files...))
	m.startSection("SEE ALSO")
	var pages []string
	for _, other := range p.relatedCommands(c) {
		pages = append(pages, ".BR "+escapeRoff(strings.ReplaceAll(other.CommandPath(), " ", "-"))+" (1)")
	}
	m.WriteString(strings.Join(append(pages, ".BR "+p.otherProgram()+" (1)"), ",\n") + "\n")
}

// relatedCommands returns the commands around one.
func (p *program) relatedCommands(c *cobra.Command) (related []*cobra.Command) {
	if c.HasParent() {
		related = append(related, c.Parent())
	}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() && below.Name() != "completion" {
			related = append(related, below)
		}
	}
	return related
}

// otherProgram returns the page of the program at the other end.
func (p *program) otherProgram() string {
	if p.root.Name() == "tbcam-send" {
		return `tbcam\-view`
	}
	return `tbcam\-send`
}

// manWriter gathers a manual page.
type manWriter struct{ strings.Builder }

func (m *manWriter) startSection(title string) { fmt.Fprintf(m, ".SH %s\n", escapeRoff(title)) }

// writeTerm writes a label, which is roff, and its meaning.
func (m *manWriter) writeTerm(label, meaning string) {
	fmt.Fprintf(m, ".TP\n%s\n%s\n", label, escapeRoff(meaning))
}

func (m *manWriter) writeTerms(title string, terms []Term) {
	m.startSection(title)
	for _, t := range terms {
		m.writeTerm("\\fB"+escapeRoff(t.Word)+"\\fR", t.Meaning)
	}
}

// writeParagraphs writes a text; lines that are indented stay as they are.
func (m *manWriter) writeParagraphs(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			m.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(m, ".nf\n%s\n.fi\n", escapeRoff(paragraph))
			continue
		}
		fmt.Fprintln(m, escapeRoff(paragraph))
	}
}

// escapeRoff returns a text that roff prints as it is.
func escapeRoff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
