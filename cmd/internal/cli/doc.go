// Package cli is what the commands share at their edge: exit codes, log lines,
// signals, and the flags and links that --stream means.
package cli
