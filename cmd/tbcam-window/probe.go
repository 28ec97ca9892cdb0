package main

import (
	"os"
	"syscall"
	"time"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Drawing is the work of the graphics card; where there is none, the processor that
// plays one takes ten times as long as package software. OpenGL does not report which it is: so
// the window measures what a frame costs.
const (
	// drawVariable overrides the measurement: gpu or cpu.
	drawVariable = "TBCAM_DRAW"
	// tryWidth and tryHeight are the size of the frames that are measured.
	tryWidth, tryHeight = 512, 512
	// costly is more processor time than a graphics card's driver takes for such a
	// frame; software OpenGL takes 6 ms.
	costly = 2 * time.Millisecond
	// tries is how many frames are measured: the first ones compile the shader.
	tries = 3
)

// isSoftware reports whether OpenGL runs on the processor.
func (g *game) isSoftware() bool {
	switch os.Getenv(drawVariable) {
	case "gpu":
		return false
	case "cpu":
		return true
	}
	return g.measureShader() > costly
}

// measureShader returns the processor time of the shader, at best.
func (g *game) measureShader() time.Duration {
	f := capture.Format{Pixel: capture.YUV420, Width: tryWidth, Height: tryHeight}
	layout, err := shm.NewLayout(f)
	if err != nil {
		panic(err) // the format is a good one
	}
	p := newFrame(g.shader, f, layout)
	defer p.free()
	least := time.Hour
	for range tries {
		before := processorTime()
		p.convert()
		g.waitForDrawing(p.rgb)
		least = min(least, processorTime()-before)
	}
	return least
}

// waitForDrawing waits until the graphics card has drawn all commands so far:
// a pixel that depends on it cannot be read earlier.
//
// It does so twice because ebiten has two queues of commands, which take turns
// whenever a pixel is read and at the end of a frame, and gives memory back only
// at the end of a frame: with one reading a frame, one queue would never be there.
func (g *game) waitForDrawing(i *ebiten.Image) {
	var pixel [4]byte
	for range 2 {
		g.probe.DrawImage(i, nil)
		g.probe.ReadPixels(pixel[:])
	}
}

// processorTime returns what this process has taken, all its threads together.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // it never fails
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
