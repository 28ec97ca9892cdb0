package pattern

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// What the test microphone hears in each second: a click that begins with it, a tone,
// and codes with the numbers of the blocks.
const (
	clickSamples = 24 // of each half of the click
	toneBlocks   = 25
	toneHertz    = 1000
	clickLevel   = 29000
	toneLevel    = 9000
	codeLevel    = 9000
)

const (
	secondBlocks = capture.AudioRate / capture.AudioBlock
	maxBehind    = secondBlocks // blocks that wait for a slow reader
)

// Microphone is a test microphone. Block n is captured n periods after it was opened,
// whether or not anybody reads it; a reader that is more than a second late loses
// blocks. It implements capture.Source, where it has no mode.
type Microphone struct {
	format capture.AudioFormat
	pool   *capture.Pool
	clock  clock
	timer  *time.Timer

	mu     sync.Mutex // held by Read
	next   int        // number of the next block
	lost   capture.Lost
	closed chan struct{}
	once   sync.Once
}

var _ capture.Source = (*Microphone)(nil)

// OpenMicrophone starts the test microphone, with one or two channels of the same.
func OpenMicrophone(format capture.AudioFormat, pool *capture.Pool) (*Microphone, error) {
	if err := format.Check(); err != nil {
		return nil, err
	}
	return &Microphone{
		format: format, pool: pool,
		clock:  newClock(time.Now(), capture.Rate{Num: secondBlocks, Den: 1}),
		timer:  time.NewTimer(0),
		closed: make(chan struct{}),
	}, nil
}

// Mode returns none: a microphone has a format only.
func (m *Microphone) Mode() capture.Mode { return capture.Mode{} }

// Format returns the format of the blocks.
func (m *Microphone) Format() capture.Format { return capture.Format{Audio: m.format} }

// Lost counts the blocks that were not read in time.
func (m *Microphone) Lost() capture.Lost {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// Read waits for the next block. Its time is that of its first sample; it can be read
// when its last one was captured.
func (m *Microphone) Read() (*capture.Frame, error) {
	m.timer.Reset(time.Until(m.nextDue()))
	select {
	case <-m.timer.C:
	case <-m.closed:
		return nil, capture.ErrClosed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if behind := m.clock.newest(time.Now()) - m.next; behind > maxBehind {
		m.lost.Driver += uint64(behind - maxBehind)
		m.next += behind - maxBehind
	}
	f := m.pool.Get(m.format.BlockSize())
	f.Format, f.Sequence = m.Format(), uint32(m.next)
	f.Time = m.clock.timeOf(m.next)
	f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, time.Now()
	m.fillBlock(f.Data)
	m.next++
	return f, nil
}

func (m *Microphone) nextDue() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock.timeOf(m.next + 1)
}

// Close wakes Read. The timer and the buffers need no freeing.
func (m *Microphone) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// fillBlock makes the samples of the next block.
func (m *Microphone) fillBlock(data []byte) {
	block := (m.clock.first + m.next) % secondBlocks
	bits := encodeBlockNumber(m.next)
	for i := range capture.AudioBlock {
		var value int16
		switch at := block*capture.AudioBlock + i; {
		case at < clickSamples:
			value = clickLevel
		case at < 2*clickSamples:
			value = -clickLevel
		case block < toneBlocks:
			value = int16(toneLevel * math.Sin(2*math.Pi*toneHertz*float64(at)/capture.AudioRate))
		default:
			value = codeSample(bits, i)
		}
		for c := range m.format.Channels {
			binary.LittleEndian.PutUint16(data[(i*m.format.Channels+c)*2:], uint16(value))
		}
	}
}
