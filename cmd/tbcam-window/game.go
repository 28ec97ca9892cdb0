package main

import (
	"fmt"
	"image"
	"math"
	"os"
	"time"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/software"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/view"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Sizes of the window in device-independent pixels: before the first frame,
// and the least.
const (
	startWidth, startHeight = 960, 540
	minWidth, minHeight     = 160, 120
)

// settled is the Update before which ebiten has shown the window: from then on it
// gives it no size by itself, and can be woken.
const settled = 2

// dimmed is the brightness of the frame under a message.
const dimmed = 0.3

// grab is what the mouse's button went down on.
type grab int

const (
	nothing grab = iota
	theFrame
	thePanel
)

// game is the window as ebiten calls it, in one goroutine.
type game struct {
	conn   *shm.Conn
	shader *ebiten.Shader
	probe  *ebiten.Image // one pixel; see waitForDrawing
	inbox  inbox

	input    input
	repeatAt time.Time // when it was arranged to look at held keys again
	grabbed  grab

	format  capture.Format    // of the frames; without a size before the first one
	painter *software.Painter // nil if the graphics card draws
	slots   *shm.Reader       // of the graphics card, nil before the first format
	frame   *frame            // the same
	pose    view.Pose
	turning turning
	over    *overlay

	updates int    // calls of Update, until it is called only when something has happened
	dirty   bool   // the screen is not what it should be
	metered bool   // tbcam-view knows that the level of the microphone is seen
	drawn   uint64 // identity of a frame that was drawn and not reported; 0 for none
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
	if g.over.setScreen(int(w), int(h), scale) {
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
			return g.startListening()
		}
		return nil
	}
	if ebiten.IsWindowBeingClosed() {
		return g.quit()
	}
	update, slots, got := g.inbox.takeAll()
	if slots != nil {
		g.adoptFormat(slots)
	}
	g.applyUpdate(update)
	g.uploadNewest()
	d := g.input.pollInput()
	if !got && !d.hasActed() {
		// Perhaps another window was in front, which ebiten does not report.
		g.dirty = g.dirty || g.painter == nil
	}
	if at := g.input.repeatAt; !at.IsZero() && at != g.repeatAt {
		g.repeatAt = at
		g.inbox.wakeAfter(time.Until(at))
	}
	if err := g.actOn(d); err != nil {
		return err
	}
	return g.reportMeter()
}

// quit ends the window: its painter before ebiten destroys it.
func (g *game) quit() error {
	if g.painter != nil {
		g.painter.Close()
	}
	return ebiten.Termination
}

// startListening begins to listen to tbcam-view.
func (g *game) startListening() error {
	ebiten.SetTPS(ebiten.SyncWithFPS) // or ebiten may wake up without an Update
	// Deprecated in favour of SetScreenClearedEveryFrame(false), with which an
	// idle window still takes 5 % of a core instead of nothing.
	//lint:ignore SA1019 see above
	ebiten.SetFPSMode(ebiten.FPSModeVsyncOffMinimum)
	if g.isSoftware() {
		g.startPainter()
	}
	err := g.sendReport(shm.Report{Action: shm.Started})
	go g.inbox.receiveUpdates(g.conn)
	return err
}

// startPainter draws in memory from now on, if the X server allows it.
func (g *game) startPainter() {
	painter, err := software.New(g.conn)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tbcam-window: drawing with OpenGL:", err)
		return
	}
	g.painter, g.inbox.frame = painter, painter.Wake
	g.skipFrames()
}

// adoptFormat changes over to frames of another format.
func (g *game) adoptFormat(slots *shm.Reader) {
	first := !g.hasFormat()
	g.format = slots.Format
	if g.over.frozen { // that frame is gone
		g.setFrozen(false)
	}
	if first {
		g.fitWindow()
	}
	if g.painter != nil {
		g.painter.Show(g.scene(), slots, true)
		return
	}
	if !first {
		g.slots.Close()
		g.frame.free()
	}
	g.slots, g.frame = slots, newFrame(g.shader, slots.Format, slots.Layout)
}

// hasFormat reports whether a format is known, and so the size of the frames.
func (g *game) hasFormat() bool { return g.format.Width > 0 }

// fitWindow gives the window the size of the frame, in the middle.
func (g *game) fitWindow() {
	monitor := ebiten.Monitor()
	mw, mh := monitor.Size()
	width, height := g.pose.Turned(g.format.Width, g.format.Height)
	w, h := view.WindowSize(width, height, mw, mh, monitor.DeviceScaleFactor())
	ebiten.SetWindowSize(w, h)
	ebiten.SetWindowPosition((mw-w)/2, (mh-h)/2)
}

func (g *game) applyUpdate(u shm.Update) {
	if u.Fullscreen {
		g.setFullscreen(true)
	}
	if u.Title != nil {
		ebiten.SetWindowTitle(*u.Title)
	}
	if u.Notice != nil {
		g.inbox.wakeAfter(noticeTime)
	}
	seen, expired := g.over.applyUpdate(u), g.over.expireNotices()
	g.dirty = g.dirty || seen || expired
}

// uploadNewest takes the newest frame, if it is a new one.
func (g *game) uploadNewest() {
	if g.slots == nil || g.over.frozen {
		return
	}
	if planes, id, ok := g.slots.Take(); ok {
		g.frame.upload(planes)
		g.drawn, g.dirty = id, true
	}
}

// scene returns what a painter is to show.
func (g *game) scene() software.Scene {
	s := software.Scene{
		Size:    image.Pt(g.over.width, g.over.height),
		Frozen:  g.over.frozen,
		Sprites: g.over.sprites(),
	}
	if g.hasFormat() {
		w, h, screen := g.turnedSize()
		s.Pose.To = g.pose.Place(w, h, screen.X, screen.Y).Rectangle()
		s.Pose.Mirrored, s.Pose.Quarters = g.pose.Turn()
		s.Pose.Brightness = float64(g.brightness())
	}
	return s
}

// Draw draws if there is anything new; otherwise the screen stays as it is.
func (g *game) Draw(screen *ebiten.Image) {
	switch {
	case g.painter != nil:
		if g.dirty || g.over.level == graphOfStatistics {
			g.painter.Show(g.scene(), nil, g.dirty)
		}
		g.dirty = false
		return
	case !g.dirty:
		return
	}
	g.dirty = false
	screen.Clear()
	if g.frame != nil {
		g.frame.draw(screen, &g.pose, g.brightness())
	}
	g.over.drawLayers(screen)
}

func (g *game) brightness() float32 {
	if g.over.message != "" {
		return dimmed
	}
	return 1
}

// DrawFinalScreen puts what Draw made on the screen, pixel for pixel whatever
// ebiten's scale is after rounding, and reports the frame.
func (g *game) DrawFinalScreen(screen ebiten.FinalScreen, offscreen *ebiten.Image, _ ebiten.GeoM) {
	if g.painter != nil { // what it draws covers the screen
		return
	}
	screen.DrawImage(offscreen, nil)
	if g.drawn == 0 {
		return
	}
	g.waitForDrawing(offscreen)
	// A failure means that tbcam-view is gone, which ends the process by itself.
	_ = g.sendReport(shm.Report{Action: shm.Shown, ID: g.drawn, At: shm.Monotonic()})
	g.drawn = 0
}
