// Package transport carries a camera's frames over a byte stream, as in
// SPEC.md: sessions that come back by themselves, credits that bound how old a
// frame can get, and a common notion of time.
package transport
