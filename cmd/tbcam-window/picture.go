package main

import (
	_ "embed"
	"image"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/winlink"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/view"
)

//go:embed picture.kage
var kage []byte

// picture is the newest picture on the graphics card.
type picture struct {
	planes [3]*ebiten.Image
	rgb    *ebiten.Image
	convert
}

// convert is the shader from planes to rgb and what it is called with.
type convert struct {
	shader   *ebiten.Shader
	options  ebiten.DrawTrianglesShaderOptions
	vertices []ebiten.Vertex
}

// newPicture makes room for pictures of a format.
func newPicture(shader *ebiten.Shader, f capture.Format, layout winlink.Layout) *picture {
	p := &picture{rgb: newTexture(f.Width, f.Height)}
	for i, plane := range layout.Planes {
		p.planes[i] = newTexture(plane.Stride/4, plane.Lines)
	}
	p.convert = convert{shader: shader, vertices: rectangle(f.Width, f.Height)}
	p.options.Blend = ebiten.BlendCopy
	p.options.Uniforms = uniforms(f)
	copy(p.options.Images[:], p.planes[:])
	if f.Pixel == capture.GREY {
		p.options.Images[1], p.options.Images[2] = p.planes[0], p.planes[0]
	}
	return p
}

// newTexture returns an image that shares no texture with others, which large
// ones that change all the time should not.
func newTexture(width, height int) *ebiten.Image {
	return ebiten.NewImageWithOptions(image.Rect(0, 0, width, height), &ebiten.NewImageOptions{Unmanaged: true})
}

func rectangle(width, height int) []ebiten.Vertex {
	w, h := float32(width), float32(height)
	return []ebiten.Vertex{{}, {DstX: w}, {DstY: h}, {DstX: w, DstY: h}}
}

func uniforms(f capture.Format) map[string]any {
	colour, chroma := view.ColourOf(f), view.ChromaOf(f)
	return map[string]any{
		"Black": colour.Black,
		"Gain":  colour.Gain,
		"Zero":  colour.Zero,
		"Red":   colour.Red,
		"Blue":  colour.Blue,
		"Green": colour.Green[:],
		"Step":  chroma.Step[:],
		"First": chroma.First[:],
		"Last":  chroma.Last[:],
	}
}

// upload takes a picture over from planes in memory.
func (p *picture) upload(planes [3][]byte) {
	for i, texture := range p.planes {
		if texture != nil {
			texture.WritePixels(planes[i])
		}
	}
	p.rgb.DrawTrianglesShader(p.vertices, []uint16{0, 1, 2, 1, 2, 3}, p.shader, &p.options)
}

// draw draws the picture as large as the screen allows, between black bars.
func (p *picture) draw(screen *ebiten.Image, brightness float32) {
	size, from := screen.Bounds().Size(), p.rgb.Bounds().Size()
	x, y, w, h := view.Letterbox(from.X, from.Y, size.X, size.Y)
	var o ebiten.DrawImageOptions
	o.GeoM.Scale(float64(w)/float64(from.X), float64(h)/float64(from.Y))
	o.GeoM.Translate(float64(x), float64(y))
	o.ColorScale.Scale(brightness, brightness, brightness, 1)
	if from.X != w || from.Y != h {
		o.Filter = ebiten.FilterLinear
	}
	screen.DrawImage(p.rgb, &o)
}

// free gives the textures back.
func (p *picture) free() {
	p.rgb.Deallocate()
	for _, texture := range p.planes {
		if texture != nil {
			texture.Deallocate()
		}
	}
}
