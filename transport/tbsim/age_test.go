package tbsim

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// A camera that is three times as fast as the screen, and not in step with it.
const (
	cameraPeriod = time.Second / 30
	screenPeriod = 3*cameraPeriod + time.Millisecond
	decodeTime   = 20 * time.Millisecond // of that
	jpegSize     = 30_000                // 640x480
	// maxAge is what is allowed from dequeued buffer to presentation.
	maxAge = 2*screenPeriod + decodeTime
	// ageTime is enough for the recipe to fill the largest of the rings.
	ageTime = 40 * time.Second
)

// camera takes a frame every period, whoever wants it.
type camera struct {
	transport.NoControls
	pool capture.Pool
	box  *capture.Mailbox
	mode transport.Mode
}

func newCamera() *camera {
	format := capture.Format{Pixel: capture.MJPEG, Width: 640, Height: 480}
	return &camera{box: capture.NewMailbox(), mode: transport.Mode{Camera: "camera", Format: format}}
}

func (c *camera) run(ctx context.Context) {
	ticker := time.NewTicker(cameraPeriod)
	defer ticker.Stop()
	defer c.box.Discard()
	for n := uint32(1); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		f := c.pool.Get(jpegSize)
		binary.BigEndian.PutUint64(f.Data, uint64(time.Now().UnixNano()))
		f.Format, f.Sequence, f.Time = c.mode.Format, n, time.Now()
		f.At[capture.Captured], f.At[capture.Dequeued] = f.Time, f.Time
		c.box.Put(f)
	}
}

func (c *camera) Start(uint32, capture.Want) {}
func (c *camera) Stop()                      {}
func (c *camera) Lost() capture.Lost         { return capture.Lost{} }

func (c *camera) Next(ctx context.Context) (transport.Unit, error) {
	select {
	case f := <-c.box.Frames():
		return transport.Unit{Frame: f, Info: &c.mode}, nil
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
}

// screen shows a frame, and keeps its caller for the rest of its period.
type screen struct {
	transport.NopConsumer
	ages []time.Duration
}

func (s *screen) present(jpeg []byte) {
	time.Sleep(decodeTime)
	s.ages = append(s.ages, time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(jpeg)))))
	time.Sleep(screenPeriod - decodeTime)
}

func (s *screen) Frame(f *capture.Frame, _ capture.Lost) {
	defer f.Release()
	s.present(f.Data)
}

// TestAgeIsBounded: a viewer that is slower than the camera shows frames that are
// as young with a large ring as with a small one. The kernel's recipe, beside it,
// shows ever older ones until both rings are full.
func TestAgeIsBounded(t *testing.T) {
	for _, k := range Kernels {
		var ages, recipe []time.Duration
		for _, ring := range []int{32, 64, 256, 1024} {
			o := Options{Kernel: k, Ring: ring, Rate: 1e9, Latency: 10 * time.Microsecond}
			ages = append(ages, oldest(t, o, runSession))
			recipe = append(recipe, oldest(t, o, runRecipe))
			last := len(ages) - 1
			t.Logf("Linux %-5v ring %4d: at most %v old with tbcam, %v with the recipe", k, ring,
				ages[last].Round(time.Millisecond), recipe[last].Round(time.Millisecond))
		}
		if slices.Max(ages) > maxAge {
			t.Errorf("Linux %v: ages %v, allowed are %v", k, ages, maxAge)
		}
		if slices.Max(ages)-slices.Min(ages) > cameraPeriod {
			t.Errorf("Linux %v: ages %v depend on the ring", k, ages)
		}
		if !slices.IsSorted(recipe) || recipe[3] < 10*recipe[0] {
			t.Errorf("Linux %v: the recipe's ages %v do not grow with the ring", k, recipe)
		}
	}
}

// oldest returns how old frames were when they were presented, at most.
func oldest(t *testing.T, o Options, run func(context.Context, *testing.T, []transport.Link, *camera, *screen)) time.Duration {
	s := &screen{}
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		ctx, cancel := context.WithTimeout(t.Context(), ageTime)
		defer cancel()
		l := links(New(o))
		var camera sync.WaitGroup
		camera.Go(func() { c.run(ctx) })
		run(ctx, t, l, c, s)
		camera.Wait()
		hangUp(t, l)
		c.box.Discard()
		if n := c.pool.Outstanding(); n != 0 {
			t.Errorf("%d frames were not released", n)
		}
	})
	if expected := int(ageTime/screenPeriod) * 9 / 10; len(s.ages) < expected {
		t.Errorf("%d frames, expected are %d", len(s.ages), expected)
	}
	return slices.Max(s.ages)
}

func runSession(ctx context.Context, t *testing.T, l []transport.Link, c *camera, s *screen) {
	var pool capture.Pool
	log := slog.New(slog.DiscardHandler)
	sender := &transport.Sender{Link: l[0], Catalogue: &transport.Single{Producer: c}, Log: log}
	receiver := &transport.Receiver{Link: l[1], Pool: &pool, Log: log}
	paired.Guard(sender, receiver)
	watchStream(t, receiver, s)
	var programs sync.WaitGroup
	for _, run := range []func(context.Context) error{sender.Run, receiver.Run} {
		programs.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	programs.Wait()
}

// runRecipe does as v4l2src ! jpegenc ! filesink and filesrc ! jpegdec ! autovideosink:
// one writes each frame that it gets, the other shows each that it reads. It
// favours them: between camera and file, and file and screen, nothing waits.
func runRecipe(ctx context.Context, t *testing.T, l []transport.Link, c *camera, s *screen) {
	from, to := dial(t, l[0]), dial(t, l[1])
	context.AfterFunc(ctx, func() { hangUp(t, nil, from, to) })
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			p, err := c.Next(ctx)
			if err != nil {
				return
			}
			err = from.WriteBuffers([][]byte{p.Frame.Data})
			p.Frame.Release()
			if err != nil {
				return // hung up
			}
		}
	})
	for jpeg := make([]byte, jpegSize); ; {
		if _, err := io.ReadFull(to, jpeg); errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Error(err)
			break
		}
		s.present(jpeg)
	}
	writing.Wait()
}
