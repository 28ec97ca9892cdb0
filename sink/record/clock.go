package record

import "time"

// WallTime returns the time of day of a moment, by the clock as it is set now: a
// moment itself keeps the clock of when it was taken, which is 1970 on a host that
// has learned the time since. It is never later than now.
func WallTime(moment time.Time) time.Time {
	now := time.Now()
	return now.Add(min(moment.Sub(now), 0)).Round(0)
}

// Schedule chooses the frames that are due, one per period. Its zero value takes all.
type Schedule struct {
	Every time.Duration
	next  time.Time
}

// Due reports whether a frame that was captured at this moment is due. A moment
// further away than a period is no reason to wait: then the schedule starts again.
func (s *Schedule) Due(at time.Time) bool {
	late := at.Sub(s.next)
	if late < 0 && late >= -s.Every {
		return false
	}
	if s.next = s.next.Add(s.Every); late.Abs() >= s.Every {
		s.next = at.Add(s.Every)
	}
	return true
}
