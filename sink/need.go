package sink

// Need says which frames a sink takes for now. Nothing is decoded that no sink
// needs.
type Need int

// Received frames are as they came, raw or JPEG; Decoded ones are raw.
const (
	Nothing Need = iota
	Received
	Decoded
)
