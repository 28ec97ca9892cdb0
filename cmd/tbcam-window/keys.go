package main

import (
	"image"
	"slices"
	"strings"
	"time"

	"github.com/hajimehoshi/ebiten/v2"
	"github.com/hajimehoshi/ebiten/v2/inpututil"
)

// doubleClick is the longest time between the clicks of a double click.
const doubleClick = 400 * time.Millisecond

// clickSlop is how far the mouse may move between them, in pixels.
const clickSlop = 8

// A key that repeats does so after repeatAfter, every repeatEvery.
const (
	repeatAfter = 350 * time.Millisecond
	repeatEvery = 50 * time.Millisecond
)

// repeating are the keys that do more the longer they are held.
var repeating = []ebiten.Key{
	ebiten.KeyArrowUp, ebiten.KeyArrowDown, ebiten.KeyArrowLeft, ebiten.KeyArrowRight,
	ebiten.KeyPageUp, ebiten.KeyPageDown, ebiten.KeyEqual, ebiten.KeyMinus,
	ebiten.KeyNumpadAdd, ebiten.KeyNumpadSubtract,
}

// input is what is known of the user's devices since the last look.
type input struct {
	keys     []ebiten.Key
	repeat   ebiten.Key
	repeatAt time.Time // when the key repeats, zero for never

	mouse   image.Point
	click   time.Time   // the last one, zero after a double click
	clicked image.Point // where that was
}

// did is what the user did since the last look.
type did struct {
	// keys are letters as they are labelled on them, or ebiten's names in lower case.
	keys  []string
	shift bool

	mouse                           image.Point // on the screen, in its pixels
	moved                           image.Point // since the last look
	wheel                           float64     // lines, up if positive
	pressed, down, released, double bool        // the left button
}

// hasActed reports whether the user did anything at all.
func (d *did) hasActed() bool {
	return len(d.keys) > 0 || d.moved != image.Point{} || d.wheel != 0 || d.pressed || d.released
}

// pollInput returns what the user did since the last look.
func (in *input) pollInput() (d did) {
	d.keys = in.pollKeys()
	d.shift = wasHeld(ebiten.KeyShiftLeft) || wasHeld(ebiten.KeyShiftRight)
	d.mouse = image.Pt(ebiten.CursorPosition())
	d.moved, in.mouse = d.mouse.Sub(in.mouse), d.mouse
	_, d.wheel = ebiten.Wheel()
	d.pressed = inpututil.IsMouseButtonJustPressed(ebiten.MouseButtonLeft)
	d.down = ebiten.IsMouseButtonPressed(ebiten.MouseButtonLeft)
	d.released = inpututil.IsMouseButtonJustReleased(ebiten.MouseButtonLeft)
	d.double = in.doubleClick(d)
	return d
}

func (in *input) pollKeys() (names []string) {
	in.keys = inpututil.AppendJustPressedKeys(in.keys[:0])
	if slices.ContainsFunc(desktop, wasHeld) {
		in.keys, in.repeatAt = in.keys[:0], time.Time{}
	}
	for _, k := range in.keys {
		names = append(names, keyName(k))
		if slices.Contains(repeating, k) {
			in.repeat, in.repeatAt = k, time.Now().Add(repeatAfter)
		}
	}
	if in.repeats() {
		names = append(names, keyName(in.repeat))
	}
	return names
}

// desktop are the keys that make others the desktop's while they are held.
var desktop = []ebiten.Key{ebiten.KeyAltLeft, ebiten.KeyAltRight, ebiten.KeyMetaLeft, ebiten.KeyMetaRight}

// wasHeld reports whether a key is held or was since the last look, in which time
// another one may have been pressed with it.
func wasHeld(k ebiten.Key) bool {
	return ebiten.IsKeyPressed(k) || inpututil.IsKeyJustPressed(k) || inpututil.IsKeyJustReleased(k)
}

// repeats reports whether a held key is to act again now.
func (in *input) repeats() bool {
	if !ebiten.IsKeyPressed(in.repeat) {
		in.repeatAt = time.Time{}
	}
	if in.repeatAt.IsZero() || time.Now().Before(in.repeatAt) {
		return false
	}
	in.repeatAt = time.Now().Add(repeatEvery)
	return true
}

// doubleClick reports whether the button went down twice in a short time without
// the mouse having gone anywhere.
func (in *input) doubleClick(d did) bool {
	if away := d.mouse.Sub(in.clicked); max(away.X, -away.X, away.Y, -away.Y) > clickSlop {
		in.click = time.Time{}
	}
	if !d.pressed {
		return false
	}
	now := time.Now()
	if now.Sub(in.click) <= doubleClick {
		in.click = time.Time{}
		return true
	}
	in.click, in.clicked = now, d.mouse
	return false
}

// keyName returns the letter on a key, or that of a US keyboard in its place
// where the letter is of another script; digits are where they always are.
func keyName(k ebiten.Key) string {
	switch {
	case k >= ebiten.KeyDigit0 && k <= ebiten.KeyDigit9:
		return string(rune('0' + k - ebiten.KeyDigit0))
	case k >= ebiten.KeyNumpad0 && k <= ebiten.KeyNumpad9:
		return string(rune('0' + k - ebiten.KeyNumpad0))
	}
	if name := ebiten.KeyName(k); len(name) == 1 {
		return strings.ToLower(name)
	}
	return strings.ToLower(k.String())
}
