// Package report measures the line to a sender, and describes a host, as a text that its
// user can publish.
package report
