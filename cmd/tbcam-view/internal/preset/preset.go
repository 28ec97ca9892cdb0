package preset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// Preset is what a file holds: the values in the words of capture.Control.Format,
// by the keys of the controls.
type Preset struct {
	Camera string            `json:"camera"` // of which they were taken, for a person
	Values map[string]string `json:"controls"`
}

// Of returns the values of all controls that can be set. Those that another
// control overrides are left out.
func Of(camera string, controls []capture.Control) Preset {
	p := Preset{Camera: camera, Values: map[string]string{}}
	for _, c := range controls {
		if c.Settable() == nil && !c.WriteOnly {
			p.Values[c.Key()] = c.Format(c.Setting())
		}
	}
	return p
}

// Settings returns what to set, in the driver's order, in which automatics come
// before what they override. The error joins what the camera cannot have; the rest
// can be set.
func (p Preset) Settings(controls []capture.Control) ([]capture.Setting, error) {
	var settings []capture.Setting
	var failed []error
	left := len(p.Values)
	for _, c := range controls {
		text, ok := p.Values[c.Key()]
		if !ok {
			continue
		}
		left--
		c.Inactive = false // or not any more, once what comes before it is set
		s, err := c.Parse(text)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		settings = append(settings, s)
	}
	if left > 0 {
		failed = append(failed, fmt.Errorf("%w: %d controls of the preset, of %q", capture.ErrNoControl, left, p.Camera))
	}
	return settings, errors.Join(failed...)
}

// CheckName refuses what is no name of a preset.
func CheckName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("preset %q: a name has no slash, and begins with no dot", name)
	}
	return nil
}

// presetPath returns where a preset is kept.
func presetPath(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	dir, err := os.UserConfigDir() // $XDG_CONFIG_HOME
	return filepath.Join(dir, "tbcam", "presets", name+".json"), err
}

// Save writes the preset, over an older one of that name, and returns its path.
func (p Preset) Save(name string) (string, error) {
	file, err := presetPath(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", fmt.Errorf("save preset: %w", err)
	}
	text, err := json.MarshalIndent(p, "", "  ") // maps are in the order of their keys
	if err != nil {
		return "", fmt.Errorf("save preset: %w", err)
	}
	// Whole or not at all.
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("save preset: %w", err)
	}
	return file, os.Rename(file+".new", file)
}

// Load reads a preset.
func Load(name string) (Preset, error) {
	file, err := presetPath(name)
	if err != nil {
		return Preset{}, err
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Preset{}, fmt.Errorf("load preset: there is no %s; %s", file, nameOthers())
	}
	if err != nil {
		return Preset{}, fmt.Errorf("load preset: %w", err)
	}
	var p Preset
	if err := json.Unmarshal(text, &p); err != nil {
		return Preset{}, fmt.Errorf("load preset %s: it is not a preset in JSON; remove it, and save it again", file)
	}
	return p, nil
}

// nameOthers names the presets that there are.
func nameOthers() string {
	names := List()
	if len(names) == 0 {
		return "save one with tbcam-view control --save NAME"
	}
	return "there are " + strings.Join(names, ", ")
}

// List returns the names of the presets that there are.
func List() (names []string) {
	path, err := presetPath("*")
	if err != nil {
		return nil // there is no place for any
	}
	files, _ := filepath.Glob(path)
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names
}
