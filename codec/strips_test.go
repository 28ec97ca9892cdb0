package codec

import (
	"bytes"
	"flag"
	"fmt"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec/jfif"
	"github.com/tbcam/tbcam/fixtures/jpegsamples"
)

var sweep = flag.Bool("sweep", false, "encode and decode in strips all sizes up to 70x70 and 1500 random ones, not a sample")

// layouts are raw formats of every layout and subsampling.
var layouts = []capture.PixelFormat{
	capture.YUYV, capture.UYVY, capture.YUV422P, capture.NV16, capture.NV12, capture.YUV420, capture.YVU420,
	capture.YUV444, capture.NV42, capture.RGB24, capture.RGB565, capture.GREY, capture.Y12,
}

// maxStrips is how many strips are tried.
const maxStrips = 16

// divideInto returns a division into n strips, or fewer, if there are fewer rows of
// MCUs.
func divideInto(n int, f capture.Format) division {
	unit := unitLines(f)
	units := (f.Height + unit - 1) / unit
	return division{(units + n - 1) / n * unit, 1 + n%4}
}

// noisy returns a raw frame of a gradient and noise: no block is like another.
func noisy(f capture.Format, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	data := make([]byte, f.Size())
	for i := range data {
		data[i] = byte(i/16) + byte(rng.Uint32()&15)
	}
	return data
}

// stripCoders encode in strips and decode in parts, and as a whole.
type stripCoders struct {
	pool           *capture.Pool
	encoder        *jpegEncoder
	whole, divided *Decoder
}

func newStripCoders(t testing.TB) *stripCoders {
	pool := newPool(t)
	e := newEncoder(t, JPEG, 80, pool)
	return &stripCoders{pool, e.(*jpegEncoder), newDecoder(t, pool), newDecoder(t, pool)}
}

func (s *stripCoders) encode(t testing.TB, format capture.Format, raw []byte, d division) *capture.Frame {
	t.Helper()
	s.encoder.divide = func(capture.Format) division { return d }
	g, err := s.encoder.Encode(frameOf(s.pool, format, raw))
	if err != nil {
		t.Fatalf("%v: %v", format, err)
	}
	return g
}

// encodeFile is encode, of which the JPEG alone is wanted.
func (s *stripCoders) encodeFile(t testing.TB, format capture.Format, raw []byte, d division) []byte {
	t.Helper()
	f := s.encode(t, format, raw, d)
	defer f.Release()
	return bytes.Clone(f.Data)
}

func (s *stripCoders) decode(t testing.TB, data []byte) []byte {
	t.Helper()
	g, err := s.whole.Decode(frameOf(s.pool, formatFor(data), data))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Release()
	return bytes.Clone(g.Data)
}

// decodePlanes is decode, as planes.
func (s *stripCoders) decodePlanes(t testing.TB, data []byte) frameView {
	t.Helper()
	format := formatFor(data)
	h, _ := jfif.ParseHeader(data)
	format.Pixel = h.Subsampling.Planar()
	return planesOf(format, s.decode(t, data))
}

// decodeParts decodes a JPEG in at most n parts, and returns how many there were: 0
// if the whole has to be decoded.
func (s *stripCoders) decodeParts(data []byte, workers, n int) (samples []byte, parts int) {
	h, err := jfif.ParseHeader(data)
	format := h.Format()
	format.Pixel = h.Subsampling.Planar()
	if err != nil || h.Subsampling != jfif.SubsamplingOf(format.Pixel) {
		return nil, 0
	}
	samples = make([]byte, format.Size())
	if !s.divided.parts.decode(planesOf(format, samples), data, &h, workers, n) {
		return nil, 0
	}
	return samples, len(s.divided.parts.parts)
}

// TestStripsAreExact: a frame that was encoded in strips decodes to the same samples
// as one that was encoded as a whole, and both in parts and as a whole.
func TestStripsAreExact(t *testing.T) {
	s := newStripCoders(t)
	for _, pixel := range layouts {
		t.Run(pixel.String(), func(t *testing.T) {
			for i, size := range stripSizes() {
				format := formatOf(pixel, size[0], size[1])
				format.Range = capture.Range(i % 2)
				s.check(t, format, noisy(format, uint64(i)), 1+i%maxStrips)
			}
		})
	}
}

