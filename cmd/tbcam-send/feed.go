package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
)

// retryCamera is how long a camera that could not be opened is left alone.
const retryCamera = time.Second

// hung is how long a camera may give no picture: longer than any exposure.
const hung = 10 * time.Second

// feed serves a camera to a transport.Sender. The camera is open only between
// Start and Stop; a goroutine of that time reads it into a mailbox, and Next
// encodes what is newest there.
type feed struct {
	base    capture.Want // what the flags ask for; the viewer's wishes go over it
	kind    codec.Kind
	quality int
	limit   limit
	log     *slog.Logger
	report  func(transport.Status)
	console *console

	pool capture.Pool
	box  *capture.Mailbox

	using   sync.Mutex // held while encoder works; taken before mu
	mu      sync.Mutex
	cancel  context.CancelFunc // of the running camera
	done    chan struct{}      // closed when that is closed
	source  capture.Source     // nil unless open
	lost    capture.Lost       // of cameras that were closed, and what was superseded in box
	encoder codec.Encoder      // nil before the first camera; changed under using and mu
	encoded encoding           // what encoder was made for; likewise
	repairs codec.Counts       // of encoders that were closed

	sent int // frames returned by Next; of Next alone
}

// limit says when the feed ends; zero values are no limit.
type limit struct {
	frames   int
	duration time.Duration // from the first frame
	until    time.Time     // set at the first frame
}

// encoding is what an encoder depends on, and makes.
type encoding struct {
	in  capture.Format
	out *transport.Mode

	other  capture.Format // of the last frame, if that was not out's
	warned bool           // that a format is not what the driver said
}

func newFeed(base capture.Want, kind codec.Kind, quality int, log *slog.Logger) *feed {
	f := &feed{
		base: base, kind: kind, quality: quality, log: log, box: capture.NewMailbox(),
		cancel: func() {}, done: make(chan struct{}),
		console: &console{log: log, report: func(transport.Controls) {}},
	}
	close(f.done)
	return f
}

// Start opens the camera, in place of the one that is open, and does not wait
// for either.
func (f *feed) Start(number uint32, want capture.Want) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel()
	before := f.done
	f.cancel, f.done = cancel, done
	go func() {
		defer close(done)
		<-before
		if err := f.permit(want); err != nil {
			f.giveUp(ctx, err.Error())
			return
		}
		f.run(ctx, want.Over(f.base))
	}()
}

// permit reports why a viewer may not have the camera that it asks for. It is a
// stranger: it may choose among the cameras, unless --camera has chosen one, but
// not have any path opened.
func (f *feed) permit(want capture.Want) error {
	if want.Camera == "" || want.Camera == f.base.Camera {
		return nil
	}
	if f.base.Camera != "" {
		return fmt.Errorf("%w: only %s is offered (tbcam-send --camera)", capture.ErrNoCamera, f.base.Camera)
	}
	isIt := func(c capture.Camera) bool { return c.Path == want.Camera }
	if strings.HasPrefix(want.Camera, "/") && !slices.ContainsFunc(f.Cameras(), isIt) {
		return fmt.Errorf("%w: %q", capture.ErrNoCamera, want.Camera)
	}
	return nil
}

// giveUp tells why there is no picture until another Start.
func (f *feed) giveUp(ctx context.Context, why string) {
	f.report(transport.Status{State: transport.Failed, Text: why})
	<-ctx.Done()
}

// Stop closes the camera, and does not wait for that.
func (f *feed) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel()
}

// close ends the camera and the encoder.
func (f *feed) close() {
	f.Stop()
	<-f.done
	f.using.Lock()
	defer f.using.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setEncoder(nil, encoding{})
}

// Cameras lists the cameras and the pattern.
func (f *feed) Cameras() []capture.Camera {
	cameras, err := v4l2.Cameras()
	if err != nil {
		f.log.Warn("list cameras", "why", err)
	}
	return append(cameras, pattern.Camera())
}

// run keeps the camera open until the context ends: it opens it again when it
// was unplugged, and when another program has let go of it.
func (f *feed) run(ctx context.Context, want capture.Want) {
	changes, err := v4l2.Watch(ctx)
	if err != nil {
		f.log.Warn("cameras that are plugged in later are found slowly", "why", err)
	}
	said := ""
	var last capture.Camera
	defer func() { f.report(transport.Status{State: transport.Idle}) }()
	for ctx.Err() == nil {
		camera, mode, err := choose(want, last)
		if err == nil {
			err = f.stream(ctx, camera, mode, &said)
			last = camera
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, capture.ErrGone) {
			f.console.gone()
		}
		if said != err.Error() {
			said = err.Error()
			f.log.Warn(said)
		}
		if errors.Is(err, capture.ErrNoMode) {
			f.giveUp(ctx, said)
			return
		}
		f.report(transport.Status{State: transport.Waiting, Text: said})
		waitChange(ctx, changes)
	}
}

