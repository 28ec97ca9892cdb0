package software

import (
	"image"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
	"github.com/tbcam/tbcam/codec"
)

// blackenAround fills what is outside of a rectangle with black.
func blackenAround(m codec.BGRA, r image.Rectangle) {
	for y := range m.Height {
		line := m.Pix[y*m.Stride:][:4*m.Width]
		if y < r.Min.Y || y >= r.Max.Y {
			clear(line)
			continue
		}
		clear(line[:4*r.Min.X])
		clear(line[4*r.Max.X:])
	}
}

// blend draws a sprite over an image.
func blend(m codec.BGRA, s paint.Sprite) {
	place := s.Image.Rect.Sub(s.Image.Rect.Min).Add(s.At)
	seen := place.Intersect(m.Bounds())
	for y := seen.Min.Y; y < seen.Max.Y; y++ {
		from := s.Image.Pix[(y-place.Min.Y)*s.Image.Stride+4*(seen.Min.X-place.Min.X):][:4*seen.Dx()]
		blendLine(m.Pix[y*m.Stride+4*seen.Min.X:], from)
	}
}

// blendLine draws pixels of red, green, blue and alpha, by which these were multiplied
// before, over pixels of blue, green and red.
func blendLine(to, from []byte) {
	for i := 0; i+3 < len(from); i += 4 {
		s, d := from[i:i+4:i+4], to[i:i+4:i+4]
		switch rest := 255 - uint32(s[3]); rest {
		case 255: // nothing is drawn here
		case 0:
			d[0], d[1], d[2] = s[2], s[1], s[0]
		default:
			d[0] = over(s[2], d[0], rest)
			d[1] = over(s[1], d[1], rest)
			d[2] = over(s[0], d[2], rest)
		}
	}
}

// over returns a sample of which rest/255 of the one below are seen through it.
func over(above, below byte, rest uint32) byte {
	return byte(uint32(above) + (uint32(below)*rest+127)/255)
}
