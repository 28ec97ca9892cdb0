package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// VideoStream is the ID of the stream that carries the camera's pictures.
const VideoStream = 1

// A sender greets often at first, then is silent until it opens again: what is
// sent to a device whose peer has not opened may be lost, or do harm.
const (
	helloCount = 8
	helloEvery = liveness / helloCount
)

// Picture is a frame ready for the wire and what the viewer is told with it.
type Picture struct {
	Frame *capture.Frame
	Info  *Mode        // the same pointer as long as nothing in it changes
	Lost  capture.Lost // totals since the stream began
}

// Feed is what a Sender serves: the cameras of this host. Its methods are called
// by different goroutines of a session; none but Next may wait for a camera.
type Feed interface {
	// Start asks for pictures, or for other ones; Stop ends that.
	Start(want capture.Want)
	Stop()
	// Next waits for the newest picture, which the caller then owns. It is
	// called only when the viewer takes one. io.EOF says that there will be
	// none any more.
	Next(ctx context.Context) (Picture, error)
	// Cameras lists what there is, and may take a while.
	Cameras() []capture.Camera
}

// Sender offers sessions on a Link, one after the other, and serves a Feed.
type Sender struct {
	Link    Link
	Feed    Feed
	Version string // of the program
	Log     *slog.Logger

	// Sent, if set, is told of every frame that was written, before its release.
	Sent func(*capture.Frame)

	current atomic.Pointer[senderSession]
	status  atomic.Pointer[Status]
}

// Report tells the viewer of the stream's state, now and when one connects.
func (s *Sender) Report(status Status) {
	s.status.Store(&status)
	if session := s.current.Load(); session != nil {
		session.report(status)
	}
}

