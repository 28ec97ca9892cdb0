package transport

import (
	"context"
	"fmt"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// FeatureAudio is the feature of peers that know devices and streams of capture.Audio.
const FeatureAudio = "audio"

// Catalogue is what a Sender serves: the cameras and microphones of this host.
type Catalogue interface {
	// Cameras lists what there is, and may take a while, until the context ends with the
	// session.
	Cameras(ctx context.Context) []capture.Device
	// Open returns the Producer of a stream that the viewer uses for the first time since
	// the Sender was made. It must not wait. The Producer is used until Run ends.
	Open(s *SenderStream) Producer
}

// listCameras finds the cameras when the viewer asks. What it asks meanwhile has the
// same answer.
func (ss *senderSession) listCameras(session context.Context) error {
	for {
		select {
		case <-ss.lists:
		case <-session.Done():
			return nil
		}
		payloads := ss.encodeCameras(ss.sender.Catalogue.Cameras(session))
		select {
		case <-ss.lists:
		default:
		}
		ss.cameras.Store(&payloads)
		ss.queueRecord(wire.Camera)
	}
}

// encodeCameras returns the payloads of the Camera records, the last of them empty.
func (ss *senderSession) encodeCameras(cameras []capture.Device) [][]byte {
	if !ss.peer.Load().has(FeatureAudio) {
		cameras = capture.OfKind(cameras, capture.Video)
	}
	var payloads [][]byte
	for _, c := range cameras[:min(len(cameras), maxCameras)] {
		payload := encodeMessage(c)
		if len(payload) > wire.MaxPayload {
			ss.sender.Log.Warn("a camera has too many modes and controls to list", "camera", c.Name)
			continue
		}
		payloads = append(payloads, payload)
	}
	return append(payloads, nil)
}

// writeCamera writes the next camera of the list, so that pieces of frames pass
// between two.
func (ss *senderSession) writeCamera() error {
	var flags wire.Flags
	if list := ss.cameras.Swap(nil); list != nil {
		ss.rest, flags = *list, wire.First
	}
	if len(ss.rest) == 0 {
		return nil
	}
	payload := ss.rest[0]
	if ss.rest = ss.rest[1:]; len(ss.rest) == 0 {
		flags |= wire.Last
	} else {
		ss.queueRecord(wire.Camera)
	}
	return ss.writeRecord(wire.Header{Type: wire.Camera, Flags: flags}, payload)
}

// cameraList collects the answer to a List.
type cameraList struct {
	cameras []capture.Device
	begun   bool          // the first record came, and all since
	done    chan struct{} // closed when the list is complete
}

// Cameras asks the sender what it has. It waits for a session first.
func (r *Receiver) Cameras(ctx context.Context) ([]capture.Device, error) {
	list := r.pendingList()
	select {
	case <-list.done:
		return list.cameras, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("list the sender's cameras: %w", ctx.Err())
	}
}

// pendingList returns the list that is being asked for, and asks if none is.
func (r *Receiver) pendingList() *cameraList {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing == nil {
		r.listing = &cameraList{done: make(chan struct{})}
		if r.current != nil {
			r.current.queueRecord(wire.List)
		}
	}
	return r.listing
}

// addCamera adds one camera to the list that is being asked for.
func (r *Receiver) addCamera(h wire.Header, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.listing
	if list == nil {
		return nil
	}
	if h.Flags&wire.First != 0 {
		list.begun, list.cameras = true, nil
	}
	switch {
	case !list.begun:
		return nil
	case h.Flags&wire.Last != 0:
		r.listing = nil
		close(list.done)
		return nil
	case len(list.cameras) == maxCameras:
		return fmt.Errorf("it has more than %d cameras", maxCameras)
	}
	camera, err := parseCamera(h, payload)
	if err == nil {
		list.cameras = append(list.cameras, camera)
	}
	return err
}

// wantsList reports whether a list is waited for and none is coming.
func (r *Receiver) wantsList() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listing != nil && !r.listing.begun
}

// restartList forgets what came of the list, for a part may be missing.
func (r *Receiver) restartList() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listing != nil {
		r.listing.begun = false
	}
}

// Single is a Catalogue of one Producer, which serves the first stream that is opened.
// Every other one fails, since the camera is busy.
type Single struct {
	Producer Producer
	// List lists the cameras; nil: none.
	List func(context.Context) []capture.Device
	// Opened, if set, is called with the Producer's stream, for it to report to.
	Opened func(s *SenderStream)

	taken bool
}

// Cameras implements Catalogue.
func (c *Single) Cameras(ctx context.Context) []capture.Device {
	if c.List == nil {
		return nil
	}
	return c.List(ctx)
}

// Open implements Catalogue.
func (c *Single) Open(s *SenderStream) Producer {
	if c.taken {
		return &busyProducer{s}
	}
	c.taken = true
	if c.Opened != nil {
		c.Opened(s)
	}
	return c.Producer
}

// busyProducer answers each request with Busy.
type busyProducer struct{ stream *SenderStream }

func (p *busyProducer) Start(number uint32, _ capture.Want) {
	p.stream.Report(Status{State: Failed, Text: "another stream has the only camera", Request: number, Cause: Busy})
}

func (p *busyProducer) Stop() {}

func (p *busyProducer) Next(ctx context.Context) (Unit, error) {
	<-ctx.Done()
	return Unit{}, ctx.Err()
}

func (p *busyProducer) Lost() (none capture.Lost) { return none }

func (p *busyProducer) SetControl(capture.Setting) (capture.Setting, error) {
	return capture.Setting{}, capture.ErrBusy
}
