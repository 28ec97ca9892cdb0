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
	Encode
	Queue
	Wire
	Decode
	Show
	Total
	numStages
)

// StageNames name the stages, in order.
var StageNames = [numStages]string{"driver", "encode", "queue", "wire", "decode", "show", "total"}

// between are the times that bound each stage but the last two.
var between = [...][2]capture.Stage{
	Driver: {capture.Captured, capture.Dequeued},
	Encode: {capture.Dequeued, capture.Encoded},
	Queue:  {capture.Encoded, capture.Sent},
	Wire:   {capture.Sent, capture.Received},
	Decode: {capture.Received, capture.Decoded},
}

// longest is the longest latency that is told apart, in microseconds.
const longest = int64(60 * time.Second / time.Microsecond)

// Meter gathers the figures of one program. It is safe for concurrent use.
type Meter struct {
	mu    sync.Mutex
	start time.Time
	shown uint64
	hist  [numStages]*hdrhistogram.Histogram
}

// New returns a meter that starts now.
func New() *Meter {
	m := &Meter{start: time.Now()}
	for i := range m.hist {
		m.hist[i] = hdrhistogram.New(1, longest, 3)
	}
	return m
}

// Add counts a frame that was presented (or, on the sender, written) at the
// given time. Stages whose times are not known are left out.
func (m *Meter) Add(at *[capture.NumStages]time.Time, presented time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shown++
	for stage, b := range between {
		m.record(stage, at[b[0]], at[b[1]])
	}
	ready := at[capture.Decoded]
	if ready.IsZero() { // a raw picture
		ready = at[capture.Received]
	}
	m.record(Show, ready, presented)
	m.record(Total, at[capture.Captured], presented)
}

func (m *Meter) record(stage int, from, to time.Time) {
	if from.IsZero() || to.IsZero() {
		return
	}
	// A clock estimate is off by microseconds: a stage can seem to end before
	// it began.
	micros := min(max(to.Sub(from).Microseconds(), 0), longest)
	// The value is in range, so that this cannot fail.
	_ = m.hist[stage].RecordValue(micros)
}

// Latency is the distribution of one stage in milliseconds.
type Latency struct {
	Stage string  `json:"stage"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Report is a summary since the meter was made.
type Report struct {
	Seconds float64   `json:"seconds"`
	Frames  uint64    `json:"frames"`
	FPS     float64   `json:"fps"`
	MBps    float64   `json:"mb_per_s"`
	CPU     float64   `json:"cpu_percent"` // of one core, of this process
	Latency []Latency `json:"latency"`
}

// Report returns the figures so far; bytes is what crossed the wire. Stages
// without samples are left out.
func (m *Meter) Report(bytes uint64) Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Report{Seconds: time.Since(m.start).Seconds(), Frames: m.shown}
	r.FPS, r.MBps = float64(m.shown)/r.Seconds, float64(bytes)/1e6/r.Seconds
	r.CPU = 100 * cpuTime().Seconds() / r.Seconds
	for i, h := range m.hist {
		if h.TotalCount() == 0 {
			continue
		}
		ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
		r.Latency = append(r.Latency, Latency{StageNames[i], ms(50), ms(95), ms(99), float64(h.Max()) / 1000})
	}
	return r
}

// cpuTime returns the processor time that the process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
