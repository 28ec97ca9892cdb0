package paint

import (
	"image"
	"regexp"
)

// table is lines of as many cells: texts at the left, figures at the right.
type table struct {
	lines   [][]string
	columns []int // their widths in pixels
	width   int
}

// between separates the cells of a line.
var between = regexp.MustCompile(`\s{2,}`)

// splitTables returns lines as tables, one for each run of lines with as many cells.
// Columns that a width in pixels has no room for are left out, those in the middle
// first: the last one is a maximum.
func (s *Style) splitTables(lines []string, room int) (all []table) {
	for _, line := range lines {
		cells := trimCells(between.Split(s.Small.Clean(line), -1))
		if len(cells) == 0 {
			continue
		}
		if n := len(all); n == 0 || len(all[n-1].lines[0]) != len(cells) {
			all = append(all, table{})
		}
		last := &all[len(all)-1]
		last.lines = append(last.lines, cells)
	}
	for i := range all {
		s.fitTable(&all[i], room)
	}
	return all
}

// trimCells removes the empty cells that indentation makes.
func trimCells(cells []string) []string {
	for len(cells) > 0 && cells[0] == "" {
		cells = cells[1:]
	}
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	return cells
}

// fitTable computes the widths of a table, and removes columns until it fits.
func (s *Style) fitTable(t *table, room int) {
	for {
		t.measureColumns(s)
		last := len(t.columns) - 1
		if t.width <= room || last < 2 {
			break
		}
		for i, line := range t.lines {
			t.lines[i] = append(line[:last-1:last-1], line[last])
		}
	}
	if t.width > room {
		t.columns[0] = max(1, t.columns[0]-(t.width-room))
		for _, line := range t.lines {
			line[0] = s.Small.Cut(line[0], t.columns[0])
		}
		t.width = room
	}
}

// measureColumns computes the width of each column and of all.
func (t *table) measureColumns(s *Style) {
	t.columns, t.width = make([]int, len(t.lines[0])), -s.Px(columnGap)
	for i := range t.columns {
		for _, line := range t.lines {
			t.columns[i] = max(t.columns[i], s.Small.Width(line[i]))
		}
		t.width += t.columns[i] + s.Px(columnGap)
	}
}

// columnGap is between two columns, in device-independent pixels.
const columnGap = 14

// drawTable draws a table with its upper left corner at (x, y).
func (s *Style) drawTable(m *image.RGBA, t table, x, y int) {
	for _, line := range t.lines {
		right := x
		for i, cell := range line {
			right += t.columns[i]
			if i == 0 {
				s.Small.Write(m, cell, x, y, Muted)
			} else {
				s.Small.Write(m, cell, right-s.Small.Width(cell), y, Text)
			}
			right += s.Px(columnGap)
		}
		y += s.Small.Line
	}
}
