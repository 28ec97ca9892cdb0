// Package record writes the frames of a session into Matroska files as they
// come, without encoding them again, with the times at which they were captured.
package record
