package record

import (
	"fmt"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// Gap counts the frames that are missing before one, by cause.
type Gap struct {
	capture.Lost        // at the sender
	Link         uint64 // sent, but not received whole
	Disk         uint64 // received, but there was no memory left to wait for the disk
	Break        bool   // the connection was lost in between
}

// Add adds what else is missing.
func (g *Gap) Add(more Gap) {
	g.Lost.Add(more.Lost)
	g.Link += more.Link
	g.Disk += more.Disk
	g.Break = g.Break || more.Break
}

// String returns what is missing beside Lost, in words; empty for nothing.
func (g Gap) String() string {
	var parts []string
	if g.Link > 0 {
		parts = append(parts, fmt.Sprintf("%d lost on the link", g.Link))
	}
	if g.Disk > 0 {
		parts = append(parts, fmt.Sprintf("%d dropped, since the disk was too slow or full", g.Disk))
	}
	if g.Break {
		parts = append(parts, "the connection was lost")
	}
	return strings.Join(parts, ", ")
}
