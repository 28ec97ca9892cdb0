// Package e2e holds the tests of the programs as users run them: on this machine
// and, with the build tag vm, with real kernel drivers in a virtual machine.
package e2e
