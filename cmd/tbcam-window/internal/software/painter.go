package software

import (
	"fmt"
	"image"
	"os"
	"sync"

	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/paint"
	"github.com/tbcam/tbcam/cmd/tbcam-window/internal/xscreen"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/sink/window/shm"
)

// Painter shows frames and what is over them in the window of this process. It draws in
// a goroutine of its own, as soon as a frame is there.
type Painter struct {
	conn   *shm.Conn
	screen *xscreen.Screen
	wake   chan struct{} // something may have changed; closed by Close
	done   chan struct{} // closed by run when it ends

	mu      sync.Mutex
	next    *Scene      // newer than the one that is shown, else nil
	slots   *shm.Reader // of a new format, not taken over yet, else nil
	exposed bool        // the X server has lost what was shown

	// Accessed only by run.
	display codec.Display
	shown   Scene
	reader  *shm.Reader  // nil before the first format
	frame   codec.Planes // the one that is shown, in the reader's memory
	some    bool         // there is one
}

// Scene is all that is shown, but for the frame itself. It is not changed once it was
// given to a painter.
type Scene struct {
	Size    image.Point // of the window, in pixels
	Pose    codec.Pose
	Frozen  bool // no newer frame is to be shown
	Sprites []paint.Sprite
}

// New covers the window of this process. The caller closes the painter before the
// window is.
func New(conn *shm.Conn) (*Painter, error) {
	p := &Painter{conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{})}
	var err error
	if p.screen, err = xscreen.Open(os.Getpid(), p.expose); err != nil {
		return nil, err
	}
	go p.run(p.wake)
	return p, nil
}

// Close ends the painter, and waits for it.
func (p *Painter) Close() {
	p.mu.Lock()
	close(p.wake)
	p.wake = nil
	p.mu.Unlock()
	<-p.done
	p.screen.Close()
}

// Wake has the painter look for a new frame.
func (p *Painter) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

func (p *Painter) wakeLocked() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look in any case, or was closed
	}
}

func (p *Painter) expose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exposed = true
	p.wakeLocked()
}

// Show replaces the scene, and the reader of frames unless slots is nil: the painter
// owns it from then on. Without urgent the scene is shown with the next frame.
func (p *Painter) Show(s Scene, slots *shm.Reader, urgent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = &s
	if slots != nil {
		if p.slots != nil { // never looked at
			p.slots.Close()
		}
		p.slots = slots
	}
	if urgent {
		p.wakeLocked()
	}
}

// run paints until the painter is closed. Without an X server it ends the process.
func (p *Painter) run(wake <-chan struct{}) {
	defer close(p.done)
	for range wake {
		if err := p.paint(); err != nil {
			fmt.Fprintln(os.Stderr, "tbcam-window:", err)
			os.Exit(1)
		}
	}
}

// paint shows what is new, if anything is.
func (p *Painter) paint() error {
	changed := p.takeScene()
	id, fresh := p.takeFrame()
	if !changed && !fresh || p.shown.Size.X <= 0 || p.shown.Size.Y <= 0 {
		return nil
	}
	canvas, err := p.screen.Canvas(p.shown.Size.X, p.shown.Size.Y)
	if err != nil {
		return err
	}
	if err := p.draw(canvas); err != nil {
		return err
	}
	if err := p.screen.Present(); err != nil {
		return err
	}
	if fresh {
		// A failure means that tbcam-view is gone, which ends the process by itself.
		_ = p.conn.Send(shm.Report{Action: shm.Shown, ID: id, At: shm.Monotonic()}, nil)
	}
	return nil
}

// takeScene takes the newest scene over, and reports whether something is to be drawn
// even without a new frame.
func (p *Painter) takeScene() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := p.next != nil || p.exposed
	if p.next != nil {
		p.shown = *p.next
	}
	if p.slots != nil {
		if p.reader != nil {
			p.reader.Close()
		}
		p.reader, p.some = p.slots, false
	}
	p.next, p.slots, p.exposed = nil, nil, false
	return changed
}

// takeFrame takes the newest frame, if there is a new one and it is wanted.
func (p *Painter) takeFrame() (id uint64, fresh bool) {
	if p.reader == nil || p.shown.Frozen {
		return 0, false
	}
	planes, id, ok := p.reader.Take()
	if ok {
		p.frame = codec.Planes{Format: p.reader.Format, Data: planes, Strides: p.reader.Strides()}
		p.some = true
	}
	return id, ok
}

// draw draws the scene.
func (p *Painter) draw(canvas codec.BGRA) error {
	covered := image.Rectangle{}
	if p.some {
		covered = p.shown.Pose.To.Intersect(canvas.Bounds())
		if err := p.display.Draw(canvas, &p.frame, p.shown.Pose); err != nil {
			return err
		}
	}
	blackenAround(canvas, covered)
	for _, s := range p.shown.Sprites {
		blend(canvas, s)
	}
	return nil
}
