// Package harness holds what the tests of the programs share: starting programs,
// sockets that no other test uses, waiting for what must happen, films (a camera that
// costs nothing and whose frames are known bit by bit), and the programs' statistics.
package harness
