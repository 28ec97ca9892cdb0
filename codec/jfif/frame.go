package jfif

import "github.com/tbcam/tbcam/capture"

// parsed is what a frame carries of its JPEG.
type parsed struct {
	header Header
	err    error
}

// HeaderOf returns the header of a frame's JPEG, as ParseHeader does. A frame is parsed
// once, whoever asks and however often: a receiver that repairs it, a decoder, a
// virtual camera beside it.
func HeaderOf(f *capture.Frame) (Header, error) {
	p := f.Parsed(func(earlier any) any {
		p, ok := earlier.(*parsed)
		if !ok {
			p = new(parsed)
		}
		p.header, p.err = ParseHeader(f.Data)
		return p
	}).(*parsed)
	h := p.header
	if len(f.Data) == h.End { // what was behind it has been cut off
		h.size = h.End
	}
	return h, p.err
}
