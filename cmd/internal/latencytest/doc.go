// Package latencytest measures the way from one glass to the other: it paints codes for
// a screen, reads them in the pictures of a camera that looks at it, and tells how
// long they took.
package latencytest
