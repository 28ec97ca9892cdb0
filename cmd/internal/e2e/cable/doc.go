// Package cable holds the tests of the programs over the kernel's own USB4STREAM
// driver, on a simulated cable. They have the build tag cable; fixtures/vm/cabletest
// runs them in a virtual machine for `make test-cable`.
package cable
