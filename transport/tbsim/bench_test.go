package tbsim

import (
	"fmt"
	"testing"

	"github.com/tbcam/tbcam/transport"
	framing "github.com/tbcam/tbcam/transport/wire"
)

// BenchmarkCable compares records on a cable with plain copying, as dd does with
// bs=256k, of as many bytes. A limit is what the cable carries in a second;
// without one the cable is two copies in memory.
func BenchmarkCable(b *testing.B) {
	for _, limit := range []int64{1_250_000_000, 2_500_000_000, 5_000_000_000, 0} {
		name := fmt.Sprintf("limit=%dMB/", limit/1e6)
		b.Run(name+"plain", func(b *testing.B) { benchmarkCable(b, limit, plainWriter, plainReader) })
		b.Run(name+"records", func(b *testing.B) { benchmarkCable(b, limit, recordWriter, recordReader) })
	}
}

func plainWriter(conn transport.Conn) func([]byte) error {
	return func(block []byte) error { return conn.WriteBuffers([][]byte{block}) }
}

func plainReader(conn transport.Conn) func([]byte) error {
	return func(into []byte) error {
		for len(into) > 0 {
			n, err := conn.Read(into)
			if err != nil {
				return err
			}
			into = into[n:]
		}
		return nil
	}
}

func recordWriter(conn transport.Conn) func([]byte) error {
	room := make([]byte, 0, framing.HeaderSize)
	return func(block []byte) error {
		header := framing.AppendHeader(room, framing.Header{Type: framing.Frame, Session: 1}, block)
		return conn.WriteBuffers([][]byte{header, block})
	}
}

func recordReader(conn transport.Conn) func([]byte) error {
	r := framing.NewReader(conn)
	return func(into []byte) error {
		_, payload, err := r.Next()
		copy(into, payload)
		return err
	}
}

func benchmarkCable(b *testing.B, limit int64, writer, reader func(transport.Conn) func([]byte) error) {
	options := plain(Linux72y)
	options.Rate = limit
	link := links(New(options))
	from, err := link[0].Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	to, err := link[1].Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	block, into := make([]byte, framing.MaxPayload), make([]byte, framing.MaxPayload)
	write, read := writer(from), reader(to)
	b.SetBytes(framing.MaxPayload)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			if err := write(block); err != nil {
				b.Error(err)
			}
		}
	}()
	for range b.N {
		if err := read(into); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	from.Close()
	to.Close()
	link[0].Close()
	link[1].Close()
}
