package report

import (
	"fmt"
	"io"
	"time"
)

// column is where the texts of entries begin.
const column = 14

// Print writes entries below a heading, as text for an issue: without a colour, and with
// spaces in front, so that Markdown leaves it as it is.
func Print(w io.Writer, heading string, entries []Entry) error {
	if _, err := fmt.Fprintln(w, heading); err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := fmt.Fprintf(w, "    %-*s%s\n", column, e.Name, e.Text); err != nil {
			return err
		}
	}
	return nil
}

// Entries returns the figures as lines of the report.
func (f *Figures) Entries() []Entry {
	return []Entry{
		{"round trip", fmt.Sprintf("p50 %s, p99 %s, max %s (%d on the idle line)",
			formatTime(f.Percentile(0.5)), formatTime(f.Percentile(0.99)), formatTime(f.Percentile(1)), len(f.Trips))},
		{"to the viewer", f.Down.format()},
		{"from it", f.Up.format()},
		{"stalls", fmt.Sprintf("%d over %v; longest exchange %s", f.Stalls, stall, formatTime(f.Longest))},
		{"damage", fmt.Sprintf("%d records, %d bytes", f.Damage.Records, f.Damage.Bytes)},
		{"losses", fmt.Sprintf("%d bytes; sessions that ended: %d", f.Lost, f.Ended)},
	}
}

func (r Rate) format() string {
	return fmt.Sprintf("%.0f MB/s (%.0f MB in %.1f s)", r.PerSecond()/1e6, float64(r.Bytes)/1e6, r.Took.Seconds())
}

// formatTime writes a time in milliseconds.
func formatTime(d time.Duration) string { return fmt.Sprintf("%.3f ms", d.Seconds()*1e3) }
