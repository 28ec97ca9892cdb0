package desktop

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// benchSpan is how long BenchmarkMicrophone measures.
const benchSpan = 20 * time.Second

// BenchmarkMicrophone measures how old samples are when an application gets them, from the
// capture stamp of tbcam-send on: from the virtual microphone, beside a plain loopback of
// PipeWire of the same microphone and the same quantum, which stays on this host; and what
// the programs take of a core for that. Medians.
func BenchmarkMicrophone(b *testing.B) {
	s := pwsession.Start(b, pwsession.Options{Services: []string{pwsession.Pulse}})
	s.Enter(b)
	speak(b)
	loop(b, s)
	flag, _ := harness.NewSocket(b)
	sender := harness.Start(b, nil, "tbcam-send", flag, "--microphone=Bench", "--camera=pattern")
	viewer := harness.Start(b, nil, "tbcam-view", flag, "--virtual-microphone", "--audio-delay=0")
	harness.WaitUntil(b, "the microphones", func() bool { return s.HasNode(microphoneNode) && s.HasNode(loopNode) })
	for b.Loop() {
		direct, far, loop := hear(b, benchSource), hear(b, microphoneNode), hear(b, loopNode)
		sent, viewed := processorTime(b, sender), processorTime(b, viewer)
		time.Sleep(benchSpan)
		share := func(d time.Duration) float64 { return 100 * d.Seconds() / benchSpan.Seconds() }
		b.ReportMetric(share(processorTime(b, sender)-sent), "%cpu-tbcam-send")
		b.ReportMetric(share(processorTime(b, viewer)-viewed), "%cpu-tbcam-view")
		captured := direct.close()
		far.close()
		loop.close()
		stamps := make(map[int]time.Time, len(captured))
		for _, block := range captured {
			stamps[block.Number] = direct.timeOf(block.At).Add(capture.AudioPeriod)
		}
		b.ReportMetric(far.age(b, stamps), "ms-tbcam")
		b.ReportMetric(loop.age(b, stamps), "ms-loopback")
	}
}

// Nodes of the benchmark: its microphone, and the loopback's copy of it.
const (
	benchSource = "bench"
	loopNode    = "loop"
)

// speak publishes the test microphone as one of this host.
func speak(b *testing.B) {
	b.Helper()
	p, err := pipewire.OpenPlayer(pipewire.AudioNode{Name: benchSource, Description: "Bench", Microphone: true, Format: capture.Mono})
	if err != nil {
		b.Fatal(err)
	}
	source, err := pattern.OpenMicrophone(capture.Mono, &capture.Pool{})
	if err != nil {
		b.Fatal(err)
	}
	var speaking sync.WaitGroup
	speaking.Go(func() {
		for f, err := source.Read(); err == nil; f, err = source.Read() {
			_, _ = p.Write(f.Data) // what is missing is not measured
			f.Release()
		}
	})
	b.Cleanup(func() {
		source.Close()
		speaking.Wait()
		p.Close()
	})
}

// loop starts the loopback.
func loop(b *testing.B, s *pwsession.Session) {
	b.Helper()
	const quantum = " node.latency=256/48000"
	cmd := s.Command("pw-loopback", "--channels=1", "--capture-props=target.object="+benchSource+quantum,
		"--playback-props=media.class=Audio/Source node.name="+loopNode+quantum)
	startUntilEnd(b, cmd)
}

// startUntilEnd starts a program that is killed when the benchmark ends.
func startUntilEnd(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Start(); err != nil {
		b.Fatalf("%v; install it with `make deps`", err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

// ear is an application that listens.
type ear struct {
	mic     *pipewire.Microphone
	reading sync.WaitGroup
	samples []int16
	blocks  []earBlock // of capture.AudioBlock samples each
}

// earBlock is when a block was captured, as far as the server knows, and when it was read.
type earBlock struct{ captured, read time.Time }

// hear begins to listen to a node.
func hear(b *testing.B, node string) *ear {
	b.Helper()
	mic, err := pipewire.OpenMicrophone(node, capture.Mono, &capture.Pool{})
	if err != nil {
		b.Fatal(err)
	}
	e := &ear{mic: mic}
	e.reading.Go(func() {
		for f, err := mic.Read(); err == nil; f, err = mic.Read() {
			for i := 0; i < len(f.Data); i += 2 {
				e.samples = append(e.samples, int16(binary.LittleEndian.Uint16(f.Data[i:])))
			}
			e.blocks = append(e.blocks, earBlock{f.Time, f.At[capture.Dequeued]})
			f.Release()
		}
	})
	return e
}

// close ends listening, and returns the numbers that were heard.
func (e *ear) close() []pattern.Block {
	e.mic.Close()
	e.reading.Wait()
	return pattern.ReadBlocks(e.samples)
}

// timeOf returns when a sample was captured.
func (e *ear) timeOf(sample int) time.Time {
	block := e.blocks[sample/capture.AudioBlock]
	return block.captured.Add(capture.AudioDuration(int64(sample % capture.AudioBlock)))
}

// age returns how old the last sample of a block was when it was read, the median in
// milliseconds, of blocks that were captured at the given times.
func (e *ear) age(b *testing.B, captured map[int]time.Time) float64 {
	b.Helper()
	var ages []time.Duration
	for _, block := range pattern.ReadBlocks(e.samples) {
		if at, ok := captured[block.Number]; ok {
			last := (block.At + capture.AudioBlock - 1) / capture.AudioBlock
			ages = append(ages, e.blocks[last].read.Sub(at))
		}
	}
	if len(ages) < 200 {
		b.Fatalf("%d blocks were heard", len(ages))
	}
	slices.Sort(ages)
	return float64(ages[len(ages)/2].Microseconds()) / 1000
}

// processorTime returns what a program has taken of the processors so far (proc_pid_stat(5)).
func processorTime(b *testing.B, p *harness.Program) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	const user, system, tick = 11, 12, time.Second / 100 // behind the name, which may have spaces
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var total time.Duration
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ticks) * tick
	}
	return total
}
