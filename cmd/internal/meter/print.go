package meter

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// State is what a program does with its stream.
type State string

// States.
const (
	Waiting   State = "waiting"   // there is no peer
	Connected State = "connected" // a peer is there, and nobody asks for frames
	Streaming State = "streaming"
	NoSignal  State = "no_signal" // frames are asked for and none come
)

// Kind is of what a summary is.
type Kind string

// Kinds.
const (
	Camera     Kind = "camera"
	Microphone Kind = "microphone" // its frames are blocks of audio
)

// Mode is the mode of a camera.
type Mode struct {
	Format string  `json:"format"`
	Width  int     `json:"width"`
	Height int     `json:"height"`
	FPS    float64 `json:"fps"`
}

// NewMode returns a camera's mode for a summary.
func NewMode(m capture.Mode) *Mode {
	return &Mode{Format: m.Pixel.String(), Width: m.Width, Height: m.Height, FPS: m.Rate.FPS()}
}

// Summary is what --stats prints.
type Summary struct {
	Time    time.Time `json:"time"`
	Program string    `json:"program"`
	State   State     `json:"state"`
	Reason  string    `json:"reason"`  // of a state without frames
	Kind    Kind      `json:"kind"`    // of what is counted
	Camera  string    `json:"camera"`  // or microphone; that was used last, empty before
	Mode    *Mode     `json:"mode"`    // of what flows, nil: nothing
	Several bool      `json:"-"`       // the program serves several cameras
	Counted string    `json:"counted"` // what happened to Report.Frames: sent, shown, received
	// Codec is what the frames are sent as: copy, jpeg or raw; "" before the first. Its
	// reason is given where the sender had the choice.
	Codec       string `json:"codec"`
	CodecReason string `json:"codec_reason"`
	Report
	// Clock is how far the sender's times can be off, nil where there are none.
	Clock    *Clock    `json:"clock"`
	Outcomes Outcomes  `json:"outcomes"`
	Recorder *Recorder `json:"recorder,omitempty"` // of tbcam-view --record
	// Playback is of --virtual-microphone and --listen.
	Playback []Playback `json:"playback,omitempty"`
}

// Clock is the estimate of the clock of the sender's host.
type Clock struct {
	Offset      float64 `json:"offset_ms"` // against the viewer's; both count since their hosts came up, or any other time
	Uncertainty float64 `json:"uncertainty_ms"`
}

// JSON writes the summary as one line.
func (s Summary) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(s.round()) }

// Line writes the summary as one line for a person.
func (s Summary) Line(w io.Writer) error {
	state := ""
	if s.State != Streaming {
		state = strings.ReplaceAll(string(s.State), "_", " ") + ", "
	}
	_, err := fmt.Fprintf(w, "%s: %s%d %s %s, %s\n", s.name(), state, s.Frames, s.units(), s.Counted, s.describeNow())
	return err
}

// units returns what is counted.
func (s Summary) units() string {
	if s.Kind == Microphone {
		return "blocks"
	}
	return "frames"
}

// rate returns the unit of FPS.
func (s Summary) rate() string {
	if s.Kind == Microphone {
		return "blocks/s"
	}
	return "fps"
}

// name returns what the summary is of.
func (s Summary) name() string {
	switch {
	case !s.Several:
		return s.Program
	case s.Kind == Microphone:
		return s.Program + ", microphone"
	case s.Camera == "":
		return s.Program
	}
	return s.Program + ", " + s.Camera
}

// describeNow returns the last second in a few words, and the frames that were lost since
// the start.
func (s Summary) describeNow() string {
	now := s.LastSecond
	text := fmt.Sprintf("%.1f %s, %.1f MB/s, %.0f %% CPU", now.FPS, s.rate(), now.MBps, now.CPU)
	for _, l := range now.Latency {
		if l.Stage == StageNames[Total] {
			text += fmt.Sprintf(", latency p50 %.1f ms, p95 %.1f, p99 %.1f, max %.1f", l.P50, l.P95, l.P99, l.Max)
			if s.Clock != nil {
				text += fmt.Sprintf(" (±%.2f)", s.Clock.Uncertainty)
			}
		}
	}
	if s.Codec != "" {
		text += ", " + s.describeCodec()
	}
	for _, f := range s.Outcomes {
		if f.Count > 0 {
			text += fmt.Sprintf(", %s %d", f.Name, f.Count)
		}
	}
	for _, p := range s.Playback {
		text += "; " + p.describe()
	}
	return text
}

// describeCodec returns what the frames are sent as, and why.
func (s Summary) describeCodec() string {
	if s.CodecReason == "" {
		return s.Codec
	}
	return s.Codec + " (" + s.CodecReason + ")"
}

// Table writes the summary as a table.
func (s Summary) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s, %.1f s\n", s.name(), s.Seconds)
	fmt.Fprintf(t, "%s %s\t%d\t\n", s.units(), s.Counted, s.Frames)
	for _, f := range s.Outcomes {
		fmt.Fprintf(t, "%s\t%d\t\n", f.Name, f.Count)
	}
	fmt.Fprintf(t, "%s\t%.1f\t\nMB/s\t%.1f\t\nCPU %% of a core\t%.0f\t\n", s.rate(), s.FPS, s.MBps, s.CPU)
	if err := t.Flush(); err != nil {
		return err
	}
	if s.Codec != "" { // it has no figure: in a column of these it would push the others aside
		fmt.Fprintf(w, "Codec: %s\n", s.describeCodec())
	}
	for _, p := range s.Playback {
		fmt.Fprintln(w, p.describe())
	}
	if len(s.Latency) == 0 {
		return nil
	}
	if s.Clock != nil {
		fmt.Fprintf(w, "Uncertainty of the sender's clock: %.2f ms\n", s.Clock.Uncertainty)
	}
	fmt.Fprintf(t, "latency, ms\tp50\tp95\tp99\tmax\t\n")
	for _, l := range s.Latency {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", l.Stage, l.P50, l.P95, l.P99, l.Max)
	}
	return t.Flush()
}

// SenderOutcomes counts what became of the frames that a sender did not send.
func SenderOutcomes(lost capture.Lost) []Outcome {
	return []Outcome{
		{"dropped by the camera", lost.Driver},
		{"dropped as damaged", lost.Damaged},
		{"superseded before sending", lost.Superseded},
	}
}
