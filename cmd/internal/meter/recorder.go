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
}

// Outcomes counts what became of the frames that a recorder was given.
func (r *Recorder) Outcomes() []Outcome {
	return []Outcome{{"recorded", r.Frames}, {"dropped by the recorder", r.Dropped}}
}