// stripSizes returns the sizes that are tried: step is coprime to the sizes of MCUs.
func stripSizes() (sizes [][2]int) {
	step, random := 11, 20
	if *sweep {
		step, random = 1, 1500
	}
	for w := 1; w <= 70; w += step {
		for h := 1; h <= 70; h += step {
			sizes = append(sizes, [2]int{w, h})
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range random {
		sizes = append(sizes, [2]int{1 + rng.IntN(700), 1 + rng.IntN(700)})
	}
	return sizes
}

func (s *stripCoders) check(t *testing.T, format capture.Format, raw []byte, n int) {
	t.Helper()
	want := s.decode(t, s.encodeFile(t, format, raw, division{format.Height, 1}))
	d := divideInto(n, format)
	strips := d.stripCount(format.Height)
	file := s.encodeFile(t, format, raw, d)
	if !bytes.Equal(s.decode(t, file), want) {
		t.Errorf("%v in %d strips has other samples", format, strips)
	}
	samples, parts := s.decodeParts(file, d.workers, n)
	if (strips > 1) != (parts > 1) || parts > 1 && !bytes.Equal(samples, want) {
		t.Errorf("%v in %d strips: decoded in %d of at most %d parts, or has other samples", format, strips, parts, n)
	}
}

// TestStripsElsewhere: other decoders take strips for any JPEG, without a warning.
func TestStripsElsewhere(t *testing.T) {
	s := newStripCoders(t)
	for _, pixel := range []capture.PixelFormat{capture.YUYV, capture.NV12, capture.YUV444, capture.GREY} {
		for _, size := range [][2]int{{641, 479}, {17, 33}} {
			format := formatOf(pixel, size[0], size[1])
			raw := noisy(format, 1)
			whole := s.encodeFile(t, format, raw, division{format.Height, 1})
			for name, decode := range otherDecoders {
				want := decode(t, whole)
				for _, n := range []int{2, 16} {
					if strips := s.encodeFile(t, format, raw, divideInto(n, format)); !bytes.Equal(decode(t, strips), want) {
						t.Errorf("%v in %d strips: %s gets other samples", format, n, name)
					}
				}
			}
		}
	}
}

// otherDecoders return what they make of a JPEG, in formats of their own.
var otherDecoders = map[string]func(t *testing.T, file []byte) []byte{
	"djpeg": func(t *testing.T, file []byte) []byte { return pipe(t, file, "djpeg", "-pnm") },
	"ffmpeg": func(t *testing.T, file []byte) []byte {
		return pipe(t, file, "ffmpeg", "-v", "warning", "-f", "mjpeg", "-i", "-", "-f", "rawvideo", "-")
	},
	"image/jpeg": func(t *testing.T, file []byte) []byte {
		m, err := jpeg.Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for y := range m.Bounds().Dy() {
			for x := range m.Bounds().Dx() {
				r, g, b, _ := m.At(x, y).RGBA()
				all.Write([]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)})
			}
		}
		return all.Bytes()
	},
}

// pipe returns what a program makes of a file. It may have nothing to complain of.
func pipe(t *testing.T, file []byte, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; install it with `make deps`", name)
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(file), &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 || out.Len() == 0 {
		t.Fatalf("%s: %v: %s", name, err, complaints.String())
	}
	return out.Bytes()
}

// TestPartsOfCameras: other encoders restart where they like. A part begins where a
// row of MCUs does, too.
func TestPartsOfCameras(t *testing.T) {
	s := newStripCoders(t)
	format := formatOf(capture.YUYV, 640, 480) // 40 x 60 MCUs
	whole := writeJPEG(t, s.encodeFile(t, format, noisy(format, 1), division{format.Height, 1}))
	want := s.decode(t, pipe(t, nil, "jpegtran", whole))
	for _, tt := range []struct {
		restart string // MCUs, with B, or rows of them
		parts   int    // of at most 8
	}{
		{"1", 8}, {"2", 8}, {"7", 5}, {"30", 2}, {"59", 2}, {"60", 0},
		{"1B", 8}, {"3B", 7}, {"7B", 5}, {"39B", 2}, {"40B", 8}, {"41B", 2}, {"80B", 8}, {"90B", 7}, {"121B", 0}, {"1200B", 2}, {"2400B", 0},
	} {
		file := pipe(t, nil, "jpegtran", "-restart", tt.restart, whole)
		samples, parts := s.decodeParts(file, 2, 8)
		if parts != tt.parts || parts > 0 && !bytes.Equal(samples, want) {
			t.Errorf("restarts every %s: %d parts instead of %d, or other samples", tt.restart, parts, tt.parts)
		}
		if !bytes.Equal(s.decode(t, file), want) {
			t.Errorf("restarts every %s: the whole has other samples", tt.restart)
		}
	}
}

