package sign

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Use is a camera or a microphone that is on.
type Use struct {
	Device string // its name
	// Microphone: the peer listens; else it watches.
	Microphone bool
	Peer       string // whom it is on for: the name by which it is paired
	Since      time.Time
}

// Config is what a Sign needs.
type Config struct {
	Log  *slog.Logger
	Bell io.Writer // rings where there is no desktop; nil: no terminal
	// Command is run by the shell when the state changes; "" for none.
	Command string
	// Address is where the desktop's bus is, as in DBUS_SESSION_BUS_ADDRESS; "" for none.
	Address string
	// Stop and Forget are what the user may choose in the notification. They must not wait.
	Stop, Forget func()
}

// hideAfter is how long the sign stays when all is off: long enough to be seen, and so
// that a session that comes back does not make it flicker.
const hideAfter = 3 * time.Second

// Sign shows what is on. Its methods never wait for a desktop or a command.
type Sign struct {
	notify, command mailbox
	cancel          context.CancelFunc
	running         sync.WaitGroup
}

// New returns a Sign that shows nothing yet.
func New(c Config) *Sign {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sign{notify: newMailbox(), command: newMailbox(), cancel: cancel}
	s.running.Go(func() { newNotifier(c).run(ctx, s.notify) })
	if c.Command != "" {
		s.running.Go(func() { runCommands(ctx, c, s.command) })
	}
	return s
}

// Show shows what is on now; nothing ends the sign.
func (s *Sign) Show(uses ...Use) {
	uses = slices.Clone(uses)
	s.notify.put(uses)
	s.command.put(uses)
}

// Close ends the sign, after a last command where something was on. It is idempotent.
func (s *Sign) Close() {
	s.Show()
	s.cancel()
	s.running.Wait()
}

// mailbox has the newest state, of which older ones are of no interest.
type mailbox chan []Use

func newMailbox() mailbox { return make(mailbox, 1) }

// put replaces what was not taken yet.
func (m mailbox) put(uses []Use) {
	for {
		select {
		case m <- uses:
			return
		default:
		}
		select {
		case <-m:
		default:
		}
	}
}

// describe returns a line for a person, such as "camera C920 is on for anna@desktop".
func describe(uses []Use) string {
	var parts []string
	for _, u := range uses {
		parts = append(parts, u.kind()+u.Device+" is on for "+u.Peer+" since "+u.Since.Local().Format(time.TimeOnly))
	}
	return strings.Join(parts, ", ")
}

// kind returns what is in front of a microphone's name, which reveals less than a camera's.
func (u Use) kind() string {
	if u.Microphone {
		return "microphone "
	}
	return ""
}

// peersOf lists each peer once.
func peersOf(uses []Use) string {
	var peers []string
	for _, u := range uses {
		if !slices.Contains(peers, u.Peer) {
			peers = append(peers, u.Peer)
		}
	}
	return strings.Join(peers, ", ")
}

// headline returns who sees and who hears the user.
func headline(uses []Use) string {
	watches, listens := func(u Use) bool { return !u.Microphone }, func(u Use) bool { return u.Microphone }
	does := "sees you"
	switch {
	case slices.ContainsFunc(uses, watches) && slices.ContainsFunc(uses, listens):
		does = "sees and hears you"
	case slices.ContainsFunc(uses, listens):
		does = "hears you"
	}
	return peersOf(uses) + " " + does
}
