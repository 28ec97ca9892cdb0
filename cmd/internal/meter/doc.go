// Package meter counts frames and measures how long each stage of their way
// takes, and prints that for people and for machines.
package meter
