package latencytest

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/fixtures/golden"
)

// view is how a camera sees the screen.
type view struct {
	width, height int
	corners       [4][2]float64 // where those of the screen are: clockwise from the top left, of 0 to 1
	black, white  float64       // brightness
	noise         float64
	blur          int // pixels
	pixel         capture.PixelFormat
}

var straight = view{width: 640, height: 360, corners: [4][2]float64{{0, 0}, {1, 0}, {1, 1}, {0, 1}}, white: 255, pixel: capture.YUV420}

// photograph returns the frame that the camera takes of the screen.
func (v view) photograph(screen *capture.Frame, r *rand.Rand, pool *capture.Pool) *capture.Frame {
	format := capture.Format{Pixel: v.pixel, Width: v.width, Height: v.height, Range: capture.Full}
	f := pool.Get(format.Size())
	f.Format, f.Sequence = format, screen.Sequence
	for i := range f.Data {
		f.Data[i] = 128
	}
	step := 1
	if v.pixel == capture.YUYV {
		step = 2
	}
	for y := range v.height {
		for x := range v.width {
			sum := 0.0
			for dy := -v.blur; dy <= v.blur; dy++ {
				for dx := -v.blur; dx <= v.blur; dx++ {
					sum += v.luma(screen, float64(x+dx)/float64(v.width), float64(y+dy)/float64(v.height))
				}
			}
			n := float64(2*v.blur + 1)
			value := v.black + (v.white-v.black)*sum/(n*n)/255 + r.NormFloat64()*v.noise
			f.Data[(y*v.width+x)*step] = byte(min(max(value, 0), 255))
		}
	}
	return f
}

// luma returns the screen's brightness at a place in the frame: the inverse of a
// bilinear quadrilateral, by Newton's steps; beside the screen is a grey wall.
func (v view) luma(screen *capture.Frame, x, y float64) float64 {
	s, t := 0.5, 0.5
	c := v.corners
	for range 8 {
		at := func(i int) float64 {
			return (1-t)*((1-s)*c[0][i]+s*c[1][i]) + t*((1-s)*c[3][i]+s*c[2][i])
		}
		ds := func(i int) float64 { return (1-t)*(c[1][i]-c[0][i]) + t*(c[2][i]-c[3][i]) }
		dt := func(i int) float64 { return (1-s)*(c[3][i]-c[0][i]) + s*(c[2][i]-c[1][i]) }
		ex, ey := at(0)-x, at(1)-y
		if math.Abs(ex)+math.Abs(ey) < 1e-5 {
			break
		}
		det := ds(0)*dt(1) - ds(1)*dt(0)
		s -= (ex*dt(1) - ey*dt(0)) / det
		t -= (ey*ds(0) - ex*ds(1)) / det
	}
	px, py := int(math.Floor(s*Width)), int(math.Floor(t*Height))
	if px < 0 || py < 0 || px >= Width || py >= Height {
		return 90
	}
	return float64(screen.Data[py*Width+px])
}

