package preset

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

var controls = []capture.Control{
	{ID: 1, Name: "Auto Exposure", Type: "menu", Max: 3, Value: 1, Menu: []capture.ControlMenuItem{{Index: 1, Name: "Manual Mode"}, {Index: 3, Name: "Aperture Priority"}}},
	{ID: 2, Name: "Exposure Time, Absolute", Type: "int", Min: 1, Max: 5000, Step: 1, Value: 156},
	{ID: 3, Name: "White Balance, Automatic", Type: "bool", Max: 1, Value: 1},
	{ID: 4, Name: "White Balance Temperature", Type: "int", Min: 2800, Max: 6500, Value: 4000, Inactive: true},
	{ID: 5, Name: "Label", Type: "string", Max: 8, Text: "a b "},
	{ID: 6, Name: "Temperature", Type: "int", Max: 99, Value: 50, ReadOnly: true},
	{ID: 7, Name: "Reset", Type: "button", WriteOnly: true},
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	file, err := Of("HD Webcam", controls).Save("evening")
	if err != nil || file != filepath.Join(dir, "tbcam", "presets", "evening.json") {
		t.Fatalf("%s, %v", file, err)
	}
	p, err := Load("evening")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Settings(controls)
	want := []capture.Setting{{ID: 1, Value: 1}, {ID: 2, Value: 156}, {ID: 3, Value: 1}, {ID: 5, Text: "a b "}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// A file that a person wrote: one control is overridden until another is set, one
// takes no such value, and two are not there.
func TestSettings(t *testing.T) {
	p := Preset{Camera: "other", Values: map[string]string{
		"white_balance_automatic": "off", "white_balance_temperature": "3200", "exposure_time_absolute": "0", "gamma": "1", "hue": "2",
	}}
	got, err := p.Settings(controls)
	want := []capture.Setting{{ID: 3}, {ID: 4, Value: 3200}}
	if !reflect.DeepEqual(got, want) || !errors.Is(err, capture.ErrControlValue) || !errors.Is(err, capture.ErrNoControl) || !strings.Contains(err.Error(), "2 controls") {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestLoadFails(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	wantError := func(name, want string) {
		t.Helper()
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	wantError("a", "control --save NAME")
	if _, err := Of("", nil).Save("day"); err != nil {
		t.Fatal(err)
	}
	wantError("a", "there are day")
	for _, name := range []string{"", "../x", ".hidden"} {
		wantError(name, "no slash")
	}
	if err := os.WriteFile(filepath.Join(dir, "tbcam", "presets", "bad.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError("bad", "not a preset in JSON")
}
