package sign

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// startBus starts a bus and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := "unix:path=" + dir + "/bus"
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog", "--address="+address)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; install it with `make deps`", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	waitUntil(t, "the bus", func() bool { _, err := os.Stat(dir + "/bus"); return err == nil })
	return address
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// desktop is what shows notifications.
type desktop struct {
	conn *dbus.Conn

	mu    sync.Mutex
	last  uint32
	shown map[uint32]string // summary and body
	count int
}

func startDesktop(t *testing.T, address string) *desktop {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &desktop{conn: conn, shown: map[uint32]string{}}
	if err := conn.Export(d, objectPath, busName); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return d
}

// Notify and CloseNotification are called by programs.
func (d *desktop) Notify(_ string, replaces uint32, _, summary, body string, _ []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if replaces == 0 {
		d.last++
		replaces = d.last
	}
	d.shown[replaces] = fmt.Sprintf("%s|%s|%v", summary, body, hints["urgency"].Value())
	return replaces, nil
}

func (d *desktop) CloseNotification(id uint32) *dbus.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.shown, id)
	return nil
}

// text returns what is shown.
func (d *desktop) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := ""
	for _, s := range d.shown {
		text += s
	}
	return text
}

// click has the user choose an action.
func (d *desktop) click(t *testing.T, action string) {
	t.Helper()
	d.mu.Lock()
	id := d.last
	d.mu.Unlock()
	if err := d.conn.Emit(objectPath, busName+".ActionInvoked", id, action); err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a log of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// checkLeaks fails the test if goroutines are left over at its end.
func checkLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		waitUntil(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	})
}

var (
	camera = Use{Device: "C920", Peer: "anna@desktop", Since: time.Now()}
	micro  = Use{Device: "<b>Microphone", Peer: "bob@studio", Since: time.Now()}
)

func TestNotification(t *testing.T) {
	checkLeaks(t)
	address := startBus(t)
	d := startDesktop(t, address)
	chosen := make(chan string, 2)
	s := New(Config{
		Log: slog.New(slog.DiscardHandler), Address: address,
		Stop: func() { chosen <- "stop" }, Forget: func() { chosen <- "forget" },
	})
	defer s.Close()
	s.Show(camera)
	waitUntil(t, "the notification", func() bool {
		return strings.HasPrefix(d.text(), "anna@desktop sees you|C920: anna@desktop, since ")
	})
	if !strings.HasSuffix(d.text(), "|2") {
		t.Errorf("shown is %q, without its urgency", d.text())
	}
	s.Show(camera, micro)
	waitUntil(t, "the second device", func() bool { return strings.Contains(d.text(), "\n&lt;b&gt;Microphone: bob@studio") })
	for _, action := range []string{"stop", "forget"} {
		d.click(t, action)
		if got := <-chosen; got != action {
			t.Errorf("%s calls %s", action, got)
		}
	}
	// A session that comes back soon leaves it as it is.
	s.Show()
	time.Sleep(100 * time.Millisecond)
	s.Show(camera, micro)
	time.Sleep(100 * time.Millisecond)
	off := time.Now()
	s.Show()
	waitUntil(t, "the end of the notification", func() bool { return d.text() == "" })
	if took := time.Since(off); took < hideAfter || d.count != 2 {
		t.Errorf("it was hidden after %v, shown %d times", took, d.count)
	}
	s.Show(camera)
	waitUntil(t, "the notification", func() bool { return d.text() != "" })
	s.Close()
	waitUntil(t, "the end with the program", func() bool { return d.text() == "" })
}

// TestWithoutDesktop: without a bus, with one that shows nothing, and after it has
// gone, there is a line, a bell, and no harm.
func TestWithoutDesktop(t *testing.T) {
	checkLeaks(t)
	for _, c := range []struct{ name, address, log string }{
		{"none", "", "C920 is on for anna@desktop"},
		{"on another machine", "tcp:host=localhost,port=1", "C920 is on for"},
		{"that has gone", "unix:path=/nowhere/bus", "cannot notify the desktop"},
		{"without notifications", startBus(t), "cannot notify the desktop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log, bell lockedBuffer
			s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Bell: &bell, Address: c.address})
			s.Show(camera)
			waitUntil(t, "a line and the bell", func() bool { return strings.Contains(log.String(), c.log) && bell.String() == "\a" })
			s.Close()
		})
	}
}

// TestDesktopRestarts: a desktop that has gone and come back is used again.
func TestDesktopRestarts(t *testing.T) {
	checkLeaks(t)
	address := startBus(t)
	d := startDesktop(t, address)
	s := New(Config{Log: slog.New(slog.DiscardHandler), Address: address})
	defer s.Close()
	s.Show(camera)
	waitUntil(t, "the notification", func() bool { return d.text() != "" })
	d.conn.Close()
	d = startDesktop(t, address)
	s.Show(camera, micro)
	waitUntil(t, "the next notification", func() bool { return strings.Contains(d.text(), "Microphone") })
}

func TestCommand(t *testing.T) {
	checkLeaks(t)
	out := filepath.Join(t.TempDir(), "out")
	s := New(Config{Log: slog.New(slog.DiscardHandler), Command: `echo "$TBCAM_STATE $TBCAM_PEER" >>` + out})
	lines := func(want string) func() bool {
		return func() bool { b, _ := os.ReadFile(out); return string(b) == want }
	}
	s.Show(camera)
	waitUntil(t, "on", lines("on anna@desktop\n"))
	s.Show(camera)
	s.Show(camera, micro)
	waitUntil(t, "both", lines("on anna@desktop\non anna@desktop, bob@studio\n"))
	s.Show()
	waitUntil(t, "off", lines("on anna@desktop\non anna@desktop, bob@studio\noff \n"))
	s.Show(camera)
	waitUntil(t, "on again", lines("on anna@desktop\non anna@desktop, bob@studio\noff \non anna@desktop\n"))
	s.Close()
	if !lines("on anna@desktop\non anna@desktop, bob@studio\noff \non anna@desktop\noff \n")() {
		t.Error("the lamp stays on behind the program")
	}
}

// TestCommandHangs: what runs too long is killed, with all that it has started.
func TestCommandHangs(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	var log lockedBuffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Command: `test $TBCAM_STATE = off || { sleep 600 & echo $! >` + pid + `; wait; }`})
	begin := time.Now()
	s.Show(camera)
	waitUntil(t, "the end of the command", func() bool { return strings.Contains(log.String(), "killed after") })
	if took := time.Since(begin); took < commandTimeout {
		t.Errorf("it was killed after %v", took)
	}
	number, _ := os.ReadFile(pid)
	waitUntil(t, "the end of its child", func() bool {
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(number)) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
	s.Close()
}

func TestCommandFails(t *testing.T) {
	var log lockedBuffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Command: "exit 3"})
	s.Show(camera)
	waitUntil(t, "a line", func() bool { return strings.Contains(log.String(), "exit status 3") })
	s.Close()
}