func paint(t testing.TB, run, number int, pool *capture.Pool) *capture.Frame {
	t.Helper()
	f, err := Paint(run, number, pool)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// keep writes the luma of a planar frame where a person can look at it, if
// TBCAM_ARTEFACTS is set.
func keep(t *testing.T, name string, f *capture.Frame) {
	t.Helper()
	if f.Format.Pixel != capture.YUV420 {
		return
	}
	img := &image.Gray{Pix: f.Data, Stride: f.Format.Width, Rect: image.Rect(0, 0, f.Format.Width, f.Format.Height)}
	golden.Keep(t, name, img)
}

// A code is read wherever it is, and as cameras see screens.
func TestRead(t *testing.T) {
	with := func(change func(*view)) view {
		v := straight
		change(&v)
		return v
	}
	for name, v := range map[string]view{
		"straight": straight,
		"full HD":  with(func(v *view) { v.width, v.height = 1920, 1080 }),
		"small": with(func(v *view) {
			v.width, v.height, v.corners = 1920, 1080, [4][2]float64{{.6, .6}, {.85, .6}, {.85, .85}, {.6, .85}}
		}),
		"odd":      with(func(v *view) { v.width, v.height = 641, 359 }),
		"yuyv":     with(func(v *view) { v.pixel = capture.YUYV }),
		"grey":     with(func(v *view) { v.pixel = capture.GREY }),
		"far away": with(func(v *view) { v.corners = [4][2]float64{{.05, .1}, {.4, .1}, {.4, .45}, {.05, .45}} }),
		"askew":    with(func(v *view) { v.corners = [4][2]float64{{.1, .2}, {.85, .05}, {.95, .9}, {.15, .8}} }),
		"tilted":   with(func(v *view) { v.corners = [4][2]float64{{.3, .0}, {.95, .3}, {.7, 1}, {.05, .7}} }),
		"on its head": with(func(v *view) {
			v.corners = [4][2]float64{{1, 1}, {0, 1}, {0, 0}, {1, 0}}
		}),
		"dark":         with(func(v *view) { v.black, v.white, v.noise = 8, 60, 4 }),
		"washed out":   with(func(v *view) { v.black, v.white, v.noise = 150, 235, 6 }),
		"noisy":        with(func(v *view) { v.noise = 40 }),
		"out of focus": with(func(v *view) { v.width, v.height, v.blur = 480, 270, 2 }),
	} {
		t.Run(name, func(t *testing.T) {
			pool := &capture.Pool{}
			r := rand.New(rand.NewPCG(1, 2))
			reader := NewReader(12345)
			defer reader.Close()
			screen := paint(t, 12345, 678, pool)
			f := v.photograph(screen, r, pool)
			keep(t, "glass "+name, f)
			if n, ok := reader.Read(f); !ok || n != 678 {
				t.Errorf("read %d, %t", n, ok)
			}
			f.Release()
			screen.Release()
			if n := pool.Outstanding(); n != 0 {
				t.Errorf("%d frames were not released", n)
			}
		})
	}
}

// Nothing is read where there is nothing, or what another run painted.
func TestReadNothing(t *testing.T) {
	pool := &capture.Pool{}
	reader := NewReader(1)
	defer reader.Close()
	r := rand.New(rand.NewPCG(3, 4))
	other := paint(t, 2, 7, pool)
	defer other.Release()
	noise := straight
	noise.noise = 200
	for name, f := range map[string]*capture.Frame{
		"another run": straight.photograph(other, r, pool),
		"noise":       noise.photograph(other, r, pool),
		"a wall":      view{width: 320, height: 240, corners: [4][2]float64{{5, 5}, {6, 5}, {6, 6}, {5, 6}}, pixel: capture.YUV420, white: 255}.photograph(other, r, pool),
		"tiny":        view{width: 1, height: 1, corners: straight.corners, pixel: capture.GREY}.photograph(other, r, pool),
	} {
		if n, ok := reader.Read(f); ok {
			t.Errorf("%s: read %d", name, n)
		}
		f.Release()
	}
}

// loop is what a camera sees of the codes of a run, as JPEGs.
type loop struct {
	run   int
	jpegs []*capture.Frame // of number 1 and the following
	pool  *capture.Pool
}

func newLoop(t *testing.T, codes int, r *rand.Rand) loop {
	t.Helper()
	l := loop{run: 777, pool: &capture.Pool{}}
	encoder, err := codec.NewEncoder(codec.JPEG, 60, l.pool)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	small := straight
	small.width, small.height = 320, 180
	for n := range codes {
		screen := paint(t, l.run, n+1, l.pool)
		jpeg, err := encoder.Encode(small.photograph(screen, r, l.pool))
		if err != nil {
			t.Fatal(err)
		}
		screen.Release()
		l.jpegs = append(l.jpegs, jpeg)
	}
	return l
}

// play shows one code after the other to a camera whose frames come late, and
// returns what a meter makes of it.
func (l loop) play(t *testing.T, fps int, late func() time.Duration, r *rand.Rand) Report {
	t.Helper()
	decoder := codec.NewDecoder(l.pool, codec.Limits{})
	defer decoder.Close()
	reader := NewReader(l.run)
	defer reader.Close()
	meter, schedule := NewMeter(), NewSchedule(float64(fps), r)
	period := time.Second / time.Duration(fps)
	meter.Shown(1, time.Now())
	showing, next := 1, time.Now().Add(schedule.Next())
	for frame := time.Now().Add(period / 3); showing < len(l.jpegs); frame = frame.Add(period) {
		for next.Before(frame) && showing < len(l.jpegs) {
			time.Sleep(time.Until(next))
			showing++
			meter.Shown(showing, next)
			next = next.Add(schedule.Next())
		}
		time.Sleep(time.Until(frame))
		raw, err := decoder.Decode(l.jpegs[showing-1].Retain())
		if err != nil {
			t.Fatal(err)
		}
		n, ok := reader.Read(raw)
		raw.Release()
		if !ok || n != showing {
			t.Fatalf("read %d, %t; it shows %d", n, ok, showing)
		}
		meter.Seen(n, frame.Add(late()))
	}
	return meter.Report()
}

// What is shown comes back through a camera, a JPEG and a line that takes a known
// time. The report must be that time, and at most one frame period more, for which
// a change waits for the camera's next frame.
func TestLoop(t *testing.T) {
	const codes, seed = 30, 5
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	l := newLoop(t, codes, r)
	for _, c := range []struct {
		delay  time.Duration
		fps    int
		jitter time.Duration
	}{
		{0, 30, 0}, {333 * time.Millisecond, 30, 0}, {80 * time.Millisecond, 15, 0}, {60 * time.Millisecond, 60, 10 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%v at %d fps", c.delay, c.fps), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				report := l.play(t, c.fps, func() time.Duration { return c.delay + time.Duration(r.Int64N(int64(c.jitter)+1)) }, r)
				period := time.Second / time.Duration(c.fps)
				ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
				least, most := ms(c.delay)-0.01, ms(c.delay+period+c.jitter)+0.01
				if report.Min < least || report.Max > most || report.Samples != codes-1 {
					t.Errorf("%+v; want %.1f to %.1f ms", report, least, most)
				}
				// The changes fall anywhere in a period.
				if mean := ms(c.delay + period/2 + c.jitter/2); math.Abs(report.P50-mean) > ms(period)/4 {
					t.Errorf("the median is %.1f ms, should be about %.1f", report.P50, mean)
				}
			})
		})
	}
	for _, j := range l.jpegs {
		j.Release()
	}
	if n := l.pool.Outstanding(); n != 0 {
		t.Errorf("%d frames were not released", n)
	}
}

