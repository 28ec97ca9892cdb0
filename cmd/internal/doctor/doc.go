// Package doctor finds out why video calls would not see the virtual camera, and
// says what cures that.
package doctor
