package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// table is what a part prints.
type table struct {
	head []string
	rows [][]string
	note string
}

// add adds a row of texts and numbers.
func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case float64:
			row[i] = figure(v)
		default:
			row[i] = fmt.Sprint(v)
		}
	}
	t.rows = append(t.rows, row)
}

// figure prints a number with as many digits as mean anything.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// markdown returns the table as documentation has it.
func (t *table) markdown() string {
	var text strings.Builder
	line := func(cells []string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	text.WriteString(strings.Repeat("|---", len(t.head)) + "|\n")
	for _, row := range t.rows {
		line(row)
	}
	if t.note != "" {
		text.WriteString("\n" + t.note + "\n")
	}
	return text.String()
}

// renew replaces the text of a part in performance.md, between its two comments.
func renew(docs, part, text string) error {
	path := filepath.Join(docs, "performance.md")
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	renewed, err := replaceBetween(string(page), "<!-- bench "+part+" -->\n", "<!-- end -->\n", text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(renewed), 0o644)
}

// replaceBetween replaces what is between two marks.
func replaceBetween(page, begin, end, text string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, ends := strings.Cut(rest, end)
	if !ok || !ends {
		return "", fmt.Errorf("there is no %q with its %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + text + end + after, nil
}
