package meter

import (
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tbcam/tbcam/capture"
)

// Stages of the way from the camera to the eye. Total is from the driver's time
// stamp to the presentation.
const (
	Driver = iota
	Queue  // all waiting on the sender: for credit, for the encoder, for the line
	Encode
	Wire
	Decode
	Show
	Total
	numStages
)

// StageNames name the stages, in order.
var StageNames = [numStages]string{"driver", "queue", "encode", "wire", "decode", "show", "total"}

// longest is the longest latency that is distinguished, in microseconds.
const longest = int64(60 * time.Second / time.Microsecond)

// Meter gathers the figures of one program. It is safe for concurrent use.
type Meter struct {
	mu    sync.Mutex
	start time.Time
	shown uint64
	hist  histograms
	// The second that runs, the one before it, and which that is since start.
	second, before histograms
	seconds        int
	points         []point // oldest first
}

// histograms hold the latencies of each stage in microseconds.
type histograms [numStages]*hdrhistogram.Histogram

func newHistograms(digits int) (h histograms) {
	for i := range h {
		h[i] = hdrhistogram.New(1, longest, digits)
	}
	return h
}

func (h *histograms) resetAll() {
	for i := range h {
		h[i].Reset()
	}
}

// New returns a meter that starts now.
func New() *Meter {
	return &Meter{start: time.Now(), hist: newHistograms(3), second: newHistograms(2), before: newHistograms(2)}
}

// Add counts a frame that was presented (or, on the sender, written) at the
// given time. Stages whose times are not known are omitted.
func (m *Meter) Add(at *[capture.NumStages]time.Time, presented time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turnSecond(time.Now())
	m.shown++
	m.recordStage(Driver, at[capture.Captured], at[capture.Dequeued])
	m.recordEncoding(at)
	m.recordStage(Wire, at[capture.Sent], at[capture.Received])
	m.recordStage(Decode, at[capture.Received], at[capture.Decoded])
	ready := at[capture.Decoded]
	if ready.IsZero() { // a raw frame
		ready = at[capture.Received]
	}
	m.recordStage(Show, ready, presented)
	m.recordStage(Total, at[capture.Captured], presented)
}

// recordEncoding separates encoding from waiting, before it and after. A sender of an
// older version does not report when encoding began.
func (m *Meter) recordEncoding(at *[capture.NumStages]time.Time) {
	if at[capture.Encoded].IsZero() { // a block of audio
		m.recordStage(Queue, at[capture.Dequeued], at[capture.Sent])
		return
	}
	begun := at[capture.Taken]
	if begun.IsZero() {
		begun = at[capture.Dequeued]
	}
	m.recordStage(Encode, begun, at[capture.Encoded])
	if !begun.IsZero() {
		m.recordStage(Queue, at[capture.Dequeued].Add(at[capture.Encoded].Sub(begun)), at[capture.Sent])
	}
}

func (m *Meter) recordStage(stage int, from, to time.Time) {
	if from.IsZero() || to.IsZero() {
		return
	}
	// A clock estimate is off by microseconds: a stage can seem to end before
	// it began.
	micros := min(max(to.Sub(from).Microseconds(), 0), longest)
	// The value is in range, so that these cannot fail.
	_ = m.hist[stage].RecordValue(micros)
	_ = m.second[stage].RecordValue(micros)
}

// Latency is the distribution of one stage in milliseconds.
type Latency struct {
	Stage string  `json:"stage"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Figures are what happened in a time.
type Figures struct {
	Seconds float64   `json:"seconds"`
	Frames  uint64    `json:"frames"`
	FPS     float64   `json:"fps"`
	MBps    float64   `json:"mb_per_s"`
	CPU     float64   `json:"cpu_percent"` // of one core, of this process
	Latency []Latency `json:"latency"`
}

// Report is a summary since the meter was made, and of the last second.
type Report struct {
	Figures
	LastSecond Figures `json:"last_second"`
}

// Report returns the figures so far; bytes is what crossed the wire. Stages
// without samples are omitted.
func (m *Meter) Report(bytes uint64) Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := point{time.Now(), m.shown, bytes, cpuTime()}
	m.turnSecond(now.time)
	r := Report{now.figuresSince(point{time: m.start}), now.figuresSince(m.secondAgo(now))}
	r.Latency, r.LastSecond.Latency = m.hist.summarize(), m.before.summarize()
	return r
}

func (h *histograms) summarize() []Latency {
	latencies := []Latency{}
	for i, h := range h {
		if h.TotalCount() == 0 {
			continue
		}
		ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
		latencies = append(latencies, Latency{StageNames[i], ms(50), ms(95), ms(99), float64(h.Max()) / 1000})
	}
	return latencies
}

// cpuTime returns the processor time that the process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
