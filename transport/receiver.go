package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// window is how many frames may be on their way: one that is written while the
// one before it is read.
const window = 2

// Viewer is what a Receiver serves. Its methods are called by one goroutine,
// which reads nothing meanwhile: they must not wait.
type Viewer interface {
	Connected(peer Peer)
	// Mode describes the frames that follow.
	Mode(mode Mode)
	// Frame takes over the reference. lost are the sender's totals.
	Frame(f *capture.Frame, lost capture.Lost)
	Status(status Status)
	Disconnected(err error)
}

// Stats are totals of a Receiver since it was made.
type Stats struct {
	Sessions uint64 // that were begun
	Frames   uint64 // that were received whole
	Bytes    uint64 // of these
	Lost     uint64 // frames that were sent but not received whole
	Stale    uint64 // records of older sessions
	Damage   wire.Damage
}

// Receiver takes the sessions that senders offer on a Link, one after the other.
type Receiver struct {
	Link    Link
	Viewer  Viewer
	Pool    *capture.Pool
	Version string // of the program
	Log     *slog.Logger

	mu      sync.Mutex
	want    *capture.Want // nil: no pictures
	current *receiverSession
	listing *cameraList
	stats   Stats
	clock   atomic.Pointer[Clock]
}

// cameraList collects the answer to a List.
type cameraList struct {
	cameras []capture.Camera
	done    chan struct{} // closed when the list is complete
}

// maxCameras bounds the list that a sender can make the viewer keep.
const maxCameras = 64

// Start asks for pictures, now and in every session to come, until Stop.
func (r *Receiver) Start(want capture.Want) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = &want
	if r.current != nil {
		r.current.start(want)
	}
}

// Stop asks for no more pictures; the session lives on.
func (r *Receiver) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = nil
	if r.current != nil {
		r.current.request(wire.Header{Type: wire.Stop, Stream: VideoStream}, nil)
	}
}

// Cameras asks the sender what it has. It waits for a session first.
func (r *Receiver) Cameras(ctx context.Context) ([]capture.Camera, error) {
	list := &cameraList{done: make(chan struct{})}
	r.mu.Lock()
	r.listing = list
	if r.current != nil {
		r.current.request(wire.Header{Type: wire.List}, nil)
	}
	r.mu.Unlock()
	select {
	case <-list.done:
		return list.cameras, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("list the sender's cameras: %w", ctx.Err())
	}
}

// Stats returns the totals so far.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Clock returns the estimate of the sender's clock in the present session, nil
// before the first.
func (r *Receiver) Clock() *Clock { return r.clock.Load() }

// Run serves until the context ends, and then says goodbye. Its error is one
// that waiting cannot cure.
func (r *Receiver) Run(ctx context.Context) error {
	for {
		conn, err := r.Link.Open(ctx)
		if ctx.Err() != nil {
			if err == nil {
				err = conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		err = r.serve(ctx, conn)
		conn.Close()
		if ctx.Err() != nil {
			return nil
		}
		r.Log.Debug("session ended", "why", err)
		if sleep(ctx, redial) != nil {
			return nil
		}
	}
}

// serve runs one session and returns why it ended.
func (r *Receiver) serve(ctx context.Context, conn Conn) error {
	line := newTimeline()
	rs := &receiverSession{
		session: newSession(conn, line), receiver: r, clock: &Clock{line: line},
		greeted: make(chan struct{}), pingNow: make(chan struct{}, 1),
	}
	g, gctx := errgroup.WithContext(context.WithoutCancel(ctx))
	stop := context.AfterFunc(gctx, func() { conn.Close() })
	defer stop()
	g.Go(func() error { return rs.listen(gctx) })
	g.Go(func() error { return rs.beat(gctx) })
	g.Go(rs.read)
	g.Go(func() error { return rs.writeAll(gctx) })
	g.Go(func() error { return rs.leave(ctx, gctx) })
	err := g.Wait()
	rs.end(err)
	return err
}

// receiverSession is the viewer's side of one session. All but the writer and
// the heartbeat runs in the goroutine that reads.
type receiverSession struct {
	*session
	receiver *Receiver
	clock    *Clock
	greeted  chan struct{} // closed at the first Hello
	pingNow  chan struct{} // a credit may be lost: do not wait for the next ping

	timed  bool          // the first Pong has come; guarded by receiver.mu
	offset time.Duration // of the sender's clock then; fixed, so that Frame.Time keeps differences

	peer        *Peer
	mode        Mode
	granted     uint64           // the last Credit that was sent
	index       uint64           // of the next frame
	frameHeader wire.FrameHeader // of partial
	partial     *capture.Frame
	filled      int // bytes of partial that were received
	lostSeen    wire.Damage
}

// listen ends when the sender is silent. Before the first Hello that holds only
// where the link proves that a sender is there.
func (rs *receiverSession) listen(ctx context.Context) error {
	if !rs.receiver.Link.Accepts() {
		select {
		case <-rs.greeted:
		case <-ctx.Done():
			return nil
		}
	}
	return rs.watch(ctx)
}

// beat asks for a Pong now and then: it shows life, and tells the time.
func (rs *receiverSession) beat(ctx context.Context) error {
	select {
	case <-rs.greeted:
	case <-ctx.Done():
		return nil
	}
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		if err := rs.send(wire.Header{Type: wire.Ping, Stream: VideoStream}, wire.AppendPing(nil, rs.now())); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-rs.pingNow:
		case <-ctx.Done():
			return nil
		}
	}
}

