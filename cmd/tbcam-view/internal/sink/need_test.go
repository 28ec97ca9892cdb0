package sink

import (
	"slices"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// TestOnlyWhatIsNeeded: a sink of received frames gets those that cannot be decoded
// too, one that needs nothing gets nothing, and where no other is, nothing is
// decoded.
func TestOnlyWhatIsNeeded(t *testing.T) {
	raw, off, decoded := &recorded{}, &recorded{}, &recorded{}
	needs := Nothing
	add := func(s *recorded, need func() Need) func(*Fanout) {
		return func(o *Fanout) {
			if err := o.AddFor(need, "test", s.open, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	received := add(raw, func() Need { return Received })
	stats := play(t, 4, []uint32{2}, func(o *Fanout) {
		received(o)
		add(off, func() Need { return needs })(o)
	})
	if !slices.Equal(raw.got, []uint32{1, 2, 3, 4}) || len(off.got) != 0 || stats.Damaged != 0 {
		t.Errorf("received %v, nothing %v, %+v", raw.got, off.got, stats)
	}

	raw.got = nil
	count := uint32(0)
	stats = play(t, 6, []uint32{2, 5}, func(o *Fanout) {
		received(o)
		add(decoded, func() Need { return needs })(o)
		o.Tap(func(f *capture.Frame) {
			if count++; count == 4 {
				needs = Decoded
			}
			f.Release()
		})
	})
	if len(raw.got) != 6 || !slices.Equal(decoded.got, []uint32{4, 6}) || stats.Damaged != 1 {
		t.Errorf("received %v, decoded %v, %+v", raw.got, decoded.got, stats)
	}
}
