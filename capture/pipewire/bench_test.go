package pipewire

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// readerVariable has a process of this test read the camera "bench", and write to its
// standard output how long each frame was on its way, in nanoseconds.
const readerVariable = "TBCAM_PIPEWIRE_READER"

func TestMain(m *testing.M) {
	if os.Getenv(readerVariable) == "" {
		os.Exit(m.Run())
	}
	if err := readBench(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readBench() error {
	d, err := Driver{}.Find("pipewire:bench")
	if err != nil {
		return err
	}
	var pool capture.Pool
	source, err := open(d, d.Modes[0], &pool)
	if err != nil {
		return err
	}
	defer source.Close()
	for {
		f, err := source.Read()
		if err != nil {
			return nil // the end
		}
		var took [8]byte
		binary.NativeEndian.PutUint64(took[:], uint64(f.At[capture.Dequeued].Sub(f.Time)))
		f.Release()
		if _, err := os.Stdout.Write(took[:]); err != nil {
			return nil
		}
	}
}

// BenchmarkWrite gives frames of 720p to a reader in another process: the time of a frame
// until its reader has answered, and from Write to the reader's Read (median).
func BenchmarkWrite(b *testing.B) {
	s := pwsession.Start(b, pwsession.Options{})
	s.Enter(b)
	format := capture.Format{Pixel: capture.YUV420, Width: 1280, Height: 720}
	o := publish(b, "bench", format)
	reader := s.Command(os.Args[0])
	reader.Env = append(reader.Env, readerVariable+"=1")
	answers, err := reader.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	reader.Stderr = os.Stderr
	if err := reader.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = reader.Process.Kill()
		_ = reader.Wait() // it was killed
	})
	var pool capture.Pool
	f := pool.Get(format.Size())
	f.Format = format
	defer f.Release()
	for !o.Streaming() {
		time.Sleep(time.Millisecond)
	}
	took := make([]time.Duration, 0, 1<<20)
	var answer [8]byte
	b.SetBytes(int64(format.Size()))
	b.ReportAllocs()
	for b.Loop() {
		if err := o.Write(f); err != nil {
			b.Fatal(err)
		}
		if _, err := answers.Read(answer[:]); err != nil {
			b.Fatal(err)
		}
		if len(took) < cap(took) {
			took = append(took, time.Duration(binary.NativeEndian.Uint64(answer[:])))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-to-reader")
}
