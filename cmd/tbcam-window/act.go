package main

import (
	"image"
	"math"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/controls"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/view"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Factors of zooming by a line of the wheel and by a key, and how far an arrow
// moves the frame in device-independent pixels.
const (
	wheelZoom = 1.15
	keyZoom   = 1.25
	arrowPan  = 40
)

// actOn acts on what the user did.
func (g *game) actOn(d did) error {
	for _, key := range d.keys {
		if err := g.handleKey(key, d.shift); err != nil {
			return err
		}
	}
	return g.handleMouse(d)
}

// handleKey acts on a key.
func (g *game) handleKey(key string, shift bool) error {
	if g.over.panel {
		if changes, ok := g.over.list.Key(key, shift); ok {
			return g.sendChanges(changes)
		}
	}
	if act, ok := acts[key]; ok {
		g.dirty = true
		return act(g)
	}
	return nil
}

// acts are what keys do, by their names.
var acts = map[string]func(*game) error{
	"f":      func(g *game) error { g.setFullscreen(!ebiten.IsFullscreen()); return nil },
	"escape": (*game).leaveFront,
	"m":      func(g *game) error { g.pose.Mirror(); return nil },
	"r":      func(g *game) error { g.rotateFrame(); return nil },
	"=":      func(g *game) error { g.zoomKey(keyZoom); return nil },
	"+":      func(g *game) error { g.zoomKey(keyZoom); return nil },
	"-":      func(g *game) error { g.zoomKey(1 / keyZoom); return nil },
	"0":      func(g *game) error { g.pose.Whole(); g.showZoom(); return nil },
	"space":  func(g *game) error { g.setFrozen(!g.over.frozen); return nil },
	"s":      func(g *game) error { return g.sendReport(shm.Report{Action: shm.Snapshot}) },
	"v":      func(g *game) error { return g.sendReport(shm.Report{Action: shm.Record}) },
	"p":      func(g *game) error { return g.sendReport(shm.Report{Action: shm.Confirm}) },
	"a":      (*game).toggleMute,
	"i":      (*game).nextStatistics,
	"c":      func(g *game) error { g.setPanel(!g.over.panel); return nil },
	"t":      func(g *game) error { g.keepOnTop(); return nil },
	"b":      func(g *game) error { g.toggleBorder(); return nil },
	"h":      func(g *game) error { g.setHelp(!g.over.help); return nil },
	"q":      (*game).quit,

	"arrowleft":      func(g *game) error { g.panFrame(arrowPan, 0); return nil },
	"arrowright":     func(g *game) error { g.panFrame(-arrowPan, 0); return nil },
	"arrowup":        func(g *game) error { g.panFrame(0, arrowPan); return nil },
	"arrowdown":      func(g *game) error { g.panFrame(0, -arrowPan); return nil },
	"numpadadd":      func(g *game) error { g.zoomKey(keyZoom); return nil },
	"numpadsubtract": func(g *game) error { g.zoomKey(1 / keyZoom); return nil },
}

func (g *game) sendReport(r shm.Report) error { return g.conn.Send(r, nil) }

// toggleMute has tbcam-view mute or unmute the microphone, which it reports back.
func (g *game) toggleMute() error { return g.sendReport(shm.Report{Action: shm.Mute}) }

// reportMeter reports whether the level of the microphone is seen, where that has changed:
// tbcam-view sends it only then.
func (g *game) reportMeter() error {
	seen := g.over.showsMeter()
	if seen == g.metered {
		return nil
	}
	g.metered = seen
	return g.sendReport(shm.Report{Action: shm.Meter, On: seen})
}

// leaveFront leaves what is in front: the help, the panel, or full screen.
func (g *game) leaveFront() error {
	switch {
	case g.over.help:
		g.setHelp(false)
	case g.over.panel:
		g.setPanel(false)
	default:
		g.setFullscreen(false)
	}
	return nil
}

// rotateFrame turns the frame by a quarter, and the window with it.
func (g *game) rotateFrame() {
	g.pose.Rotate()
	if !g.hasFormat() || ebiten.IsFullscreen() || ebiten.IsWindowMaximized() {
		return
	}
	w, h := ebiten.WindowSize()
	x, y := ebiten.WindowPosition()
	mw, mh := ebiten.Monitor().Size()
	size := g.turning.nextSize(image.Pt(w, h), image.Pt(mw, mh))
	ebiten.SetWindowSize(size.X, size.Y)
	ebiten.SetWindowPosition(max(0, x+(w-size.X)/2), max(0, y+(h-size.Y)/2))
}

// turning is the size of a window that turns with its frame. Where a turned one
// does not fit on the monitor it is smaller, but what is turned back is as large
// as it was.
type turning struct{ wanted, got image.Point }

// nextSize returns the size after another quarter.
func (t *turning) nextSize(window, monitor image.Point) image.Point {
	if window != t.got { // its user changed it
		t.wanted = window
	}
	t.wanted = image.Pt(t.wanted.Y, t.wanted.X)
	w, h := view.WindowSize(t.wanted.X, t.wanted.Y, monitor.X, monitor.Y, 1)
	t.got = image.Pt(w, h)
	return t.got
}

// turnedSize returns the size of the frame as it is seen, and the screen's.
func (g *game) turnedSize() (width, height int, screen image.Point) {
	width, height = g.pose.Turned(g.format.Width, g.format.Height)
	return width, height, image.Pt(g.over.width, g.over.height)
}

// zoomAt zooms at a point of the screen.
func (g *game) zoomAt(factor float64, at image.Point) {
	if !g.hasFormat() {
		return
	}
	w, h, screen := g.turnedSize()
	g.pose.Magnify(factor, float64(at.X), float64(at.Y), w, h, screen)
	g.showZoom()
}

func (g *game) zoomKey(factor float64) {
	g.zoomAt(factor, image.Pt(g.over.width/2, g.over.height/2))
}

// showZoom shows the new magnification.
func (g *game) showZoom() {
	g.over.zoom, g.over.chips.stale, g.dirty = g.pose.Zoom(), true, true
}

// panFrame moves the frame by device-independent pixels.
func (g *game) panFrame(dx, dy float64) {
	g.dragFrame(dx*g.over.style.Scale, dy*g.over.style.Scale)
}

// dragFrame moves the frame by pixels of the screen.
func (g *game) dragFrame(dx, dy float64) {
	if !g.hasFormat() {
		return
	}
	w, h, screen := g.turnedSize()
	g.pose.Pan(dx, dy, w, h, screen)
	g.dirty = true
}

func (g *game) setFrozen(on bool) {
	g.over.frozen, g.over.chips.stale = on, true
	g.skipFrames()
	g.dirty = true
}

// skipFrames has the inbox wake the game for frames only if it has to do with them:
// what is drawn in memory is another goroutine's, but for the graph.
func (g *game) skipFrames() {
	idle := g.painter != nil && g.over.level != graphOfStatistics
	g.inbox.skipFrames(g.over.frozen || idle)
}

// nextStatistics shows more of them, or none, and reports that to tbcam-view, which
// computes them only while they are seen.
func (g *game) nextStatistics() error {
	before := g.over.level
	g.over.level = (before + 1) % levels
	g.over.statistics.stale = true
	g.skipFrames()
	if before == graphOfStatistics || before == noStatistics {
		return g.sendReport(shm.Report{Action: shm.Statistics, On: before == noStatistics})
	}
	return nil
}

func (g *game) setHelp(on bool) {
	g.over.help, g.over.keys.stale = on, true
}

func (g *game) setPanel(on bool) {
	g.over.panel = on
	g.over.redrawAll()
	g.setCursor()
}

func (g *game) setFullscreen(on bool) {
	if on != ebiten.IsFullscreen() {
		ebiten.SetFullscreen(on)
		g.setCursor()
	}
}

// setCursor hides the mouse's pointer in full screen, where it has nothing to do.
func (g *game) setCursor() {
	mode := ebiten.CursorModeVisible
	if ebiten.IsFullscreen() && !g.over.panel {
		mode = ebiten.CursorModeHidden
	}
	ebiten.SetCursorMode(mode)
}

func (g *game) keepOnTop() {
	on := !ebiten.IsWindowFloating()
	ebiten.SetWindowFloating(on)
	if on {
		g.notify("Always on top")
	} else {
		g.notify("No longer on top")
	}
}

func (g *game) toggleBorder() {
	on := !ebiten.IsWindowDecorated()
	ebiten.SetWindowDecorated(on)
	if on {
		g.notify("Border shown")
	} else {
		g.notify("Border hidden")
	}
}

// notify shows a notice of the window's own.
func (g *game) notify(text string) {
	g.over.setNotice(text)
	g.inbox.wakeAfter(noticeTime)
}

// sendChanges reports what is to be set at the camera.
func (g *game) sendChanges(changes []controls.Change) error {
	g.over.controls.stale, g.dirty = true, true
	if len(changes) > 0 {
		// By then the camera has granted it, or not.
		g.inbox.wakeAfter(controls.Hold)
	}
	for _, c := range changes {
		if err := g.sendReport(shm.Report{Action: shm.SetControl, Control: c.ID, Value: c.Value}); err != nil {
			return err
		}
	}
	return nil
}

// handleMouse acts on the mouse.
func (g *game) handleMouse(d did) error {
	inPanel := g.over.panel && d.mouse.X >= g.over.width-g.over.panelWidth()
	if d.pressed {
		g.grabbed = nothing
		if inPanel {
			g.grabbed = thePanel
		} else if g.pose.Zoom() > 1 {
			g.grabbed = theFrame
		}
	}
	if d.wheel != 0 {
		g.handleWheel(d, inPanel)
	}
	if d.double && !inPanel {
		g.setFullscreen(!ebiten.IsFullscreen())
		g.dirty = true
	}
	if g.grabbed == theFrame && (d.down || d.released) && !d.pressed && d.moved != (image.Point{}) {
		g.dragFrame(float64(d.moved.X), float64(d.moved.Y))
	}
	if g.grabbed == thePanel {
		return g.pointPanel(d)
	}
	return nil
}

func (g *game) handleWheel(d did, inPanel bool) {
	if inPanel {
		g.over.list.Wheel(-int(math.Round(d.wheel * float64(g.over.style.Px(40)))))
		g.over.controls.stale, g.dirty = true, true
		return
	}
	g.zoomAt(math.Pow(wheelZoom, d.wheel), d.mouse)
}

// pointPanel acts on the mouse, whose button went down in the panel.
func (g *game) pointPanel(d did) error {
	at := d.mouse.Sub(image.Pt(g.over.width-g.over.panelWidth(), 0))
	if d.pressed && g.over.list.IsMute(at) {
		g.grabbed = nothing
		return g.toggleMute()
	}
	var changes []controls.Change
	if d.pressed {
		changes = g.over.list.Press(g.over.style, at)
	}
	switch {
	case !d.down: // perhaps immediately, or after a move since the last look
		g.over.list.Drag(g.over.style, at)
		changes = append(changes, g.over.list.Release()...)
		g.grabbed = nothing
	case !d.pressed && d.moved == image.Point{}:
		return nil
	case !d.pressed:
		changes = g.over.list.Drag(g.over.style, at)
	}
	return g.sendChanges(changes)
}
