package main

import (
	_ "embed"
	"image"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/view"
	"github.com/tbcam/tbcam/sink/window/shm"
)

//go:embed frame.kage
var kage []byte

// border is the width of a border in pixels that the RGB has around the frame and that
// repeats its edge: else the edge fades when the frame is enlarged.
const border = 1

// frame is the newest frame on the graphics card.
type frame struct {
	width, height int // pixels
	planes        [3]*ebiten.Image
	rgb           *ebiten.Image // with a border

	// The shader from planes to rgb, and what it is called with.
	shader   *ebiten.Shader
	options  ebiten.DrawTrianglesShaderOptions
	vertices []ebiten.Vertex
}

// newFrame makes room for frames of a format.
func newFrame(shader *ebiten.Shader, f capture.Format, layout shm.Layout) *frame {
	w, h := f.Width+2*border, f.Height+2*border
	p := &frame{
		width:    f.Width,
		height:   f.Height,
		rgb:      newTexture(w, h),
		shader:   shader,
		vertices: rectangleVertices(w, h),
	}
	for i, plane := range layout.Planes {
		p.planes[i] = newTexture(plane.Stride/4, plane.Lines)
	}
	p.options.Blend = ebiten.BlendCopy
	p.options.Uniforms = shaderUniforms(f)
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

func rectangleVertices(width, height int) []ebiten.Vertex {
	w, h := float32(width), float32(height)
	return []ebiten.Vertex{{}, {DstX: w}, {DstY: h}, {DstX: w, DstY: h}}
}

func shaderUniforms(f capture.Format) map[string]any {
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
		"Size":  []float32{float32(f.Width), float32(f.Height)},
	}
}

// upload takes a frame over from planes in memory.
func (p *frame) upload(planes [3][]byte) {
	for i, texture := range p.planes {
		if texture != nil {
			texture.WritePixels(planes[i])
		}
	}
	p.convert()
}

// convert makes RGB of the planes.
func (p *frame) convert() {
	p.rgb.DrawTrianglesShader(p.vertices, []uint16{0, 1, 2, 1, 2, 3}, p.shader, &p.options)
}

// draw draws the frame where its pose puts it.
func (p *frame) draw(screen *ebiten.Image, pose *view.Pose, brightness float32) {
	size := screen.Bounds().Size()
	w, h := pose.Turned(p.width, p.height)
	box := pose.Place(w, h, size.X, size.Y)
	m := pose.Matrix(box, p.width, p.height)
	var o ebiten.DrawImageOptions
	o.GeoM.Translate(-border, -border)
	o.GeoM.Concat(geometryOf(m))
	o.ColorScale.Scale(brightness, brightness, brightness, 1)
	if box.W != float64(w) || box.H != float64(h) {
		o.Filter = ebiten.FilterLinear
	}
	screen.SubImage(box.Rectangle()).(*ebiten.Image).DrawImage(p.rgb, &o)
}

// geometryOf returns a matrix as ebiten has it.
func geometryOf(m [6]float64) (g ebiten.GeoM) {
	for i, v := range m {
		g.SetElement(i/3, i%3, v)
	}
	return g
}

// free gives the textures back.
func (p *frame) free() {
	p.rgb.Deallocate()
	for _, texture := range p.planes {
		if texture != nil {
			texture.Deallocate()
		}
	}
}
