package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/inherited"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// heap is what the garbage collector keeps the heap below, in bytes: ebiten copies
// each frame into new memory.
const heap = 64 << 20

func main() {
	debug.SetMemoryLimit(heap)
	if err := runWindow(); err != nil {
		fmt.Fprintln(os.Stderr, "tbcam-window:", err)
		os.Exit(1)
	}
}

// runWindow shows the window until its user closes it.
func runWindow() error {
	conn, err := shm.Child(inherited.Socket)
	if err != nil {
		return fmt.Errorf("take socket: %w", err)
	}
	g, err := newGame(conn)
	if err != nil {
		return err
	}
	ebiten.SetWindowResizingMode(ebiten.WindowResizingModeEnabled)
	ebiten.SetWindowSize(startWidth, startHeight)
	ebiten.SetWindowSizeLimits(minWidth, minHeight, -1, -1)
	ebiten.SetScreenClearedEveryFrame(false)
	ebiten.SetWindowClosingHandled(true)
	err = ebiten.RunGameWithOptions(g, &ebiten.RunGameOptions{
		// Everything on one thread: no hand-overs, and what is drawn is on its
		// way to the screen when Draw's frame ends.
		SingleThread:    true,
		X11ClassName:    "tbcam",
		X11InstanceName: "tbcam",
	})
	if err != nil {
		return fmt.Errorf("show window: %w", err)
	}
	return conn.Send(shm.Report{Action: shm.Quit}, nil)
}
