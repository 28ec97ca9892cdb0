package hub

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
)

// farCameras is a sender that has a camera and a microphone of any name, each open once. It
// lacks 7 frames per second.
type farCameras struct {
	auto bool // frames are raw for who has no use for JPEGs
	raw  bool // all are raw, and modes answer no request

	mu      sync.Mutex
	streams []*farStream
}

// farStream is a stream of it.
type farStream struct {
	transporttest.Producer
	sender *farCameras
	out    *transport.SenderStream
	kind   sync.Once
	chosen chan struct{} // closed when it is known whether it is of a microphone
	camera string        // "" while it is stopped
}

// Open implements transport.Catalogue.
func (s *farCameras) Open(out *transport.SenderStream) transport.Producer {
	f := &farStream{sender: s, out: out, chosen: make(chan struct{})}
	f.Period = time.Second / 30
	if s.auto || s.raw {
		f.Content = tinySample
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams = append(s.streams, f)
	return f
}

// Cameras implements transport.Catalogue.
func (s *farCameras) Cameras(context.Context) []capture.Device {
	return []capture.Device{{Path: "/dev/Front Camera", Name: "Front Camera"}}
}

// stream returns the stream with a number, from 1.
func (s *farCameras) stream(number int) *farStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[number-1]
}

// choose has the stream be of a camera or of a microphone.
func (f *farStream) choose(kind capture.Kind) {
	f.kind.Do(func() {
		if kind == capture.Audio {
			f.Period, f.Content = capture.AudioPeriod, blockSample
		}
		close(f.chosen)
	})
}

// blockSample returns the bytes of a block.
func blockSample(number uint32) []byte {
	return transporttest.Sample(number, capture.Mono.BlockSize())
}

// Next implements transport.Producer.
func (f *farStream) Next(ctx context.Context) (transport.Unit, error) {
	select {
	case <-f.chosen:
		return f.Producer.Next(ctx)
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
}

// Start implements transport.Producer. Parts of names are known here only.
func (f *farStream) Start(number uint32, want capture.Want) {
	f.choose(want.Kind)
	f.sender.mu.Lock()
	defer f.sender.mu.Unlock()
	name := cmp.Or(want.Camera, "Front Camera")
	if want.Kind == capture.Audio {
		name = cmp.Or(want.Camera, "Microphone")
	}
	if name == "Front" || name == "/dev/Front Camera" {
		name = "Front Camera"
	}
	status := transport.Status{State: transport.Running, Request: number}
	switch {
	case slices.ContainsFunc(f.sender.streams, func(o *farStream) bool { return o != f && o.camera == name }):
		status.State, status.Cause = transport.Failed, transport.Busy
	case want.FPS == 7 && f.camera != "":
		status.State, status.Cause = transport.Refused, transport.NoMode
	case want.FPS == 7:
		status.State, status.Cause = transport.Failed, transport.NoMode
	case want.FPS == 9: // which ends what ran
		f.camera = ""
		f.Producer.Stop()
		status.State, status.Cause = transport.Failed, transport.NoMode
	default:
		f.start(number, name, want)
	}
	f.out.Report(status)
}

func (f *farStream) start(number uint32, name string, want capture.Want) {
	mode := *transporttest.MJPEG720
	if want.Kind == capture.Audio {
		mode = transport.Mode{Format: capture.Format{Audio: capture.Mono}}
	} else {
		mode.Source.Width, mode.Source.Height = cmp.Or(want.Width, 1280), cmp.Or(want.Height, 720)
		mode.Source.Rate = capture.Rate{Num: uint32(cmp.Or(want.FPS, 30)), Den: 1}
	}
	mode.Camera, mode.Request = name, number
	if f.sender.auto {
		mode.Reason = "it has the choice"
	}
	if f.sender.auto && f.out.AcceptsRaw() || f.sender.raw {
		mode.Format = tiny
	}
	if f.sender.raw {
		mode.Request = 0
	}
	if f.sender.auto && f.camera == name { // some frames are on their way
		time.AfterFunc(100*time.Millisecond, func() { f.SetMode(&mode) })
	} else {
		f.SetMode(&mode)
	}
	f.camera = name
	f.Producer.Start(number, want)
	f.out.ReportControls(transport.Controls{Camera: name, Path: "/dev/" + name, Opening: number})
}

// Stop implements transport.Producer.
func (f *farStream) Stop() {
	f.sender.mu.Lock()
	defer f.sender.mu.Unlock()
	f.camera = ""
	f.Producer.Stop()
}

// SetControl implements transport.Producer.
func (f *farStream) SetControl(s capture.Setting) (capture.Setting, error) {
	s.Value++
	return s, nil
}

// world is a sender, and the host whose viewers share its line.
type world struct {
	*testing.T
	ctx     context.Context
	sender  *farCameras
	cable   *transporttest.Cable
	hub     *Hub
	memory  memory
	running sync.WaitGroup
	pools   []*capture.Pool
}

// inWorld runs a test in virtual time. What is left of frames fails it, and so do
// goroutines.
func inWorld(t *testing.T, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{T: t, ctx: ctx, sender: &farCameras{}, cable: transporttest.NewCable()}
		sender := &transport.Sender{Link: w.cable.Sender, Catalogue: w.sender, Program: "far", Host: "laptop"}
		receiver := &transport.Receiver{Link: w.cable.Viewer, Pool: w.pool()}
		var err error
		if w.hub, err = New(receiver, nil); err != nil {
			t.Fatal(err)
		}
		w.running.Go(func() { _ = sender.Run(ctx) })
		w.running.Go(func() { _ = receiver.Run(ctx) })
		test(w)
		cancel()
		w.running.Wait()
		synctest.Wait()
		for _, s := range w.sender.streams {
			s.Discard()
		}
		for i, p := range w.pools {
			if n := p.Outstanding(); n != 0 {
				t.Errorf("pool %d: %d frames are left", i, n)
			}
		}
		if w.memory.held != 0 {
			t.Errorf("%d bytes are held for clients that are gone", w.memory.held)
		}
	})
}

