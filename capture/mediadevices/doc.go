// Package mediadevices joins tbcam to github.com/pion/mediadevices, in both
// directions: a Driver offers pion's video drivers as cameras, and a Camera is the far
// camera as a driver that GetUserMedia of pion finds. Both are for other Go programs;
// tbcam's own link neither.
package mediadevices
