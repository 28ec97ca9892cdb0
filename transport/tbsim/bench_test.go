package tbsim

import (
	"fmt"
	"testing"
)

// BenchmarkCable is how fast the simulator itself is, with pieces of one frame
// each way of writing them.
func BenchmarkCable(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) { benchmarkCable(b, size) })
	}
}

func benchmarkCable(b *testing.B, size int) {
	cable := New(plain(Linux72y))
	link := links(cable)
	from, err := link[0].Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	to, err := link[1].Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		bufs := [][]byte{make([]byte, 72), make([]byte, size-72)}
		for range b.N {
			if err := from.WriteBuffers(bufs); err != nil {
				b.Error(err)
			}
		}
	}()
	buf := make([]byte, 256<<10)
	for left := b.N * size; left > 0; {
		n, err := to.Read(buf)
		if left -= n; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	from.Close()
	to.Close()
	link[0].Close()
	link[1].Close()
}
