package tbsim

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	framing "github.com/tbcam/tbcam/transport/wire"
)

// BenchmarkFraming compares records on a line with plain copying, as dd does with
// bs=256k, of as many bytes through the same: the rounds alternate, so that a
// busy machine is so for both. A cable without a limit is two copies in memory.
func BenchmarkFraming(b *testing.B) {
	b.Run("pipe", func(b *testing.B) { benchmarkFraming(b, openPipe(b), framing.Unchecked, framing.NewDirectReader) })
	b.Run("socket", func(b *testing.B) { benchmarkFraming(b, openSocket(b), framing.Unchecked, framing.NewDirectReader) })
	for _, gbit := range []int64{10, 20, 40, 0} {
		name := fmt.Sprintf("cable=%dGbit", gbit)
		if gbit == 0 {
			name = "cable=unlimited"
		}
		b.Run(name, func(b *testing.B) { benchmarkFraming(b, openCable(b, gbit*1e9/8), 0, framing.NewReader) })
	}
}

// way is an open line from w to r.
type way struct {
	r io.Reader
	w func(bufs [][]byte) error
}

func openPipe(b *testing.B) way {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close(); w.Close() })
	return way{r, into(w)}
}

func openSocket(b *testing.B) way {
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	w, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	r, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close(); w.Close() })
	return way{r, into(w)}
}

func into(w io.Writer) func([][]byte) error {
	return func(bufs [][]byte) error {
		buffers := net.Buffers(bufs)
		_, err := buffers.WriteTo(w)
		return err
	}
}

func openCable(b *testing.B, rate int64) way {
	options := plain(Linux72y)
	options.Rate = rate
	link := links(New(options))
	from, err := link[0].Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	to, err := link[1].Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		from.Close()
		to.Close()
		link[0].Close()
		link[1].Close()
	})
	return way{to, from.WriteBuffers}
}

func benchmarkFraming(b *testing.B, l way, flags framing.Flags, newReader func(io.Reader) *framing.Reader) {
	const blocks = 100 // in a round
	block, place := make([]byte, framing.MaxPayload), make([]byte, framing.MaxPayload)
	room := make([]byte, 0, framing.HeaderSize)
	reader := newReader(l.r)
	plain := func() time.Duration {
		return round(b, blocks, func() error { return l.w([][]byte{block}) }, func() error {
			_, err := io.ReadFull(l.r, place)
			return err
		})
	}
	records := func() time.Duration {
		header := framing.Header{Type: framing.Frame, Flags: flags, Session: 1}
		return round(b, blocks, func() error {
			return l.w([][]byte{framing.AppendHeader(room, header, block), block})
		}, func() error {
			_, payload, err := reader.Next()
			n := copy(place, payload)
			reader.ReadRest(place[n : n+reader.Rest()])
			return err
		})
	}
	var ratios, speeds []float64
	for b.Loop() {
		p, r := plain(), records()
		ratios = append(ratios, float64(p)/float64(r))
		speeds = append(speeds, blocks*framing.MaxPayload/r.Seconds()/1e6)
	}
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(median(speeds), "MB/s")
}

// round writes and reads so many blocks, and returns how long that took.
func round(b *testing.B, blocks int, write, read func() error) time.Duration {
	begun := time.Now()
	go func() {
		for range blocks {
			if err := write(); err != nil {
				b.Error(err)
			}
		}
	}()
	for range blocks {
		if err := read(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
