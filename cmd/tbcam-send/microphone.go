package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/ratelimit"
)

const (
	// maxWaiting bounds the blocks that wait for credit: 0.64 s, for a CREDIT that was lost
	// comes again within 0.5 s.
	maxWaiting = 64
	// mute is how long a microphone may deliver no block.
	mute = 2 * time.Second
)

// errDeaf ends a microphone that hangs, which gives no error itself.
var errDeaf = fmt.Errorf("microphone delivered nothing for %v", mute)

// microphoneDriver is one way to microphones.
type microphoneDriver interface {
	// Devices lists the microphones, first the one that this host's user has chosen.
	Devices() ([]capture.Device, error)
	Open(d capture.Device, pool *capture.Pool) (capture.Source, error)
	// Watch is that of a capture.Driver; it receives also when Devices has another first one.
	Watch(ctx context.Context) (<-chan struct{}, error)
}

// microphoneDrivers are asked in this order.
var microphoneDrivers = []microphoneDriver{pattern.Microphones{}, pipewire.Microphones{}}

// hostMicrophone is a microphone and the driver that has it.
type hostMicrophone struct {
	capture.Device
	driver microphoneDriver
}

// listMicrophones lists this host's microphones.
func listMicrophones(drivers []microphoneDriver) (all []hostMicrophone, err error) {
	var errs []error
	for _, d := range drivers {
		devices, err := d.Devices()
		errs = append(errs, err)
		for _, device := range devices {
			all = append(all, hostMicrophone{device, d})
		}
	}
	slices.SortStableFunc(all, func(a, b hostMicrophone) int { // test microphones last
		switch {
		case a.Test == b.Test:
			return 0
		case b.Test:
			return -1
		}
		return 1
	})
	return all, errors.Join(errs...)
}

// microphonesOf returns microphones without their drivers.
func microphonesOf(all []hostMicrophone) (devices []capture.Device) {
	for _, m := range all {
		devices = append(devices, m.Device)
	}
	return devices
}

// findMicrophone returns the microphone of a path or a name, whole or in part; "" is the one
// that this host's user has chosen.
func findMicrophone(drivers []microphoneDriver, name string) (hostMicrophone, error) {
	all, err := listMicrophones(drivers)
	for _, matches := range []func(hostMicrophone) bool{
		func(m hostMicrophone) bool { return name == "" && !m.Test },
		func(m hostMicrophone) bool { return m.Is(name) },
		func(m hostMicrophone) bool { return name != "" && isPartOf(name, m.Device) },
	} {
		if i := slices.IndexFunc(all, matches); i >= 0 {
			return all[i], nil
		}
	}
	switch {
	case err != nil:
		return hostMicrophone{}, err
	case name == "":
		return hostMicrophone{}, capture.ErrNoMicrophone
	}
	return hostMicrophone{}, fmt.Errorf("%w: %q", capture.ErrNoMicrophone, name)
}

// isMeant reports whether a viewer that asks for a name means a microphone.
func isMeant(name string, d capture.Device) bool {
	return name == "" || d.Is(name) || isPartOf(name, d)
}

// isPartOf reports whether a name is a part of a device's.
func isPartOf(name string, d capture.Device) bool {
	return strings.Contains(strings.ToLower(d.Name), strings.ToLower(name))
}

// microphone is the one that the sender offers, to one stream at a time. It is open while
// that listens, and for linger after. While it is missing, silence takes its place.
type microphone struct {
	drivers []microphoneDriver
	name    string // "" is the one that this host's user has chosen
	grants  *grants
	witness *witness
	log     *slog.Logger
	pool    capture.Pool
	meter   *meter.Meter
	bytes   atomic.Uint64 // that were sent

	asked chan struct{} // there is another request
	end   context.CancelFunc
	done  chan struct{} // closed when serve has ended

	mu       sync.Mutex
	listener *listener       // nil: nobody listens
	number   uint32          // of the listener's request
	want     string          // the microphone that it asks for
	info     *transport.Mode // of the blocks; nil before it was heard for the listener
	source   capture.Source  // nil: it is closed
	device   capture.Device  // of source
	lost     capture.Lost    // of sources that were closed, and what was dropped
	rate     int             // from which PipeWire resamples, as it was logged last; 0: it does not
	line     numbering

	// Accessed only by serve.
	openings  ratelimit.Limiter
	open      *hearing // nil: it is closed
	offAt     time.Time
	retryAt   time.Time
	lastError string // the last one that was logged
}

