// Package pwmic has the nodes of PipeWire that play a far microphone.
package pwmic
