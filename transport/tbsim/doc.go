// Package tbsim simulates the cable of two hosts and their stream devices, with
// the semantics of drivers/thunderbolt/stream.c by kernel version and seeded
// faults, in the virtual time of a testing/synctest bubble.
package tbsim
