package virtualmic

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/audio"
)

// Times of a virtual microphone.
const (
	// grace is how long after the last listener the far microphone stays open:
	// applications open a microphone several times before they use it.
	grace = 3 * time.Second
	// retry is how long a node that could not be opened is left alone, at most;
	// firstRetry is how long at first: a PipeWire that was restarted serves before its
	// session manager does.
	retry      = time.Second
	firstRetry = retry / 4
)

// maxLost bounds the lost blocks that become silence: after a longer gap what waits has
// long been played.
const maxLost = 100

const (
	// arrivalShare is how much of the age of a block counts for the average.
	arrivalShare = 64
	// delayStep is the smallest change of a delay that follows something.
	delayStep = 5 * time.Millisecond
)

// Options describe a virtual microphone.
type Options struct {
	Name   string // in logs
	Driver Driver
	// Format is that of the node, for as long as it exists; blocks of another number of
	// channels are converted. The zero value is capture.Stereo.
	Format capture.AudioFormat
	// Delay returns how much longer than necessary a block is to wait, of which Latency is
	// known without that; nil is no delay. It is called after each block.
	Delay func(latency time.Duration) time.Duration
	// OnDemand has Need called with false while nobody listens.
	OnDemand bool
	// Need, if not nil, is called with whether blocks are needed, at each change.
	Need func(bool)
	// Explain, if not nil, returns how an error is logged, for instance with a remedy.
	Explain func(error) string
	Log     *slog.Logger // nil discards
}

// Stats are figures of a virtual microphone.
type Stats struct {
	Listening bool
	Latency   time.Duration // from the capture of a sample until the server has it
	Fill      time.Duration // that waits
	Target    time.Duration // that is to wait
	Rate      float64       // correction of the server's rate: 1e-6 is 1 ppm
	Lost      uint64        // blocks that did not come, in whose place is silence
	Dropped   uint64        // samples per channel that were too much
	Silence   uint64        // samples per channel that were missing
	Underruns uint64        // times that some were
}

// Microphone plays the blocks that Present gets, from Start to Close. It opens its node
// again whenever that fails.
type Microphone struct {
	o       Options
	needed  atomic.Bool // somebody listens, or may
	muted   atomic.Bool
	leaving *time.Timer // when the grace ends
	opening *time.Timer // when the node is tried again
	closing chan struct{}
	done    chan struct{}
	trouble error // of Open

	mu        sync.Mutex
	node      Node // nil while it is closed
	listening bool
	logged    string    // why the node could not be used
	failing   time.Time // since when; zero while it can
	regulator audio.Regulator
	began     bool          // a block has come since the node was needed
	next      uint32        // number of the next block
	arrival   time.Duration // age of the samples that come, averaged
	level     audio.Level
	past      audio.Level // counts of former nodes
	lost      uint64
	rate      float64
	block     []byte // a block in the node's format
	silence   []byte
}

// New returns a virtual microphone that is not started yet.
func New(o Options) *Microphone {
	if o.Format.Channels == 0 {
		o.Format = capture.Stereo
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Need == nil {
		o.Need = func(bool) {}
	}
	if o.Delay == nil {
		o.Delay = func(time.Duration) time.Duration { return 0 }
	}
	if o.Explain == nil {
		o.Explain = error.Error
	}
	m := &Microphone{
		o: o, leaving: time.NewTimer(0), opening: time.NewTimer(0), closing: make(chan struct{}), done: make(chan struct{}),
		block: make([]byte, o.Format.BlockSize()), silence: make([]byte, o.Format.BlockSize()),
	}
	m.leaving.Stop()
	m.opening.Stop()
	return m
}

// Name implements sink.Output.
func (m *Microphone) Name() string { return m.o.Name }

// Open implements sink.Output: it starts the microphone. It never fails; Trouble returns
// why the node cannot be used yet.
func (m *Microphone) Open() (sink.Sink, error) {
	m.trouble = m.Start()
	return m, nil
}

// Trouble returns why the node could not be used when it was opened. It is not safe for
// concurrent use with Open.
func (m *Microphone) Trouble() error { return m.trouble }

// Start begins. The error is why the node cannot be used yet; it is tried again until
// Close.
func (m *Microphone) Start() error {
	err := m.openNode()
	if err != nil {
		m.logged = err.Error() // by the caller
		m.retryAfter(err)
	}
	if !m.o.OnDemand {
		m.turnOn()
	}
	go m.run()
	return err
}

// Takes implements sink.Output: it takes no frames.
func (m *Microphone) Takes() sink.Need { return sink.Nothing }

// Listens implements sink.Listener: somebody listens, or did so a moment ago.
func (m *Microphone) Listens() bool { return m.needed.Load() }

// Mute has silence played instead of what is heard.
func (m *Microphone) Mute(yes bool) { m.muted.Store(yes) }

// Present takes over the reference of a block. It never fails: what befalls the node must
// not befall the application that listens.
func (m *Microphone) Present(f *capture.Frame) error {
	defer f.Release()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node == nil || !m.needed.Load() || f.Format.Audio.Check() != nil {
		return nil
	}
	m.noteArrival(time.Since(f.At[capture.Captured]) - capture.AudioPeriod)
	m.fillLost(f.Sequence)
	m.play(m.convert(f))
	return nil
}

// noteArrival takes how old the last sample of a block was when it came.
func (m *Microphone) noteArrival(age time.Duration) {
	if !m.began {
		m.arrival = age
	}
	m.arrival += (age - m.arrival) / arrivalShare
}

// fillLost plays silence in place of the blocks before one that did not come.
func (m *Microphone) fillLost(sequence uint32) {
	lost := sequence - m.next
	if m.began && lost <= maxLost {
		m.lost += uint64(lost)
		for range lost {
			m.play(m.silence)
		}
	}
	m.began, m.next = true, sequence+1
}

// play gives the node samples, and has it take them at the rate at which they come.
func (m *Microphone) play(samples []byte) {
	if m.node == nil {
		return
	}
	level, err := m.node.Write(samples)
	if err != nil {
		m.loseNode(err)
		return
	}
	m.level = level
	m.chooseDelay()
	rate, margin := m.regulator.Adjust(level)
	m.rate = rate - 1
	m.node.Adjust(rate, margin)
}

// chooseDelay sets how much longer than necessary blocks wait. It changes by milliseconds:
// each change moves the rate.
func (m *Microphone) chooseDelay() {
	least := m.arrival + capture.AudioDuration(int64(m.level.Target)) - m.regulator.Delay
	delay := m.o.Delay(max(least, 0)).Round(time.Millisecond)
	if (delay-m.regulator.Delay).Abs() >= delayStep || m.level.Filling {
		m.regulator.Delay = delay
	}
}

// convert returns a block in the node's format.
func (m *Microphone) convert(f *capture.Frame) []byte {
	if m.muted.Load() {
		return m.silence
	}
	return audio.Convert(m.block[:0], f.Data, f.Format.Audio, m.o.Format)
}

// Stats returns the figures so far.
func (m *Microphone) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Listening: m.listening,
		Latency:   m.arrival + m.level.Latency(), Fill: m.level.Latency(),
		Target: capture.AudioDuration(int64(m.level.Target)), Rate: m.rate, Lost: m.lost,
		Dropped: m.past.Dropped + m.level.Dropped, Silence: m.past.Silence + m.level.Silence,
		Underruns: m.past.Underruns + m.level.Underruns,
	}
}