// Run serves until the context ends or the feed does, and then says goodbye. Its
// error is one that waiting cannot cure.
func (s *Sender) Run(ctx context.Context) error {
	for {
		conn, err := s.Link.Open(ctx)
		if ctx.Err() != nil {
			if err == nil {
				err = conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		err = s.serve(ctx, conn)
		conn.Close()
		s.Feed.Stop()
		if ctx.Err() != nil || errors.Is(err, errFeedEnded) {
			return nil
		}
		if err := sleep(ctx, redial); err != nil {
			return nil
		}
	}
}

var errFeedEnded = errors.New("all was said and read")

// serve runs one session and returns why it ended.
func (s *Sender) serve(ctx context.Context, conn Conn) error {
	ss := &senderSession{
		session: newSession(conn, newTimeline()), sender: s,
		pictures: make(chan item), wake: make(chan struct{}, 1), welcome: make(chan struct{}),
	}
	ss.id = max(1, rand.Uint32())
	g, gctx := errgroup.WithContext(context.WithoutCancel(ctx))
	ss.group = g
	stop := context.AfterFunc(gctx, func() { conn.Close() })
	defer stop()
	s.current.Store(ss)
	defer s.current.Store(nil)
	g.Go(func() error { return ss.watch(gctx) })
	g.Go(func() error { return ss.greet(gctx) })
	g.Go(func() error { return ss.read() })
	g.Go(func() error { return ss.writeAll(gctx) })
	g.Go(func() error { return ss.pump(ctx, gctx) })
	err := g.Wait()
	if peer := ss.peer.Load(); peer != nil {
		s.Log.Info(fmt.Sprintf("%v watches no more", peer), "why", err, "frames", ss.sent.Load())
	}
	return err
}

// item is what the writer is handed: a picture, or the reason for a goodbye.
type item struct {
	picture Picture
	bye     string
}

// senderSession is the sender's side of one session.
type senderSession struct {
	*session
	sender *Sender
	group  *errgroup.Group

	welcome chan struct{} // closed when the viewer accepted
	peer    atomic.Pointer[Peer]

	pictures chan item     // from pump to the writer; never closed
	wake     chan struct{} // the credit has grown
	credit   atomic.Uint64 // frames that may be sent in all
	sent     atomic.Uint64 // frames that were written
	listing  sync.Mutex    // held while the cameras are listed
	ended    atomic.Bool   // the goodbye is on its way

	mode   Mode                       // of the writer: the last one it announced
	info   *Mode                      // of the writer: what that was made from
	header [wire.FrameHeaderSize]byte // of the writer
}

// greet says Hello until it is answered, or often enough.
func (ss *senderSession) greet(ctx context.Context) error {
	hello := encode(self("tbcam-send", ss.sender.Version))
	for range helloCount {
		if err := ss.send(wire.Header{Type: wire.Hello}, hello); err != nil {
			return err
		}
		select {
		case <-ss.welcome:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(helloEvery):
		}
	}
	return nil
}

func (ss *senderSession) read() error {
	for {
		h, payload, err := ss.next()
		if err != nil {
			return err
		}
		if err := ss.handle(h, payload); err != nil {
			return err
		}
	}
}

// handle acts on one record. Unknown types are for later versions: ignored.
func (ss *senderSession) handle(h wire.Header, payload []byte) error {
	switch h.Type {
	case wire.Welcome:
		return ss.accepted(h, payload)
	case wire.Bye:
		return ss.returnBye(payload)
	}
	if ss.peer.Load() == nil {
		return nil
	}
	switch h.Type {
	case wire.Ping:
		return ss.pong(h, payload)
	case wire.Start:
		want, err := parseWant(h, payload)
		if err == nil {
			ss.sender.Feed.Start(want)
		}
		return err
	case wire.Stop:
		ss.sender.Feed.Stop()
	case wire.Credit:
		return ss.grant(payload)
	case wire.List:
		ss.group.Go(ss.list)
	case wire.ByeAck:
		if ss.ended.Load() {
			return errFeedEnded
		}
	}
	return nil
}

func (ss *senderSession) accepted(h wire.Header, payload []byte) error {
	peer, err := parsePeer(h, payload)
	if err != nil {
		return err
	}
	if ss.peer.Swap(&peer) != nil {
		return nil // it answered more than one Hello
	}
	close(ss.welcome)
	ss.sender.Log.Info(fmt.Sprintf("%v watches", peer))
	if status := ss.sender.status.Load(); status != nil {
		ss.report(*status)
	}
	return nil
}

func (ss *senderSession) pong(h wire.Header, payload []byte) error {
	ping, err := wire.ParsePing(payload)
	if err != nil {
		return err
	}
	clock := wire.Clock{Ping: ping, Received: ss.now()}
	return ss.send(wire.Header{Type: wire.Pong, Stream: h.Stream}, wire.AppendPong(nil, clock, ss.sent.Load()))
}

func (ss *senderSession) grant(payload []byte) error {
	total, err := wire.ParseCredit(payload)
	if err != nil {
		return err
	}
	ss.credit.Store(max(total, ss.credit.Load()))
	select {
	case ss.wake <- struct{}{}:
	default:
	}
	return nil
}

func (ss *senderSession) report(status Status) {
	// A session that is flooded ends by itself: nothing to do here.
	_ = ss.send(wire.Header{Type: wire.Status, Stream: VideoStream}, encode(status))
}

// list sends the cameras, one a record, unless it is at it already.
func (ss *senderSession) list() error {
	if !ss.listing.TryLock() {
		return nil
	}
	defer ss.listing.Unlock()
	for _, c := range ss.sender.Feed.Cameras() {
		if err := ss.send(wire.Header{Type: wire.Camera}, encode(c)); err != nil {
			return err
		}
	}
	return ss.send(wire.Header{Type: wire.Camera, Flags: wire.Last}, nil)
}

// pump takes the newest picture whenever the viewer has room for one, so that
// what cannot be sent grows old before it was encoded, not after.
func (ss *senderSession) pump(ctx, session context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(session, cancel)()
	for taken := uint64(0); ; taken++ {
		picture, err := ss.takePicture(ctx, taken)
		if err != nil {
			return ss.goodbye(session, err)
		}
		select {
		case ss.pictures <- item{picture: picture}:
		case <-session.Done():
			picture.Frame.Release()
			return nil
		}
	}
}

func (ss *senderSession) takePicture(ctx context.Context, taken uint64) (Picture, error) {
	for ss.credit.Load() <= taken {
		select {
		case <-ss.wake:
		case <-ctx.Done():
			return Picture{}, ctx.Err()
		}
	}
	return ss.sender.Feed.Next(ctx)
}

// goodbye ends the session after all pictures that were taken before.
func (ss *senderSession) goodbye(session context.Context, err error) error {
	if session.Err() != nil || ss.peer.Load() == nil {
		return err
	}
	reason := "tbcam-send was ended"
	if errors.Is(err, io.EOF) {
		reason = "all frames were sent"
	}
	ss.ended.Store(true)
	select {
	case ss.pictures <- item{bye: reason}:
	case <-session.Done():
		return nil
	}
	if sleep(session, byeWait) != nil {
		return nil
	}
	return errFeedEnded
}

// writeAll writes what there is to write, control first.
func (ss *senderSession) writeAll(ctx context.Context) error {
	for {
		if err := ss.writeControl(); err != nil {
			return err
		}
		select {
		case r := <-ss.control:
			if err := ss.write(r); err != nil {
				return err
			}
		case it := <-ss.pictures:
			if err := ss.writeItem(it); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (ss *senderSession) writeItem(it item) error {
	if it.picture.Frame == nil {
		return ss.write(record{wire.Header{Type: wire.Bye}, []byte(it.bye)})
	}
	defer it.picture.Frame.Release()
	if it.picture.Info != ss.info {
		ss.info = it.picture.Info
		number := ss.mode.Number + 1
		ss.mode = *ss.info
		ss.mode.Number = number
		if err := ss.write(record{wire.Header{Type: wire.Mode, Stream: VideoStream}, encode(ss.mode)}); err != nil {
			return err
		}
	}
	return ss.writeFrame(it.picture)
}

// writeFrame writes a frame in records of the largest size; control records go
// between them.
func (ss *senderSession) writeFrame(p Picture) error {
	f := p.Frame
	f.At[capture.Sent] = time.Now()
	meta := ss.frameHeader(p)
	data, head := f.Data, meta.Append(ss.header[:0])
	flags := wire.First
	for {
		n := min(len(data), wire.MaxPayload-len(head))
		if n == len(data) {
			flags |= wire.Last
		}
		h := wire.Header{Type: wire.Frame, Flags: flags, Stream: VideoStream}
		if err := ss.writePieces(h, head, data[:n]); err != nil {
			return err
		}
		if flags&wire.Last != 0 {
			break
		}
		data, head, flags = data[n:], nil, 0
		if err := ss.writeControl(); err != nil {
			return err
		}
	}
	ss.sent.Add(1)
	if ss.sender.Sent != nil {
		ss.sender.Sent(f)
	}
	return nil
}

func (ss *senderSession) frameHeader(p Picture) wire.FrameHeader {
	at := p.Frame.At
	return wire.FrameHeader{
		Index:          ss.sent.Load(),
		Sequence:       p.Frame.Sequence,
		Mode:           ss.mode.Number,
		Size:           uint32(len(p.Frame.Data)),
		Captured:       ss.line.nanos(at[capture.Captured]),
		Dequeued:       ss.line.nanos(at[capture.Dequeued]),
		Encoded:        ss.line.nanos(at[capture.Encoded]),
		Sent:           ss.line.nanos(at[capture.Sent]),
		LostDriver:     uint32(p.Lost.Driver),
		LostDamaged:    uint32(p.Lost.Damaged),
		LostSuperseded: uint32(p.Lost.Superseded),
	}
}