// waitChange returns when a camera came or went, and after a while in any case:
// that another program closed one is not told.
func waitChange(ctx context.Context, changes <-chan struct{}) {
	timer := time.NewTimer(retryCamera)
	defer timer.Stop()
	select {
	case <-changes:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// choose finds the camera and its mode: the one that was used last, if any.
func choose(want capture.Want, last capture.Camera) (capture.Camera, capture.Mode, error) {
	camera, err := find(want.Camera, last)
	if err != nil {
		return capture.Camera{}, capture.Mode{}, err
	}
	mode, err := capture.ChooseMode(camera.Modes, want)
	if err != nil {
		err = fmt.Errorf("%s (%s): %w", camera.Name, camera.Path, err)
	}
	return camera, mode, err
}

func find(name string, last capture.Camera) (capture.Camera, error) {
	switch {
	case name == pattern.Name:
		return pattern.Camera(), nil
	case last.Path != "":
		return v4l2.FindAgain(last)
	}
	return v4l2.Find(name)
}

func open(camera capture.Camera, mode capture.Mode, pool *capture.Pool) (capture.Source, error) {
	if camera.Path == pattern.Name {
		return pattern.Open(mode, pool)
	}
	return v4l2.Open(camera.Path, mode, pool)
}

// stream reads the camera until it fails or the context ends.
func (f *feed) stream(ctx context.Context, camera capture.Camera, mode capture.Mode, said *string) error {
	source, err := open(camera, mode, &f.pool)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { source.Close() })()
	defer f.detach(source)
	// A camera that hangs gives no error.
	watchdog := time.AfterFunc(hung, func() { source.Close() })
	defer watchdog.Stop()
	if err := f.attach(camera, source); err != nil {
		return err
	}
	f.log.Info("camera is on", "camera", camera.Name, "mode", source.Mode())
	defer f.console.on(camera)()
	f.report(transport.Status{State: transport.Running})
	*said = ""
	for {
		frame, err := source.Read()
		if errors.Is(err, capture.ErrClosed) {
			err = fmt.Errorf("it gave no picture for %v", hung)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", camera.Name, err)
		}
		watchdog.Reset(hung)
		if f.box.Put(frame) {
			f.mu.Lock()
			f.lost.Superseded++
			f.mu.Unlock()
		}
	}
}

func (f *feed) attach(camera capture.Camera, source capture.Source) error {
	kind, err := codec.Choose(f.kind, source.Format())
	if err != nil {
		return err
	}
	encoder, err := codec.NewEncoder(kind, f.quality, &f.pool)
	if err != nil {
		return err
	}
	info := &transport.Mode{Camera: camera.Name, Source: source.Mode(), Format: encoder.Format(source.Format())}
	if said := tooMuch(info.Format, source.Mode().Rate); said != "" {
		f.log.Warn(said)
	}
	f.using.Lock()
	defer f.using.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setEncoder(encoder, encoding{in: source.Format(), out: info})
	f.source = source
	return nil
}

// detach closes the camera.
func (f *feed) detach(source capture.Source) {
	if err := source.Close(); err != nil {
		f.log.Warn("close the camera", "why", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.source != nil {
		f.source = nil
		f.lost.Add(source.Lost())
		f.log.Info("camera is off")
	}
	f.box.Discard()
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

// Next implements transport.Feed.
func (f *feed) Next(ctx context.Context) (transport.Picture, error) {
	ctx, cancel := f.limit.context(ctx)
	defer cancel()
	for {
		if f.limit.frames > 0 && f.sent >= f.limit.frames {
			return transport.Picture{}, io.EOF
		}
		select {
		case frame := <-f.box.Frames():
			picture, err := f.encode(frame)
			if err != nil {
				f.log.Debug("picture dropped", "why", err)
				continue
			}
			f.sent++
			f.limit.begin()
			return picture, nil
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errTimeUp) {
				return transport.Picture{}, io.EOF
			}
			return transport.Picture{}, ctx.Err()
		}
	}
}

var errTimeUp = errors.New("the duration is over")

func (l *limit) begin() {
	if l.duration > 0 && l.until.IsZero() {
		l.until = time.Now().Add(l.duration)
	}
}

func (l *limit) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, l.until, errTimeUp)
}

var errStale = errors.New("it is of a camera mode that has ended")

// encode takes over the frame.
func (f *feed) encode(frame *capture.Frame) (transport.Picture, error) {
	f.using.Lock()
	defer f.using.Unlock()
	if f.encoder == nil || frame.Format != f.encoded.in {
		frame.Release()
		return transport.Picture{}, errStale
	}
	frame.At[capture.Taken] = time.Now()
	out, err := f.encoder.Encode(frame)
	if err != nil {
		return transport.Picture{}, err
	}
	if err := f.follow(out.Format); err != nil {
		out.Release()
		return transport.Picture{}, err
	}
	lost, _ := f.fates()
	return transport.Picture{Frame: out, Info: f.encoded.out, Lost: lost}, nil
}

var errAlone = errors.New("no other frame has its size")

// follow adopts the format that a camera's JPEGs have where the driver said
// another one, with the second frame in a row: a damaged header must not change
// the mode. Called while using is held.
func (f *feed) follow(format capture.Format) error {
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
		f.log.Warn("camera sends another size than its driver granted", "camera", f.encoded.out.Camera, "granted", f.encoded.in, "sends", format)
	}
}

// Lost implements transport.Feed.
func (f *feed) Lost() capture.Lost {
	lost, _ := f.fates()
	return lost
}

// fates returns the totals of pictures that were not sent, and what the encoders
// repaired and dropped.
func (f *feed) fates() (capture.Lost, codec.Counts) {
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
