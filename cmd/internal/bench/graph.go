package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// graph is bars in groups: beside each other, or one after another if stacked.
type graph struct {
	title, unit string
	names       []string // of the bars of a group
	stacked     bool
	groups      []group
}

type group struct {
	label  string
	values []float64
}

func (g *graph) add(label string, values ...float64) {
	g.groups = append(g.groups, group{label, values})
}

// Measures of a graph in pixels.
const (
	graphWidth = 760
	labelWidth = 150
	barHeight  = 16
	gap        = 14
	top        = 64
)

// shades are the colours of bars, which differ in grey, too.
var shades = []string{"#1b6ca8", "#f2a541", "#3c9d7a", "#b9c4cc", "#8e5ea2", "#c94f4f", "#5b6770"}

// svg draws the graph.
func (g *graph) svg() string {
	var b strings.Builder
	y := top
	for _, group := range g.groups {
		y = g.drawGroup(&b, group, y) + gap
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
<text x="12" y="22" font-size="15">%s</text>
%s%s</svg>
`, graphWidth, y+8, html.EscapeString(g.title+", "+g.unit), g.legend(), b.String())
}

// legend names the shades.
func (g *graph) legend() string {
	var b strings.Builder
	x := 12
	for i, name := range g.names {
		fmt.Fprintf(&b, `<rect x="%d" y="34" width="12" height="12" fill="%s"/><text x="%d" y="44">%s</text>`+"\n",
			x, shades[i%len(shades)], x+17, html.EscapeString(name))
		x += 34 + 7*len(name)
	}
	return b.String()
}

// drawGroup draws a group from y on, and returns where it ends.
func (g *graph) drawGroup(b *strings.Builder, group group, y int) int {
	fmt.Fprintf(b, `<text x="12" y="%d">%s</text>`+"\n", y+barHeight-4, html.EscapeString(group.label))
	x, scale, sum := float64(labelWidth), (graphWidth-labelWidth-70)/g.longest(), 0.0
	for i, value := range group.values {
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n",
			x, y, value*scale, barHeight, shades[i%len(shades)])
		if sum += value; g.stacked {
			x += value * scale
			continue
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", x+value*scale+5, y+barHeight-4, figure(value))
		y += barHeight + 2
	}
	if g.stacked {
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", x+5, y+barHeight-4, figure(sum))
		y += barHeight
	}
	return y
}

// longest returns the value of the longest bar.
func (g *graph) longest() float64 {
	longest := 0.001
	for _, group := range g.groups {
		sum := 0.0
		for _, value := range group.values {
			if sum += value; g.stacked {
				longest = max(longest, sum)
				continue
			}
			longest = max(longest, value)
		}
	}
	return longest
}

// writeGraphs renews the graphs of the documentation.
func (b *bench) writeGraphs() error {
	if b.docs == "" {
		return nil
	}
	for name, g := range b.graphs {
		if err := os.WriteFile(filepath.Join(b.docs, name), []byte(g.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
