// Package pwnode publishes virtual cameras as nodes of PipeWire.
package pwnode
