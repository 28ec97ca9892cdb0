package cli

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is how wide --help is, and flagColumn where the usages of flags begin.
const (
	helpWidth  = 80
	flagColumn = 28
)

// Annotations of a command: a text that follows its flags, and the heading of that.
const (
	AfterTitle = "after-title"
	AfterText  = "after-text"
)

// helpText returns what --help of a command prints.
func (p *program) helpText(c *cobra.Command) string {
	var h helpWriter
	h.WriteString(reflow(cmp.Or(c.Long, c.Short)))
	h.startSection("Usage")
	if c.Runnable() {
		fmt.Fprintf(&h, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&h, "  %s COMMAND [flags]\n", c.CommandPath())
	}
	if c.Example != "" {
		h.startSection("Examples")
		h.WriteString(c.Example + "\n")
	}
	h.writeCommands(c)
	for _, s := range p.sections(c) {
		h.startSection(s.title)
		for _, f := range s.flags {
			label := "    "
			if f.Shorthand != "" {
				label = "-" + f.Shorthand + ", "
			}
			h.writeEntry(strings.TrimRight(label+"--"+f.Name+" "+p.placeholder(f), " "), describeFlag(f), flagColumn)
		}
	}
	if c == p.root {
		h.WriteString("\n" + reflow("Flags can also be in ~/.config/tbcam/"+p.configName()+", and --stream in "+streamVariable+": see man "+c.Name()+"."))
	}
	if text := c.Annotations[AfterText]; text != "" {
		h.startSection(c.Annotations[AfterTitle])
		h.WriteString(text)
	}
	return h.String()
}

// helpCommand returns the command that prints the help of another one.
func (p *program) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Print the help of a command",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := p.root.Find(args)
			if err != nil || len(rest) > 0 {
				return NoArgs(cmp.Or(about, p.root), append(rest, args...))
			}
			return about.Help()
		},
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // whatever the configuration has
	}
}

// helpWriter gathers the text of a help.
type helpWriter struct{ strings.Builder }

func (h *helpWriter) startSection(title string) { fmt.Fprintf(h, "\n%s:\n", title) }

// writeCommands lists the commands below one.
func (h *helpWriter) writeCommands(c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	h.startSection("Commands")
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() || below.Name() == "help" {
			h.writeEntry(below.Name(), below.Short, c.Commands()[0].NamePadding()+4)
		}
	}
}

// writeEntry writes a label and, from a column on, its text; below the label where that
// is too long.
func (h *helpWriter) writeEntry(label, text string, column int) {
	label = "  " + label
	if utf8.RuneCountInString(label) > column-2 {
		fmt.Fprintln(h, label)
		label = ""
	}
	for _, line := range wrap(text, helpWidth-column) {
		fmt.Fprintf(h, "%-*s%s\n", column, label, line)
		label = ""
	}
}

// wrap breaks a text into lines.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

// reflow wraps the paragraphs of a text but those that are indented.
func reflow(text string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			b.WriteString(paragraph + "\n")
			continue
		}
		b.WriteString(strings.Join(wrap(paragraph, helpWidth), "\n") + "\n")
	}
	return b.String()
}
