// Package pattern has cameras that need no hardware: colour bars with a moving block,
// and a code that a program reads back from any copy of a frame.
package pattern
