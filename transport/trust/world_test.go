package trust

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// world has the two ends of a line, and their users.
type world struct {
	sender SenderConfig
	viewer ViewerConfig
	users  *users
}

func newWorld(t testing.TB) *world {
	w := &world{users: &users{number: make(chan string, 1)}}
	w.sender.Store, w.sender.Identity = newStore(t)
	w.viewer.Store, w.viewer.Identity = newStore(t)
	w.sender.Name, w.viewer.Name = "anna@laptop", "anna@desktop"
	w.sender.Params, w.viewer.Params = []byte("sender states"), []byte("viewer states")
	w.sender.Attempts = &Attempts{}
	return w
}

// pairing has both users ready to pair.
func (w *world) pairing() *world {
	w.sender.Prompt, w.viewer.Prompt = always(w.users), w.users
	return w
}

// paired has each end know the other.
func (w *world) paired(t testing.TB) *world {
	t.Helper()
	rights := DefaultRights()
	err := errors.Join(
		w.sender.Store.Add(Peer{Key: w.viewer.Identity.Fingerprint(), Name: "desktop", Role: RoleViewer, Rights: &rights}),
		w.viewer.Store.Add(Peer{Key: w.sender.Identity.Fingerprint(), Name: "laptop", Role: RoleSender}))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// users are one person who walks from the viewer to the sender: types there what the
// viewer shows, and confirms at the viewer what the sender has reported.
type users struct {
	number chan string

	mu        sync.Mutex
	shown     string
	typed     []string
	mistakes  int  // wrong numbers to type first
	refuses   bool // does not confirm
	confirmed int
	rights    *Rights
	once      bool
	delay     time.Duration // before each answer
}

func (u *users) ShowNumber(_ context.Context, number string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.shown = number
	select {
	case u.number <- number:
	default:
	}
}

func (u *users) EnterNumber(ctx context.Context, wrong int) (string, error) {
	if u.delay > 0 {
		select {
		case <-time.After(u.delay):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if wrong < u.mistakes {
		return u.note("12345x"), nil
	}
	select {
	case number := <-u.number:
		return u.note(number[:3] + " " + number[3:]), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (u *users) note(number string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.typed = append(u.typed, number)
	return number
}

func (u *users) GrantRights(context.Context) (Grant, error) {
	rights := DefaultRights()
	if u.rights != nil {
		rights = *u.rights
	}
	return Grant{Rights: rights, Once: u.once}, nil
}

func (u *users) ConfirmSender(context.Context, string) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.confirmed++
	return !u.refuses, nil
}

// packet is what passes the line: one record of a session's beginning.
type packet struct {
	sender bool // sends it
	sealed bool
	step   string // for tests: which one it is
	data   []byte
}

// attempt is one session's beginning over a line.
type attempt struct {
	w  *world
	mu sync.Mutex

	sender, viewer *Handshake
	seals          map[bool]*Sealer
	opens          map[bool]*Opener
	sequence       map[bool]uint32
	// tamper, if set, returns what comes out of the line for what goes in.
	tamper func(packet) []packet
	heard  map[bool][]byte // payloads that were opened, by who sent them

	outcome map[bool]Outcome // by whether it is the sender's
	err     map[bool]error
	trusted map[bool]time.Duration // after the begin
}

// beat is how often ends repeat what they state.
const beat = 500 * time.Millisecond

// run exchanges flights and messages until both ends have an outcome, or the time is
// over. It needs a synctest bubble.
func (w *world) run(t testing.TB, tamper func(packet) []packet) *attempt {
	t.Helper()
	a := &attempt{
		w: w, tamper: tamper, seals: map[bool]*Sealer{}, opens: map[bool]*Opener{}, sequence: map[bool]uint32{}, heard: map[bool][]byte{},
		outcome: map[bool]Outcome{}, err: map[bool]error{}, trusted: map[bool]time.Duration{},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	if a.sender, err = NewSender(w.sender); err != nil {
		t.Fatal(err)
	}
	defer a.close()
	begin := time.Now()
	var running sync.WaitGroup
	finish := func(sender bool, h *Handshake) {
		running.Go(func() {
			outcome, err := h.Run(ctx)
			a.mu.Lock()
			a.outcome[sender], a.err[sender], a.trusted[sender] = outcome, err, time.Since(begin)
			a.mu.Unlock()
		})
	}
	finish(true, a.sender)
	for !a.over() && ctx.Err() == nil {
		viewer := a.viewer
		if !proven(a.sender) {
			a.send(packet{sender: true, step: "hello", data: a.sender.Flight()})
		}
		if viewer != a.viewer {
			finish(false, a.viewer)
		}
		a.repeat()
		if a.viewer == nil && time.Since(begin) > proofTimeout {
			break
		}
		for range 10 { // answers come at once; what is lost waits for the next beat
			time.Sleep(beat / 10)
			a.repeat()
		}
	}
	cancel()
	running.Wait()
	return a
}

// proven reports whether a peer has proven its key to the end.
func proven(h *Handshake) bool { return h != nil && h.Message() != nil }

func (a *attempt) close() {
	a.sender.Close()
	if a.viewer != nil {
		a.viewer.Close()
	}
}

func (a *attempt) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.trusted) == 2 || len(a.trusted) == 1 && a.viewer == nil || a.err[true] != nil && !proven(a.sender)
}

// repeat sends what both ends state now.
func (a *attempt) repeat() {
	if a.viewer != nil {
		a.send(packet{step: "welcome", data: a.viewer.Flight()})
	}
	if proven(a.sender) {
		a.send(packet{sender: true, step: "proof", data: a.sender.Flight()})
	}
	a.state(true, a.sender)
	a.state(false, a.viewer)
}

// state sends the message of an end.
func (a *attempt) state(sender bool, h *Handshake) {
	if !proven(h) {
		return
	}
	if a.seals[sender] == nil {
		a.seals[sender], a.opens[sender] = h.Seals()
	}
	data := a.seals[sender].Seal(nil, []byte("header"), a.sequence[sender], h.Message())
	data = append([]byte{byte(a.sequence[sender]), byte(a.sequence[sender] >> 8)}, data...)
	a.sequence[sender]++
	a.send(packet{sender: sender, sealed: true, step: "message", data: data})
}

// send has a packet pass the line.
func (a *attempt) send(p packet) {
	if p.data == nil {
		return
	}
	packets := []packet{p}
	if a.tamper != nil {
		packets = a.tamper(p)
	}
	for _, p := range packets {
		a.receive(p)
	}
}

func (a *attempt) receive(p packet) {
	switch {
	case p.sealed:
		a.receiveSealed(p)
	case p.step == "hello":
		if a.viewer == nil {
			v, err := NewViewer(a.w.viewer, p.data)
			if err == nil {
				a.viewer = v
			}
		}
	case p.step == "welcome":
		_ = a.sender.HandleFlight(p.data)
	case p.step == "proof":
		if a.viewer != nil {
			_ = a.viewer.HandleFlight(p.data)
		}
	}
}

func (a *attempt) receiveSealed(p packet) {
	to := a.sender
	if p.sender {
		to = a.viewer
	}
	if to == nil || len(p.data) < 2 {
		return
	}
	if a.opens[!p.sender] == nil {
		a.seals[!p.sender], a.opens[!p.sender] = to.Seals()
	}
	if a.opens[!p.sender] == nil {
		return
	}
	sequence := uint32(p.data[0]) | uint32(p.data[1])<<8
	plain, err := a.opens[!p.sender].Open(nil, []byte("header"), sequence, p.data[2:])
	if err == nil {
		a.heard[p.sender] = append(a.heard[p.sender], plain...)
		_ = to.HandleMessage(plain)
	}
}

// both reports whether both ends want the session.
func (a *attempt) both() bool {
	return len(a.outcome) == 2 && a.err[true] == nil && a.err[false] == nil
}

// checkNotPaired fails the test if an end keeps the other.
func (w *world) checkNotPaired(t testing.TB) {
	t.Helper()
	for _, s := range []*Store{w.sender.Store, w.viewer.Store} {
		if peers, err := s.Peers(); len(peers) != 0 || err != nil {
			t.Errorf("kept are %v, %v", peers, err)
		}
	}
}

func contains(text []byte, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(string(text), part) {
			return true
		}
	}
	return false
}

// proveBoth returns two ends that have proven their keys to each other.
func proveBoth(t testing.TB, w *world) (sender, viewer *Handshake) {
	t.Helper()
	s, err := NewSender(w.sender)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewViewer(w.viewer, s.Flight())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.HandleFlight(v.Flight()), v.HandleFlight(s.Flight())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); v.Close() })
	return s, v
}

func encodeMessage(m message) []byte {
	payload, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return payload
}

// always returns a prompt of a user who can be asked at any time.
func always(p SenderPrompt) func() SenderPrompt { return func() SenderPrompt { return p } }
