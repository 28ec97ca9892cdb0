package unixsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/fixtures/otheruser"
)

// ends returns the two ends of a socket, connected.
func ends(t *testing.T, listen, dial func(func())) (client, server net.Conn) {
	t.Helper()
	address := "@" + filepath.Join(t.TempDir(), "s")
	var listener net.Listener
	listen(func() { listener, _ = net.Listen("unix", address) })
	dial(func() { client, _ = net.Dial("unix", address) })
	if listener == nil || client == nil {
		t.Fatal("there is no connection")
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); listener.Close() })
	return client, server
}

func here(do func()) { do() }

func TestSameUser(t *testing.T) {
	client, server := ends(t, here, here)
	for _, conn := range []net.Conn{client, server} {
		if err := Users(nil).Check(conn); err != nil {
			t.Error(err)
		}
		cred, err := Of(conn.(*net.UnixConn))
		if err != nil || int(cred.PID) != os.Getpid() || int(cred.UID) != os.Geteuid() {
			t.Errorf("%+v, %v", cred, err)
		}
	}
}

// Whoever listens is checked as whoever connects is.
func TestStranger(t *testing.T) {
	other := func(do func()) { otheruser.Do(t, do) }
	toOther, _ := ends(t, other, here)
	_, fromOther := ends(t, here, other)
	for name, conn := range map[string]net.Conn{"listener": toOther, "dialler": fromOther} {
		want := fmt.Sprintf("%s (process %d)", otheruser.Name, os.Getpid())
		if err := Users(nil).Check(conn); !errors.Is(err, ErrStranger) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
		if err := (Users{1, otheruser.UID}).Check(conn); err != nil {
			t.Errorf("%s, allowed: %v", name, err)
		}
	}
}

// What root has may be used by everybody, who trust root in any case.
func TestRootIsNoStranger(t *testing.T) {
	client, _ := ends(t, here, here)
	otheruser.Do(t, func() {
		if err := Users(nil).Check(client); err != nil {
			t.Error(err)
		}
	})
}

func TestUserName(t *testing.T) {
	for uid, want := range map[uint32]string{0: "root", 4000000001: "4000000001"} {
		if got := UserName(uid); got != want {
			t.Errorf("%d is %q", uid, got)
		}
	}
}

func TestNoSocket(t *testing.T) {
	a, _ := net.Pipe()
	if err := Users(nil).Check(a); err == nil {
		t.Error("a pipe in memory has a user")
	}
}
