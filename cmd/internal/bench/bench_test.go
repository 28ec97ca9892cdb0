package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/meter"
)

func TestMedian(t *testing.T) {
	got := medianOf([]sample{{"a": 3, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 9}})
	if got["a"] != 2 || got["b"] != 1 {
		t.Errorf("%v", got)
	}
}

func TestMarkdown(t *testing.T) {
	table := table{head: []string{"frames", "ms"}, note: "A note."}
	table.add("1080p", 123.4)
	table.add("", 1.234)
	const want = "| frames | ms |\n|---|---|\n| 1080p | 123 |\n|  | 1.23 |\n\nA note.\n"
	if got := table.markdown(); got != want {
		t.Errorf("%q", got)
	}
}

// TestRenew: the text of one part is replaced, whatever its length, and the page has all
// parts that there are.
func TestRenew(t *testing.T) {
	page, err := os.ReadFile("../../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := t.TempDir()
	path := filepath.Join(docs, "performance.md")
	if err := os.WriteFile(path, page, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a line\n", "two\nlines\n", ""} {
		for _, p := range parts {
			if err := renew(docs, p.name, text); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(got), " -->\n"+text+"<!-- end -->\n"); n != len(parts) {
			t.Errorf("%q: %d parts of %d", text, n, len(parts))
		}
	}
	if err := renew(docs, "another", ""); err == nil {
		t.Error("a part that the page does not have is renewed")
	}
}

// TestGraph: it is XML, no bar leaves it, and stacked bars follow one another.
func TestGraph(t *testing.T) {
	for _, stacked := range []bool{false, true} {
		g := graph{title: "a < b", unit: "ms", names: []string{"one", "two"}, stacked: stacked}
		g.add("1080p", 10, 30)
		g.add("4K", 0, 80)
		var svg struct {
			Width int `xml:"width,attr"`
			Rects []struct {
				X     float64 `xml:"x,attr"`
				Y     float64 `xml:"y,attr"`
				Width string  `xml:"width,attr"`
			} `xml:"rect"`
		}
		if err := xml.Unmarshal([]byte(g.svg()), &svg); err != nil {
			t.Fatal(err)
		}
		bars := svg.Rects[len(svg.Rects)-4:]
		for i, bar := range bars[:2] {
			if i > 0 && (bar.X > bars[0].X) != stacked || i > 0 && (bar.Y > bars[0].Y) == stacked {
				t.Errorf("stacked %v: %+v", stacked, bars)
			}
			if bar.X >= float64(svg.Width) {
				t.Errorf("%+v leaves the graph", bar)
			}
		}
	}
}

func TestOutcomes(t *testing.T) {
	s := meter.Summary{Outcomes: []meter.Outcome{
		{Name: "sent", Count: 90}, {Name: "superseded before sending", Count: 8}, {Name: "dropped by the camera", Count: 2}, {Name: "lost on the link", Count: 1},
	}}
	s.Seconds, s.Frames = 2, 89
	before := meter.Summary{Outcomes: []meter.Outcome{{Name: "sent", Count: 45}, {Name: "superseded before sending", Count: 5}}}
	before.Seconds, before.Frames = 1, 45
	if m := limitsOf(before, s); m["superseded before sending"] != 6 || m["lost on the link"] != 2 || m["fps"] != 44 {
		t.Errorf("%v", m)
	}
	s.Outcomes = append(s.Outcomes, meter.Outcome{Name: "recorded", Count: 50})
	if captured, dropped := countDropped(s); captured != 100 || dropped != 11 {
		t.Errorf("%v of %v are dropped", dropped, captured)
	}
}
