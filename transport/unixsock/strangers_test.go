package unixsock

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/fixtures/otheruser"
)

// Another user who binds the path first gets no frame, unless that user is allowed.
func TestStrangerListens(t *testing.T) {
	path := filepath.Join(otheruser.SharedDir(t), "s")
	var l net.Listener
	var err error
	otheruser.Do(t, func() { l, err = net.Listen("unix", path) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &Dialer{Path: path}
	if _, err := d.Open(t.Context()); !errors.Is(err, ErrStranger) || !strings.Contains(err.Error(), "user: "+otheruser.Name) {
		t.Errorf("a stranger's socket: %v", err)
	}
	d.Allow = Users{otheruser.UID}
	c, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A stranger cannot connect, as long as no other user is allowed; where one is, a third
// one is refused, and the listener goes on.
func TestStrangerConnects(t *testing.T) {
	for _, c := range []struct {
		allow            Users
		connects, served bool
	}{{nil, false, false}, {Users{12345}, true, false}, {Users{otheruser.UID}, true, true}} {
		path := filepath.Join(otheruser.SharedDir(t), "s")
		l, err := Listen(path, c.allow, nil)
		if err != nil {
			t.Fatal(err)
		}
		otheruser.Do(t, func() {
			conn, err := net.Dial("unix", path)
			if (err == nil) != c.connects {
				t.Errorf("%v are allowed: the other user gets %v", c.allow, err)
			}
			if err == nil {
				defer conn.Close()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if conn, err := l.Open(ctx); (err == nil) != c.served {
			t.Errorf("%v are allowed: Open gives %v, %v", c.allow, conn, err)
		}
		cancel()
		own, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := l.Open(t.Context()); err != nil {
			t.Errorf("the same user afterwards: %v", err)
		} else {
			conn.Close()
		}
		own.Close()
		l.Close()
	}
}
