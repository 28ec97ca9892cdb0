package meter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Outcome is what became of a number of frames.
type Outcome struct {
	Name  string
	Count uint64
}

// Outcomes are what became of all frames. In JSON they are an object, whose keys are the
// names with underscores.
type Outcomes []Outcome

// Key returns the key of the outcome in JSON, such as lost_on_the_link.
func (o Outcome) Key() string { return strings.ReplaceAll(strings.ToLower(o.Name), " ", "_") }

// MarshalJSON implements json.Marshaler. The keys keep the order of the outcomes.
func (o Outcomes) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, outcome := range o {
		separator := ","
		if i == 0 {
			separator = ""
		}
		fmt.Fprintf(&b, "%s%q:%d", separator, outcome.Key(), outcome.Count)
	}
	return []byte("{" + b.String() + "}"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *Outcomes) UnmarshalJSON(text []byte) error {
	var counts map[string]uint64
	if err := json.Unmarshal(text, &counts); err != nil {
		return err
	}
	*o = nil
	for key, n := range counts {
		*o = append(*o, Outcome{strings.ReplaceAll(key, "_", " "), n})
	}
	slices.SortFunc(*o, func(a, b Outcome) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
