package window

import "github.com/tbcam/tbcam/sink/window/shm"

// SetFullscreen has the window fill the screen.
func (w *Window) SetFullscreen() { w.out.putChange(func(u *shm.Update) { u.Fullscreen = true }) }
