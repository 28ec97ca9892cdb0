package container

import "time"

// stamps gives frames their times in units of a container. Times have to grow,
// or players and muxers refuse frames: one that does not is put one unit after
// the last.
type stamps struct {
	unit time.Duration
	last int64 // -1 before the first
}

func newStamps(unit time.Duration) stamps { return stamps{unit, -1} }

// unitsOf returns the units since the first frame, rounded.
func (s *stamps) unitsOf(t time.Duration) int64 {
	return max(int64(t.Round(s.unit)/s.unit), s.last+1)
}

// stepTo takes a time that unitsOf returned, and returns the units since the last one.
func (s *stamps) stepTo(at int64) int64 {
	passed := at - max(s.last, 0)
	s.last = at
	return max(passed, 1)
}