func (w *world) pool() *capture.Pool {
	p := &capture.Pool{}
	w.pools = append(w.pools, p)
	return p
}

// viewer is a subscription, in this process or another one, and what it got.
type viewer struct {
	transporttest.Consumer
	stream interface {
		Start(capture.Want) uint32
		Stop()
		SetControl(capture.Setting, func(capture.Setting, error))
	}
	cable    *transporttest.Cable // to the hub, nil in its process
	renumber bool                 // frames come from several streams of the sender
	number   uint32               // of the last one then
	sample   func(uint32) []byte  // what frames hold, nil: MixedSample
	receiver *transport.Receiver
}

// Frame implements transport.Consumer: it checks each byte of a frame.
func (v *viewer) Frame(f *capture.Frame, lost capture.Lost) {
	sample := transporttest.MixedSample
	switch {
	case f.Format.IsAudio():
		sample = blockSample
	case v.sample != nil:
		sample = v.sample
	}
	if !bytes.Equal(f.Data, sample(f.Sequence)) {
		v.T.Errorf("frame %d was not sent like this", f.Sequence)
	}
	if v.renumber {
		defer f.Release()
		v.number++
		f = &capture.Frame{Data: f.Data, Format: f.Format, Sequence: v.number} // others hold f
	}
	v.Consumer.Frame(f, lost)
}

// local returns a viewer in the hub's process.
func (w *world) local() *viewer {
	v := &viewer{}
	v.T = w.T
	v.stream = w.hub.Subscribe(v)
	return v
}

// attach returns a viewer of another process of this host.
func (w *world) attach(p transport.Policy, prepare ...func(*viewer)) *viewer {
	v := &viewer{cable: transporttest.NewCable()}
	v.T = w.T
	for _, do := range prepare {
		do(v)
	}
	w.running.Go(func() {
		for {
			conn, err := v.cable.Sender.Open(w.ctx)
			if err != nil {
				return
			}
			_ = w.hub.serveClient(w.ctx, conn, &w.memory)
		}
	})
	v.receiver = &transport.Receiver{Link: v.cable.Viewer, Pool: w.pool()}
	stream, err := v.receiver.Open(v, p)
	if err != nil {
		w.Fatal(err)
	}
	v.stream = stream
	w.running.Go(func() { _ = v.receiver.Run(w.ctx) })
	return v
}

// status returns the last status.
func (v *viewer) status() (last transport.Status) {
	if all := v.Events().Statuses; len(all) > 0 {
		last = all[len(all)-1]
	}
	return last
}

// mode returns the last mode.
func (v *viewer) mode() (last transport.Mode) {
	if all := v.Events().Modes; len(all) > 0 {
		last = all[len(all)-1]
	}
	return last
}

// wantAll checks that a viewer missed no frame.
func (v *viewer) wantAll(least int) {
	v.T.Helper()
	numbers := v.Events().Numbers
	if len(numbers) < least {
		v.T.Errorf("%d frames came, want %d", len(numbers), least)
		return
	}
	for i := range numbers[1:] {
		if numbers[i+1] != numbers[i]+1 {
			v.T.Errorf("frame %d follows %d", numbers[i+1], numbers[i])
		}
	}
}
