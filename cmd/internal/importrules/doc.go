// Package importrules holds the tests of what docs/architecture.md promises: which
// packages may import which, inside cmd too, which ones own a kernel door or cgo, and
// that the documentation names packages and tests that exist.
package importrules
