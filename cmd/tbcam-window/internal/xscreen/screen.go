package xscreen

import (
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/shm"
	"github.com/jezek/xgb/xproto"

	"github.com/tbcam/tbcam/codec"
)

// ErrPixels: the window has pixels of another kind than 32 bits of blue, green and red.
var ErrPixels = errors.New("window has no 32-bit pixels")

// xgb logs that a display needs no password, on standard error.
func init() { xgb.Logger = log.New(io.Discard, "", 0) }

// Screen is a child of a window, which it covers: so nothing that OpenGL does to the
// window is seen, and keys and the mouse reach the window as before. It is for one
// goroutine.
type Screen struct {
	conn   *xgb.Conn
	window xproto.Window
	gc     xproto.Gcontext
	depth  byte

	canvas codec.BGRA
	memory memory
	shared bool // the server has MIT-SHM
}

// Open covers the window of a process, which that has named its own (_NET_WM_PID). It
// calls exposed, from another goroutine, when the server has lost what the screen
// showed. The caller closes the screen, before the window is.
func Open(pid int, exposed func()) (*Screen, error) {
	conn, err := xgb.NewConn()
	if err != nil {
		return nil, fmt.Errorf("connect to the X server: %w", err)
	}
	s := &Screen{conn: conn, shared: shm.Init(conn) == nil}
	if err := s.cover(pid); err != nil {
		conn.Close()
		return nil, err
	}
	go s.receive(exposed)
	return s, nil
}

// cover makes the child.
func (s *Screen) cover(pid int) error {
	setup := xproto.Setup(s.conn)
	screen := setup.DefaultScreen(s.conn)
	parent, err := findWindow(s.conn, screen.Root, pid)
	if err != nil {
		return err
	}
	geometry, err := xproto.GetGeometry(s.conn, xproto.Drawable(parent)).Reply()
	if err != nil {
		return fmt.Errorf("size of the window: %w", err)
	}
	attributes, err := xproto.GetWindowAttributes(s.conn, parent).Reply()
	if err != nil {
		return fmt.Errorf("attributes of the window: %w", err)
	}
	s.depth = geometry.Depth
	if !hasBGRA(setup, screen, geometry.Depth, attributes.Visual) {
		return ErrPixels
	}
	return s.create(parent, geometry.Width, geometry.Height)
}

// create makes the child, without a background: the server draws nothing by itself.
func (s *Screen) create(parent xproto.Window, width, height uint16) error {
	var err error
	if s.window, err = xproto.NewWindowId(s.conn); err != nil {
		return err
	}
	if s.gc, err = xproto.NewGcontextId(s.conn); err != nil {
		return err
	}
	made := xproto.CreateWindowChecked(s.conn, 0, s.window, parent, 0, 0, width, height, 0,
		xproto.WindowClassInputOutput, 0, xproto.CwBackPixmap|xproto.CwBitGravity|xproto.CwEventMask,
		[]uint32{xproto.BackPixmapNone, xproto.GravityNorthWest, xproto.EventMaskExposure})
	context := xproto.CreateGCChecked(s.conn, s.gc, xproto.Drawable(s.window), xproto.GcGraphicsExposures, []uint32{0})
	mapped := xproto.MapWindowChecked(s.conn, s.window)
	if err := errors.Join(made.Check(), context.Check(), mapped.Check()); err != nil {
		return fmt.Errorf("cover the window: %w", err)
	}
	return nil
}

// hasBGRA reports whether pixels of a visual are those of codec.BGRA.
func hasBGRA(setup *xproto.SetupInfo, screen *xproto.ScreenInfo, depth byte, visual xproto.Visualid) bool {
	wide := false
	for _, f := range setup.PixmapFormats {
		wide = wide || f.Depth == depth && f.BitsPerPixel == 32
	}
	if !wide || setup.ImageByteOrder != xproto.ImageOrderLSBFirst {
		return false
	}
	for _, d := range screen.AllowedDepths {
		for _, v := range d.Visuals {
			if v.VisualId == visual {
				return v.RedMask == 0xFF0000 && v.GreenMask == 0xFF00 && v.BlueMask == 0xFF
			}
		}
	}
	return false
}

// receive reads events until the connection ends.
func (s *Screen) receive(exposed func()) {
	for {
		event, err := s.conn.WaitForEvent()
		if event == nil && err == nil {
			return
		}
		if e, ok := event.(xproto.ExposeEvent); ok && e.Count == 0 {
			exposed()
		}
	}
}

// Canvas returns the image that Present shows, for a window of a size. What was drawn
// to it is kept while the size is.
func (s *Screen) Canvas(width, height int) (codec.BGRA, error) {
	if width == s.canvas.Width && height == s.canvas.Height {
		return s.canvas, nil
	}
	err := xproto.ConfigureWindowChecked(s.conn, s.window, xproto.ConfigWindowWidth|xproto.ConfigWindowHeight,
		[]uint32{uint32(width), uint32(height)}).Check()
	if err != nil {
		return codec.BGRA{}, fmt.Errorf("resize the screen: %w", err)
	}
	s.provideMemory(4 * width * height)
	s.canvas = codec.BGRA{Pix: s.memory.bytes[:4*width*height], Stride: 4 * width, Width: width, Height: height}
	return s.canvas, nil
}

// Present shows the canvas, and returns when the server has read it.
func (s *Screen) Present() error {
	c := s.canvas
	if s.memory.segment == 0 {
		return s.sendCanvas()
	}
	err := shm.PutImageChecked(s.conn, xproto.Drawable(s.window), s.gc, uint16(c.Width), uint16(c.Height),
		0, 0, uint16(c.Width), uint16(c.Height), 0, 0, s.depth, xproto.ImageFormatZPixmap, 0, s.memory.segment, 0).Check()
	if err != nil {
		return fmt.Errorf("show an image: %w", err)
	}
	return nil
}

// putImageHeader is the size of a PutImage request less its data, in bytes.
const putImageHeader = 24

// sendCanvas sends the canvas over the connection, in requests as long as may be.
func (s *Screen) sendCanvas() error {
	c := s.canvas
	most := (4*int(xproto.Setup(s.conn).MaximumRequestLength) - putImageHeader) / c.Stride
	if most == 0 {
		return fmt.Errorf("show an image: a line of %d pixels is too long", c.Width)
	}
	for y := 0; y < c.Height; y += most {
		lines := min(most, c.Height-y)
		request := xproto.PutImageChecked(s.conn, xproto.ImageFormatZPixmap, xproto.Drawable(s.window), s.gc,
			uint16(c.Width), uint16(lines), 0, int16(y), 0, s.depth, c.Pix[y*c.Stride:][:lines*c.Stride])
		if y+lines < c.Height {
			continue // the last one's answer comes after all of them are done
		}
		if err := request.Check(); err != nil {
			return fmt.Errorf("show an image: %w", err)
		}
	}
	return nil
}

// Close removes the child and ends the connection.
func (s *Screen) Close() {
	s.conn.Close()
	s.memory.free()
}
