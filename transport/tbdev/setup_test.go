package tbdev

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHost is a tree of files that behaves as ConfigFS does where Config looks.
type fakeHost struct {
	t    *testing.T
	root string
	mu   sync.Mutex // held while directories of streams change
	peer int        // the HopID that the peer has chosen, 0 if none
	made int        // directories of streams
	ran  []string
}

func newFakeHost(t *testing.T, services ...string) *fakeHost {
	h := &fakeHost{t: t, root: t.TempDir()}
	h.mkdir(Streams)
	h.mkdir("/sys/bus/thunderbolt/devices")
	for _, s := range services {
		h.write(filepath.Join("/sys/bus/thunderbolt/devices", s, "key"), "stream\n")
	}
	h.write("/sys/bus/thunderbolt/devices/0-1.0/key", "network\n")
	return h
}

func (h *fakeHost) mkdir(path string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.root, path), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fakeHost) write(path, text string) {
	h.t.Helper()
	h.mkdir(filepath.Dir(path))
	if err := os.WriteFile(filepath.Join(h.root, path), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fakeHost) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.root, path))
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// kernel gives new streams the files that the driver does, until the test ends.
func (h *fakeHost) kernel() {
	quit, done := make(chan struct{}), make(chan struct{})
	h.t.Cleanup(func() { close(quit); <-done })
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
				h.fill()
			}
		}
	}()
}

func (h *fakeHost) fill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	groups, _ := filepath.Glob(filepath.Join(h.root, Streams, "*", "*"))
	for _, g := range groups {
		if _, err := os.Stat(filepath.Join(g, "index")); err == nil {
			continue
		}
		h.made++
		hop := "0"
		if h.made >= 3 && h.peer > 0 {
			hop = "16" // the peer was late
		}
		for _, name := range []string{"in_hopid", "out_hopid", "ring_size", "index"} { // Setup waits for the last
			text := map[string]string{"ring_size": "256", "index": "0"}[name]
			_ = os.WriteFile(filepath.Join(g, name), []byte(cmp.Or(text, hop)), 0o644)
		}
	}
}

func (h *fakeHost) rmdir(path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return os.RemoveAll(path)
}

func (h *fakeHost) config(allocate bool) *Config {
	return &Config{
		Root: h.root, Selector: Selector{Name: "tbcam"}, Allocate: allocate, rmdirFake: h.rmdir,
		Run: func(command string, step func() error) error {
			h.ran = append(h.ran, command)
			return step()
		},
	}
}

const group = Streams + "/0-1.1/tbcam/"

func TestViewerAllocates(t *testing.T) {
	h := newFakeHost(t, "0-1.1")
	h.kernel()
	if err := h.config(true).Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"in_hopid": "16", "out_hopid": "16", "ring_size": "64"} {
		if got := h.read(group + name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	steps := len(h.ran)
	if err := h.config(true).Setup(t.Context()); err != nil || len(h.ran) != steps {
		t.Errorf("the second time it ran %q, %v", h.ran[steps:], err)
	}
	if err := h.config(true).Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.root, group)); err == nil {
		t.Error("the stream is still there")
	}
}

func TestSenderAdopts(t *testing.T) {
	h := newFakeHost(t, "0-1.1")
	h.peer = 16
	h.kernel()
	if err := h.config(false).Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.read(group + "in_hopid"); got != "16" || h.read(group+"ring_size") != "64" {
		t.Errorf("in_hopid is %s, ring_size %s", got, h.read(group+"ring_size"))
	}
}

func TestSenderWaitsForThePeer(t *testing.T) {
	h := newFakeHost(t, "0-1.1")
	h.kernel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := h.config(false).Setup(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNoHopIDs) {
		t.Errorf("without a peer: %v", err)
	}
}

func TestSetupRefuses(t *testing.T) {
	bare := &fakeHost{t: t, root: t.TempDir()}
	long := newFakeHost(t, "0-1.1").config(true)
	long.Selector.Name = "ninechars"
	other := newFakeHost(t, "0-1.1").config(true)
	other.Selector.Peer = "1-1.1"
	for name, c := range map[string]struct {
		config  *Config
		err     error
		message string
	}{
		"no module":     {bare.config(true), ErrNoModule, "thunderbolt_stream"},
		"no service":    {newFakeHost(t).config(true), ErrNoService, "no peer"},
		"two services":  {newFakeHost(t, "0-1.1", "1-1.1").config(true), ErrManyServices, "0-1.1, 1-1.1"},
		"other service": {other, ErrNoPeer, "0-1.1"},
		"long name":     {long, ErrName, "1 to 8"},
	} {
		err := c.config.Setup(t.Context())
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v; want %q", name, err, c.message)
		}
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	h := newFakeHost(t, "0-1.1")
	c := h.config(true)
	c.Run = func(command string, _ func() error) error {
		h.ran = append(h.ran, command)
		return nil
	}
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.root, group)); err == nil || len(h.ran) != 4 {
		t.Errorf("it ran %q; the stream: %v", h.ran, err)
	}
}

// FuzzConfigFS: whatever the files hold, reading them ends without a panic, and a
// device path has no more than one component below /dev.
func FuzzConfigFS(f *testing.F) {
	for _, seed := range []string{"0\n", "3", "", "-1", "../../etc/passwd", "999999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, index string) {
		h := newFakeHost(t, "0-1.1")
		h.write(group+"index", index)
		path, err := (&Finder{Root: h.root, Selector: Selector{Name: "tbcam"}}).Device()
		if err == nil && filepath.Dir(path) != "/dev" {
			t.Errorf("index %q gives %q", index, path)
		}
	})
}
