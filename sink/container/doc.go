// Package container writes pictures into files that players know, so that they
// survive whatever ends the recording, and repairs files of recordings that did
// not come to their end.
package container
