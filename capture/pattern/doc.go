// Package pattern has cameras and a microphone that need no hardware: colour bars with a
// moving block and a code that a program reads back from any copy of a frame, and a sound
// with codes of its own. At each full second the cameras flash and the microphone clicks.
package pattern