func writeJPEG(t *testing.T, data []byte) string {
	path := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withRestarts returns a JPEG that is large enough to be decoded in parts, with an
// interval of restarts in each row of MCUs.
func withRestarts(t testing.TB, s *stripCoders) []byte {
	format := formatOf(capture.YUYV, 1024, 512)
	return s.encodeFile(t, format, noisy(format, 1), division{8, 1})
}

// lies are JPEGs of which the restart markers are wrong, or more is.
func lies(good []byte) map[string][]byte {
	h, _ := jfif.ParseHeader(good)
	third := h.Scan + (len(good)-h.Scan)/3
	dri := jpegsamples.SegmentOf(good, jfif.DRI)
	interval := func(n int) []byte {
		return jpegsamples.ReplaceSegment(good, jfif.DRI, []byte{0xFF, jfif.DRI, 0, 4, byte(n >> 8), byte(n)})
	}
	scan := func(old, new string) []byte {
		return append(bytes.Clone(good[:h.Scan]), bytes.Replace(good[h.Scan:], []byte(old), []byte(new), 1)...)
	}
	all := map[string][]byte{
		"interval twice as long":    interval(2 * h.Interval),
		"interval half as long":     interval(h.Interval / 2),
		"interval of one":           interval(1),
		"no interval":               interval(0),
		"interval longer by one":    interval(h.Interval + 1),
		"segment of an odd length":  append(append(bytes.Clone(good[:dri.Start]), 0xFF, jfif.DRI, 0, 5, 0, 64, 0), good[dri.End:]...),
		"segment missing":           jpegsamples.ReplaceSegment(good, jfif.DRI, nil),
		"marker missing":            scan("\xFF\xD3", ""),
		"marker of another number":  scan("\xFF\xD3", "\xFF\xD7"),
		"marker twice":              scan("\xFF\xD3", "\xFF\xD3\xFF\xD3"),
		"marker too many":           scan("\xFF\xD9", "\xFF\xD7\xFF\xD9"),
		"fill bytes before markers": scan("\xFF\xD3", "\xFF\xFF\xFF\xD3"),
		"another marker":            scan("\xFF\xD3", "\xFF\xE0\x00\x02\xFF\xD3"),
		"padding":                   jpegsamples.BeforeRestarts(good, make([]byte, 20)),
		"hole":                      append(bytes.Clone(good[:third]), good[2*third-h.Scan:]...),
		"hole in an interval":       append(bytes.Clone(good[:third]), good[third+min(200, third-h.Scan):]...),
		"cut short":                 good[:len(good)/2],
		"cut short, with EOI":       append(bytes.Clone(good[:len(good)/2]), 0xFF, jfif.EOI),
		"no EOI":                    good[:len(good)-2],
		"no table":                  jpegsamples.ReplaceSegment(good, jfif.DQT, nil),
		"no Huffman tables":         jpegsamples.WithoutDHT(good),
		"height that is greater":    jpegsamples.InSOF(1, 3)(good),
		"width that is greater":     jpegsamples.InSOF(3, 5)(good),
	}
	for n := 56; n <= 66; n++ { // 64 and what is in libjpeg's bit buffer are allowed
		all[fmt.Sprint("padding of ", n)] = jpegsamples.BeforeRestarts(good, make([]byte, n))
	}
	return all
}

// harmlessLies are those that leave the parts as they are.
var harmlessLies = map[string]bool{"fill bytes before markers": true, "padding": true, "padding of 56": true, "no Huffman tables": true}

// TestPartsOfLies: what is wrong with a JPEG has the same result however it is
// decoded.
func TestPartsOfLies(t *testing.T) {
	s := newStripCoders(t)
	s.divided.LowLatency = true
	for name, data := range lies(withRestarts(t, s)) {
		t.Run(name, func(t *testing.T) {
			want, wantErr := s.whole.Decode(frameOf(s.pool, formatFor(data), data))
			got, err := s.divided.Decode(frameOf(s.pool, formatFor(data), data))
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("error is %v instead of %v", err, wantErr)
			}
			if err == nil && !bytes.Equal(got.Data, want.Data) {
				t.Error("samples differ")
			}
			if _, parts := s.decodeParts(data, 2, 8); (parts > 0) != harmlessLies[name] {
				t.Errorf("it was decoded in %d parts", parts)
			}
			for _, f := range []*capture.Frame{got, want} {
				if f != nil {
					f.Release()
				}
			}
		})
	}
}

