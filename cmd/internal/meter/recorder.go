package meter

// Recorder is the part of --stats json about a recording.
type Recorder struct {
	Recording    bool    `json:"recording"`
	File         string  `json:"file"`  // that is being written, empty for none
	Files        uint64  `json:"files"` // that were begun
	Seconds      float64 `json:"seconds"`
	Frames       uint64  `json:"frames"` // on the disk
	Bytes        uint64  `json:"bytes"`  // of these
	Waiting      int     `json:"waiting"`
	WaitingBytes int64   `json:"waiting_bytes"`
	WaitingMax   int64   `json:"waiting_bytes_max"`
	Dropped      uint64  `json:"dropped"`
	FreeBytes    uint64  `json:"free_bytes"`
	Problem      string  `json:"problem"` // that keeps frames waiting
	Audio        *Audio  `json:"audio,omitempty"`
}

// Audio is the part of --stats json about the audio of a recording.
type Audio struct {
	Silence    float64 `json:"silence_seconds"` // in the place of what did not come
	Dropped    float64 `json:"dropped_seconds"` // that came twice, or too late
	Correction float64 `json:"correction_ppm"`  // of the far clock's rate
}

// Outcomes counts what became of the frames that a recorder was given.
func (r *Recorder) Outcomes() []Outcome {
	return []Outcome{{"recorded", r.Frames}, {"dropped by the recorder", r.Dropped}}
}
