package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"github.com/tbcam/tbcam/sink/record"
)

// screen is standard error. On a terminal it keeps a line of status below what is
// logged.
type screen struct {
	file *os.File

	mu   sync.Mutex
	line string // that is there now
}

// clearLine goes to the start of the line and erases it (ECMA-48, EL).
const clearLine = "\r\x1b[K"

func (s *screen) isTerminal() bool { return term.IsTerminal(int(s.file.Fd())) }

// Write implements io.Writer for whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" {
		return s.file.Write(p)
	}
	_, err := fmt.Fprintf(s.file, "%s%s%s", clearLine, p, s.line)
	return len(p), err
}

// showLine replaces the line, an empty one by nothing. What is too wide is cut, since
// a line that wraps cannot be replaced.
func (s *screen) showLine(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if width, _, err := term.GetSize(int(s.file.Fd())); err == nil && width > 0 && utf8.RuneCountInString(line) >= width {
		line = string([]rune(line)[:width-1])
	}
	if line != s.line {
		s.line = line
		fmt.Fprint(s.file, clearLine, line)
	}
}

// Without a terminal, the log gets the status once in so long.
const logEvery = time.Minute

// showStatus shows how the recording goes, until the context ends: every second on a
// terminal that nothing else is printed on.
func (o *recordOutput) showStatus(ctx context.Context, s *screen, quiet bool) {
	every, show := logEvery, func(line string) { o.run.log.Info(line) }
	if s.isTerminal() && !quiet {
		every, show = time.Second, s.showLine
		defer s.showLine("")
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for pace := (pace{at: time.Now()}); ; {
		select {
		case now := <-ticker.C:
			stats := o.recorder.Stats()
			show(describeRecording(stats, pace.growthRate(stats.Bytes, now), o.run.bridge.isConnected()))
		case <-ctx.Done():
			return
		}
	}
}

// pace measures how fast a count grows, on the average of some ten calls.
type pace struct {
	count uint64
	at    time.Time
	mean  float64
}

// growthRate returns the growth per second.
func (p *pace) growthRate(count uint64, now time.Time) float64 {
	if seconds := now.Sub(p.at).Seconds(); !p.at.IsZero() && seconds > 0 {
		latest := float64(count-p.count) / seconds
		if p.mean == 0 {
			p.mean = latest
		}
		p.mean += (latest - p.mean) / 10
	}
	p.count, p.at = count, now
	return p.mean
}

// describeRecording returns in a line how a recording goes; rate is in bytes per second.
func describeRecording(s record.Stats, rate float64, connected bool) string {
	state := "recording"
	switch {
	case s.Problem != "":
		state = "stalled: " + s.Problem
	case !s.Recording:
		state = "not recording"
	case !connected:
		state = "recording is waiting for tbcam-send:"
	}
	line := fmt.Sprintf("%s %s, %d frames, %s", state, formatClock(s.Length), s.Frames, humanize.Bytes(s.Bytes))
	if rate > 0 {
		line += ", " + humanize.Bytes(uint64(rate)) + "/s"
	}
	if s.Dropped > 0 {
		line += fmt.Sprintf(", %d dropped", s.Dropped)
	}
	if s.Free > 0 {
		line += ", " + humanize.Bytes(s.Free) + " free"
	}
	if s.Free > 0 && rate > 0 {
		line += " for " + formatRoughly(time.Duration(math.Min(float64(s.Free)/rate, 1e9)*float64(time.Second)))
	}
	return line
}

// formatClock writes a length as hours, minutes and seconds.
func formatClock(d time.Duration) string {
	seconds := int(d.Seconds())
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// formatRoughly writes a long time in its largest unit.
func formatRoughly(d time.Duration) string {
	switch hours := d.Hours(); {
	case hours >= 48:
		return fmt.Sprintf("%.0f days", hours/24)
	case hours >= 2:
		return fmt.Sprintf("%.0f h", hours)
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}
