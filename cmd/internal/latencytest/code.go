package latencytest

import (
	"fmt"
	"strconv"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// A code is a QR code (ISO/IEC 18004) at the highest level of error correction: it
// may lie anywhere in a frame, of any size and brightness, askew, and a third of
// it may be wrong. It holds which run of the test painted it, and its number in that
// run: with enough digits to be of version 2, the least that has a mark from
// which perspective is known.
const (
	runDigits    = 9
	numberDigits = 9
)

// Width and Height are those of a painted frame in pixels.
const Width, Height = 1280, 720

// MaxRun is the largest number of a run.
const MaxRun = 1e9 - 1

// Paint returns a frame of code number in a run, owned by the caller.
func Paint(run, number int, pool *capture.Pool) (*capture.Frame, error) {
	text := fmt.Sprintf("%0*d%0*d", runDigits, run, numberDigits, number)
	hints := map[gozxing.EncodeHintType]any{gozxing.EncodeHintType_ERROR_CORRECTION: "H"}
	bits, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0, hints) // with its white margin
	if err != nil {
		return nil, fmt.Errorf("paint a code: %w", err)
	}
	format := capture.Format{Pixel: capture.YUV420, Width: Width, Height: Height, Range: capture.Full}
	f := pool.Get(format.Size())
	f.Format, f.Sequence = format, uint32(number)
	fillBytes(f.Data, 128) // no colour
	luma := f.Data[:Width*Height]
	fillBytes(luma, 255)
	side := Height / bits.GetHeight()
	left, top := (Width-side*bits.GetWidth())/2, (Height-side*bits.GetHeight())/2
	for y := range side * bits.GetHeight() {
		line := luma[(top+y)*Width+left:]
		for x := range bits.GetWidth() {
			if bits.Get(x, y/side) {
				fillBytes(line[x*side:][:side], 0)
			}
		}
	}
	return f, nil
}

func fillBytes(data []byte, value byte) {
	for i := range data {
		data[i] = value
	}
}

// readWidths are the widths in pixels at which codes are looked for: one at which
// small codes are read, and one at which noise is averaged away.
var readWidths = [...]int{960, 480}

// Reader finds codes in frames. It is for one goroutine.
type Reader struct {
	run       int
	converter *codec.Converter
	planes    []byte
}

// NewReader returns a reader of the codes of one run. The caller closes it.
func NewReader(run int) *Reader { return &Reader{run: run, converter: codec.NewConverter()} }

// Close frees the reader's memory.
func (r *Reader) Close() { r.converter.Close() }

// Read returns the number of the code in a raw frame, if there is one.
func (r *Reader) Read(f *capture.Frame) (number int, ok bool) {
	// The frame is a stranger's: what the library cannot cope with holds no code.
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	for _, width := range readWidths {
		if number, ok = r.readAt(width, f); ok {
			return number, true
		}
	}
	return 0, false
}

// readAt looks for a code in the frame as it is when it is made no wider than
// width.
func (r *Reader) readAt(width int, f *capture.Frame) (number int, ok bool) {
	small := capture.Format{Pixel: capture.YUV420, Width: f.Format.Width, Height: f.Format.Height, Range: capture.Full}
	for small.Width > width {
		small.Width, small.Height = small.Width/2, small.Height/2
	}
	small.Width, small.Height = max(small.Width&^1, 2), max(small.Height&^1, 2)
	if n := small.Size(); cap(r.planes) < n {
		r.planes = make([]byte, n)
	}
	r.planes = r.planes[:small.Size()]
	if err := r.converter.Convert(r.planes, small, f); err != nil {
		return 0, false
	}
	text, ok := decodeQR(r.planes, small.Width, small.Height)
	if !ok || len(text) != runDigits+numberDigits {
		return 0, false
	}
	run, err := strconv.Atoi(text[:runDigits])
	// A code of another run, or of anything else, may be in sight.
	if err != nil || run != r.run {
		return 0, false
	}
	number, err = strconv.Atoi(text[runDigits:])
	return number, err == nil
}

// decodeQR returns the text of the QR code in a frame's luma.
func decodeQR(luma []byte, width, height int) (string, bool) {
	source, err := gozxing.NewPlanarYUVLuminanceSource(luma, width, height, 0, 0, width, height, false)
	if err != nil {
		return "", false
	}
	bitmap, err := gozxing.NewBinaryBitmap(gozxing.NewHybridBinarizer(source))
	if err != nil {
		return "", false
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		return "", false
	}
	return result.GetText(), true
}
