package meter

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDocumentedKeys: docs/statistics.md has each key of --stats json in the first column of
// a table, and no other ones but those of latency-test.
func TestDocumentedKeys(t *testing.T) {
	full := Summary{
		Time: time.Now(), Mode: &Mode{}, Clock: &Clock{}, Recorder: &Recorder{Audio: &Audio{}}, Playback: []Playback{{}}, Outcomes: Outcomes{},
		Report: Report{Figures: Figures{Latency: []Latency{{}}}, LastSecond: Figures{Latency: []Latency{}}},
	}
	var object any
	text, err := json.Marshal(full)
	if err == nil {
		err = json.Unmarshal(text, &object)
	}
	if err != nil {
		t.Fatal(err)
	}
	emitted := keysOf(object)
	page, err := os.ReadFile("../../../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, _, _ := strings.Cut(string(page), "## From glass to glass")
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(tables, -1) {
		for _, word := range regexp.MustCompile("`([a-z0-9_]+)(?:\\[\\])?`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, word[1])
		}
	}
	for _, key := range emitted {
		if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(key) || !slices.Contains(documented, key) {
			t.Errorf("%q is not documented, or not in snake case", key)
		}
	}
	for _, key := range documented {
		if !slices.Contains(emitted, key) {
			t.Errorf("%q is documented and not emitted", key)
		}
	}
}

// keysOf returns the keys of objects inside a value.
func keysOf(value any) (keys []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			keys = append(append(keys, key), keysOf(below)...)
		}
	case []any:
		for _, below := range v {
			keys = append(keys, keysOf(below)...)
		}
	}
	return keys
}
