// Package power holds the test of what a loss of power leaves of recordings. It boots
// virtual machines and kills them; `make test-recording` runs it.
package power
