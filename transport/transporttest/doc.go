// Package transporttest has a fake producer, a fake consumer and a cable in memory for
// tests of what uses transport. They need no hardware, and run in the virtual time of
// testing/synctest as well.
package transporttest
