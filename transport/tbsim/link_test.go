package tbsim

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
)

func dial(t *testing.T, l transport.Link) transport.Conn {
	t.Helper()
	c, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hangUp closes connections and waits until that is done.
func hangUp(t *testing.T, links []transport.Link, conns ...transport.Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, l := range links {
		l.Close()
	}
}

// links returns the links of a sender and of a viewer.
func links(c *Cable) []transport.Link {
	return []transport.Link{c.End(0).Link(tbdev.SenderPause), c.End(1).Link(tbdev.ViewerPause)}
}

func TestLinkCarries(t *testing.T) {
	for _, k := range Kernels {
		with(t, Options{Kernel: k, Behind: Never}, func(t *testing.T, cable *Cable) {
			l := links(cable)
			a, b := dial(t, l[0]), dial(t, l[1])
			sent := strings.Repeat("a frame ", 1<<20)
			go func() {
				bufs := [][]byte{nil, []byte(sent[:33]), {}, []byte(sent[33:])}
				if err := a.WriteBuffers(bufs); err != nil {
					t.Error(err)
				}
			}()
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(b, got); err != nil || string(got) != sent {
				t.Errorf("%v: other bytes came than were sent, or %v", k, err)
			}
			hangUp(t, l, a, b)
		})
	}
}

func TestLinkWaits(t *testing.T) {
	on(t, Kernels, func(t *testing.T, cable *Cable) {
		e := cable.End(0)
		l := e.Link(2 * time.Second)
		for _, x := range []struct{ set, end func() }{
			{cable.Unplug, cable.Plug},
			{func() { e.SetHopIDs(false) }, func() { e.SetHopIDs(true) }},
			{func() { e.SetRings(false) }, func() { e.SetRings(true) }},
		} {
			x.set()
			time.AfterFunc(5*time.Second, x.end)
			if d := took(func() { hangUp(t, []transport.Link{l}, dial(t, l)) }); d < 5*time.Second || d > 7*time.Second {
				t.Errorf("open and close took %v", d)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		e.Remove()
		if _, err := l.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open of a removed device, which may come back: %v", err)
		}
		if _, err := e.Link(0).Open(t.Context()); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("open of one that was never there: %v", err)
		}
	})
}

func TestLinkPauses(t *testing.T) {
	for _, pause := range []time.Duration{1200 * time.Millisecond, 2 * time.Second} {
		with(t, plain(Linux72y), func(t *testing.T, cable *Cable) {
			l := cable.End(0).Link(pause)
			c := dial(t, l)
			if d := took(func() { c.Close(); c.Close() }); d != 0 {
				t.Errorf("close took %v of its caller", d)
			}
			begun := time.Now()
			c = dial(t, l) // the close takes 1 s, as no peer reads it
			if d := time.Since(begun).Round(10 * time.Millisecond); d != time.Second+pause {
				t.Errorf("the next opening came after %v, want 1 s and %v", d, pause)
			}
			hangUp(t, []transport.Link{l}, c)
		})
	}
}

func TestCloseWakes(t *testing.T) {
	for name, use := range map[string]func(transport.Conn) error{
		"read": func(c transport.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c transport.Conn) error {
			for {
				if err := c.WriteBuffers([][]byte{make([]byte, 1<<20)}); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, Kernels, func(t *testing.T, cable *Cable) {
				l := cable.End(0).Link(time.Second)
				c := dial(t, l)
				used := make(chan error)
				go func() { used <- use(c) }()
				synctest.Wait()
				c.Close()
				if d := took(func() {
					if err := <-used; !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("it ended with %v", err)
					}
					if err := use(c); !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("a later call ended with %v", err)
					}
				}); d != 0 {
					t.Errorf("it took %v", d)
				}
				hangUp(t, []transport.Link{l})
			})
		})
	}
}

func TestConnErrors(t *testing.T) {
	for _, x := range []struct {
		name    string
		kernels []Kernel
		cause   func(cable *Cable, peer transport.Conn)
		read    error
		write   error // nil: none
	}{
		{"unplug", Kernels, func(c *Cable, _ transport.Conn) { c.Unplug() }, io.EOF, syscall.ENXIO},
		{"close", before73, func(_ *Cable, peer transport.Conn) { peer.Close() }, io.EOF, nil},
		{"close", []Kernel{Linux73}, func(_ *Cable, peer transport.Conn) { peer.Close() }, io.EOF, syscall.ENXIO},
		{"close", only74, func(_ *Cable, peer transport.Conn) { peer.Close() }, io.EOF, syscall.EPIPE},
		{"damage", only74, func(c *Cable, peer transport.Conn) {
			c.End(1).Damage(1)
			peer.WriteBuffers([][]byte{{1}})
		}, syscall.EIO, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			on(t, x.kernels, func(t *testing.T, cable *Cable) {
				l := links(cable)
				a, b := dial(t, l[0]), dial(t, l[1])
				time.AfterFunc(time.Second, func() { x.cause(cable, b) })
				if _, err := a.Read(make([]byte, 10)); !errors.Is(err, x.read) {
					t.Errorf("read: %v, want %v", err, x.read)
				}
				if err := a.WriteBuffers([][]byte{{1}}); !errors.Is(err, x.write) {
					t.Errorf("write: %v, want %v", err, x.write)
				}
				hangUp(t, l, a, b)
			})
		})
	}
	o := plain(Linux73)
	o.BusyPoll = true
	with(t, o, func(t *testing.T, cable *Cable) {
		l := cable.End(0).Link(time.Second)
		c := dial(t, l)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, tbdev.ErrBusyPoll) {
			t.Errorf("read with busy_poll: %v", err)
		}
		hangUp(t, []transport.Link{l}, c)
	})
}
