// Package sink hands received frames to whatever shows, republishes or records
// them, so that none of these can hold up another or the session.
package sink
