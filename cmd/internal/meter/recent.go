package meter

import "time"

// point is what was counted up to a time.
type point struct {
	time   time.Time
	frames uint64
	bytes  uint64
	cpu    time.Duration
}

// figuresSince returns what happened between two points.
func (p point) figuresSince(before point) Figures {
	f := Figures{Seconds: p.time.Sub(before.time).Seconds(), Frames: p.frames - before.frames}
	if f.Seconds > 0 {
		f.FPS = float64(f.Frames) / f.Seconds
		f.MBps = float64(p.bytes-before.bytes) / 1e6 / f.Seconds
		f.CPU = 100 * (p.cpu - before.cpu).Seconds() / f.Seconds
	}
	return f
}

// nearlySecond is how far apart two reports may be that were made a second apart.
const nearlySecond = 900 * time.Millisecond

// secondAgo returns the newest point that is about a second old, else the start,
// and keeps this one. Reports may come at any rate, for instance from two timers.
func (m *Meter) secondAgo(now point) point {
	const closest = 50 * time.Millisecond
	before, drop := point{time: m.start}, 0
	for i, p := range m.points {
		if now.time.Sub(p.time) >= nearlySecond {
			before, drop = p, i
		}
	}
	m.points = append(m.points[:0], m.points[drop:]...)
	if n := len(m.points); n == 0 || now.time.Sub(m.points[n-1].time) >= closest {
		m.points = append(m.points, now)
	}
	return before
}

// turnSecond ends the second that runs, if it is over, and with it the one before.
func (m *Meter) turnSecond(now time.Time) {
	seconds := int(now.Sub(m.start) / time.Second)
	if seconds == m.seconds {
		return
	}
	m.second, m.before = m.before, m.second
	m.second.resetAll()
	if seconds > m.seconds+1 { // in the last whole second nothing came
		m.before.resetAll()
	}
	m.seconds = seconds
}
