package container

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// volatile is a storage whose power may fail: of what was written since the last
// Sync each sector may have reached the disk or not.
type volatile struct {
	memory
	durable []byte
	since   []sector // written since the last Sync
}

const sectorSize = 512

type sector struct {
	at   int
	data []byte
}

func newVolatile() *volatile { return &volatile{memory: *newMemory(nil)} }

func (v *volatile) WriteAt(b []byte, at int64) (int, error) {
	for n := 0; n < len(b); {
		end := min(len(b), n+sectorSize-(int(at)+n)%sectorSize)
		v.since = append(v.since, sector{int(at) + n, bytes.Clone(b[n:end])})
		n = end
	}
	return v.memory.WriteAt(b, at)
}

func (v *volatile) Sync() error {
	v.durable, v.since = bytes.Clone(v.data), nil
	return nil
}

// fail cuts the power and returns what is on the disk: sometimes all in the order
// in which it was written, up to some time, and sometimes any of it.
func (v *volatile) fail(random *rand.Rand) *memory {
	disk := newMemory(v.durable)
	ordered, last := random.IntN(2) == 0, random.IntN(len(v.since)+1)
	for i, s := range v.since {
		if ordered && i < last || !ordered && random.IntN(3) > 0 {
			_, _ = disk.WriteAt(s.data, int64(s.at))
		}
	}
	return disk
}

// TestPowerLoss: all frames of before the last Sync are there after a repair,
// which may lose the power once itself.
func TestPowerLoss(t *testing.T) {
	const runs, frames = 150, 60
	for _, kind := range files {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(runs) {
				random := rand.New(rand.NewPCG(seed, 11))
				disk := newVolatile()
				synced := filmUntil(t, kind, disk, random, random.IntN(frames))
				left := disk.fail(random)
				if synced > 0 && seed%2 == 0 {
					left = repairUntil(t, left, random)
				}
				report, err := repairFile(left, int64(len(left.data)))
				if synced == 0 {
					continue
				}
				name := fmt.Sprintf("seed %d", seed)
				if err != nil || report.Frames < synced {
					t.Fatalf("%s: %+v, %v, want %d frames", name, report, err, synced)
				}
				ends(t, left.data, synced)
				if again, err := repairFile(left, int64(len(left.data))); err != nil || !again.Whole || again.Frames != report.Frames {
					t.Errorf("%s: %+v, but repaired once more: %+v, %v", name, report, again, err)
				}
			}
		})
	}
}

// filmUntil records with a Flush or Sync now and then, sometimes to the end, and
// returns how many frames are on the disk for sure.
func filmUntil(t *testing.T, kind Kind, disk storage, random *rand.Rand, frames int) (synced int) {
	t.Helper()
	w, err := openKind(&file{disk: disk, seekable: true, named: true}, options(kind, jpegs))
	must(t, err)
	times := newTimes(random.Uint64())
	for i := range frames {
		if random.IntN(20) == 0 {
			must(t, w.Gap(capture.Lost{Driver: 1}, ""))
		}
		must(t, w.Write(&capture.Frame{Data: sampleFrame(jpegs, i)}, times.next()))
		switch random.IntN(10) {
		case 0:
			must(t, w.Sync())
			synced = i + 1
		case 1:
			must(t, w.Flush())
		}
	}
	if frames > 0 && random.IntN(4) == 0 {
		must(t, w.Flush())
		must(t, finishing(w))
	}
	return synced
}

// finishing is the part of Close that writes.
func finishing(w Writer) error {
	if f, ok := w.(interface{ finish() error }); ok {
		return f.finish()
	}
	return nil
}

// repairUntil loses the power while a repair is under way.
func repairUntil(t *testing.T, m *memory, random *rand.Rand) *memory {
	t.Helper()
	disk := newVolatile()
	disk.data, disk.durable = bytes.Clone(m.data), bytes.Clone(m.data)
	disk.writes = random.IntN(8)
	_, _ = repairFile(disk, int64(len(disk.data)))
	return disk.fail(random)
}
