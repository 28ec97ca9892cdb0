// Package unixsock has the links over Unix sockets: the sender dials, the viewer listens.
// It checks which user has the other end.
package unixsock
