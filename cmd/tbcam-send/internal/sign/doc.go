// Package sign shows the user of a sender's host that a camera or a microphone is on,
// and for whom: by a desktop notification or, without a desktop, by a line of log and
// the terminal's bell; and by a command, for instance for a lamp.
//
// A sign never fails or delays a session: what a desktop or a command does with it
// only makes lines of log.
package sign
