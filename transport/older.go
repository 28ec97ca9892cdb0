package transport

import (
	"context"
	"errors"
	"fmt"
)

// oldest is the oldest protocol that this program names in Hello and Welcome. It serves
// none but the newest: with a peer that has only older ones it parts in their records,
// so that the users of both learn why.
const oldest = 1

// ErrOlderPeer is returned when the peer has only an older protocol.
var ErrOlderPeer = errors.New("the other computer runs an older tbcam")

// noteOlder reports whether a peer has only an older protocol, and has the records to it
// be of that.
func (s *session) noteOlder(peer Peer) bool {
	if peer.Protocol[1] < Protocol {
		s.older.Store(true)
	}
	return s.older.Load()
}

// partFromOlder sends an older peer a Bye. Its user sees a reason that names who
// states it.
func (s *session) partFromOlder(self Peer) {
	s.startPart(func(session context.Context) error {
		return s.sendBye(session, fmt.Sprintf("%v: %v; update it", self, ErrOlderPeer), byeWait)
	})
}
