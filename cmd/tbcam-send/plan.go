package main

import (
	"fmt"

	"github.com/tbcam/tbcam/capture"
)

// planned is how many bytes per second one may count on: 5 Gbit/s. Cables were
// measured with more, and 8 to 10 Gbit/s is what a stream gets at best.
const planned = 5_000_000_000 / 8

// explainLoad returns a warning with its remedy if raw frames of a format may be more
// than a cable carries, else "".
func explainLoad(format capture.Format, rate capture.Rate) string {
	need := float64(format.Size()) * rate.FPS()
	if need <= planned {
		return ""
	}
	return fmt.Sprintf("%v at %.4g fps is %.0f MB/s, and a cable is sure to carry %d: frames may be dropped;"+
		" use --codec jpeg, or a smaller --size or --fps", format, rate.FPS(), need/1e6, planned/1_000_000)
}