// newMicrophone takes the value of --microphone; "" offers none.
func newMicrophone(drivers []microphoneDriver, name string, g *grants, log *slog.Logger) *microphone {
	if name == "" {
		return nil
	}
	if name == "auto" {
		name = ""
	}
	return &microphone{
		drivers: drivers, name: name, grants: g, log: log, meter: meter.New(),
		asked: make(chan struct{}, 1), end: func() {}, done: make(chan struct{}),
		openings: ratelimit.Limiter{Burst: 10, Every: 6 * time.Second},
	}
}

// launch begins to serve requests, until the context ends or close is called. A missing
// microphone is waited for.
func (m *microphone) launch(ctx context.Context) {
	if m == nil {
		return
	}
	if d, err := findMicrophone(m.drivers, m.name); err != nil {
		m.log.Warn("waiting for the microphone", "err", cli.Explain(err))
	} else {
		m.log.Info("offering the microphone "+d.Name, "path", d.Path)
	}
	ctx, m.end = context.WithCancel(ctx)
	go m.serve(ctx)
}

// close closes the microphone for good. It was launched.
func (m *microphone) close() {
	if m == nil {
		return
	}
	m.end()
	<-m.done
}

// devices lists the microphone, if there is one that the viewer may have.
func (m *microphone) devices() []capture.Device {
	if m == nil || !m.grants.allowsMicrophone() {
		return nil
	}
	d, err := findMicrophone(m.drivers, m.name)
	if err != nil {
		return nil
	}
	return []capture.Device{d.Device}
}

// refusalOf returns why a stream cannot have the microphone, nil if it can. m.mu is held.
func (m *microphone) refusalOf(l *listener) error {
	switch {
	case !m.grants.allowsMicrophone():
		return errNotGranted
	case m.listener != nil && m.listener != l:
		return &inUseError{"microphone"}
	}
	return nil
}

// start has the microphone heard in a stream.
func (m *microphone) start(l *listener, number uint32, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusalOf(l); err != nil {
		l.out.Report(failedStatus(err, number))
		return
	}
	if name == "auto" {
		name = ""
	}
	m.listener, m.number, m.want = l, number, name
	switch {
	case m.source != nil && !isMeant(name, m.device):
		m.info = nil
	case m.source != nil:
		m.info = m.describeSource()
	case m.info != nil: // of one that has gone, and may come back
		info := *m.info
		info.Request = number
		m.info = &info
	}
	m.reportStatus(transport.Status{State: transport.Running})
	notifyOne(m.asked)
}

// describeSource returns what describes the blocks of the source. m.mu is held.
func (m *microphone) describeSource() *transport.Mode {
	return &transport.Mode{Camera: m.device.Name, Format: m.source.Format(), Request: m.number}
}

func failedStatus(err error, number uint32) transport.Status {
	return transport.Status{State: transport.Failed, Text: err.Error(), Request: number, Cause: transport.CauseOf(err)}
}

// stop ends that for one stream, nil for whichever it is.
func (m *microphone) stop(l *listener) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener == nil || l != nil && m.listener != l {
		return
	}
	m.reportStatus(transport.Status{State: transport.Idle})
	m.dropListener()
}

// dropListener has nobody listen. m.mu is held.
func (m *microphone) dropListener() {
	m.listener.blocks.Discard()
	m.listener, m.info, m.line = nil, nil, numbering{}
	notifyOne(m.asked)
}

// applyGrants ends listening where the viewer may not any more.
func (m *microphone) applyGrants() {
	if m == nil || m.grants.allowsMicrophone() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener != nil {
		m.reportStatus(failedStatus(errNotGranted, 0))
		m.dropListener()
	}
}

