package tbsim

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/transport"
)

var (
	seeds   = flag.Int("seeds", 100, "how many seeds the properties are tested with")
	oneSeed = flag.Int("seed", -1, "the only seed to test")
)

// eachSeed runs a test with every seed.
func eachSeed(t *testing.T, test func(t *testing.T, seed uint64)) {
	if *oneSeed >= 0 {
		test(t, uint64(*oneSeed))
		return
	}
	for seed := range uint64(*seeds) {
		if test(t, seed); t.Failed() {
			t.Fatalf("repeat with -run %s -seed %d", t.Name(), seed)
		}
	}
}

// anyOptions draws what a cable is like.
func anyOptions(rng *rand.Rand, seed uint64) Options {
	return Options{
		Kernel:  Kernels[rng.IntN(len(Kernels))],
		Peer:    Kernels[rng.IntN(len(Kernels))],
		Ring:    32 << rng.IntN(4),
		Rate:    int64(drawSpread(rng, 1e5, 1e9)),
		Latency: time.Duration(rng.IntN(100)) * time.Microsecond,
		Unheard: Unheard(rng.IntN(2)),
		Seed:    seed,
	}
}

func TestAllThatIsAcceptedArrives(t *testing.T) {
	eachSeed(t, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		with(t, anyOptions(rng, seed), func(t *testing.T, c *Cable) {
			a, b := pair(t, c)
			sent := make([]byte, 1<<17)
			for i := range sent {
				sent[i] = byte(rng.Uint32())
			}
			var sending sync.WaitGroup
			sending.Go(func() { send(a, sent, rng) })
			if got := receive(t, b, rand.New(rand.NewPCG(seed, 2))); !bytes.Equal(got, sent) {
				t.Errorf("%+v: %d bytes came of %d, or others", c.options, len(got), len(sent))
			}
			sending.Wait()
		})
	})
}

// send writes in pieces of any size, waits until all has left, and closes.
func send(f *File, data []byte, rng *rand.Rand) {
	for len(data) > 0 {
		piece := data[:min(len(data), drawSpread(rng, 1, 60e3))]
		half := rng.IntN(len(piece) + 1)
		n, err := f.Writev([][]byte{piece[:half], piece[half:]})
		if data = data[n:]; err != nil {
			f.Poll(PollOut, -1)
		}
	}
	time.Sleep(time.Minute)
	f.Close()
}

// receive reads with buffers of any size until the end.
func receive(t *testing.T, f *File, rng *rand.Rand) (got []byte) {
	buf := make([]byte, 60e3)
	for {
		n, err := f.Read(buf[:drawSpread(rng, 1, 60e3)])
		got = append(got, buf[:n]...)
		if n == 0 && err == nil {
			return got
		}
		if err != nil {
			f.Poll(PollIn, -1)
		}
		if rng.IntN(20) == 0 {
			time.Sleep(time.Duration(drawSpread(rng, 1e3, 1e9)))
		}
	}
}

// A record is one packet: its number, and bytes that follow from that.
const recordHeader = 10

func appendRecord(b []byte, number uint64, size int) []byte {
	b = binary.BigEndian.AppendUint64(b, number)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	for i := range size {
		b = append(b, byte(int(number)*7+i))
	}
	return b
}

// cutRecord returns the number of the first record, and the bytes after it.
func cutRecord(b []byte) (number uint64, rest []byte, err error) {
	if len(b) < recordHeader {
		return 0, nil, fmt.Errorf("%d bytes are no record", len(b))
	}
	number = binary.BigEndian.Uint64(b)
	record := appendRecord(nil, number, int(binary.BigEndian.Uint16(b[8:])))
	if !bytes.HasPrefix(b, record) {
		return 0, nil, fmt.Errorf("record %d was never sent", number)
	}
	return number, b[len(record):], nil
}

// traffic sends numbered records, and receives them, through faults.
type traffic struct {
	*testing.T
	end    time.Time
	damage bool // there is some
	sent   atomic.Uint64
	came   uint64
	traces [2]string // of the sender and of the receiver
}

