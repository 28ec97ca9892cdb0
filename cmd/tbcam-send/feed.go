package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/transport"
)

// feed serves a camera to a transport.Sender. Its supervisor has the camera open
// while it is wanted and reads it into a mailbox, and Next encodes what is newest
// there.
type feed struct {
	kind     codec.Kind
	quality  int
	limit    *limit // of all feeds
	log      *slog.Logger
	report   func(transport.Status)
	controls *cameraControls
	camera   *supervisor
	stream   atomic.Pointer[transport.SenderStream] // nil until the viewer uses it
	status   atomic.Pointer[transport.Status]       // that was reported last; nil before

	pool   capture.Pool
	box    *capture.Mailbox
	health health

	using   sync.Mutex // held while encoder works; taken before mu
	mu      sync.Mutex
	source  capture.Source   // nil unless open
	lost    capture.Lost     // of cameras that were closed, and what was superseded in box
	encoder codec.Encoder    // nil before the first camera; changed under using and mu
	encoded encoding         // what encoder was made for; likewise
	choice  codec.AutoChoice // between raw frames and JPEGs; under using
	repairs jfif.Counts      // of encoders that were closed
}

// encoding is what an encoder depends on, and makes.
type encoding struct {
	kind codec.Kind
	in   capture.Format
	out  *transport.Mode

	other  capture.Format // of the last frame, if that was not out's
	warned bool           // that a format is not what the driver granted
}

func newFeed(offer *offer, cameras *openCameras, base capture.Want, kind codec.Kind, quality int, log *slog.Logger) *feed {
	f := &feed{
		kind: kind, quality: quality, limit: &limit{}, log: log, box: capture.NewMailbox(),
		controls: &cameraControls{grants: &offer.grants, log: log, report: func(transport.Controls) {}},
	}
	f.camera = newSupervisor(f, offer, cameras, base)
	return f
}

// another returns a feed of the same flags, for another stream.
func (f *feed) another(log *slog.Logger) *feed {
	more := newFeed(f.camera.offer, f.camera.cameras, f.camera.base, f.kind, f.quality, log)
	more.limit = f.limit
	more.controls.locked, more.controls.keepRate = f.controls.locked, f.controls.keepRate
	return more
}

// isIdle reports whether no frames are asked for.
func (f *feed) isIdle() bool { return f.camera.currentRequest().want == nil }

// lingering returns the camera that is still open though nobody asks for it.
func (f *feed) lingering() (device capture.Device, ok bool) {
	if !f.isIdle() {
		return device, false
	}
	return f.camera.cameras.opened(f.camera)
}

// describeState adds to a summary what flows, or why nothing does.
func (f *feed) describeState(s *meter.Summary) {
	status := transport.Status{State: transport.Idle}
	if reported := f.status.Load(); reported != nil {
		status = *reported
	}
	s.Camera, s.State = f.controls.cameraName(), meter.Connected
	idle := f.isIdle()
	f.mu.Lock()
	if f.source != nil && !idle {
		s.State, s.Mode = meter.Streaming, meter.NewMode(f.source.Mode())
	}
	f.mu.Unlock()
	if status.State != transport.Idle && (s.Mode == nil || status.Text != "" && status.State != transport.Refused) {
		s.State, s.Reason = meter.NoSignal, status.Text
	}
}

// reportToStream reports a status to the viewer that uses the stream.
func (f *feed) reportToStream(status transport.Status) {
	f.status.Store(&status)
	if s := f.stream.Load(); s != nil {
		s.Report(status)
	}
}

// Start opens the camera, in place of the one that is open, and does not wait
// for either.
func (f *feed) Start(number uint32, want capture.Want) {
	f.camera.putRequest(&request{number: number, want: &want})
}

// Stop closes the camera after a while, and does not wait for that.
func (f *feed) Stop() {
	f.camera.putRequest(&request{})
	f.limit.noteStop()
}

// closeCamera ends the camera and the encoder.
func (f *feed) closeCamera() {
	f.camera.closeCamera()
	f.using.Lock()
	defer f.using.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setEncoder(nil, encoding{})
}

// SetControl implements transport.Producer.
func (f *feed) SetControl(s capture.Setting) (capture.Setting, error) {
	granted, err := f.controls.setControl(s)
	if err == nil {
		f.camera.cameras.witness.controlSet(f.controls.cameraName(), f.controls.describe(granted))
	}
	return granted, err
}

