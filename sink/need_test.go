package sink

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// TestOnlyWhatIsNeeded: a sink of received frames gets those that cannot be decoded
// too, one that needs nothing gets nothing, and where no other is, nothing is
// decoded.
func TestOnlyWhatIsNeeded(t *testing.T) {
	needs := Nothing
	need := func() Need { return needs }
	raw, off, decoded := &recorded{need: func() Need { return Received }}, &recorded{need: need}, &recorded{need: need}
	stats := play(t, 4, []uint32{2}, func(o *Fanout) { addTo(t, o, raw, off) })
	if !slices.Equal(raw.got, []uint32{1, 2, 3, 4}) || len(off.got) != 0 || stats.Damaged != 0 {
		t.Errorf("received %v, nothing %v, %+v", raw.got, off.got, stats)
	}

	raw.got = nil
	stats = play(t, 6, []uint32{2, 5}, func(o *Fanout) {
		addTo(t, o, raw, decoded, &counter{every(), func(n int) {
			if n == 4 {
				needs = Decoded
			}
		}})
	})
	if len(raw.got) != 6 || !slices.Equal(decoded.got, []uint32{4, 6}) || stats.Damaged != 1 {
		t.Errorf("received %v, decoded %v, %+v", raw.got, decoded.got, stats)
	}
}

// counter is an output of every frame that calls a function with their number.
type counter struct {
	*recorded
	presented func(n int)
}

func (c *counter) Presented(*capture.Frame) { c.presented(len(c.got)) }

// counting is a decoder that takes its time, and counts frames.
type counting struct {
	passing
	takes time.Duration
	count int
}

func (d *counting) Decode(f *capture.Frame) (*capture.Frame, error) {
	time.Sleep(d.takes)
	d.count++
	return d.passing.Decode(f)
}

// TestNothingIsDecodedForASinkThatIsDone: a window that was closed, beside a
// recorder.
func TestNothingIsDecodedForASinkThatIsDone(t *testing.T) {
	d := &counting{}
	play(t, 9, nil, func(o *Fanout) {
		o.decoder = d
		addTo(t, o, &recorded{fail: ErrDone, at: 2})
	})
	if d.count != 2 {
		t.Errorf("%d frames were decoded, want 2", d.count)
	}
}

// TestFrameForASinkThatHasFailed: what is decoded at the end, when the sink waits
// to be opened again, is released; play checks it.
func TestFrameForASinkThatHasFailed(t *testing.T) {
	play(t, 2, nil, func(o *Fanout) {
		o.decoder = &counting{takes: period * 3 / 2}
		addTo(t, o, &recorded{fail: errors.New("broken"), at: 1})
	})
}
