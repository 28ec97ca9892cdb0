package audio

import (
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

var hours = flag.Float64("hours", 0.03, "how long the far microphone is listened to, in its own time")

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// microphone is a far one: its clock is off, and the times of its blocks jitter.
type microphone struct {
	*rand.Rand
	ppm    float64
	jitter time.Duration
	number uint32
	pool   capture.Pool
	format capture.AudioFormat
}

func newMicrophone(seed uint64, ppm float64, jitter time.Duration) *microphone {
	return &microphone{Rand: rand.New(rand.NewPCG(seed, 4)), ppm: ppm, jitter: jitter, format: capture.Mono}
}

// due returns when a sample of a number was really captured.
func (m *microphone) due(sample float64) time.Time {
	return start.Add(time.Duration(sample / capture.AudioRate / (1 + m.ppm/1e6) * 1e9))
}

// block returns the next block. Its samples are a ramp that goes up by one each, so that
// one that comes twice is seen.
func (m *microphone) block() *capture.Frame {
	f := m.pool.Get(m.format.BlockSize())
	f.Format.Audio, f.Sequence = m.format, m.number
	first := int(m.number) * capture.AudioBlock
	f.Time = m.due(float64(first))
	if m.jitter > 0 {
		f.Time = f.Time.Add(time.Duration(m.Int64N(int64(m.jitter))) - m.jitter/2)
	}
	for i := range len(f.Data) / sampleBytes {
		binary.LittleEndian.PutUint16(f.Data[i*sampleBytes:], uint16(rampAt(float64(first+i))))
	}
	m.number++
	return f
}

// rampAt is a triangle that a second takes, without a corner that a cubic would round off
// by much.
func rampAt(sample float64) int16 {
	place := math.Mod(sample, 48000)
	if place > 24000 {
		place = 48000 - place
	}
	return int16(place - 12000)
}

// TestClocksApart: over hours, with clocks 200 ppm apart, jitter and lost blocks, each
// sample is within 10 ms of its time, none comes twice, and the drift is learned.
func TestClocksApart(t *testing.T) {
	for seed, ppm := range []float64{200, -200, 0} {
		m := newMicrophone(uint64(seed), ppm, 8*time.Millisecond)
		line := NewTimeline(m.format, start)
		worst, lost := 0.0, 0
		var out []byte
		blocks := int(*hours * 3600 * 100)
		for range blocks {
			f := m.block()
			if m.IntN(500) == 0 {
				lost++
				f.Release()
				continue
			}
			before := line.Count()
			out = line.AppendBlock(out[:0], f, capture.AudioRate)
			f.Release()
			if got := before + int64(len(out)/2); got != line.Count() {
				t.Fatalf("%d samples, counted %d", got, line.Count())
			}
			// The last sample of the block belongs where the count is now.
			d := m.due(float64(m.number) * capture.AudioBlock).Sub(start.Add(capture.AudioDuration(line.Count())))
			worst = max(worst, math.Abs(d.Seconds()))
			checkRamp(t, out, m.number)
		}
		t.Logf("%.2f h at %v ppm: at most %.2f ms off, drift %.1f ppm, %d of %d blocks lost", *hours, ppm, worst*1e3, line.Stats().Drift*1e6, lost, blocks)
		if worst > 0.010 {
			t.Errorf("%v ppm: %.2f ms off", ppm, worst*1e3)
		}
		if d := line.Stats().Drift*1e6 + ppm; math.Abs(d) > 120 {
			t.Errorf("%v ppm: the drift is taken for %.0f ppm", ppm, line.Stats().Drift*1e6)
		}
		if want := float64(lost * capture.AudioBlock); math.Abs(float64(line.Stats().Silence)-want) > float64(lost)+4*48 || line.Stats().Dropped > 4*48 {
			// Of the first block, which is placed by its own time, jitter takes 4 ms.
			t.Errorf("%+v, want %v samples of silence", line.Stats(), want)
		}
		if m.pool.Outstanding() != 0 {
			t.Errorf("%d outstanding", m.pool.Outstanding())
		}
	}
}

// TestDay: over 24 hours, in which the clock also changes as a card grows warm, the count
// stays within 10 ms of the times. Samples are only counted here.
func TestDay(t *testing.T) {
	for seed, ppm := range []float64{200, -200} {
		random := rand.New(rand.NewPCG(uint64(seed), 14))
		var p pace
		var due, count, worst float64 // samples by the sender's clock, and as they are counted
		for n := range 24 * 3600 * 100 {
			warm := 20 * math.Sin(float64(n)/360000)
			jitter := time.Duration(random.Int64N(8e6)) - 4*time.Millisecond
			late := time.Duration((due-count)/capture.AudioRate*1e9) + jitter
			if n == 0 {
				late = 0
			}
			count += capture.AudioBlock * (1 + p.adjust(late))
			due += capture.AudioBlock * (1 - (ppm+warm)/1e6)
			worst = max(worst, math.Abs(due-count)/48)
		}
		t.Logf("24 h at %v ppm: at most %.2f ms off", ppm, worst)
		if worst > 10 {
			t.Errorf("%v ppm: %.2f ms off", ppm, worst)
		}
	}
}

// checkRamp fails the test where a sample of a block is another than the next one: one
// that came twice would stand still, one that was lost would make a step of two.
func checkRamp(t *testing.T, out []byte, number uint32) {
	t.Helper()
	if len(out) > 2*capture.AudioBlock+8 {
		out = out[len(out)-2*(capture.AudioBlock-8):] // behind silence
	}
	corner := int(number) * capture.AudioBlock % 24000
	if corner < 2*capture.AudioBlock {
		return // the ramp turns
	}
	step := 0
	for i := 2; i+1 < len(out); i += 2 {
		d := int(int16(binary.LittleEndian.Uint16(out[i:]))) - int(int16(binary.LittleEndian.Uint16(out[i-2:])))
		// At most 0.5 % of the samples are more or less; rounding makes steps of 0 and 2 of it.
		if d < -2 || d > 2 || d*step < 0 {
			t.Fatalf("block %d: sample %d goes by %d after %d", number, i/2, d, step)
		}
		if d != 0 {
			step = d
		}
	}
	first, last := int16(binary.LittleEndian.Uint16(out)), int16(binary.LittleEndian.Uint16(out[len(out)-2:]))
	if d := math.Abs(float64(last) - float64(first)); math.Abs(d-float64(len(out)/2-1)) > 4 {
		t.Fatalf("block %d goes by %v in %d samples", number, d, len(out)/2)
	}
}

// TestLostBlocks: silence of exactly their length is in their place.
func TestLostBlocks(t *testing.T) {
	for _, lost := range []uint32{1, 7, 99, 1000, 36000} {
		m := newMicrophone(1, 0, 0)
		line := NewTimeline(m.format, start)
		for range 100 {
			line.AppendBlock(nil, m.block(), 0)
		}
		m.number += lost
		before := line.Count()
		f := m.block()
		out := line.AppendBlock(nil, f, capture.AudioSamples(2*time.Hour))
		want := int64(lost+1) * capture.AudioBlock
		if got := line.Count() - before; got != want || line.Stats().Silence != want-capture.AudioBlock {
			t.Errorf("%d blocks became %d samples, %d of silence", lost+1, got, line.Stats().Silence)
		}
		for i, b := range out[:2*(want-capture.AudioBlock)] {
			if b != 0 {
				t.Fatalf("%d blocks: byte %d is no silence", lost, i)
			}
		}
	}
}

// TestMicrophoneVanishes: the line goes on in silence, and the microphone that returns,
// with numbers of its own, is in its place again; what comes twice is dropped.
func TestMicrophoneVanishes(t *testing.T) {
	m := newMicrophone(1, 0, 0)
	line := NewTimeline(m.format, start.Add(-37*time.Millisecond))
	if line.AppendBlock(nil, m.block(), capture.AudioRate); line.Count() != 37*48+capture.AudioBlock {
		t.Errorf("the first block ends at %d", line.Count())
	}
	line.AppendSilence(nil, start.Add(5*time.Second), capture.AudioSamples(time.Minute))
	if want := line.IndexOf(start.Add(5 * time.Second)); line.Count() != want || want != 5037*48 {
		t.Errorf("silence ends at %d", line.Count())
	}
	if line.AppendSilence(nil, start.Add(4*time.Second), 1000) != nil {
		t.Error("silence of the past")
	}
	// A block of which half is in time that is silence already.
	f := m.block()
	f.Sequence, f.Time = 0, start.Add(5*time.Second-5*time.Millisecond)
	if out := line.AppendBlock(nil, f, 0); len(out) != capture.AudioBlock || line.Stats().Dropped != capture.AudioBlock/2 {
		t.Errorf("%d bytes, %+v", len(out), line.Stats())
	}
	// One that is all of the past, and one that a hostile sender puts far into the future.
	for _, at := range []time.Duration{0, 1 << 60} {
		f.Sequence, f.Time = f.Sequence+12345, start.Add(at)
		if out := line.AppendBlock(nil, f, capture.AudioRate); len(out) != 0 {
			t.Errorf("%v: %d bytes", at, len(out))
		}
	}
}

// TestOtherMicrophone: blocks of one and of two channels follow each other on a line without
// a gap, in each of its channels.
func TestOtherMicrophone(t *testing.T) {
	m := newMicrophone(1, 0, 0)
	line := NewTimeline(capture.Stereo, start)
	for n := range 40 {
		m.format = capture.Mono
		if n/10%2 == 1 {
			m.format = capture.Stereo
		}
		f := m.block()
		for i := range f.Data {
			f.Data[i] = 7
		}
		out := line.AppendBlock(nil, f, 0)
		f.Release()
		for i, b := range out[min(len(out), 16):] {
			if b != 7 {
				t.Fatalf("block %d: byte %d is %d", n, i, b)
			}
		}
	}
	if want := int64(40 * capture.AudioBlock); line.Count() != want || line.Stats() != (Stats{}) {
		t.Errorf("%d samples, want %d: %+v", line.Count(), want, line.Stats())
	}
}

// TestBlocksOfThePast: blocks that came before the start are dropped up to its very
// sample, however near to it they are.
func TestBlocksOfThePast(t *testing.T) {
	for _, before := range []time.Duration{time.Second, 95 * time.Millisecond, 3 * time.Millisecond} {
		m := newMicrophone(1, 0, 0)
		line := NewTimeline(m.format, start.Add(before))
		for range 150 {
			line.AppendBlock(nil, m.block(), 0)
		}
		want := 150*capture.AudioBlock - capture.AudioSamples(before)
		if d := line.Count() - want; d < -1 || d > 1 {
			t.Errorf("%v: %d samples, want %d", before, line.Count(), want)
		}
	}
}

// TestTone: a tone keeps its shape when it is resampled, in each channel its own.
func TestTone(t *testing.T) {
	const hertz, level = 997, 10000
	r := resampler{channels: 2}
	var in []byte
	for i := range 48000 {
		v := level * math.Sin(2*math.Pi*hertz*float64(i)/capture.AudioRate)
		in = binary.LittleEndian.AppendUint16(in, uint16(int16(math.Round(v))))
		in = binary.LittleEndian.AppendUint16(in, uint16(int16(math.Round(-v/2))))
	}
	const adjust = 0.0003
	out := r.appendTo(nil, in, adjust)
	if n := float64(len(out) / 4); math.Abs(n-48000*(1+adjust)) > 2 {
		t.Errorf("%v samples", n)
	}
	noise := 0.0
	for i := 10; i < len(out)/4; i++ {
		want := level * math.Sin(2*math.Pi*hertz*(float64(i)/(1+adjust)-2)/capture.AudioRate)
		left, right := int16(binary.LittleEndian.Uint16(out[i*4:])), int16(binary.LittleEndian.Uint16(out[i*4+2:]))
		noise = max(noise, math.Abs(float64(left)-want), 2*math.Abs(float64(right)+want/2))
	}
	if noise > level/1000 { // 60 dB below
		t.Errorf("the tone is %.1f of %v off", noise, float64(level))
	}
}

func TestNoAllocations(t *testing.T) {
	for _, format := range []capture.AudioFormat{capture.Mono, capture.Stereo} {
		m := newMicrophone(1, 50, 0)
		line := NewTimeline(format, start)
		f := m.block()
		dst := make([]byte, 0, 8*capture.AudioBlock)
		if n := testing.AllocsPerRun(100, func() {
			f.Sequence++
			f.Time = f.Time.Add(capture.AudioPeriod)
			dst = line.AppendBlock(dst[:0], f, capture.AudioRate)
		}); n > 0 {
			t.Errorf("%v: %v allocations for each block", format, n)
		}
	}
}

func BenchmarkAppendBlock(b *testing.B) {
	m := newMicrophone(1, 50, 0)
	line := NewTimeline(m.format, start)
	f := m.block()
	var dst []byte
	for b.Loop() {
		f.Sequence++
		f.Time = f.Time.Add(capture.AudioPeriod)
		dst = line.AppendBlock(dst[:0], f, capture.AudioRate)
	}
}
