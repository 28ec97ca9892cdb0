// Package setup is the setup command of both programs: it looks at all that a host needs
// for its end of the cable, and does what is missing.
package setup
