package harness

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// StartRecordingViewer starts a viewer that shows nothing, records and prints statistics.
func StartRecordingViewer(t *testing.T, flag string, more ...string) *Program {
	return StartViewer(t, flag, append(more, "--stats=json", "--record="+filepath.Join(t.TempDir(), "a.mkv"))...)
}

// CountFrames returns how many frames of a camera the viewer has counted, from its last
// statistics.
func CountFrames(v *Program) int { return int(lastSummary(v.Out.String(), meter.Camera).Frames) }

// ParseRecorder returns the last statistics of a camera that were printed, and the recorder's
// part of them.
func ParseRecorder(printed string) (all meter.Summary, r meter.Recorder) {
	all = lastSummary(printed, meter.Camera)
	if all.Recorder != nil {
		r = *all.Recorder
	}
	return all, r
}

// ParseMicrophone returns the last statistics of a microphone that were printed.
func ParseMicrophone(printed string) meter.Summary { return lastSummary(printed, meter.Microphone) }

// lastSummary returns the last statistics of a kind that are whole.
func lastSummary(printed string, kind meter.Kind) (none meter.Summary) {
	lines := strings.Split(printed, "\n")
	for _, line := range slices.Backward(lines[:len(lines)-1]) {
		var s meter.Summary
		if json.Unmarshal([]byte(line), &s) == nil && s.Kind == kind {
			return s
		}
	}
	return none
}

// StatLine is a line of --stats json.
type StatLine struct {
	Frames     int
	LastSecond struct {
		FPS     float64
		Latency []struct {
			Stage string
			P50   float64 `json:"p50_ms"`
			Max   float64 `json:"max_ms"`
		}
	} `json:"last_second"`
	Clock *struct {
		Uncertainty float64 `json:"uncertainty_ms"`
	}
	Outcomes map[string]int
}

// ParseStats returns all statistics that the program has printed.
func ParseStats(t *testing.T, p *Program) []StatLine {
	t.Helper()
	var all []StatLine
	for _, line := range strings.Split(strings.TrimSpace(p.Out.String()), "\n") {
		var s StatLine
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		all = append(all, s)
	}
	return all
}
