package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FlagGroup is flags that belong together, under one heading of --help.
type FlagGroup struct {
	Title string
	Flags []FlagInfo
}

// RunningFlags is the group of flags that both programs have about how they run.
var RunningFlags = FlagGroup{Title: "Running", Flags: []FlagInfo{
	{Name: "frames"},
	{Name: "duration"},
	{Name: "wait"},
	{Name: "stats", Choices: []string{"text", "json"}},
	{Name: "log", Choices: []string{"text", "json"}},
	{Name: "verbose"},
	{Name: "help"},
	{Name: "version"},
}}

// FlagInfo is what --help, completion and the manual have of a flag beside its usage. It
// holds for the flag of that name in each command.
type FlagInfo struct {
	Name     string
	Value    string               // placeholder, "" where the usage has it between backticks
	Choices  []string             // values that complete it
	Complete cobra.CompletionFunc // likewise, where they are found out
	Files    bool                 // names of files complete it
}

// program is the commands of a program with what is common to them.
type program struct {
	root   *cobra.Command
	groups []FlagGroup
	manual Manual
}

// Finish completes the commands of a program when all of them have their flags: help,
// completion, the texts of errors, the configuration file, and the manual.
func Finish(root *cobra.Command, groups []FlagGroup, manual Manual) {
	p := &program{root: root, groups: groups, manual: manual}
	root.AddCommand(p.manualCommand())
	root.SetHelpCommand(p.helpCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), p.helpText(c)) })
	root.SetFlagErrorFunc(p.explainFlagError)
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return p.applyConfig(c) }
	root.Flags().Bool("version", false, "print the version")
	visitCommands(root, func(c *cobra.Command) {
		c.Flags().BoolP("help", "h", false, "print this help")
		p.registerCompletion(c)
	})
}

// visitCommands calls visit for a command and all below it.
func visitCommands(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, below := range c.Commands() {
		visitCommands(below, visit)
	}
}

// info returns what the table has of a flag.
func (p *program) info(name string) FlagInfo {
	for _, g := range p.groups {
		if i := slices.IndexFunc(g.Flags, func(f FlagInfo) bool { return f.Name == name }); i >= 0 {
			return g.Flags[i]
		}
	}
	return FlagInfo{}
}

// flagSection is flags below a heading.
type flagSection struct {
	title string
	flags []*pflag.Flag
}

// sections returns the flags of a command as help lists them: those of the program by the
// groups of the table, those of another command before those that all have.
func (p *program) sections(c *cobra.Command) []flagSection {
	if c != p.root {
		return dropEmpty([]flagSection{{"Flags", listFlags(c.LocalFlags())}, {"Flags of all commands", listFlags(c.InheritedFlags())}})
	}
	rest := listFlags(c.LocalFlags())
	var sections []flagSection
	for _, g := range p.groups {
		s := flagSection{title: g.Title}
		for _, info := range g.Flags {
			if i := slices.IndexFunc(rest, func(f *pflag.Flag) bool { return f.Name == info.Name }); i >= 0 {
				s.flags, rest = append(s.flags, rest[i]), slices.Delete(rest, i, i+1)
			}
		}
		sections = append(sections, s)
	}
	return dropEmpty(append(sections, flagSection{"Other", rest}))
}

func dropEmpty(sections []flagSection) []flagSection {
	return slices.DeleteFunc(sections, func(s flagSection) bool { return len(s.flags) == 0 })
}

// listFlags returns the flags of a set that help shows.
func listFlags(f *pflag.FlagSet) (flags []*pflag.Flag) {
	f.VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			flags = append(flags, flag)
		}
	})
	return flags
}

// goTypes are names of types that pflag shows where a usage names no value.
var goTypes = []string{"string", "strings", "stringArray", "int", "uint", "uint64", "float", "float64", "duration", "value", "func"}

// placeholder returns what stands for the value of a flag in help, "" for one that takes
// none.
func (p *program) placeholder(f *pflag.Flag) string {
	if f.Value.Type() == "bool" {
		return ""
	}
	name, _ := pflag.UnquoteUsage(f)
	if info := p.info(f.Name); info.Value != "" && slices.Contains(goTypes, name) {
		return info.Value
	}
	return name
}

// zeroDefaults are defaults that say nothing.
var zeroDefaults = []string{"", "0", "0s", "false", "[]", "-1"}

// describeFlag returns the usage of a flag with its default.
func describeFlag(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	if !slices.Contains(zeroDefaults, f.DefValue) {
		usage += " (default " + f.DefValue + ")"
	}
	return usage
}
