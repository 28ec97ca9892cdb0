package transporttest

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// Sample returns the bytes of the frame with a number. Those of different frames have
// nothing in common.
func Sample(number uint32, size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(number), byte(number >> 8), byte(number >> 16)}).Read(data)
	return data
}

// MixedSize returns the size of a frame: mostly of one record, at times of three.
func MixedSize(number uint32) int {
	if number%7 == 3 {
		return 600_000
	}
	return 1 + int(number%5)*9_000
}

// MixedSample returns the Sample of MixedSize.
func MixedSample(number uint32) []byte { return Sample(number, MixedSize(number)) }

// MJPEG720 is the mode of a Producer that was given none.
var MJPEG720 = &transport.Mode{
	Camera: "fake",
	Source: capture.Mode{Pixel: capture.MJPEG, Width: 1280, Height: 720, Rate: capture.Rate{Num: 30, Den: 1}},
	Format: capture.Format{Pixel: capture.MJPEG, Width: 1280, Height: 720, Range: capture.Full},
}

// Producer is a camera that has a frame every Period while it is started: the newest
// one waits to be sent. Its frames are numbered from 1 by Frame.Sequence. What is
// exported may be set before it is used.
type Producer struct {
	Pool    capture.Pool
	Period  time.Duration              // 0: as fast as they are sent, none is superseded
	Content func(number uint32) []byte // of a frame; nil: MixedSample
	Mode    *transport.Mode            // nil: MJPEG720
	Count   uint32                     // of frames until Err, with a Period of 0; 0: no end
	Err     error                      // nil: io.EOF
	Renew   bool                       // each frame has a Mode of its own
	// Control, if set, sets a control; without it there is no remote control.
	Control func(capture.Setting) (capture.Setting, error)

	mu      sync.Mutex
	number  uint32 // of the last frame
	running chan struct{}
	box     *capture.Mailbox
	lost    capture.Lost
	starts  []capture.Want
	stops   int
	units   map[uint32]transport.Unit
	at      []time.Time // when each was captured, the first at 0

	stream   *transport.SenderStream // nil before it was opened
	status   *transport.Status       // reported before that; nil without
	controls *transport.Controls     // likewise
}

// initDefaults fills in what was not set. The caller holds mu.
func (p *Producer) initDefaults() {
	if p.box != nil {
		return
	}
	p.box, p.units = capture.NewMailbox(), map[uint32]transport.Unit{}
	if p.Mode == nil {
		p.Mode = MJPEG720
	}
	if p.Err == nil {
		p.Err = io.EOF
	}
}

// Start implements transport.Producer.
func (p *Producer) Start(_ uint32, want capture.Want) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.initDefaults()
	p.starts = append(p.starts, want)
	if p.running == nil {
		p.running = make(chan struct{})
		go p.captureFrames(p.running)
	}
}

// Stop implements transport.Producer.
func (p *Producer) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.initDefaults()
	p.stops++
	if p.running != nil {
		close(p.running)
		p.running = nil
		p.box.Discard()
	}
}

// Requests returns the Starts and counts the Stops so far.
func (p *Producer) Requests() (starts []capture.Want, stops int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.starts), p.stops
}

func (p *Producer) captureFrames(stop chan struct{}) {
	if p.Period == 0 {
		return
	}
	ticker := time.NewTicker(p.Period)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			p.captureFrame(stop)
		}
	}
}

// captureFrame puts one frame into the mailbox, unless the producer was stopped.
func (p *Producer) captureFrame(stop chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == stop {
		p.box.Put(p.newFrame())
	}
}

// newFrame makes the next frame. The caller holds mu.
func (p *Producer) newFrame() *capture.Frame {
	p.number++
	data := p.contentOf(p.number)
	f := p.Pool.Get(len(data))
	copy(f.Data, data)
	f.Format, f.Sequence, f.Time = p.Mode.Format, p.number, time.Now()
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
	p.at = append(p.at, f.Time)
	if p.Renew {
		mode := *p.Mode
		p.Mode = &mode
	}
	p.units[p.number] = transport.Unit{Info: p.Mode, Lost: p.lost}
	return f
}