func TestMeter(t *testing.T) {
	m := NewMeter()
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	m.Shown(1, at(0))
	m.Seen(1, at(50)) // perhaps not the first of it
	m.Shown(2, at(100))
	m.Seen(1, at(120))
	m.Unreadable()
	m.Seen(2, at(160)) // 60
	m.Seen(2, at(190))
	m.Shown(3, at(200))
	m.Shown(4, at(300))
	m.Seen(4, at(380)) // 80; number 3 was superseded
	m.Seen(3, at(400)) // impossible
	m.Shown(5, at(500))
	m.Skipped()
	m.Seen(5, at(600)) // after a gap
	m.Seen(99, at(700))
	want := Report{Samples: 2, Min: 60, P50: 60, P95: 80, P99: 80, Max: 80, Counts: Counts{Frames: 9, Unreadable: 1, Skipped: 1}}
	if got := m.Report(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := NewMeter().Report(); got != (Report{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func BenchmarkRead1080p(b *testing.B) {
	pool := &capture.Pool{}
	v := straight
	v.width, v.height, v.noise = 1920, 1080, 5
	f := v.photograph(paint(b, 1, 1, pool), rand.New(rand.NewPCG(1, 1)), pool)
	reader := NewReader(1)
	for b.Loop() {
		if _, ok := reader.Read(f); !ok {
			b.Fatal("not read")
		}
	}
}

// TestScheduleOfAnyRate: also of one that no camera has, which a peer may claim.
func TestScheduleOfAnyRate(t *testing.T) {
	for fps, period := range map[float64]time.Duration{
		0: time.Second / 30, 1: time.Second, 60: time.Second / 60, 1000: time.Millisecond, 4e9: time.Second / 30,
	} {
		s := NewSchedule(fps, rand.New(rand.NewPCG(1, 2)))
		for range 100 {
			if stay := s.Next(); stay < 3*period || stay >= 5*period {
				t.Fatalf("at %v fps a code stays for %v", fps, stay)
			}
		}
	}
}
