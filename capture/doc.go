// Package capture defines what a camera is, what it can do and what it delivers:
// Frame, Format, Mode and Source, the Pool that frames come from, the Mailbox
// that hands the newest one over, and the choice of mode.
//
// It makes no system calls: the sources are in the packages below it.
package capture
