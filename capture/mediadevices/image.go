package mediadevices

import (
	"errors"
	"fmt"
	"image"
	"image/draw"

	"github.com/tbcam/tbcam/capture"
)

// errDamaged wraps why an image cannot be used.
var errDamaged = errors.New("image is damaged")

// planar has the formats of images in Y'CbCr that are copied as they are.
var planar = map[image.YCbCrSubsampleRatio]capture.PixelFormat{
	image.YCbCrSubsampleRatio420: capture.YUV420,
	image.YCbCrSubsampleRatio422: capture.YUV422P,
	image.YCbCrSubsampleRatio444: capture.YUV444,
}

// samples is a rectangle of bytes in memory.
type samples struct {
	data   []byte
	stride int
}

// copyImage returns an image as a frame. Those of a JPEG have full range, as JFIF has
// it; pion passes on what V4L2 gives it otherwise, which is limited.
func copyImage(pool *capture.Pool, img image.Image, jpeg bool) (*capture.Frame, error) {
	format := capture.Format{Width: img.Bounds().Dx(), Height: img.Bounds().Dy()}
	if jpeg {
		format.Range = capture.Full
	}
	var planes []samples
	switch i := img.(type) {
	case *image.YCbCr:
		format.Pixel = planar[i.SubsampleRatio]
		planes = planesOf(i)
	case *image.Gray:
		format.Pixel, planes = capture.GREY, []samples{{i.Pix, i.Stride}}
	}
	if format.Pixel == 0 { // of whatever colours
		format.Pixel, format.Range = capture.RGBA32, capture.Full
		planes = nil
	}
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	f := pool.Get(format.Size())
	f.Format = format
	if planes == nil {
		drawRGBA(f, img)
		return f, nil
	}
	if err := copyPlanes(f, planes); err != nil {
		f.Release()
		return nil, err
	}
	return f, nil
}

// planesOf returns what of the planes lies within the image.
func planesOf(i *image.YCbCr) []samples {
	y, c := i.YOffset(i.Rect.Min.X, i.Rect.Min.Y), i.COffset(i.Rect.Min.X, i.Rect.Min.Y)
	return []samples{{from(i.Y, y), i.YStride}, {from(i.Cb, c), i.CStride}, {from(i.Cr, c), i.CStride}}
}

// from returns the bytes from an offset on, none where there are not as many.
func from(data []byte, offset int) []byte {
	if offset < 0 || offset > len(data) {
		return nil
	}
	return data[offset:]
}

// copyPlanes copies line by line what may have padding.
func copyPlanes(f *capture.Frame, planes []samples) error {
	to, n := f.Format.Planes()
	for i, p := range to[:n] {
		from := planes[i]
		if from.stride < p.Stride || len(from.data) < from.stride*(p.Lines-1)+p.Stride {
			return fmt.Errorf("%w: plane %d has %d bytes in lines of %d", errDamaged, i, len(from.data), from.stride)
		}
		for y := range p.Lines {
			copy(f.Data[p.Offset+y*p.Stride:][:p.Stride], from.data[y*from.stride:])
		}
	}
	return nil
}

// drawRGBA draws an image of any kind.
func drawRGBA(f *capture.Frame, img image.Image) {
	to := &image.RGBA{Pix: f.Data, Stride: 4 * f.Format.Width, Rect: image.Rect(0, 0, f.Format.Width, f.Format.Height)}
	draw.Draw(to, to.Rect, img, img.Bounds().Min, draw.Src)
}
