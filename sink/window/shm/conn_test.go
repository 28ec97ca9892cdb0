package shm

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
)

func TestConn(t *testing.T) {
	parent, child := connect(t)
	w, memory, err := NewWriter(format(capture.GREY, 64, 48))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	f, title := format(capture.GREY, 64, 48), "tbcam"
	if err := parent.Send(Update{Format: &f, Title: &title}, memory); err != nil {
		t.Fatal(err)
	}
	memory.Close()
	fill(w.Next(), 9)
	if _, err := w.Publish(42); err != nil {
		t.Fatal(err)
	}
	var got Update
	memory, err = child.Receive(&got)
	if err != nil || *got.Format != f || *got.Title != title || got.Message != nil {
		t.Fatalf("received %+v, %v", got, err)
	}
	r, err := NewReader(*got.Format, memory)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if planes, id, ok := r.Take(); !ok || id != 42 || planes[0][0] != 9 {
		t.Errorf("took frame %d, %v", id, ok)
	}
	report := Report{Action: Shown, ID: 42, At: Monotonic()}
	if err := child.Send(report, nil); err != nil {
		t.Fatal(err)
	}
	var back Report
	if _, err := parent.Receive(&back); err != nil || back != report {
		t.Errorf("received %+v, %v", back, err)
	}
}

func connect(t *testing.T) (parent, child *Conn) {
	t.Helper()
	parent, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if child, err = Child(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(parent.Close(), child.Close(), child.Close()); err != nil {
			t.Error(err)
		}
	})
	return parent, child
}

func TestEnd(t *testing.T) {
	parent, child := connect(t)
	if err := parent.Send(Update{Frame: true}, nil); err != nil {
		t.Fatal(err)
	}
	if err := child.Send(Report{Action: Quit}, nil); err != nil {
		t.Fatal(err)
	}
	child.Close() // with a message unread
	var last Report
	if _, err := parent.Receive(&last); err != nil || last.Action != Quit {
		t.Errorf("received %+v, %v", last, err)
	}
	if _, err := parent.Receive(&last); !errors.Is(err, io.EOF) {
		t.Errorf("receive: %v", err)
	}
	if err := parent.Send(Update{}, nil); err == nil {
		t.Error("sent to nobody")
	}
}

// TestCloseWakes closes a connection in the middle of Receive, and of a Send
// that waits because nobody reads.
func TestCloseWakes(t *testing.T) {
	parent, _ := connect(t)
	ended := make(chan error, 2)
	go func() {
		_, err := parent.Receive(new(Report))
		ended <- err
	}()
	go func() {
		for {
			if err := parent.Send(Update{Frame: true}, nil); err != nil {
				ended <- err
				return
			}
		}
	}()
	time.Sleep(50 * time.Millisecond) // not needed for success, but for the test to mean much
	parent.Close()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
}

func TestBadMessages(t *testing.T) {
	parent, child := connect(t)
	if err := child.Send(strings.Repeat("x", MaxMessage), nil); err == nil {
		t.Error("sent a message that is too long")
	}
	for _, packet := range []string{"", "{", "[]", `{"action":7}`, `{"at":1e99}`,
		`{"action":"quit"}` + strings.Repeat(" ", MaxMessage)} {
		if _, err := child.sock.Write([]byte(packet)); err != nil {
			t.Fatal(err)
		}
		if _, err := parent.Receive(new(Report)); err == nil {
			t.Errorf("%.20q was received", packet)
		}
	}
}

// TestParentTakesNoFiles: what a window sends along is closed by the kernel.
func TestParentTakesNoFiles(t *testing.T) {
	parent, child := connect(t)
	before := descriptors(t)
	for range 10 {
		if err := child.Send(Report{Action: Snapshot}, os.Stderr); err != nil {
			t.Fatal(err)
		}
		if file, err := parent.Receive(new(Report)); file != nil || err != nil {
			t.Errorf("received %v, %v", file, err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// TestLeaks makes and ends everything many times, with files sent and not read.
func TestLeaks(t *testing.T) {
	use := func() {
		parent, file, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		child, err := Child(file)
		if err != nil {
			t.Fatal(err)
		}
		f := format(capture.GREY, 64, 48)
		w, memory, err := NewWriter(f)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := parent.Send(Update{Format: &f}, memory); err != nil {
				t.Fatal(err)
			}
		}
		got, err := child.Receive(new(Update))
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(f, got)
		if err := errors.Join(err, memory.Close(), w.Close(), r.Close(), parent.Close(), child.Close()); err != nil {
			t.Fatal(err)
		}
	}
	use()
	files, routines, maps := descriptors(t), runtime.NumGoroutine(), mappings(t)
	for range 50 {
		use()
	}
	if n := descriptors(t); n != files {
		t.Errorf("%d descriptors, %d before", n, files)
	}
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("%d goroutines, %d before", n, routines)
	}
	if n := mappings(t); n != maps {
		t.Errorf("%d mappings of frames, %d before", n, maps)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func mappings(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "tbcam frames")
}

// TestClock compares the shared clock with that of package time.
func TestClock(t *testing.T) {
	before := time.Now()
	at := Time(Monotonic())
	after := time.Now()
	const slack = time.Millisecond // two clocks are read one after the other
	if at.Before(before.Add(-slack)) || at.After(after.Add(slack)) {
		t.Errorf("%v is not between %v and %v", at, before, after)
	}
}
