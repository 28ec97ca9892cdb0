package sink

// Need is which frames an output takes for now. Nothing is decoded that no output
// needs.
type Need int

// Received frames are as they came, raw or JPEG; Decoded ones are raw. Of both, the
// newest supersedes older ones that wait. Every is each frame as it came: the sink
// of such an output gets them from the caller of Fanout.Frame, so that it must not
// wait but have a bounded queue of its own. An output takes Every always or never.
const (
	Nothing Need = iota
	Received
	Decoded
	Every
)
