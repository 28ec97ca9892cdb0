// Package rooms holds the test that every import goes the way that
// docs/architecture.md says.
package rooms
