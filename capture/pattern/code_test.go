package pattern

import (
	"testing"
	"time"
)

// A code holds only the low bits of its time; whoever reads it within 100 days gets
// the whole, on either side of where they overflow.
func TestStampAcrossOverflow(t *testing.T) {
	edge := time.UnixMicro(101 << timeBits)
	for _, off := range []time.Duration{-100 * 24 * time.Hour, -time.Microsecond, 0, time.Microsecond, 100 * 24 * time.Hour} {
		for _, near := range []time.Time{edge, edge.Add(-time.Second), edge.Add(time.Second)} {
			want := Stamp{Camera: 16, Counter: 7, Time: edge.Add(off)}
			var code [codeBytes]byte
			want.encodeTo(&code)
			got, err := decodeStamp(&code, near)
			if err != nil || got.Camera != want.Camera || got.Counter != want.Counter || !got.Time.Equal(want.Time) {
				t.Errorf("%v read at %v is %v, %v", want, near, got, err)
			}
		}
	}
}