// reportStatus reports to who listens. m.mu is held.
func (m *microphone) reportStatus(status transport.Status) {
	if m.listener == nil {
		return
	}
	if status.State != transport.Idle {
		status.Request = m.number
	}
	m.listener.out.Report(status)
}

// isIdle reports whether nobody listens.
func (m *microphone) isIdle() bool {
	if m == nil {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listener == nil
}

// serve has the microphone open while it is heard.
func (m *microphone) serve(ctx context.Context) {
	defer close(m.done)
	defer m.turnOff()
	changes := m.watch(ctx)
	for ctx.Err() == nil {
		timer := time.NewTimer(m.settle())
		select {
		case <-ctx.Done():
		case <-m.asked:
		case <-timer.C:
		case <-changes:
			m.retryAt = time.Time{}
			m.followChoice()
		case err := <-m.open.endChannel():
			m.turnOff()
			m.handleFailure(err)
		}
		timer.Stop()
	}
}

// watch returns a channel that receives when microphones come and go.
func (m *microphone) watch(ctx context.Context) <-chan struct{} {
	all := make(chan struct{}, 1)
	for _, d := range m.drivers {
		changes, err := d.Watch(ctx)
		if err != nil {
			m.log.Warn("watch for microphones; new ones are found by polling", "err", err)
		}
		if changes == nil {
			continue
		}
		go func() {
			for range changes {
				notifyOne(all)
			}
		}()
	}
	return all
}

// settle does what is next, and returns after what time there may be more to do.
func (m *microphone) settle() time.Duration {
	switch idle := m.isIdle(); {
	case m.open == nil && idle:
		return never
	case m.open == nil:
		return m.settleMissing()
	case !idle && m.isWanted(m.open.device):
		m.offAt = time.Time{}
		return never
	case !idle: // another one is asked for
		m.turnOff()
		return 0
	case m.offAt.IsZero():
		m.offAt = time.Now().Add(linger)
		return linger
	}
	left := time.Until(m.offAt)
	if left <= 0 {
		m.turnOff()
		return never
	}
	return left
}

// settleMissing opens the microphone, and fills in silence until then.
func (m *microphone) settleMissing() time.Duration {
	if wait := time.Until(m.retryAt); wait > 0 {
		if m.fillSilence() {
			return min(wait, capture.AudioPeriod)
		}
		return wait
	}
	if err := m.turnOn(); err != nil {
		m.handleFailure(err)
	}
	return 0
}

// turnOn opens the microphone.
func (m *microphone) turnOn() error {
	d, err := findMicrophone(m.drivers, m.name)
	if err != nil {
		return err
	}
	if !m.isWanted(d.Device) {
		return &otherOffered{d.Name}
	}
	if wait := m.openings.Take(); wait > 0 {
		return errOftenOpened
	}
	source, err := d.driver.Open(d.Device, &m.pool)
	if err != nil {
		return err
	}
	m.log.Info("microphone is on", "microphone", d.Name, "format", source.Format())
	m.attachSource(d.Device, source)
	m.open = newHearing(d.Device, source, m.logResampling, m.putBlock)
	m.lastError = ""
	m.witness.microphoneOn(d.Name)
	return nil
}

var errOftenOpened = errors.New("the microphone was opened too often; retrying")

// otherOffered is the error of a viewer that asks for another microphone than the one that
// there is.
type otherOffered struct{ name string }

func (e *otherOffered) Error() string {
	return fmt.Sprintf("only the microphone %s is offered", e.name)
}

// isWanted reports whether a microphone is one that the viewer asks for.
func (m *microphone) isWanted(d capture.Device) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return isMeant(m.want, d)
}

// attachSource announces what is heard from now on.
func (m *microphone) attachSource(d capture.Device, source capture.Source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source, m.device = source, d
	m.info = m.describeSource()
	m.line.fresh = true
	m.reportStatus(transport.Status{State: transport.Running})
}