// Next implements transport.Producer.
func (p *Producer) Next(ctx context.Context) (transport.Unit, error) {
	p.mu.Lock()
	p.initDefaults()
	box := p.box
	p.mu.Unlock()
	if p.Period == 0 {
		return p.nextOfAll(ctx)
	}
	select {
	case f := <-box.Frames():
		return p.unitOf(f), nil
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
}

// unitOf returns the unit of a frame as it was when that was captured.
func (p *Producer) unitOf(f *capture.Frame) transport.Unit {
	p.mu.Lock()
	defer p.mu.Unlock()
	unit := p.units[f.Sequence]
	for number := range p.units { // the older ones were superseded
		if number <= f.Sequence {
			delete(p.units, number)
		}
	}
	unit.Frame = f
	return unit
}

// nextOfAll drops none.
func (p *Producer) nextOfAll(ctx context.Context) (transport.Unit, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.Count != 0 && p.number == p.Count: // also of a session that ends just now
		return transport.Unit{}, p.Err
	case ctx.Err() != nil:
		return transport.Unit{}, ctx.Err()
	}
	f := p.newFrame()
	unit := p.units[p.number]
	delete(p.units, p.number)
	unit.Frame = f
	return unit, nil
}

// contentOf returns what the frame with a number was made of.
func (p *Producer) contentOf(number uint32) []byte {
	if p.Content == nil {
		return MixedSample(number)
	}
	return p.Content(number)
}

// CapturedAt returns when the frame with a number was captured, and whether it was.
func (p *Producer) CapturedAt(number uint32) (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if number == 0 || int(number) > len(p.at) {
		return time.Time{}, false
	}
	return p.at[number-1], true
}

// SetMode changes the mode of the frames from now on.
func (p *Producer) SetMode(mode *transport.Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Mode = mode
}

// Lose counts frames as lost.
func (p *Producer) Lose(more capture.Lost) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost.Add(more)
}

// SetControl implements transport.Producer.
func (p *Producer) SetControl(s capture.Setting) (capture.Setting, error) {
	if p.Control == nil {
		return capture.Setting{}, transport.ErrNoRemoteControl
	}
	return p.Control(s)
}

// Report reports a status to the viewer of the stream, if need be once that is opened.
func (p *Producer) Report(s transport.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status = &s; p.stream != nil {
		p.stream.Report(s)
	}
}

// ReportControls reports controls likewise.
func (p *Producer) ReportControls(c transport.Controls) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.controls = &c; p.stream != nil {
		p.stream.ReportControls(c)
	}
}

// attachStream has the Producer serve a stream.
func (p *Producer) attachStream(s *transport.SenderStream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = s
	if p.status != nil {
		s.Report(*p.status)
	}
	if p.controls != nil {
		s.ReportControls(*p.controls)
	}
}

// Discard releases the frame that waits to be sent. It is for the end of a test.
func (p *Producer) Discard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.box != nil {
		p.box.Discard()
	}
}

// Catalogue is a host whose camera n is that of stream n. It implements
// transport.Catalogue.
type Catalogue struct {
	Producers []*Producer // of the streams from 1 on; the others have one of their own
	// List, if set, lists the cameras.
	List func() []capture.Device
}

// Open implements transport.Catalogue.
func (c *Catalogue) Open(s *transport.SenderStream) transport.Producer {
	p := &Producer{Period: time.Hour}
	if n := s.Number(); n <= len(c.Producers) {
		p = c.Producers[n-1]
	}
	p.attachStream(s)
	return p
}

// Cameras implements transport.Catalogue.
func (c *Catalogue) Cameras(context.Context) []capture.Device {
	if c.List == nil {
		return nil
	}
	return c.List()
}

// Lost implements transport.Producer.
func (p *Producer) Lost() capture.Lost {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}
