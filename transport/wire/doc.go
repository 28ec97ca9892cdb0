// Package wire parses and appends the records of transport/SPEC.md, and finds
// the next good one after damage. It knows nothing of sessions and, apart from
// reading its input, does no I/O.
package wire
