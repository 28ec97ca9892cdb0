package container

import (
	"fmt"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// maxGaps bounds the chapters of a recording, and the memory for them.
const maxGaps = 4096

// maxGapText bounds the text of one, in bytes.
const maxGapText = 200

// gap is where frames are missing.
type gap struct {
	at   int64 // of the next frame, in units of the container
	text string
}

// describeGap returns in words what is missing, added to the text before.
func describeGap(before string, lost capture.Lost, text string) string {
	var parts []string
	if before != "" {
		parts = append(parts, before)
	}
	for _, c := range []struct {
		count uint64
		cause string
	}{
		{lost.Driver, "dropped at the camera"},
		{lost.Damaged, "damaged"},
		{lost.Superseded, "superseded before sending"},
	} {
		if c.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.count, c.cause))
		}
	}
	if text != "" {
		parts = append(parts, text)
	}
	all := capture.Printable(strings.Join(parts, ", "))
	return strings.ToValidUTF8(all[:min(len(all), maxGapText)], "")
}
