package latencytest

import (
	"slices"
	"sync"
	"time"
)

// Meter puts together when codes were shown and when they were seen. It is safe
// for concurrent use.
//
// A code's time begins when its frame is handed to the window and ends when a
// frame of the camera that shows it is ready to be handed there. So the time is
// that of one whole round, in which the window, the screen, the camera and the
// cable each count once: the time from glass to glass.
type Meter struct {
	mu      sync.Mutex
	shown   map[int]time.Time // codes that were not seen yet
	newest  int               // that was seen; 0: none
	gap     bool              // frames since the last one were not looked at
	samples []time.Duration
	counts  Counts
}

// Counts holds what became of the camera's frames.
type Counts struct {
	Frames     int `json:"frames"`     // that were looked at
	Unreadable int `json:"unreadable"` // of these: no code, or one that was just changing
	Skipped    int `json:"skipped"`    // that were not looked at, for want of time
}

// NewMeter returns a meter.
func NewMeter() *Meter { return &Meter{shown: map[int]time.Time{}} }

// Shown notes that the frame of a code was handed to the window; numbers rise
// from 1.
func (m *Meter) Shown(number int, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shown[number] = at
}

// Seen notes that the camera's next frame, which was ready at a time, shows a
// code. The first frame of a code is a sample; one that was superseded by a
// newer code, or came after a gap, is no sample.
func (m *Meter) Seen(number int, ready time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Frames++
	begun, known := m.shown[number]
	if number <= m.newest || !known {
		return
	}
	if m.newest != 0 && !m.gap {
		m.samples = append(m.samples, ready.Sub(begun))
	}
	m.newest, m.gap = number, false
	for n := range m.shown {
		if n <= number {
			delete(m.shown, n)
		}
	}
}

// Unreadable notes that the camera's next frame shows no code.
func (m *Meter) Unreadable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Frames++
	m.counts.Unreadable++
}

// Skipped notes that the camera's next frame was not examined.
func (m *Meter) Skipped() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Skipped++
	m.gap = true
}

// Samples returns how many there are.
func (m *Meter) Samples() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.samples)
}

// Report is the distribution in milliseconds.
type Report struct {
	Samples int     `json:"samples"`
	Min     float64 `json:"min_ms"`
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	Counts
}

// Report returns the distribution so far.
func (m *Meter) Report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Report{Samples: len(m.samples), Counts: m.counts}
	if len(m.samples) == 0 {
		return r
	}
	sorted := slices.Sorted(slices.Values(m.samples))
	at := func(percent int) float64 { // the nearest rank
		return float64(sorted[(len(sorted)*percent+99)/100-1].Microseconds()) / 1000
	}
	r.Min, r.P50, r.P95, r.P99, r.Max = float64(sorted[0].Microseconds())/1000, at(50), at(95), at(99), at(100)
	return r
}
