package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// EventKind is what happened.
type EventKind string

// The kinds of events in the audit log.
const (
	EventRefused    EventKind = "refused"     // an unknown peer
	EventPaired     EventKind = "paired"      // with a new peer
	EventNotPaired  EventKind = "not-paired"  // a pairing that failed
	EventForgot     EventKind = "forgot"      // a peer
	EventGranted    EventKind = "granted"     // other rights
	EventConnected  EventKind = "connected"   // a session begins
	EventEnded      EventKind = "ended"       // a session, with Frames and Seconds
	EventCameraOn   EventKind = "camera-on"   // with Camera and Detail
	EventCameraOff  EventKind = "camera-off"  //
	EventControlSet EventKind = "control-set" // with Camera and Detail
	// The microphone's name is in Camera.
	EventMicrophoneOn  EventKind = "microphone-on"
	EventMicrophoneOff EventKind = "microphone-off"
)

// Event is one line of the audit log.
type Event struct {
	Time    time.Time   `json:"time"`
	Kind    EventKind   `json:"event"`
	Role    Role        `json:"role,omitempty"` // of the peer
	Peer    string      `json:"peer,omitempty"` // its name, where it is paired
	Key     Fingerprint `json:"key,omitzero"`
	Camera  string      `json:"camera,omitempty"`
	Detail  string      `json:"detail,omitempty"` // a mode, a control, an error
	Frames  uint64      `json:"frames,omitempty"`
	Seconds float64     `json:"seconds,omitempty"`
	// Times counts refusals that one line stands for, where it is more than one.
	Times int `json:"times,omitempty"`
}

// Bounds of the audit log.
const (
	maxLog    = 1 << 20 // bytes of a file; there are two
	maxDetail = 512     // bytes
	// refusedEvery is how often a refusal makes a line: a stranger on the cable, who
	// is refused every few seconds, would else replace all that is of interest.
	refusedEvery = time.Minute
)

// auditLog appends to a file.
type auditLog struct {
	path string

	mu         sync.Mutex
	refused    time.Time // when the last refusal made a line
	suppressed int       // refusals since then
}

// Record appends an event to the audit log, with the time of now. Of refusals it takes
// one a minute, and counts the others.
func (s *Store) Record(e Event) error {
	l := &s.audit
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = time.Now()
	if e.Kind == EventRefused {
		if l.suppressed++; !l.refused.IsZero() && e.Time.Sub(l.refused) < refusedEvery {
			return nil
		}
		e.Times, l.suppressed, l.refused = l.suppressed, 0, e.Time
	}
	e.Detail = e.Detail[:min(len(e.Detail), maxDetail)]
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	unlock, err := lockDir(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	return l.append(append(line, '\n'))
}

// append writes one line, in a new file where the old one would become too large. The
// directory is locked.
func (l *auditLog) append(line []byte) error {
	if info, err := os.Lstat(l.path); err == nil && info.Size()+int64(len(line)) > maxLog {
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return fmt.Errorf("rotate audit log: %w", err)
		}
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	defer f.Close()
	if err := checkFile(l.path, f); err != nil {
		return err
	}
	return writeLine(f, line)
}

// writeLine writes a whole line, or nothing.
func writeLine(f *os.File, line []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		// A part of it may be there, on a full disk.
		return errors.Join(fmt.Errorf("write audit log: %w", err), f.Truncate(info.Size()))
	}
	return nil
}

// Events returns what the audit log has, the oldest first. Lines that are damaged are
// left out.
func (s *Store) Events() ([]Event, error) {
	var events []Event
	for _, path := range []string{s.audit.path + ".1", s.audit.path} {
		text, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			var e Event
			if json.Unmarshal([]byte(line), &e) == nil {
				events = append(events, e)
			}
		}
	}
	return events, nil
}
