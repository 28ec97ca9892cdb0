package inherited

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Socket is the file of the socket that tbcam-view left as descriptor 3.
var Socket = os.NewFile(3, "viewer")

// Importing ebiten opens the display, and panics without one. This package is
// initialised earlier, because the language initialises what is ready in the
// order of import paths, and ebiten waits for packages that come after this one.
// So a user who starts the window by hand reads what it is for, not that there is
// no display.
func init() {
	if info, err := Socket.Stat(); err != nil || info.Mode().Type() != os.ModeSocket {
		fmt.Fprintln(os.Stderr, "tbcam-window: this is the window of tbcam-view, which starts it by itself")
		os.Exit(2)
	}
	// Ctrl-C in a terminal reaches the whole process group: the window lives as
	// long as tbcam-view does, which has its own mind about such signals.
	signal.Ignore(os.Interrupt, syscall.SIGHUP, syscall.SIGQUIT)
}
