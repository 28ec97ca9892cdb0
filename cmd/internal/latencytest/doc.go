// Package latencytest measures glass-to-glass latency: it paints codes for
// a screen, reads them in the frames of a camera that looks at it, and reports how
// long they took.
package latencytest
