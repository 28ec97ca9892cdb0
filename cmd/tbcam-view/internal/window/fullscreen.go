package window

import "github.com/tbcam/tbcam/cmd/internal/winlink"

// SetFullscreen has the window fill the screen.
func (w *Window) SetFullscreen() { w.out.put(func(u *winlink.Update) { u.Fullscreen = true }) }
