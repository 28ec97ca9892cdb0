package main

import (
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
	"time"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/controls"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// noticeTime is how long a notice stays.
const noticeTime = 4 * time.Second

// level is how much of the statistics is shown.
type level int

const (
	noStatistics level = iota
	lineOfStatistics
	graphOfStatistics
	levels
)

// overlay is all that is shown over the frame.
type overlay struct {
	style         *paint.Style
	width, height int // of the screen in its pixels

	message   string
	noticed   string
	until     time.Time // then the notice ends
	status    []string
	latency   []float32
	level     level
	help      bool
	panel     bool
	list      controls.List
	recording bool
	frozen    bool
	zoom      float64
	// microphone is nil for as long as there is none.
	microphone *paint.Meter

	controls, statistics, chips, notice, text, keys layer
}

func newOverlay() *overlay {
	o := &overlay{style: paint.NewStyle(1), zoom: 1}
	o.statistics = layer{paint: o.paintStatistics}
	o.chips = layer{paint: o.paintChips, x: 1}
	o.notice = layer{paint: o.paintNotice, x: 0.5, y: 1}
	o.controls = layer{paint: o.paintControls, x: 1, whole: true}
	o.text = layer{paint: o.paintMessage, x: 0.5, y: 0.5}
	o.keys = layer{paint: o.paintHelp, x: 0.5, y: 0.5}
	return o
}

func (o *overlay) layers() []*layer {
	return []*layer{&o.controls, &o.statistics, &o.chips, &o.notice, &o.text, &o.keys}
}

// setScreen sets how large the screen is, and how many of its pixels make up a
// device-independent one. It reports whether that is new.
func (o *overlay) setScreen(width, height int, scale float64) bool {
	if width == o.width && height == o.height && scale == o.style.Scale {
		return false
	}
	if scale != o.style.Scale {
		o.style = paint.NewStyle(scale)
	}
	o.width, o.height = width, height
	o.list.Reveal()
	o.redrawAll()
	return true
}

// redrawAll has everything painted again.
func (o *overlay) redrawAll() {
	for _, l := range o.layers() {
		l.stale = true
	}
}

// applyUpdate takes over an update, and reports whether that is seen.
func (o *overlay) applyUpdate(u shm.Update) (seen bool) {
	if u.Message != nil && *u.Message != o.message {
		o.message = *u.Message
		o.text.stale, seen = true, true
	}
	if u.Notice != nil {
		o.setNotice(*u.Notice)
		seen = true
	}
	if u.Status != nil && !slices.Equal(*u.Status, o.status) {
		o.status = *u.Status
		o.statistics.stale = true
		seen = seen || o.level != noStatistics
	}
	if len(u.Latency) > 0 {
		// It is seen with the next frame.
		o.latency = append(o.latency, u.Latency...)
		o.latency = o.latency[max(0, len(o.latency)-shm.MaxLatency):]
		o.statistics.stale = o.statistics.stale || o.level == graphOfStatistics
	}
	if u.Recording != nil && *u.Recording != o.recording {
		o.recording = *u.Recording
		o.chips.stale, seen = true, true
	}
	if u.Microphone != nil {
		seen = o.setMicrophone(paint.Meter(*u.Microphone)) || seen
	}
	if u.Controls != nil {
		o.setControls(*u.Controls)
		seen = seen || o.panel
	}
	return seen
}

func (o *overlay) setControls(all []capture.Control) {
	o.list.Set(all)
	o.controls.stale = true
}

// setMicrophone takes over how the microphone is heard, and reports whether that is seen.
func (o *overlay) setMicrophone(m paint.Meter) (seen bool) {
	before := o.microphone
	if before != nil && *before == m {
		return false
	}
	muting := before == nil || before.Muted != m.Muted
	o.microphone, o.list.Meter = &m, &m
	o.statistics.stale, o.controls.stale = true, true
	o.chips.stale = o.chips.stale || muting
	return muting || o.showsMeter()
}

// showsMeter reports whether the level of the microphone is seen.
func (o *overlay) showsMeter() bool {
	return o.microphone != nil && (o.level != noStatistics || o.panel)
}

// setNotice shows a notice.
func (o *overlay) setNotice(text string) {
	o.noticed, o.until, o.notice.stale = text, time.Now().Add(noticeTime), true
	o.controls.stale = true // it may have to make room
}

// expireNotices ends what has had its time: the notice, and values that the camera did
// not grant. It reports whether anything ended.
func (o *overlay) expireNotices() bool {
	settled := o.list.Settle() && o.panel
	o.controls.stale = o.controls.stale || settled
	if o.noticed == "" || time.Now().Before(o.until) {
		return settled
	}
	o.noticed, o.notice.stale, o.controls.stale = "", true, true
	return true
}

// margin is the room between boxes and the edges of the screen.
func (o *overlay) margin() int { return o.style.Px(8) }

// panelWidth returns the width of the panel of controls, 0 while it is closed.
func (o *overlay) panelWidth() int {
	if !o.panel {
		return 0
	}
	return controls.Width(o.style, o.width)
}

// boxArea returns the part of the screen that is for the boxes: beside the panel or, where
// that takes all, what it leaves for a notice.
func (o *overlay) boxArea() image.Rectangle {
	if o.isPanelOnly() {
		return image.Rect(0, o.panelHeight(), o.width, o.height).Inset(o.margin())
	}
	return image.Rect(0, 0, o.width-o.panelWidth(), o.height).Inset(o.margin())
}

// isPanelOnly reports whether the panel leaves nothing beside it.
func (o *overlay) isPanelOnly() bool { return o.panel && o.width-o.panelWidth() < o.style.Px(120) }

// panelHeight returns the height of the panel: all, but for a notice that has no room
// beside it.
func (o *overlay) panelHeight() int {
	if o.noticed == "" || !o.isPanelOnly() {
		return o.height
	}
	notice := o.style.Pill(o.noticed, o.width-2*o.margin(), color.RGBA{})
	return max(0, o.height-notice.Rect.Dy()-2*o.margin())
}

// drawLayers draws everything with the graphics card.
func (o *overlay) drawLayers(screen *ebiten.Image) {
	o.each(func(l *layer, s paint.Sprite) { l.drawIn(screen, s) })
}

// sprites returns everything.
func (o *overlay) sprites() (all []paint.Sprite) {
	o.each(func(_ *layer, s paint.Sprite) { all = append(all, s) })
	return all
}

// each calls f for every layer that is seen. None of them is over another one: the more
// important ones come first, and what would be over one of these is moved below it, made
// a little smaller or, where there is no room, left out.
func (o *overlay) each(f func(*layer, paint.Sprite)) {
	layers := []*layer{&o.controls, &o.text, &o.notice, &o.chips, &o.statistics}
	if o.help { // beside it nothing else would be looked at
		layers = []*layer{&o.keys, &o.controls}
	}
	arrangement := paint.Arrangement{Margin: o.margin()}
	for _, l := range layers {
		room := o.room(l)
		if l.redrawTexture(); l.painted != nil && l.y == 0 {
			room = arrangement.Free(paint.Align(l.painted, room, l.x, l.y).Place(), room)
		}
		if s, ok := l.sprite(room); ok && (room == o.room(l) || l.isLegible(s)) && arrangement.Place(s) {
			f(l, s)
		}
	}
}

// room returns the part of the screen that a layer may be in.
func (o *overlay) room(l *layer) image.Rectangle {
	switch whole := image.Rect(0, 0, o.width, o.height); {
	case l.whole:
		return whole
	case l == &o.keys && l.size().X > o.boxArea().Dx(): // rather in the panel's place than tiny
		return whole.Inset(o.margin())
	}
	return o.boxArea()
}

func (o *overlay) paintMessage() *image.RGBA {
	if o.message == "" {
		return nil
	}
	return o.style.Message(o.message, max(o.boxArea().Dx(), 1))
}

func (o *overlay) paintNotice() *image.RGBA {
	if o.noticed == "" {
		return nil
	}
	return o.style.Pill(o.noticed, o.boxArea().Dx(), color.RGBA{})
}

// paintStatistics draws the figures, and the level of the microphone beside them.
func (o *overlay) paintStatistics() *image.RGBA {
	figures := o.paintFigures()
	if figures == nil || o.microphone == nil {
		return figures
	}
	room := o.boxArea().Dx()
	return paint.Join(figures, o.style.Microphone(*o.microphone, room), o.margin(), room)
}

func (o *overlay) paintFigures() *image.RGBA {
	switch {
	case o.level == noStatistics || len(o.status) == 0:
		return nil
	case o.level == lineOfStatistics:
		return o.style.Pill(o.status[0], o.boxArea().Dx(), color.RGBA{})
	}
	return o.style.Statistics(o.latency, o.status[1:], o.boxArea().Dx())
}

// paintChips draws what is not as usual: a recording, a muted microphone, a frozen or zoomed
// frame.
func (o *overlay) paintChips() *image.RGBA {
	var texts []string
	dot := color.RGBA{}
	if o.recording {
		texts, dot = append(texts, "REC"), paint.Live
	}
	if o.microphone != nil && o.microphone.Muted {
		texts = append(texts, "Muted")
	}
	if o.frozen {
		texts = append(texts, "Frozen")
	}
	if o.zoom > 1 {
		texts = append(texts, fmt.Sprintf("%.1f×", o.zoom))
	}
	if texts == nil {
		return nil
	}
	return o.style.Pill(strings.Join(texts, " · "), o.boxArea().Dx(), dot)
}

// helpColumns is from which width of the screen on, in device-independent pixels,
// the help has two columns.
const helpColumns = 560

func (o *overlay) paintHelp() *image.RGBA {
	if !o.help {
		return nil
	}
	keys := shm.Keys
	if o.panel {
		keys = shm.PanelKeys
	}
	rows := make([]paint.Row, len(keys))
	for i, k := range keys {
		rows[i] = paint.Row{k.Name, k.Does}
	}
	columns := 1
	if !o.panel && o.boxArea().Dx() >= o.style.Px(helpColumns) {
		columns = 2
	}
	return o.style.Help(rows, columns, o.boxArea().Dy())
}

func (o *overlay) paintControls() *image.RGBA {
	if !o.panel || o.panelHeight() == 0 {
		return nil
	}
	return o.list.Draw(o.style, o.panelWidth(), o.panelHeight())
}