// use opens a link again and again, and uses it until it fails or for some time.
func (x *traffic) use(l transport.Link, rng *rand.Rand, trace *string, use func(transport.Conn) error) {
	begun := time.Now()
	for time.Now().Before(x.end) {
		c, err := l.Open(x.Context())
		if err != nil {
			x.Error(err)
			return
		}
		stop := time.AfterFunc(time.Duration(drawSpread(rng, 1e6, 1e10)), func() { c.Close() })
		*trace += fmt.Sprintf("%v: opened\n", time.Since(begun))
		err = use(c)
		*trace += fmt.Sprintf("%v: %v\n", time.Since(begun), err)
		stop.Stop()
		c.Close()
	}
	l.Close()
}

func (x *traffic) send(rng *rand.Rand) func(transport.Conn) error {
	return func(c transport.Conn) error {
		for {
			record := appendRecord(nil, x.sent.Load(), rng.IntN(packetSize-recordHeader))
			if err := c.WriteBuffers([][]byte{record[:4], record[4:]}); err != nil {
				return err
			}
			x.sent.Add(1)
			time.Sleep(time.Duration(drawSpread(rng, 1e6, 3e8)))
		}
	}
}

// manyPackets has room for more than two rings, so that no call ends inside a
// packet: its rest could be lost.
var manyPackets = make([]byte, 4<<20)

func (x *traffic) receive(c transport.Conn) error {
	for last := int64(-1); ; {
		n, err := c.Read(manyPackets)
		if err != nil {
			return err
		}
		for b := manyPackets[:n]; len(b) > 0 && !x.damage; x.came++ {
			var number uint64
			if number, b, err = cutRecord(b); err != nil {
				x.Error(err)
			}
			if int64(number) <= last || number > x.sent.Load() {
				x.Errorf("record %d after %d, when %d were sent", number, last, x.sent.Load())
			}
			last = int64(number)
		}
	}
}

const trafficTime = time.Minute

func newTraffic(t *testing.T, seed uint64, faults Schedule) *traffic {
	damage := slices.ContainsFunc(faults, func(e Event) bool { return e.Kind == Damage })
	x := &traffic{T: t, end: time.Now().Add(trafficTime), damage: damage}
	rng := rand.New(rand.NewPCG(seed, 3))
	c := New(anyOptions(rng, seed))
	c.Run(faults)
	l := links(c)
	var both sync.WaitGroup
	both.Go(func() { x.use(l[0], rng, &x.traces[0], x.send(rng)) })
	both.Go(func() { x.use(l[1], rand.New(rand.NewPCG(seed, 4)), &x.traces[1], x.receive) })
	both.Wait()
	return x
}

func TestOnlyWhatWasSentComesAndInOrder(t *testing.T) {
	var sent, came uint64
	eachSeed(t, func(t *testing.T, seed uint64) {
		faults := Random(seed, trafficTime)
		for i := range faults {
			if faults[i].Kind == Damage {
				faults[i].Kind = Stall
			}
		}
		synctest.Test(t, func(t *testing.T) {
			x := newTraffic(t, seed, faults)
			if sent, came = sent+x.sent.Load(), came+x.came; t.Failed() {
				t.Logf("faults:\n%vsender:\n%vreceiver:\n%v", faults, x.traces[0], x.traces[1])
			}
		})
	})
	t.Logf("%d of %d records came", came, sent)
	if came < sent/10 {
		t.Error("hardly any records came")
	}
}

func TestSeedDecides(t *testing.T) {
	for seed := range uint64(20) {
		var traces [2][2]string
		for i := range traces {
			synctest.Test(t, func(t *testing.T) {
				traces[i] = newTraffic(t, seed, Random(seed, trafficTime)).traces
			})
		}
		if traces[0] != traces[1] {
			t.Errorf("seed %d gives\n%v\nand then\n%v", seed, traces[0], traces[1])
		}
	}
}
