//go:build race

package trust

// stride thins out what is tried byte by byte: the race detector makes TLS ten times
// as slow, and the same code runs for each byte.
const stride = 29
