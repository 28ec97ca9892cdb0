// Package outside holds the test that other modules can use tbcam's packages: it
// builds and runs the small programs in testdata in a module of their own.
package outside