// Close gives the node up. It is called once, after Start and the last Present.
func (m *Microphone) Close() error {
	close(m.closing)
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node == nil {
		return nil
	}
	return m.node.Close()
}

// run does what is due.
func (m *Microphone) run() {
	defer close(m.done)
	for {
		select {
		case <-m.changed():
			m.followNode()
		case <-m.opening.C:
			m.reopenNode()
		case <-m.leaving.C:
			m.turnOff()
		case <-m.closing:
			return
		}
	}
}

// changed returns the channel of the node, nil while there is none.
func (m *Microphone) changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node == nil {
		return nil
	}
	return m.node.Changed()
}

// openNode opens the node, which Present uses from then on.
func (m *Microphone) openNode() error {
	node, err := m.o.Driver.Open(m.o.Format)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.node, m.logged, m.failing = node, "", time.Time{}
	m.mu.Unlock()
	m.o.Log.Info(m.o.Name + " is ready")
	return nil
}

func (m *Microphone) reopenNode() {
	if err := m.openNode(); err != nil {
		m.mu.Lock()
		m.retryAfter(err)
		m.mu.Unlock()
		return
	}
	m.followNode()
}

// loseNode closes a node that failed, to be opened again.
func (m *Microphone) loseNode(err error) {
	m.past.Underruns += m.level.Underruns
	m.past.Silence += m.level.Silence
	m.past.Dropped += m.level.Dropped
	m.level = audio.Level{}
	node := m.node
	m.node, m.began = nil, false
	m.retryAfter(cmp.Or(err, node.Close()))
}

// retryAfter logs once why the node cannot be used, and has it tried again: the later, the
// longer that lasts.
func (m *Microphone) retryAfter(err error) {
	if err.Error() != m.logged {
		m.logged = err.Error()
		m.o.Log.Warn(m.o.Explain(err))
	}
	if m.failing.IsZero() {
		m.failing = time.Now()
	}
	m.opening.Reset(min(max(firstRetry, time.Since(m.failing)/4), retry))
}

// followNode takes note of whether somebody listens, and whether the node is lost.
func (m *Microphone) followNode() {
	m.mu.Lock()
	if m.node != nil {
		if err := m.node.Err(); err != nil {
			m.loseNode(err)
		}
	}
	before := m.listening
	m.listening = m.node != nil && m.node.Streaming()
	now := m.listening
	m.mu.Unlock()
	switch {
	case !m.o.OnDemand:
	case now:
		m.leaving.Stop()
		m.turnOn()
	case before:
		m.leaving.Reset(grace)
	}
}

// turnOn has the far microphone opened.
func (m *Microphone) turnOn() {
	if m.needed.Swap(true) {
		return
	}
	if m.o.OnDemand {
		m.o.Log.Info("an application listens to the " + m.o.Name)
	}
	m.o.Need(true)
}

// turnOff has the far microphone closed.
func (m *Microphone) turnOff() {
	if !m.needed.Swap(false) {
		return
	}
	m.o.Log.Info("no application listens to the " + m.o.Name)
	m.mu.Lock()
	m.began = false
	m.mu.Unlock()
	m.o.Need(false)
}
