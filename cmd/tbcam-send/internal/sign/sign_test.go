package sign

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/tbcam/tbcam/fixtures/logbuffer"
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

// notifications is what shows notifications, as a bus's client.
type notifications struct {
	conn *dbus.Conn

	mu    sync.Mutex
	last  uint32
	shown map[uint32]string // summary and body
	count int
}

func startDesktop(t *testing.T, address string) *notifications {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &notifications{conn: conn, shown: map[uint32]string{}}
	if err := conn.Export(d, objectPath, busName); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return d
}

// Notify and CloseNotification are called by programs.
func (d *notifications) Notify(_ string, replaces uint32, _, summary, body string, _ []string, hints map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
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

func (d *notifications) CloseNotification(id uint32) *dbus.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.shown, id)
	return nil
}

// text returns what is shown.
func (d *notifications) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := ""
	for _, s := range d.shown {
		text += s
	}
	return text
}

// click has the user choose an action.
func (d *notifications) click(t *testing.T, action string) {
	t.Helper()
	d.mu.Lock()
	id := d.last
	d.mu.Unlock()
	if err := d.conn.Emit(objectPath, busName+".ActionInvoked", id, action); err != nil {
		t.Fatal(err)
	}
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
	s.Close()
	waitUntil(t, "the end with the program", func() bool { return d.text() == "" })
}

// memory is a desktop in virtual time.
type memory struct {
	mu     sync.Mutex
	text   string // what is shown
	times  int    // that something was shown
	closed bool
}

func (m *memory) change(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *memory) notify(summary, body string) error {
	m.change(func() { m.text, m.times = summary+"|"+body, m.times+1 })
	return nil
}
func (m *memory) hide()                        { m.change(func() { m.text = "" }) }
func (m *memory) signals() <-chan *dbus.Signal { return nil }
func (m *memory) handle(*dbus.Signal) string   { return "" }
func (m *memory) close()                       { m.change(func() { m.closed = true }) }

// shown returns what is shown, and the how manieth notification that is.
func (m *memory) shown() (text string, times int) {
	m.change(func() { text, times = m.text, m.times })
	return text, times
}

// TestNotificationLingers: a session that comes back soon leaves the notification as it is.
func TestNotificationLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		n := newNotifier(Config{Log: slog.New(slog.DiscardHandler)})
		n.connect = func() (desktop, error) { return m, nil }
		states := newMailbox()
		ctx, end := context.WithCancel(t.Context())
		go n.run(ctx, states)
		show := func(after time.Duration, times int, shown bool, uses ...Use) {
			t.Helper()
			states.put(uses)
			synctest.Wait()
			time.Sleep(after)
			synctest.Wait()
			if text, n := m.shown(); n != times || shown != (text != "") {
				t.Errorf("%d uses, %v later: %q is shown, for the %d. time", len(uses), after, text, n)
			}
		}
		show(time.Hour, 1, true, camera, micro)
		show(hideAfter-1, 1, true)
		show(time.Hour, 1, true, camera, micro)
		show(hideAfter-1, 1, true)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if text, _ := m.shown(); text != "" {
			t.Errorf("%q is shown after %v", text, hideAfter)
		}
		show(hideAfter-1, 2, true, camera)
		show(hideAfter, 2, false)
		show(0, 3, true, micro)
		end()
		synctest.Wait()
		if text, _ := m.shown(); text != "" || !m.closed {
			t.Errorf("behind the program: %q, closed %v", text, m.closed)
		}
	})
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
			var log, bell logbuffer.Buffer
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
	pid := filepath.Join(t.TempDir(), "pid")
	const timeout = 500 * time.Millisecond // long enough to start a shell
	begin := time.Now()
	err := runCommand(`sleep 600 & echo $! >`+pid+`; wait`, nil, timeout)
	if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "killed after 500ms") || took < timeout {
		t.Errorf("%v after %v", err, took)
	}
	number, _ := os.ReadFile(pid)
	waitUntil(t, "the end of its child", func() bool {
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(number)) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

func TestCommandFails(t *testing.T) {
	var log logbuffer.Buffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Command: "exit 3"})
	s.Show(camera)
	waitUntil(t, "a line", func() bool { return strings.Contains(log.String(), "exit status 3") })
	s.Close()
}