// attachSource makes the encoder for a camera that was opened for a request.
func (f *feed) attachSource(camera hostCamera, source capture.Source, number uint32) error {
	f.using.Lock()
	defer f.using.Unlock()
	in, mode := source.Format(), source.Mode()
	kind, reason, err := f.chooseKind(in, mode.Rate)
	if err != nil {
		return err
	}
	encoder, err := codec.NewEncoder(kind, f.quality, &f.pool)
	if err != nil {
		return err
	}
	info := &transport.Mode{Camera: camera.Name, Source: mode, Format: encoder.Format(in), Request: number, Reason: reason}
	if warning := explainLoad(info.Format, mode.Rate); warning != "" && reason == "" {
		f.log.Warn(warning)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setEncoder(encoder, encoding{kind: kind, in: in, out: info})
	f.source = source
	return nil
}

// detachSource takes note of the losses of a camera that was closed.
func (f *feed) detachSource(source capture.Source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.source = nil
	f.lost.Add(source.Lost())
	f.box.Discard()
}

// answerRequest announces the mode that holds again, as the answer to a request: its
// frames are what that accepts.
func (f *feed) answerRequest(number uint32) {
	f.using.Lock()
	defer f.using.Unlock()
	f.adaptEncoder()
	f.mu.Lock()
	defer f.mu.Unlock()
	mode := *f.encoded.out
	mode.Request = number
	f.encoded.out = &mode
}

// putFrame hands a frame to Next.
func (f *feed) putFrame(frame *capture.Frame) {
	if f.box.Put(frame) {
		f.mu.Lock()
		f.lost.Superseded++
		f.mu.Unlock()
	}
}

// setEncoder puts encoder in the place of the last one, which it closes.
func (f *feed) setEncoder(encoder codec.Encoder, made encoding) {
	if f.encoder != nil {
		for i, n := range f.encoder.Counts() {
			f.repairs[i] += n
		}
		f.encoder.Close()
	}
	f.encoder, f.encoded = encoder, made
}

// Next implements transport.Producer.
func (f *feed) Next(ctx context.Context, left <-chan struct{}) (transport.Unit, error) {
	ctx, cancel := f.limit.context(ctx)
	defer cancel()
	for {
		if f.limit.allTaken() {
			return f.endNow()
		}
		select {
		case frame := <-f.box.Frames():
			if !f.limit.take() {
				frame.Release()
				return f.endNow()
			}
			unit, err := f.encodeFrame(frame)
			f.health.noteFrame(err)
			if err != nil {
				f.limit.giveBack()
				f.log.Debug("frame dropped", "err", err)
				continue
			}
			f.limit.beginCount()
			return unit, nil
		case <-left:
			return transport.Unit{}, errLeft
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errTimeUp) {
				return f.endNow()
			}
			return transport.Unit{}, ctx.Err()
		}
	}
}

// endNow turns the camera off immediately: what is left is for the viewer to read.
func (f *feed) endNow() (transport.Unit, error) {
	f.camera.end()
	return transport.Unit{}, io.EOF
}

var errStale = errors.New("mode has changed")

// encodeFrame takes over the frame.
func (f *feed) encodeFrame(frame *capture.Frame) (transport.Unit, error) {
	f.using.Lock()
	defer f.using.Unlock()
	if f.encoder == nil || frame.Format != f.encoded.in {
		frame.Release()
		return transport.Unit{}, errStale
	}
	f.adaptEncoder()
	frame.At[capture.Taken] = time.Now()
	out, err := f.encoder.Encode(frame)
	if err != nil {
		return transport.Unit{}, err
	}
	if err := f.followFormat(out.Format); err != nil {
		out.Release()
		return transport.Unit{}, err
	}
	lost, _ := f.countOutcomes()
	return transport.Unit{Frame: out, Info: f.encoded.out, Lost: lost}, nil
}

var errAlone = errors.New("no other frame has its size")

// followFormat adopts the format that a camera's JPEGs have where the driver granted
// another one, with the second frame in a row: a damaged header must not change
// the mode. Called while using is held.
func (f *feed) followFormat(format capture.Format) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := &f.encoded
	switch format {
	case e.out.Format:
		e.other = capture.Format{}
		return nil
	case e.other:
		f.warnOfFormat(format)
		mode := *e.out
		mode.Format = format
		e.out, e.other = &mode, capture.Format{}
		return nil
	}
	e.other = format
	f.lost.Damaged++
	return fmt.Errorf("%w: %v", errAlone, format)
}

// warnOfFormat warns once for each opening of the camera.
func (f *feed) warnOfFormat(format capture.Format) {
	if !f.encoded.warned {
		f.encoded.warned = true
		f.log.Warn("camera sends a different size than its driver granted", "camera", f.encoded.out.Camera, "granted", f.encoded.in, "sends", format)
	}
}

// Lost implements transport.Producer.
func (f *feed) Lost() capture.Lost {
	lost, _ := f.countOutcomes()
	return lost
}

// countOutcomes returns the totals of frames that were not sent, and what the encoders
// repaired and dropped.
func (f *feed) countOutcomes() (capture.Lost, jfif.Counts) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lost, counts := f.lost, f.repairs
	if f.source != nil {
		lost.Add(f.source.Lost())
	}
	if f.encoder != nil {
		for i, n := range f.encoder.Counts() {
			counts[i] += n
		}
	}
	lost.Damaged += counts.Dropped()
	return lost, counts
}
