package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hajimehoshi/ebiten/v2"

	"github.com/tbcam/tbcam/sink/window/shm"
)

// inbox holds what tbcam-view has sent until the window looks.
type inbox struct {
	mu     sync.Mutex
	update shm.Update  // newer values have replaced older ones
	slots  *shm.Reader // of a new format, nil without one
	retry  *time.Timer // runs while something is in the inbox, else nil
	skip   bool        // the window is not woken for frames alone
	// frame is called for every frame, if it is set before receive is called.
	frame func()
}

// retryAfter is how long the window may take to look before it is woken again.
const retryAfter = 50 * time.Millisecond

// receiveUpdates fills the inbox and wakes the window. It ends the process when
// tbcam-view is gone, even if the window hangs.
func (in *inbox) receiveUpdates(conn *shm.Conn) {
	for {
		var u shm.Update
		memory, err := conn.Receive(&u)
		if err == nil {
			err = in.putUpdate(u, memory)
		}
		if errors.Is(err, io.EOF) {
			os.Exit(0)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "tbcam-window:", err)
			os.Exit(1)
		}
	}
}

func (in *inbox) putUpdate(u shm.Update, memory *os.File) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if u.Format != nil {
		slots, err := shm.NewReader(*u.Format, memory)
		if err != nil {
			return err
		}
		if in.slots != nil { // never looked at
			in.slots.Close()
		}
		in.slots = slots
	}
	in.update.Merge(u)
	if u.Frame && in.frame != nil {
		in.frame()
	}
	if !in.skip || !u.Quiet() {
		in.wakeWindow()
	}
	return nil
}

// skipFrames sets whether the window sleeps through frames.
func (in *inbox) skipFrames(skip bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.skip = skip
}

// wakeAfter wakes the window after some time.
func (in *inbox) wakeAfter(after time.Duration) {
	time.AfterFunc(after, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.wakeWindow()
	})
}

// wakeWindow wakes the window, again and again until it looks: a wake-up is lost while
// ebiten waits for a change of the window's size.
func (in *inbox) wakeWindow() {
	//lint:ignore SA1019 see game.startListening
	ebiten.ScheduleFrame()
	if in.retry == nil {
		in.retry = time.AfterFunc(retryAfter, in.wakeAgain)
	}
}

func (in *inbox) wakeAgain() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.retry != nil {
		//lint:ignore SA1019 see game.startListening
		ebiten.ScheduleFrame()
		in.retry.Reset(retryAfter)
	}
}

// takeAll empties the inbox, and reports whether anything was in it. The caller
// owns the slots, if there are any.
func (in *inbox) takeAll() (u shm.Update, slots *shm.Reader, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.retry == nil {
		return u, nil, false
	}
	in.retry.Stop()
	u, slots = in.update, in.slots
	in.update, in.slots, in.retry = shm.Update{}, nil, nil
	return u, slots, true
}
