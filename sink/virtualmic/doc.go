// Package virtualmic plays the blocks of a far microphone, as a virtual microphone or on
// this host, in step with the clock of whoever listens.
package virtualmic
