package hub

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// Hub shares the streams of a transport.Receiver. Each far camera, and the far microphone, is
// received once, for all its subscriptions; what is asked of it is the union of what they
// want.
type Hub struct {
	// Window, if set, returns how many frames may be on their way in a session that begins,
	// as transport.Policy has it. It is set before the receiver runs.
	Window func() int
	// Attached, if set, reports whether the line is that of another process: when that
	// ends, who chose no camera stays with the one that it had.
	Attached func() bool

	receiver *transport.Receiver
	log      *slog.Logger

	mu            sync.Mutex
	cameras       []*camera // the first one is of all who do not choose
	subscriptions []*Subscription
	session       *session // nil between sessions
	changed       chan struct{}
	request       uint32 // number of the last request of any subscription that is not forwarded
	events        []event
	spare         []event // the other buffer of events
	dispatching   bool
}

// session is one with the sender.
type session struct {
	peer  transport.Peer
	ended chan struct{}
}

// event is one call of a consumer.
type event struct {
	to    *Subscription
	frame *capture.Frame // or call
	lost  capture.Lost
	call  func(transport.Consumer)
}

// New returns a hub of a receiver that does not run yet. A nil log discards.
func New(r *transport.Receiver, log *slog.Logger) (*Hub, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{receiver: r, log: log, changed: make(chan struct{})}
	_, err := h.openCamera(capture.Video)
	return h, err
}

// openCamera opens another far stream, of a kind.
func (h *Hub) openCamera(kind capture.Kind) (*camera, error) {
	c := &camera{hub: h, kind: kind}
	far, err := h.receiver.Open(c, transport.Policy{Kind: kind})
	if err != nil {
		return nil, err
	}
	c.far = far
	h.cameras = append(h.cameras, c)
	return c, nil
}

// Subscribe adds a viewer, which follows the first camera that runs and asks for no
// frames yet. Its consumer is called by one goroutine at a time, never by one that
// calls a method of the subscription.
func (h *Hub) Subscribe(c transport.Consumer) *Subscription {
	h.mu.Lock()
	defer h.flush()
	s := &Subscription{hub: h, consumer: c, camera: h.cameras[0]}
	if i := slices.IndexFunc(h.cameras, func(c *camera) bool { return c.kind == capture.Video && c.want != nil }); i >= 0 {
		s.camera = h.cameras[i]
	}
	h.subscriptions = append(h.subscriptions, s)
	if h.session != nil {
		peer := h.session.peer
		h.post(s, func(c transport.Consumer) { c.Connected(peer) })
		s.postControls()
	}
	return s
}

// Cameras asks the sender what it has.
func (h *Hub) Cameras(ctx context.Context) ([]capture.Device, error) { return h.receiver.Cameras(ctx) }

// post has a consumer called once the hub's lock is released.
func (h *Hub) post(s *Subscription, call func(transport.Consumer)) {
	h.events = append(h.events, event{to: s, call: call})
}

// flush releases the lock and has what was posted handed over by another goroutine: the
// caller may hold locks of the consumer.
func (h *Hub) flush() {
	waiting := len(h.events) > 0 && !h.dispatching
	h.dispatching = h.dispatching || waiting
	h.mu.Unlock()
	if waiting {
		go h.dispatch()
	}
}

// flushNow is flush for the receiver's goroutine, which holds nobody's lock.
func (h *Hub) flushNow() {
	waiting := len(h.events) > 0 && !h.dispatching
	h.dispatching = h.dispatching || waiting
	h.mu.Unlock()
	if waiting {
		h.dispatch()
	}
}

// dispatch calls consumers in order until nothing is left. What is posted meanwhile is
// its to hand over.
func (h *Hub) dispatch() {
	for {
		h.mu.Lock()
		events := h.events
		h.events, h.spare = h.spare[:0], nil
		h.dispatching = len(events) > 0
		if !h.dispatching {
			h.spare = events
		}
		h.mu.Unlock()
		if len(events) == 0 {
			return
		}
		for i := range events {
			events[i].deliver()
			events[i] = event{}
		}
		h.mu.Lock()
		h.spare = events[:0]
		h.mu.Unlock()
	}
}

func (e *event) deliver() {
	switch closed := e.to.closed.Load(); {
	case e.frame != nil && closed:
		e.frame.Release()
	case e.frame != nil:
		e.to.consumer.Frame(e.frame, e.lost)
	case !closed:
		e.call(e.to.consumer)
	}
}

// begin notes that a session has begun.
func (h *Hub) begin(peer transport.Peer) {
	if h.session != nil {
		return
	}
	h.session = &session{peer, make(chan struct{})}
	h.notifySession()
	for _, s := range h.subscriptions {
		h.post(s, func(c transport.Consumer) { c.Connected(peer) })
	}
}

// end notes that the session has ended: nothing is known of any camera.
func (h *Hub) end(err error) {
	if h.session == nil {
		return
	}
	close(h.session.ended)
	h.session = nil
	h.notifySession()
	attached := h.Attached != nil && h.Attached()
	for _, c := range h.cameras {
		c.pin(attached)
		c.forget()
	}
	for _, s := range h.subscriptions {
		s.before, s.base = capture.Lost{}, capture.Lost{}
		h.post(s, func(c transport.Consumer) { c.Disconnected(err) })
	}
}

func (h *Hub) notifySession() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// awaitSession waits for a session with the sender.
func (h *Hub) awaitSession(ctx context.Context) (*session, error) {
	for {
		h.mu.Lock()
		s, changed := h.session, h.changed
		h.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// states describes the cameras for placing a request.
func (h *Hub) states() []cameraState {
	states := make([]cameraState, len(h.cameras))
	for i, c := range h.cameras {
		states[i] = c.state()
	}
	return states
}
