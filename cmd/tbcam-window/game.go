package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/cmd/internal/winlink"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/view"
)

// Sizes of the window in device-independent pixels: before the first picture,
// and the least.
const (
	startWidth, startHeight = 960, 540
	minWidth, minHeight     = 160, 120
)

// settled is the Update before which ebiten has shown the window: from then on it
// gives it no size by itself, and can be woken.
const settled = 2

// dimmed is the brightness of the picture under a message.
const dimmed = 0.3

// game is the window as ebiten calls it, in one goroutine.
type game struct {
	conn   *winlink.Conn
	shader *ebiten.Shader
	probe  *ebiten.Image // one pixel; see waitForDrawing
	inbox  inbox
	input  input

	slots   *winlink.Reader // nil before the first format
	picture *picture        // nil before the first picture

	message, status, help label
	showStatus, showHelp  bool
	width, height         int // of the screen in its pixels

	updates int    // calls of Update, until it is called only when something has happened
	dirty   bool   // the screen is not what it should be
	drawn   uint64 // identity of a picture that was drawn and not reported; 0 for none
}

func newGame(conn *winlink.Conn) (*game, error) {
	shader, err := ebiten.NewShader(kage)
	if err != nil {
		return nil, fmt.Errorf("compile shader: %w", err)
	}
	g := &game{conn: conn, shader: shader, probe: newTexture(1, 1), dirty: true}
	g.help.set(help)
	return g, nil
}

// LayoutF makes the screen as large as the window in the monitor's pixels.
func (g *game) LayoutF(width, height float64) (float64, float64) {
	scale := ebiten.Monitor().DeviceScaleFactor()
	w, h := math.Round(width*scale), math.Round(height*scale)
	if int(w) != g.width || int(h) != g.height {
		g.width, g.height, g.dirty = int(w), int(h), true
	}
	return w, h
}

// Layout is never called, because LayoutF is there.
func (g *game) Layout(int, int) (int, int) { panic("LayoutF is there") }

// Update is called when something has happened: input, or a message.
func (g *game) Update() error {
	if g.updates < settled {
		g.updates++
		if g.updates == settled {
			g.start()
		}
		return nil
	}
	update, slots, told := g.inbox.take()
	if slots != nil {
		g.adopt(slots)
	}
	g.apply(update)
	g.upload()
	moved, acts := g.input.poll()
	if !told && !moved {
		// Perhaps another window was in front, of which ebiten says nothing.
		g.dirty = true
	}
	for _, act := range acts {
		if err := g.act(act); err != nil {
			return err
		}
	}
	return nil
}

// start begins to listen to tbcam-view.
func (g *game) start() {
	ebiten.SetTPS(ebiten.SyncWithFPS) // or ebiten may wake up without an Update
	// Deprecated in favour of SetScreenClearedEveryFrame(false), with which an
	// idle window still takes 5 % of a core instead of nothing.
	//lint:ignore SA1019 see above
	ebiten.SetFPSMode(ebiten.FPSModeVsyncOffMinimum)
	go g.inbox.receive(g.conn)
}

// adopt changes over to pictures of another format.
func (g *game) adopt(slots *winlink.Reader) {
	first := g.slots == nil
	if !first {
		g.slots.Close()
		g.picture.free()
	}
	g.slots, g.picture = slots, newPicture(g.shader, slots.Format, slots.Layout)
	if first {
		g.fitWindow()
	}
}

// fitWindow gives the window the size of the picture, in the middle.
func (g *game) fitWindow() {
	monitor := ebiten.Monitor()
	mw, mh := monitor.Size()
	f := g.slots.Format
	w, h := view.WindowSize(f.Width, f.Height, mw, mh, monitor.DeviceScaleFactor())
	ebiten.SetWindowSize(w, h)
	ebiten.SetWindowPosition((mw-w)/2, (mh-h)/2)
}

func (g *game) apply(u winlink.Update) {
	if u.Fullscreen {
		setFullscreen(true)
	}
	if u.Title != nil {
		ebiten.SetWindowTitle(*u.Title)
	}
	if u.Message != nil && g.message.set(*u.Message) {
		g.dirty = true
	}
	if u.Status != nil && g.status.set(strings.Join(*u.Status, "\n")) {
		g.dirty = g.dirty || g.showStatus
	}
}

// upload takes the newest picture, if it is a new one.
func (g *game) upload() {
	if g.slots == nil {
		return
	}
	if planes, id, ok := g.slots.Take(); ok {
		g.picture.upload(planes)
		g.drawn, g.dirty = id, true
	}
}

func (g *game) act(act string) error {
	switch act {
	case "f", "double click":
		setFullscreen(!ebiten.IsFullscreen())
	case "escape":
		setFullscreen(false)
	case "i":
		g.showStatus, g.dirty = !g.showStatus, true
	case "h":
		g.showHelp, g.dirty = !g.showHelp, true
	case "s":
		return g.conn.Send(winlink.Report{Action: winlink.Snapshot}, nil)
	case "q":
		return ebiten.Termination
	}
	return nil
}

func setFullscreen(on bool) {
	if on == ebiten.IsFullscreen() {
		return
	}
	ebiten.SetFullscreen(on)
	if on {
		ebiten.SetCursorMode(ebiten.CursorModeHidden)
	} else {
		ebiten.SetCursorMode(ebiten.CursorModeVisible)
	}
}

// Draw draws if there is anything new; otherwise the screen stays as it is.
func (g *game) Draw(screen *ebiten.Image) {
	if !g.dirty {
		return
	}
	g.dirty = false
	screen.Clear()
	if g.picture != nil {
		g.picture.draw(screen, g.brightness())
	}
	g.drawTexts(screen)
}

func (g *game) brightness() float32 {
	if g.message.text != "" {
		return dimmed
	}
	return 1
}

func (g *game) drawTexts(screen *ebiten.Image) {
	// The font is small: larger windows get it in larger pixels.
	scale := float64(max(1, (g.height+270)/540))
	g.message.draw(screen, scale+1, 0.5, 0.5)
	if g.showStatus {
		g.status.draw(screen, scale, 0, 0)
	}
	if g.showHelp {
		g.help.draw(screen, scale, 0.5, 0.9)
	}
}

// DrawFinalScreen puts what Draw made on the screen, pixel for pixel whatever
// ebiten's scale is after rounding, and reports the picture.
func (g *game) DrawFinalScreen(screen ebiten.FinalScreen, offscreen *ebiten.Image, _ ebiten.GeoM) {
	screen.DrawImage(offscreen, nil)
	if g.drawn == 0 {
		return
	}
	g.waitForDrawing(offscreen)
	// A failure means that tbcam-view is gone, which ends the process by itself.
	_ = g.conn.Send(winlink.Report{Action: winlink.Shown, ID: g.drawn, At: winlink.Monotonic()}, nil)
	g.drawn = 0
}

// waitForDrawing waits until the graphics card has drawn what it was told so far:
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
