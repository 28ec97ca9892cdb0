package meter

import "fmt"

// Playback is the part of --stats json about an output that plays the far microphone.
type Playback struct {
	Output     string  `json:"output"`         // the virtual microphone, or the loudspeaker
	Listening  bool    `json:"listening"`      // somebody hears it
	Latency    float64 `json:"latency_ms"`     // from capture until the sound server takes it
	Fill       float64 `json:"fill_ms"`        // that waits for it
	Target     float64 `json:"target_ms"`      // that is to wait
	Correction float64 `json:"correction_ppm"` // of the rate, against drift
	Lost       uint64  `json:"lost_blocks"`
	Dropped    uint64  `json:"dropped_samples"`
	Silence    uint64  `json:"silence_samples"`
	Underruns  uint64  `json:"underruns"`
}

func (p Playback) round() Playback {
	p.Latency, p.Fill, p.Target = roundTo(p.Latency, 3), roundTo(p.Fill, 3), roundTo(p.Target, 3)
	p.Correction = roundTo(p.Correction, 1)
	return p
}

// describe returns the figures in a few words.
func (p Playback) describe() string {
	if !p.Listening {
		return p.Output + ": nobody listens"
	}
	text := fmt.Sprintf("%s: %.1f ms, %.1f of %.1f ms wait, %+.0f ppm", p.Output, p.Latency, p.Fill, p.Target, p.Correction)
	for _, o := range []Outcome{
		{"blocks lost", p.Lost}, {"underruns", p.Underruns}, {"samples dropped", p.Dropped}, {"samples missing", p.Silence},
	} {
		if o.Count > 0 {
			text += fmt.Sprintf(", %s %d", o.Name, o.Count)
		}
	}
	return text
}
