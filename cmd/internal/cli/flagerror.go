package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
)

// explainFlagError replaces the words of pflag and of Go's own parsers.
func (p *program) explainFlagError(c *cobra.Command, err error) error {
	text := err.Error()
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
		syntax  *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		text = fmt.Sprintf("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		text = fmt.Sprintf("unknown flag --%s%s", unknown.GetSpecifiedName(), didYouMean("--", unknown.GetSpecifiedName(), flagNames(c)))
	case errors.As(err, &missing):
		text = fmt.Sprintf("--%s needs a value: %s", missing.GetFlag().Name, p.placeholder(missing.GetFlag()))
	case errors.As(err, &invalid):
		text = "--" + invalid.GetFlag().Name + describeBadValue(invalid.GetFlag(), invalid.GetValue(), invalid.Unwrap())
	case errors.As(err, &syntax):
		text = fmt.Sprintf("%q is not a flag", syntax.GetSpecifiedFlag())
	}
	return Mark(fmt.Errorf("%s; see %s --help", text, c.CommandPath()), ErrUsage)
}

// wanted describes the values of flags whose own errors are those of Go's parsers.
var wanted = map[string]string{
	"int": "want a whole number", "uint64": "want a whole number, not negative", "float64": "want a number",
	"duration": "want a time such as 90s or 10m", "bool": "want true or false",
}

// describeBadValue returns what is wrong with the value of a flag, to follow its name.
func describeBadValue(f *pflag.Flag, value string, cause error) string {
	text := wanted[f.Value.Type()]
	if text == "" {
		text = cause.Error()
	}
	if strings.Contains(text, strconv.Quote(value)) {
		return ": " + text
	}
	return fmt.Sprintf(" %q: %s", capture.Printable(value), text)
}

// flagNames returns the names of a command's flags.
func flagNames(c *cobra.Command) (names []string) {
	for _, set := range []*pflag.FlagSet{c.LocalFlags(), c.InheritedFlags()} {
		for _, f := range listFlags(set) {
			names = append(names, f.Name)
		}
	}
	return names
}

// maxSuggestions bounds how many words are suggested in place of a mistyped one.
const maxSuggestions = 3

// didYouMean returns a question about words that resemble a mistyped one, "" if none does.
func didYouMean(prefix, typed string, words []string) string {
	var c cobra.Command // which knows a distance of commands
	for _, word := range words {
		c.AddCommand(&cobra.Command{Use: word, Run: func(*cobra.Command, []string) {}})
	}
	var similar []string
	for c.SuggestionsMinimumDistance = 1; len(similar) == 0 && c.SuggestionsMinimumDistance <= 2; c.SuggestionsMinimumDistance++ {
		similar = c.SuggestionsFor(typed)
	}
	if len(similar) == 0 {
		return ""
	}
	similar = similar[:min(len(similar), maxSuggestions)]
	return "; did you mean " + prefix + strings.Join(similar, " or "+prefix) + "?"
}

// NoArgs refuses arguments in the way flags are refused.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var commands []string
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			commands = append(commands, below.Name())
		}
	}
	return Mark(fmt.Errorf("unknown argument %q%s; see %s --help", args[0], didYouMean("", args[0], commands), c.CommandPath()), ErrUsage)
}
