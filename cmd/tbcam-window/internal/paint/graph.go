package paint

import (
	"image"
	"math"
	"slices"
	"strconv"
)

// graphHeight is that of the graph's bars in device-independent pixels.
const graphHeight = 64

// Statistics draws a graph of latencies in milliseconds, the newest at its right
// edge, above the lines of tables, which are beside each other where there is room;
// in at most a width in pixels.
func (s *Style) Statistics(latency []float32, lines []string, width int) *image.RGBA {
	pad, gap := s.Px(10), s.Px(24)
	room := max(1, width-2*pad)
	tables := s.splitTables(lines, room)
	all, highest, high := -gap, 0, 0
	widest := min(s.Px(300), room)
	for _, t := range tables {
		all += t.width + gap
		widest = max(widest, t.width)
		highest = max(highest, len(t.lines)*s.Small.Line)
		high += len(t.lines)*s.Small.Line + s.Px(8)
	}
	beside := all <= room
	if beside {
		widest, high = max(widest, all), highest
	}
	below := pad + s.Px(graphHeight) + s.Px(8)
	m := s.newBox(widest+2*pad, below+high+pad)
	s.drawGraph(m, image.Rect(pad, pad, pad+widest, pad+s.Px(graphHeight)), latency)
	x, y := pad, below
	for _, t := range tables {
		s.drawTable(m, t, x, y)
		if beside {
			x += t.width + gap
		} else {
			y += len(t.lines)*s.Small.Line + s.Px(8)
		}
	}
	return m
}

// drawGraph draws a bar for each latency, and lines at round figures.
func (s *Style) drawGraph(m *image.RGBA, place image.Rectangle, latency []float32) {
	label := s.Small.Width("0000 ms")
	bars := place
	bars.Max.X -= label
	step := max(1, s.Px(1))
	room := max(0, bars.Dx()/step)
	latency = latency[max(0, len(latency)-room):]
	top, mark := roundCeiling(latency)
	height := func(ms float64) int { return int(min(1, ms/top)*float64(place.Dy()) + 0.5) }
	for i, ms := range latency {
		x, y := bars.Max.X-(len(latency)-i)*step, place.Max.Y-height(float64(ms))
		Fill(m, image.Rect(x, y, x+step, place.Max.Y), 0, Shade)
		Fill(m, image.Rect(x, y, x+step, y+s.Px(2)), 0, Accent)
	}
	for ms := mark; ms <= top; ms += mark {
		y := place.Max.Y - height(ms)
		Fill(m, image.Rect(bars.Min.X, y, bars.Max.X, y+1), 0, Faint)
		text := strconv.Itoa(int(ms)) + " ms"
		s.Small.Write(m, text, place.Max.X-s.Small.Width(text), max(place.Min.Y-s.Px(2), y-s.Small.Line/2), Muted)
	}
	Fill(m, image.Rect(bars.Min.X, place.Max.Y, bars.Max.X, place.Max.Y+1), 0, Faint)
}

// roundCeiling returns the round figures of milliseconds that the graph ends at and
// that its lines are apart. It has two lines, and room for all but the worst: one
// hiccup must not flatten the rest.
func roundCeiling(latency []float32) (top, mark float64) {
	most := 10.0
	if n := len(latency); n > 0 {
		sorted := slices.Sorted(slices.Values(latency))
		most = max(most, 1.3*float64(sorted[(n-1)*95/100]))
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	for _, n := range []float64{1, 2, 4, 6, 10} {
		if top = n * unit; top >= most {
			break
		}
	}
	return top, top / 2
}
