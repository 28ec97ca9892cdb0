// Package preset keeps the values of a camera's controls in files that a person
// can read and change.
package preset
