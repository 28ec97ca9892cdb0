// Package hostile is a peer for tests of the programs: it speaks transport/SPEC.md
// in both roles over a Unix socket, as far as a test wants it to, and writes any
// bytes beside that.
package hostile