// turnOff closes the microphone, if it is open.
func (m *microphone) turnOff() {
	if m.open == nil {
		return
	}
	name := m.open.device.Name
	if err := m.open.close(); err != nil {
		m.log.Warn("close microphone", "err", err)
	}
	m.open, m.offAt = nil, time.Time{}
	m.mu.Lock()
	m.lost.Add(m.source.Lost())
	m.source = nil
	m.mu.Unlock()
	m.witness.microphoneOff()
	m.log.Info("microphone is off", "microphone", name)
}

// followChoice closes the microphone where it is another one that is to be heard now.
func (m *microphone) followChoice() {
	if m.open == nil {
		return
	}
	if d, err := findMicrophone(m.drivers, m.name); err != nil || d.Path != m.open.device.Path {
		m.turnOff()
	}
}

// handleFailure reports why nothing is heard, and has it tried again later.
func (m *microphone) handleFailure(err error) {
	if text := cli.Explain(err); text != m.lastError {
		m.lastError = text
		m.log.Warn(text)
	}
	m.retryAt = time.Now().Add(retryCamera)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reportStatus(transport.Status{State: transport.Waiting, Text: textOfMicrophone(err)})
}

// textOfMicrophone returns an error as a viewer may read it.
func textOfMicrophone(err error) string {
	switch {
	case errors.Is(err, capture.ErrNoMicrophone), errors.Is(err, capture.ErrGone):
		return "no microphone"
	case errors.Is(err, errOftenOpened), errors.Is(err, errDeaf), errors.As(err, new(*otherOffered)):
		return err.Error()
	}
	return "microphone cannot be used"
}

// logResampling logs once that PipeWire has another rate than the blocks of a microphone.
func (m *microphone) logResampling(source capture.Source) {
	s, ok := source.(interface{ ServerRate() int })
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rate := s.ServerRate()
	if rate == capture.AudioRate {
		rate = 0
	}
	if rate != m.rate && rate != 0 {
		m.log.Info("PipeWire resamples the microphone", "from", fmt.Sprint(rate, " Hz"), "to", fmt.Sprint(capture.AudioRate, " Hz"))
	}
	m.rate = rate
}

// putBlock hands a block to who listens, or drops it.
func (m *microphone) putBlock(f *capture.Frame) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener == nil || !m.line.number(f) {
		f.Release()
		return
	}
	m.queueBlock(f)
}

// queueBlock has a block wait for credit. m.mu is held.
func (m *microphone) queueBlock(f *capture.Frame) {
	if !m.listener.blocks.Put(f) {
		m.lost.Superseded++
	}
}

// fillSilence puts silence in the place of blocks that would have been captured by now, and
// reports whether anybody hears it: before there was sound, nothing is missing.
func (m *microphone) fillSilence() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener == nil || m.info == nil || m.line.last.IsZero() {
		return false
	}
	for m.line.skipsTo(time.Now()) {
		f := m.pool.Get(m.info.Format.Size())
		clear(f.Data)
		f.Format, f.Sequence, f.Time = m.info.Format, m.line.sequence, m.line.last
		f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, time.Now()
		m.queueBlock(f)
	}
	return true
}

// lostNow returns the totals of blocks that were not sent.
func (m *microphone) lostNow() capture.Lost {
	m.mu.Lock()
	defer m.mu.Unlock()
	lost := m.lost
	if m.source != nil {
		lost.Add(m.source.Lost())
	}
	return lost
}

// countSent counts a block that was written.
func (m *microphone) countSent(f *capture.Frame) {
	m.bytes.Add(uint64(len(f.Data)))
	m.meter.Add(&f.At, time.Now())
}

// summarize returns the figures so far.
func (m *microphone) summarize() meter.Summary {
	s := meter.Summary{
		Time: time.Now(), Program: "tbcam-send", Kind: meter.Microphone, Counted: "sent", Report: m.meter.Report(m.bytes.Load()),
		Outcomes: meter.SenderOutcomes(m.lostNow()), State: meter.Connected,
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Camera = m.device.Name
	switch {
	case m.listener != nil && m.source != nil:
		s.State = meter.Streaming
	case m.listener != nil:
		s.State, s.Reason = meter.NoSignal, "no microphone"
	}
	return s
}