// leave says goodbye when the context ends.
func (rs *receiverSession) leave(ctx, session context.Context) error {
	select {
	case <-session.Done():
		return nil
	case <-ctx.Done():
	}
	select {
	case <-rs.greeted:
	default:
		return ctx.Err() // a viewer never speaks first
	}
	if err := rs.send(wire.Header{Type: wire.Bye}, []byte("tbcam-view was ended")); err != nil {
		return err
	}
	_ = sleep(session, byeWait)
	return ctx.Err()
}

func (rs *receiverSession) writeAll(ctx context.Context) error {
	for {
		select {
		case r := <-rs.control:
			if err := rs.write(r); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (rs *receiverSession) read() error {
	defer rs.dropPartial()
	for {
		h, payload, err := rs.next()
		rs.account()
		if err != nil {
			return err
		}
		if err := rs.handle(h, payload); err != nil {
			return err
		}
	}
}

// account adds what the reader passed over to the receiver's totals.
func (rs *receiverSession) account() {
	damage := rs.reader.Damage()
	if damage == rs.lostSeen && !rs.gap {
		return
	}
	rs.receiver.mu.Lock()
	rs.receiver.stats.Damage.Bytes += damage.Bytes - rs.lostSeen.Bytes
	rs.receiver.stats.Damage.Records += damage.Records - rs.lostSeen.Records
	rs.receiver.mu.Unlock()
	rs.lostSeen = damage
	rs.dropPartial()
	select {
	case rs.pingNow <- struct{}{}:
	default:
	}
}

// handle acts on one record. Unknown types are for later versions: ignored.
func (rs *receiverSession) handle(h wire.Header, payload []byte) error {
	if h.Type == wire.Hello {
		return rs.hello(h, payload)
	}
	if rs.peer == nil {
		return nil // left over from an older session
	}
	switch h.Type {
	case wire.Mode:
		return rs.setMode(h, payload)
	case wire.Frame:
		return rs.piece(h, payload)
	case wire.Pong:
		return rs.pong(payload)
	case wire.Status:
		status, err := parseStatus(h, payload)
		if err == nil {
			rs.receiver.Viewer.Status(status)
		}
		return err
	case wire.Camera:
		return rs.receiver.addCamera(h, payload)
	case wire.Bye:
		return rs.returnBye(payload)
	case wire.ByeAck:
		return errors.New("the goodbye was read")
	}
	return nil
}

func (rs *receiverSession) hello(h wire.Header, payload []byte) error {
	peer, err := parsePeer(h, payload)
	if err != nil {
		return err
	}
	if h.Session == 0 {
		return errors.New("the sender offers session 0")
	}
	first := rs.peer == nil
	rs.id, rs.peer = h.Session, &peer
	if err := rs.send(wire.Header{Type: wire.Welcome}, encode(self("tbcam-view", rs.receiver.Version))); err != nil {
		return err
	}
	if first {
		close(rs.greeted)
		rs.begin(peer)
	}
	return nil
}

// begin makes the session the receiver's. It asks for pictures only when the
// first Pong has told the time, so that every frame's times are known.
func (rs *receiverSession) begin(peer Peer) {
	r := rs.receiver
	r.clock.Store(rs.clock)
	r.mu.Lock()
	r.stats.Sessions++
	r.current = rs
	if r.listing != nil {
		rs.request(wire.Header{Type: wire.List}, nil)
	}
	r.mu.Unlock()
	r.Viewer.Connected(peer)
}

// end undoes begin.
func (rs *receiverSession) end(err error) {
	r := rs.receiver
	r.mu.Lock()
	r.stats.Stale += rs.stale.Load()
	r.current = nil
	r.mu.Unlock()
	if rs.peer != nil {
		r.Viewer.Disconnected(err)
	}
}

// request sends what a user asked for. A session that cannot take it is ending.
func (rs *receiverSession) request(h wire.Header, payload []byte) { _ = rs.send(h, payload) }

func (rs *receiverSession) start(want capture.Want) {
	if !rs.timed {
		return // the first Pong will
	}
	rs.request(wire.Header{Type: wire.Start, Stream: VideoStream}, encode(want))
}

func (rs *receiverSession) setMode(h wire.Header, payload []byte) error {
	mode, err := parseMode(h, payload)
	if err != nil {
		return err
	}
	rs.mode = mode
	rs.receiver.Viewer.Mode(mode)
	return nil
}

// piece adds a record to the frame that is being received. What does not fit
// drops that frame: a Mode or a piece of it was lost.
func (rs *receiverSession) piece(h wire.Header, payload []byte) error {
	if h.Flags&wire.First != 0 {
		rs.dropPartial()
		rest, err := rs.begun(payload)
		if err != nil {
			return err
		}
		payload = rest
	}
	if rs.partial == nil {
		return nil
	}
	if len(payload) > len(rs.partial.Data)-rs.filled {
		rs.dropPartial()
		return nil
	}
	rs.filled += copy(rs.partial.Data[rs.filled:], payload)
	if h.Flags&wire.Last != 0 {
		return rs.complete()
	}
	return nil
}

// begun reads the header of a frame and makes room for its picture.
func (rs *receiverSession) begun(payload []byte) ([]byte, error) {
	meta, rest, err := wire.ParseFrameHeader(payload)
	if err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	if meta.Index < rs.index {
		return nil, fmt.Errorf("read frame: index %d comes after %d", meta.Index, rs.index)
	}
	rs.passed(meta.Index)
	rs.frameHeader = meta
	if meta.Mode != rs.mode.Number {
		return nil, nil
	}
	if err := checkSize(rs.mode.Format, int(meta.Size)); err != nil {
		return nil, err
	}
	f := rs.receiver.Pool.Get(int(meta.Size))
	f.Format, f.Sequence = rs.mode.Format, meta.Sequence
	rs.partial, rs.filled = f, 0
	return rest, nil
}

// checkSize bounds the memory that a sender can ask for.
func checkSize(format capture.Format, size int) error {
	if raw := format.Size(); raw != 0 && size != raw {
		return fmt.Errorf("read frame: %d bytes, a %v has %d", size, format, raw)
	}
	// No JPEG worth having is larger than its pixels in 4:4:4, plus headers.
	if limit := min(MaxFrame, 3*format.Width*format.Height+wire.MaxRecord); size > limit {
		return fmt.Errorf("read frame: %d bytes, a %v has at most %d", size, format, limit)
	}
	return nil
}

// complete hands the frame over and gives its credit back.
func (rs *receiverSession) complete() error {
	f, meta := rs.partial, rs.frameHeader
	if rs.filled != len(f.Data) {
		rs.dropPartial()
		return nil
	}
	rs.partial = nil
	rs.index = meta.Index + 1
	f.Time = rs.line.time(meta.Captured - int64(rs.offset))
	f.At = [capture.NumStages]time.Time{
		capture.Captured: rs.clock.local(meta.Captured),
		capture.Dequeued: rs.clock.local(meta.Dequeued),
		capture.Encoded:  rs.clock.local(meta.Encoded),
		capture.Sent:     rs.clock.local(meta.Sent),
		capture.Received: time.Now(),
	}
	r := rs.receiver
	r.mu.Lock()
	r.stats.Frames++
	r.stats.Bytes += uint64(len(f.Data))
	r.mu.Unlock()
	r.Viewer.Frame(f, capture.Lost{
		Driver:     uint64(meta.LostDriver),
		Damaged:    uint64(meta.LostDamaged),
		Superseded: uint64(meta.LostSuperseded),
	})
	return rs.grant(rs.index + window)
}

func (rs *receiverSession) dropPartial() {
	if rs.partial != nil {
		rs.partial.Release()
		rs.partial = nil
	}
}

// passed counts the frames before index that never came whole.
func (rs *receiverSession) passed(index uint64) {
	if index <= rs.index {
		return
	}
	r := rs.receiver
	r.mu.Lock()
	r.stats.Lost += index - rs.index
	r.mu.Unlock()
	rs.index = index
}

func (rs *receiverSession) pong(payload []byte) error {
	clock, sent, err := wire.ParsePong(payload)
	if err != nil {
		return err
	}
	rs.clock.add(clock, rs.now())
	rs.startTimed()
	// All frames sent before the Pong have come or never will.
	rs.passed(sent)
	return rs.grant(rs.index + window)
}

// startTimed asks for pictures once the time is known.
func (rs *receiverSession) startTimed() {
	offset, _, ok := rs.clock.Estimate()
	if rs.timed || !ok {
		return
	}
	r := rs.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	rs.timed, rs.offset = true, offset
	if r.want != nil {
		rs.start(*r.want)
	}
}

// grant sends a Credit unless it would say nothing new.
func (rs *receiverSession) grant(total uint64) error {
	if total <= rs.granted {
		return nil
	}
	rs.granted = total
	return rs.send(wire.Header{Type: wire.Credit, Stream: VideoStream}, wire.AppendCredit(nil, total))
}

// addCamera adds one camera to the list that is being asked for.
func (r *Receiver) addCamera(h wire.Header, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.listing
	if list == nil {
		return nil
	}
	if h.Flags&wire.Last != 0 {
		r.listing = nil
		close(list.done)
		return nil
	}
	camera, err := parseCamera(h, payload)
	if err == nil && len(list.cameras) < maxCameras {
		list.cameras = append(list.cameras, camera)
	}
	return err
}