func TestDivide(t *testing.T) {
	for _, tt := range []struct {
		pixel           capture.PixelFormat
		w, h, procs     int
		workers, strips int
	}{
		{capture.YUYV, 640, 480, 8, 1, 1},
		{capture.YUYV, 800, 600, 2, 1, 1}, // below half a megapixel
		{capture.YUYV, 1280, 720, 2, 2, 9},
		{capture.YUYV, 1280, 720, 1, 1, 1},
		{capture.RGB24, 1280, 720, 1, 1, 9}, // converted before it is encoded
		{capture.NV12, 1280, 720, 2, 2, 9},
		{capture.YUYV, 1280, 720, 64, 3, 9},
		{capture.YUYV, 1920, 1080, 64, 7, 15},
		{capture.YUYV, 3840, 2160, 64, 8, 30},
		{capture.GREY, 8192, 8192, 2, 2, 256},
		{capture.YUYV, 8192, 64, 2, 2, 4},
		{capture.YUYV, 64, 8192, 2, 2, 6},
	} {
		format := formatOf(tt.pixel, tt.w, tt.h)
		d := divideFrame(format, tt.procs)
		if d.workers != tt.workers || d.stripCount(tt.h) != tt.strips || d.rows%unitLines(format) != 0 && d.rows != tt.h {
			t.Errorf("%v on %d processors: %+v, %d strips", format, tt.procs, d, d.stripCount(tt.h))
		}
		if (d.rows/8)*((tt.w+7)/8) > jfif.MaxInterval && d.stripCount(tt.h) > 1 {
			t.Errorf("%v: a strip has more MCUs than an interval may have", format)
		}
	}
}

// TestStripsAllocate: neither encoding nor decoding with several goroutines.
func TestStripsAllocate(t *testing.T) {
	s := newStripCoders(t)
	format := formatOf(capture.YUYV, 642, 480)
	raw, d := noisy(format, 1), division{64, 4}
	file := s.encodeFile(t, format, raw, d) // which leaves the division d
	h, _ := jfif.ParseHeader(file)
	planar := PlanarFormat(format)
	planes := planesOf(planar, make([]byte, planar.Size()))
	for name, work := range map[string]func(){
		"encode": func() {
			g, err := s.encoder.Encode(frameOf(s.pool, format, raw))
			if err != nil {
				t.Fatal(err)
			}
			g.Release()
		},
		"decode": func() { s.divided.parts.decode(planes, file, &h, 4, 8) },
	} {
		if n := testing.AllocsPerRun(100, work); n != 0 {
			t.Errorf("%s: %v allocations per frame", name, n)
		}
	}
}

// FuzzParts: a JPEG that decodes in parts decodes as a whole, to the same samples.
func FuzzParts(f *testing.F) {
	s := newStripCoders(f)
	for i, pixel := range []capture.PixelFormat{capture.YUYV, capture.NV12, capture.GREY} {
		format := formatOf(pixel, 40+i, 50)
		good := s.encodeFile(f, format, noisy(format, 1), division{unitLines(format), 1})
		f.Add(good, byte(i))
		for _, lie := range lies(good) {
			f.Add(lie, byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, n byte) {
		if h, err := jfif.ParseHeader(data); err != nil || h.Width*h.Height > 1<<20 {
			return
		}
		s := newStripCoders(t)
		samples, parts := s.decodeParts(data, 1+int(n%3), 2+int(n%maxStrips))
		if parts > 0 && !bytes.Equal(samples, s.decode(t, data)) {
			t.Error("samples in " + strconv.Itoa(parts) + " parts differ")
		}
	})
}
