package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// film is a camera of JPEGs that costs nothing: each is the same picture with its
// number in a comment. It implements transport.Producer.
type film struct {
	mode   *transport.Mode
	period time.Duration
	pool   capture.Pool
	begin  time.Time
	dark   int       // of the first frames show nothing, as those of a camera do
	log    io.Writer // gets a line for each frame that was sent; or nil

	mu   sync.Mutex
	next int
	lost capture.Lost
	sent []int // numbers of the frames that were written
}

// base returns a JPEG of noise, of some 100 kB at 1920x1080.
var base = sync.OnceValue(func() []byte { return noise(1920, 1080) })

func noise(width, height int) []byte { return grain(width, height, 100) }

// grain returns a JPEG of noise above a level.
func grain(width, height int, level byte) []byte {
	img := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range img.Y {
		img.Y[i] = level + byte(random.Uint32()&15)
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// numbered returns the JPEG with a number in a comment (ITU-T T.81, B.2.4.5).
func numbered(jpeg []byte, number int) []byte {
	comment := binary.BigEndian.AppendUint32([]byte{0xff, 0xfe, 0, 6}, uint32(number))
	return slices.Concat(jpeg[:2], comment, jpeg[2:])
}

func newFilm(width, height int, fps uint32) *film {
	pixel := capture.MJPEG
	return &film{
		period: time.Second / time.Duration(fps),
		mode: &transport.Mode{
			Camera: "film",
			Source: capture.Mode{Pixel: pixel, Width: width, Height: height, Rate: capture.Rate{Num: fps, Den: 1}},
			Format: capture.Format{Pixel: pixel, Width: width, Height: height, Range: capture.Full},
		},
	}
}

// jpeg returns the picture without a number.
func (f *film) jpeg() []byte {
	if f.mode.Format.Width == 1920 {
		return base()
	}
	return noise(f.mode.Format.Width, f.mode.Format.Height)
}

// run sends the film to the viewer at a socket until the context ends.
func (f *film) run(ctx context.Context, socket string) error {
	log := slog.New(slog.DiscardHandler)
	f.begin = time.Now()
	s := &transport.Sender{Link: &unixsock.Dialer{Path: socket, Log: log}, Producer: f, Version: "test", Log: log, Sent: f.wrote}
	return s.Run(ctx)
}

// show sends the film until the test is over; stop ends it before.
func (f *film) show(t *testing.T, socket string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.run(ctx, socket); err != nil {
			t.Error(err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// Next waits for the next picture that is due; those for which it was called too
// late are lost.
func (f *film) Next(ctx context.Context) (transport.Unit, error) {
	f.mu.Lock()
	newest := int(time.Since(f.begin) / f.period)
	if newest > f.next {
		f.lost.Superseded += uint64(newest - f.next)
		f.next = newest
	}
	number, lost := f.next, f.lost
	f.next++
	f.mu.Unlock()
	at := f.begin.Add(time.Duration(number) * f.period)
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
	return transport.Unit{Frame: f.frame(number, at), Info: f.mode, Lost: lost}, nil
}

func (f *film) frame(number int, at time.Time) *capture.Frame {
	picture := f.jpeg()
	if number < f.dark {
		picture = grain(f.mode.Format.Width, f.mode.Format.Height, 0)
	}
	data := numbered(picture, number)
	frame := f.pool.Get(len(data))
	copy(frame.Data, data)
	frame.Format, frame.Sequence, frame.Time = f.mode.Format, uint32(number), at
	for _, stage := range []capture.Stage{capture.Captured, capture.Dequeued, capture.Encoded} {
		frame.At[stage] = at
	}
	return frame
}

func (f *film) wrote(frame *capture.Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, int(frame.Sequence))
	if f.log != nil {
		fmt.Fprintln(f.log, frame.Sequence, time.Since(f.begin).Milliseconds(), hashOf(frame.Data))
	}
}

// Start, Stop and Cameras implement the rest of transport.Producer.
func (f *film) Start(uint32, capture.Want) {}
func (f *film) Stop()                      {}
func (f *film) Cameras() []capture.Device  { return nil }

// Lost implements transport.Producer.
func (f *film) Lost() capture.Lost {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// numbers returns those of the frames that were sent.
func (f *film) numbers() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// hashes returns those of the pictures in a recording, in order.
func hashes(t *testing.T, file string) (hashes []string) {
	t.Helper()
	out := tool(t, "ffprobe", "-v", "error", "-show_data_hash", "sha256", "-of", "csv=p=0", "-show_entries", "packet=data_hash", file)
	for _, line := range strings.Fields(out) {
		hashes = append(hashes, strings.ToLower(strings.TrimPrefix(strings.TrimRight(line, ","), "SHA256:")))
	}
	return hashes
}

// wantFilm fails the test unless the files, in order, hold exactly the frames with
// these numbers, bit by bit.
func wantFilm(t *testing.T, f *film, want []int, files ...string) {
	t.Helper()
	var got []string
	for _, file := range files {
		got = append(got, hashes(t, file)...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames are in %d files, want %d", len(got), len(files), len(want))
	}
	jpeg := f.jpeg()
	for i, number := range want {
		if got[i] != hashOf(numbered(jpeg, number)) {
			t.Fatalf("frame %d of %d is not number %d of those that were sent", i, len(want), number)
		}
	}
}

// filmVariable makes this program send films until it is ended: "SOCKET LOG" for
// each, with commas between them.
const filmVariable = "TBCAM_E2E_FILM"

// sendFilms does so, at 160x120 and 10 fps.
func sendFilms(spec string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var films sync.WaitGroup
	for _, one := range strings.Split(spec, ",") {
		socket, path, _ := strings.Cut(one, " ")
		f := newFilm(160, 120, 10)
		log, err := os.Create(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		f.log = log
		films.Go(func() { _ = f.run(ctx, socket) })
	}
	films.Wait()
	return 0
}

// sentLine is what a film's log says of a frame.
type sentLine struct {
	number int
	at     time.Duration // since the film began
	hash   string
}

// sentLines reads a film's log, whose last line may be cut off.
func sentLines(t *testing.T, path string) (lines []sentLine) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(line, "\n") || len(fields) != 3 {
			break
		}
		number, _ := strconv.Atoi(fields[0])
		ms, _ := strconv.Atoi(fields[1])
		lines = append(lines, sentLine{number, time.Duration(ms) * time.Millisecond, fields[2]})
	}
	return lines
}
