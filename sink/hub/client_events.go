package hub

import (
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// clientConsumer is the transport.Consumer of a clientStream's subscription. A client's
// session begins and ends with the sender's.
type clientConsumer struct{ *clientStream }

// Connected implements transport.Consumer.
func (s clientConsumer) Connected(transport.Peer) {}

// Disconnected implements transport.Consumer.
func (s clientConsumer) Disconnected(error) {}

// Frame implements transport.Consumer.
func (s clientConsumer) Frame(f *capture.Frame, lost capture.Lost) { s.put(f, lost) }

// Mode implements transport.Consumer.
func (s clientConsumer) Mode(mode transport.Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = &mode
}

// Lost implements transport.Consumer.
func (s clientConsumer) Lost(lost capture.Lost) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = lost
}

// Status implements transport.Consumer.
func (s clientConsumer) Status(status transport.Status) { s.out.Report(status) }

// ControlsChanged implements transport.Consumer.
func (s clientConsumer) ControlsChanged(controls transport.Controls) { s.out.ReportControls(controls) }

// ClientMemory is how many bytes of frames a hub may hold for its clients, beside what
// its own process needs. Beyond that each client has one frame on its way.
const ClientMemory = 2 * capture.MaxFrame

// memory counts the bytes of the frames that are held for clients.
type memory struct {
	mu   sync.Mutex
	held int
}

func (m *memory) add(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held += bytes
}

func (m *memory) fits(bytes int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held+bytes <= ClientMemory
}

// notify leaves a token in a channel of one, if none is there.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
