// Package v4l2node finds, makes and opens v4l2loopback nodes for virtual cameras.
package v4l2node
