package main

import (
	"fmt"
	"math"
	"time"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/view"
	"github.com/tbcam/tbcam/sink/window/shm"
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

// grab is what the mouse's button went down on.
type grab int

const (
	nobody grab = iota
	thePicture
	thePanel
)

// game is the window as ebiten calls it, in one goroutine.
type game struct {
	conn   *shm.Conn
	shader *ebiten.Shader
	probe  *ebiten.Image // one pixel; see waitForDrawing
	inbox  inbox

	input   input
	again   time.Time // when it was arranged to look at held keys again
	grabbed grab

	slots   *shm.Reader // nil before the first format
	picture *picture    // nil before the first format
	pose    view.Pose
	turning turning
	over    *overlay

	updates int    // calls of Update, until it is called only when something has happened
	dirty   bool   // the screen is not what it should be
	drawn   uint64 // identity of a picture that was drawn and not reported; 0 for none
}

func newGame(conn *shm.Conn) (*game, error) {
	shader, err := ebiten.NewShader(kage)
	if err != nil {
		return nil, fmt.Errorf("compile shader: %w", err)
	}
	return &game{
		conn: conn, shader: shader, probe: newTexture(1, 1),
		pose: view.NewPose(), over: newOverlay(), dirty: true,
	}, nil
}

// LayoutF makes the screen as large as the window in the monitor's pixels.
func (g *game) LayoutF(width, height float64) (float64, float64) {
	scale := ebiten.Monitor().DeviceScaleFactor()
	w, h := math.Round(width*scale), math.Round(height*scale)
	if g.over.resize(int(w), int(h), scale) {
		g.dirty = true
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
			return g.start()
		}
		return nil
	}
	update, slots, told := g.inbox.take()
	if slots != nil {
		g.adopt(slots)
	}
	g.apply(update)
	g.upload()
	d := g.input.poll()
	if !told && !d.something() {
		// Perhaps another window was in front, of which ebiten says nothing.
		g.dirty = true
	}
	if again := g.input.again; !again.IsZero() && again != g.again {
		g.again = again
		g.inbox.nudge(time.Until(again))
	}
	return g.do(d)
}

// start begins to listen to tbcam-view.
func (g *game) start() error {
	ebiten.SetTPS(ebiten.SyncWithFPS) // or ebiten may wake up without an Update
	// Deprecated in favour of SetScreenClearedEveryFrame(false), with which an
	// idle window still takes 5 % of a core instead of nothing.
	//lint:ignore SA1019 see above
	ebiten.SetFPSMode(ebiten.FPSModeVsyncOffMinimum)
	err := g.report(shm.Report{Action: shm.Started, On: g.wantsRGBA()})
	go g.inbox.receive(g.conn)
	return err
}

// adopt changes over to pictures of another format.
func (g *game) adopt(slots *shm.Reader) {
	first := g.slots == nil
	if !first {
		g.slots.Close()
		g.picture.free()
	}
	g.slots, g.picture = slots, newPicture(g.shader, slots.Format, slots.Layout)
	if g.over.frozen { // that picture is gone
		g.freeze(false)
	}
	if first {
		g.fitWindow()
	}
}

// fitWindow gives the window the size of the picture, in the middle.
func (g *game) fitWindow() {
	monitor := ebiten.Monitor()
	mw, mh := monitor.Size()
	width, height := g.pose.Turned(g.slots.Format.Width, g.slots.Format.Height)
	w, h := view.WindowSize(width, height, mw, mh, monitor.DeviceScaleFactor())
	ebiten.SetWindowSize(w, h)
	ebiten.SetWindowPosition((mw-w)/2, (mh-h)/2)
}

func (g *game) apply(u shm.Update) {
	if u.Fullscreen {
		g.setFullscreen(true)
	}
	if u.Title != nil {
		ebiten.SetWindowTitle(*u.Title)
	}
	if u.Notice != nil {
		g.inbox.nudge(noticeTime)
	}
	seen, expired := g.over.apply(u), g.over.expire()
	g.dirty = g.dirty || seen || expired
}

// upload takes the newest picture, if it is a new one.
func (g *game) upload() {
	if g.slots == nil || g.over.frozen {
		return
	}
	if planes, id, ok := g.slots.Take(); ok {
		g.picture.upload(planes)
		g.drawn, g.dirty = id, true
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
		g.picture.draw(screen, &g.pose, g.brightness())
	}
	g.over.draw(screen)
}

func (g *game) brightness() float32 {
	if g.over.message != "" {
		return dimmed
	}
	return 1
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
	_ = g.report(shm.Report{Action: shm.Shown, ID: g.drawn, At: shm.Monotonic()})
	g.drawn = 0
}
