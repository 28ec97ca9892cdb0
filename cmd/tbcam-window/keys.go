package main

import (
	"image"
	"strings"
	"time"

	"github.com/hajimehoshi/ebiten/v2"
	"github.com/hajimehoshi/ebiten/v2/inpututil"
)

const help = `F, double click  full screen
Esc              leave full screen
S                snapshot
I                statistics
H                this help
Q                quit`

// doubleClick is the longest time between the clicks of a double click.
const doubleClick = 400 * time.Millisecond

// input is what is known of the user's devices since the last look.
type input struct {
	keys  []ebiten.Key
	held  bool // a key was held that makes others the desktop's
	mouse image.Point
	click time.Time // the last one
}

// poll returns what the user did since the last look: letters of keys as they
// are labelled, "escape" or "double click"; and whether the mouse has moved.
func (in *input) poll() (moved bool, acts []string) {
	in.keys = inpututil.AppendJustPressedKeys(in.keys[:0])
	held := ebiten.IsKeyPressed(ebiten.KeyAlt) || ebiten.IsKeyPressed(ebiten.KeyMeta)
	if held || in.held { // also when it is let go of at the same time
		in.keys = in.keys[:0]
	}
	in.held = held
	for _, k := range in.keys {
		acts = append(acts, keyName(k))
	}
	if inpututil.IsMouseButtonJustPressed(ebiten.MouseButtonLeft) && in.doubleClick() {
		acts = append(acts, "double click")
	}
	mouse := image.Pt(ebiten.CursorPosition())
	moved, in.mouse = mouse != in.mouse, mouse
	return moved, acts
}

func (in *input) doubleClick() bool {
	now := time.Now()
	if now.Sub(in.click) > doubleClick {
		in.click = now
		return false
	}
	in.click = time.Time{}
	return true
}

// keyName returns the letter on a key, or that of a US keyboard in its place
// where the letter is of another script.
func keyName(k ebiten.Key) string {
	if name := ebiten.KeyName(k); len(name) == 1 {
		return strings.ToLower(name)
	}
	return strings.ToLower(k.String())
}
