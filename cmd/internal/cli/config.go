package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// streamVariable names the stream where no flag does.
const streamVariable = "TBCAM_STREAM"

// commonKeys are what a configuration file sets in all commands; the others are for the
// program without a command.
var commonKeys = []string{"stream", "allow-user", "log", "verbose"}

// refusedKeys are flags that a configuration file may not have, and why.
var refusedKeys = map[string]string{
	"allow-unpaired": "is for the command line only: it serves anybody at the other end",
	"help":           "is for the command line only",
	"version":        "is for the command line only",
}

// originAnnotation has where the value of a flag comes from, if not from the command line.
const originAnnotation = "tbcam-origin"

// fileSetting is a flag's value, or several, in a configuration file.
type fileSetting struct {
	place  string // PATH:LINE
	key    string
	values []string
}

// applyConfig sets the flags of a command that are not given: from the environment, and
// from the configuration file of the program.
func (p *program) applyConfig(c *cobra.Command) error {
	if c.Hidden || c.HasParent() && c.Parent().Name() == "completion" {
		return nil // what installs the program has no configuration
	}
	given := map[string]bool{}
	c.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = true })
	if stream := os.Getenv(streamVariable); stream != "" && !given["stream"] && c.Flag("stream") != nil {
		given["stream"] = true
		if err := setFrom(c.Flag("stream"), streamVariable, stream); err != nil {
			return err
		}
	}
	settings, err := readConfig(p.configPath())
	if err != nil {
		return Mark(err, ErrUsage)
	}
	for _, s := range settings {
		if err := p.applySetting(c, s, given[s.key]); err != nil {
			return Mark(fmt.Errorf("%s: %w", s.place, err), ErrUsage)
		}
	}
	return nil
}

// configPath returns the path of the configuration file, "" if there is no place for it.
func (p *program) configPath() string {
	dir, err := os.UserConfigDir() // $XDG_CONFIG_HOME
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "tbcam", p.configName())
}

// configName returns the name of the configuration file: send.toml or view.toml.
func (p *program) configName() string { return strings.TrimPrefix(p.root.Name(), "tbcam-") + ".toml" }

// applySetting sets the flag that a setting is for, unless it is given.
func (p *program) applySetting(c *cobra.Command, s fileSetting, given bool) error {
	known := p.root.Flag(s.key)
	switch {
	case known == nil:
		return fmt.Errorf("unknown key %q%s", s.key, didYouMean("", s.key, flagNames(p.root)))
	case refusedKeys[s.key] != "":
		return fmt.Errorf("%s %s", s.key, refusedKeys[s.key])
	}
	if len(s.values) != 1 && !strings.Contains(known.Usage, "(repeatable)") {
		return fmt.Errorf("%s takes one value", s.key)
	}
	f := c.Flag(s.key)
	if given || f == nil || c != p.root && !slices.Contains(commonKeys, s.key) {
		return nil
	}
	for _, value := range s.values {
		if err := setFrom(f, s.place, value); err != nil {
			return err
		}
	}
	return nil
}

// setFrom sets a flag from a place that is not the command line.
func setFrom(f *pflag.Flag, origin, value string) error {
	if err := f.Value.Set(value); err != nil {
		return errors.New(f.Name + describeBadValue(f, value, err))
	}
	f.Changed = true
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[originAnnotation] = []string{origin}
	return nil
}

// locateError adds to an error that names a flag where its value comes from.
func locateError(c *cobra.Command, err error) error {
	if c == nil || !errors.Is(err, ErrUsage) {
		return err
	}
	text, place, longest := err.Error(), "", ""
	c.Flags().VisitAll(func(f *pflag.Flag) {
		origin := f.Annotations[originAnnotation]
		if len(origin) > 0 && len(f.Name) > len(longest) && strings.Contains(text, "--"+f.Name) {
			place, longest = origin[0]+": ", f.Name
		}
	})
	return Mark(fmt.Errorf("%s%w", place, err), ErrUsage)
}

// readConfig reads a configuration file. One that does not exist has no settings; neither has
// one where this user may not look: a home may be another one's, or /dev/null.
func readConfig(path string) ([]fileSetting, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := checkSyntax(path, text); err != nil {
		return nil, err
	}
	parser := unstable.Parser{}
	parser.Reset(text)
	var settings []fileSetting
	for parser.NextExpression() {
		s, err := readSetting(&parser, parser.Expression())
		s.place = fmt.Sprintf("%s:%s", path, s.place)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.place, err)
		}
		settings = append(settings, s)
	}
	return settings, parser.Error()
}

// checkSyntax returns an error with its place where a text is not TOML.
func checkSyntax(path string, text []byte) error {
	var all map[string]any
	err := toml.Unmarshal(text, &all)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ := at.Position()
		return fmt.Errorf("%s:%d: %s", path, line, strings.TrimPrefix(at.Error(), "toml: "))
	}
	if err != nil {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "toml: "))
	}
	return nil
}

// readSetting reads an expression; its place is its line alone.
func readSetting(parser *unstable.Parser, e *unstable.Node) (s fileSetting, err error) {
	var parts []string
	for key := e.Key(); key.Next(); {
		if s.place == "" {
			s.place = fmt.Sprint(parser.Shape(key.Node().Raw).Start.Line)
		}
		parts = append(parts, string(key.Node().Data))
	}
	s.key = strings.Join(parts, ".")
	if e.Kind != unstable.KeyValue {
		return s, fmt.Errorf("[%s]: there are no tables; write the flags as NAME = VALUE", s.key)
	}
	s.values, err = readValues(e.Value())
	if err != nil {
		err = fmt.Errorf("%s: %w", s.key, err)
	}
	return s, err
}

var errValueKind = errors.New("want a text between quotes, a number, true or false, or a list of these")

// readValues returns the values of a list, or one value.
func readValues(v *unstable.Node) ([]string, error) {
	switch v.Kind {
	case unstable.String, unstable.Bool:
		return []string{string(v.Data)}, nil
	case unstable.Integer, unstable.Float:
		return []string{strings.ReplaceAll(string(v.Data), "_", "")}, nil
	case unstable.Array:
		var all []string
		for items := v.Children(); items.Next(); {
			values, err := readValues(items.Node())
			if err != nil {
				return nil, err
			}
			all = append(all, values...)
		}
		return all, nil
	}
	return nil, errValueKind
}
