// Package trust finds out who has the other end of a line, and keeps it so: peers prove
// their keys, users pair them once, and each later record is sealed.
//
// It has four parts, none of which knows a line, a session or a camera:
//
//   - Store keeps a user's identity (a key of P-256), the paired peers with their
//     rights, and an audit log, in files that only the user may access.
//   - Handshake is one end's part in the beginning of a session. Each end proves its
//     key by TLS 1.3, in three flights that travel in records which the greeting has
//     anyway; then each states, sealed and repeated, what it has decided. Ends that know each
//     other are through. Otherwise, if both users want it, they pair.
//   - Sealer and Opener bind each record to its session, direction and place.
//   - Attempts has wrong numbers make pairing pause.
//
// # Flights
//
//	sender (TLS client)                     viewer (TLS server)
//	greeting: flight 1        ---------->   a stranger may send this, too
//	          <----------  answer: flight 2 has the viewer's key
//	flight 3 has the sender's key  ----->   both have the keys of the session
//	<====  messages, sealed, both ways, until both ends know or have paired  ====>
//
// The sender is the client, so that it sees the viewer's key first: to a stranger it
// shows neither its own key nor a name. All that passes unsealed is what HELLO and
// WELCOME state, and these flights; what else a greeting states (Config.Params) is part of what
// is proven, so that nobody can take a feature out of it.
//
// # Pairing
//
// The viewer shows six digits, and its user types them at the sender, which is the
// protected end: nobody can wave through what must be typed. The digits depend on both keys, the
// session and a nonce of each end; the sender has bound itself to its nonce before it
// learns the viewer's. So a middleman, who has another session with each end, has other
// digits there, and one guess in a million.
//
// The viewer cannot tell whether its number was typed at its own sender, or whether a
// middleman claims so. So it keeps the sender only once its user has confirmed that
// the sender's host reports it. Then it says so, and only then does the sender keep
// it: whatever is lost on the way, or fits on no disk, no sender keeps a viewer
// that has not kept it.
package trust
