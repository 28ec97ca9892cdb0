package harness

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

// Film is a camera of JPEGs that costs nothing: each is the same frame with its
// number in a comment. It implements transport.Producer.
type Film struct {
	transport.NoControls
	Mode   *transport.Mode
	period time.Duration
	pool   capture.Pool
	Begin  time.Time
	Dark   int       // of the first frames show nothing, as those of a camera do
	Log    io.Writer // gets a line for each frame that was sent; or nil

	mu   sync.Mutex
	next int
	lost capture.Lost
	sent []int // numbers of the frames that were written
}

// baseJPEG returns a JPEG of noise, of some 100 kB at 1920x1080.
var baseJPEG = sync.OnceValue(func() []byte { return EncodeNoise(1920, 1080) })

// EncodeNoise returns a JPEG of noise.
func EncodeNoise(width, height int) []byte { return encodeGrain(width, height, 100) }

// encodeGrain returns a JPEG of noise above a level.
func encodeGrain(width, height int, level byte) []byte {
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

// NumberJPEG returns the JPEG with a number in a comment (ITU-T T.81, B.2.4.5).
func NumberJPEG(jpeg []byte, number int) []byte {
	comment := binary.BigEndian.AppendUint32([]byte{0xff, 0xfe, 0, 6}, uint32(number))
	return slices.Concat(jpeg[:2], comment, jpeg[2:])
}

// NewFilm returns a film with that frame rate.
func NewFilm(width, height int, fps uint32) *Film {
	pixel := capture.MJPEG
	return &Film{
		period: time.Second / time.Duration(fps),
		Mode: &transport.Mode{
			Camera: "film",
			Source: capture.Mode{Pixel: pixel, Width: width, Height: height, Rate: capture.Rate{Num: fps, Den: 1}},
			Format: capture.Format{Pixel: pixel, Width: width, Height: height, Range: capture.Full},
		},
	}
}

// JPEG returns the frame without a number.
func (f *Film) JPEG() []byte {
	if f.Mode.Format.Width == 1920 {
		return baseJPEG()
	}
	return EncodeNoise(f.Mode.Format.Width, f.Mode.Format.Height)
}

// Run sends the film to the viewer at a socket until the context ends.
func (f *Film) Run(ctx context.Context, socket string) error {
	log := slog.New(slog.DiscardHandler)
	f.Begin = time.Now()
	s := &transport.Sender{Link: &unixsock.Dialer{Path: socket, Log: log}, Catalogue: &transport.Single{Producer: f}, Version: "test", Log: log, Sent: f.frameSent}
	return s.Run(ctx)
}

// Show sends the film until the test is over, or stop is called.
func (f *Film) Show(t *testing.T, socket string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx, socket); err != nil {
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

// Next waits for the next frame that is due; those for which it was called too
// late are lost.
func (f *Film) Next(ctx context.Context) (transport.Unit, error) {
	f.mu.Lock()
	newest := int(time.Since(f.Begin) / f.period)
	if newest > f.next {
		f.lost.Superseded += uint64(newest - f.next)
		f.next = newest
	}
	number, lost := f.next, f.lost
	f.next++
	f.mu.Unlock()
	at := f.Begin.Add(time.Duration(number) * f.period)
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
		return transport.Unit{}, ctx.Err()
	}
	return transport.Unit{Frame: f.NewFrame(number, at), Info: f.Mode, Lost: lost}, nil
}

// NewFrame returns the frame with a number, captured at a time.
func (f *Film) NewFrame(number int, at time.Time) *capture.Frame {
	jpeg := f.JPEG()
	if number < f.Dark {
		jpeg = encodeGrain(f.Mode.Format.Width, f.Mode.Format.Height, 0)
	}
	data := NumberJPEG(jpeg, number)
	frame := f.pool.Get(len(data))
	copy(frame.Data, data)
	frame.Format, frame.Sequence, frame.Time = f.Mode.Format, uint32(number), at
	for _, stage := range []capture.Stage{capture.Captured, capture.Dequeued, capture.Encoded} {
		frame.At[stage] = at
	}
	return frame
}

// frameSent takes note of a frame that was written.
func (f *Film) frameSent(_ int, frame *capture.Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, int(frame.Sequence))
	if f.Log != nil {
		fmt.Fprintln(f.Log, frame.Sequence, time.Since(f.Begin).Milliseconds(), HashFrame(frame.Data))
	}
}

// Start and Stop implement the rest of transport.Producer.
func (f *Film) Start(uint32, capture.Want) {}

func (f *Film) Stop() {}

// LoseFrames makes it look as if the driver had dropped n frames.
func (f *Film) LoseFrames(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost.Driver += n
}

// Lost implements transport.Producer.
func (f *Film) Lost() capture.Lost {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// SentNumbers returns the numbers of the frames that were sent.
func (f *Film) SentNumbers() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// HashFrame returns the hash that HashRecording finds for a frame.
func HashFrame(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// HashRecording returns the hashes of the frames in a recording, in order.
func HashRecording(t *testing.T, file string) (hashes []string) {
	t.Helper()
	out := RunTool(t, "ffprobe", "-v", "error", "-show_data_hash", "sha256", "-of", "csv=p=0", "-show_entries", "packet=data_hash", file)
	for _, line := range strings.Fields(out) {
		hashes = append(hashes, strings.ToLower(strings.TrimPrefix(strings.TrimRight(line, ","), "SHA256:")))
	}
	return hashes
}

// WantFilm fails the test unless the files, in order, hold exactly the frames with
// these numbers, bit by bit.
func WantFilm(t *testing.T, f *Film, want []int, files ...string) {
	t.Helper()
	var got []string
	for _, file := range files {
		got = append(got, HashRecording(t, file)...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames are in %d files, want %d", len(got), len(files), len(want))
	}
	jpeg := f.JPEG()
	for i, number := range want {
		if got[i] != HashFrame(NumberJPEG(jpeg, number)) {
			t.Fatalf("frame %d of %d is not number %d of those that were sent", i, len(want), number)
		}
	}
}

// FilmVariable makes this program send films until it is ended: "SOCKET LOG" for
// each, with commas between them.
const FilmVariable = "TBCAM_E2E_FILM"

// sendFilms does so, at 160x120 and 10 fps.
func sendFilms(spec string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var films sync.WaitGroup
	for _, one := range strings.Split(spec, ",") {
		socket, path, _ := strings.Cut(one, " ")
		f := NewFilm(160, 120, 10)
		log, err := os.Create(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		f.Log = log
		films.Go(func() { _ = f.Run(ctx, socket) })
	}
	films.Wait()
	return 0
}

// SentLine is a line of a film's log.
type SentLine struct {
	Number int
	At     time.Duration // since the film began
	Hash   string
}

// ReadSentLines reads a film's log, whose last line may be cut off.
func ReadSentLines(t *testing.T, path string) (lines []SentLine) {
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
		lines = append(lines, SentLine{number, time.Duration(ms) * time.Millisecond, fields[2]})
	}
	return lines
}
