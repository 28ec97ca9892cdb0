// Package container writes frames to files that players know, and repairs those
// whose recording was interrupted.
//
// Create and Stream return a Writer. What was written before Sync returned is
// playable whatever ends the recording, a power failure too; Repair adds the index
// and the duration that such a file lacks, in place. Nothing here needs cgo.
package container
