// Package pattern is a camera that needs no hardware: colour bars with a moving
// block, and a code that a program reads back from any copy of the picture.
package pattern
