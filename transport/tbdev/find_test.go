package tbdev

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/fixtures/pty"
)

// connect gives the host a connected peer with a stream service, and a name if it
// has one.
func (h *fakeHost) connect(service, name string) {
	h.t.Helper()
	h.write(filepath.Join(devices, service, "key"), "stream\n")
	if host, _, _ := strings.Cut(service, "."); name != "" {
		h.write(filepath.Join(devices, host, "device_name"), name+"\n")
	}
}

func (h *fakeHost) disconnect(service string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.root, devices, service)); err != nil {
		h.t.Fatal(err)
	}
}

// find returns a finder of a stream of the host.
func (h *fakeHost) find(stream string) *Finder {
	h.t.Helper()
	selector, err := ParseSelector(stream)
	if err != nil {
		h.t.Fatal(err)
	}
	return &Finder{Root: h.root, Selector: selector}
}

// stream sets a stream up with a service.
func (h *fakeHost) stream(service, name, index string) {
	h.t.Helper()
	h.write(filepath.Join(Streams, service, name, "index"), index+"\n")
}

// twoHosts has a laptop and a desk at its cables, with one stream each of one name, and
// a stream of a peer that is not connected.
func twoHosts(t *testing.T) *fakeHost {
	h := newFakeHost(t)
	h.connect("0-1.1", "laptop")
	h.connect("1-1.1", "desk\x1b[2J")
	h.stream("0-1.1", "tbcam", "3")
	h.stream("1-1.1", "tbcam", "4")
	h.stream("0-1.1", "second", "5")
	h.stream("0-3.1", "tbcam", "6")
	h.stream("0-3.1", "gone", "7")
	h.stream("0-4.1", "gone", "8")
	return h
}

func TestFinder(t *testing.T) {
	for stream, want := range map[string]string{
		"second":       "/dev/tbstream5",
		"tbcam@0-1.1":  "/dev/tbstream3",
		"tbcam@1-1.1":  "/dev/tbstream4",
		"tbcam@0-3.1":  "/dev/tbstream6", // opening it reports that the cable is unplugged
		"tbcam@laptop": "/dev/tbstream3",
	} {
		if path, err := twoHosts(t).find(stream).Device(); err != nil || path != want {
			t.Errorf("%s is %q, %v; want %s", stream, path, err, want)
		}
	}
	for stream, c := range map[string]struct {
		err     error
		message string
	}{
		"tbcam":         {ErrAmbiguous, "tbcam@0-1.1 (laptop), tbcam@1-1.1 (desk\uFFFD[2J)"},
		"tbcam@nowhere": {ErrNotConnected, "tbcam@nowhere"},
		"gone":          {ErrNotConnected, "gone"},
		"other":         {ErrNotSetUp, "other"},
	} {
		if path, err := twoHosts(t).find(stream).Device(); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s is %q, %v; want an error with %q", stream, path, err, c.message)
		}
	}
	if err := notSetUp(t); !errors.Is(err, ErrNotSetUp) || !errors.Is(err, ErrNoModule) {
		t.Errorf("without the module: %v", err)
	}
}

func TestTwoHostsOfOneName(t *testing.T) {
	h := twoHosts(t)
	h.connect("1-1.1", "laptop")
	if path, err := h.find("tbcam@laptop").Device(); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "tbcam@1-1.1 (laptop)") {
		t.Errorf("%q, %v", path, err)
	}
}

// A stream that is in use stays with its peer when another host is connected; when
// that one alone is left, it is the stream.
func TestHostIsConnectedLater(t *testing.T) {
	h := twoHosts(t)
	f := h.find("tbcam")
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() { h.disconnect("1-1.1") }, "/dev/tbstream3"},
		{func() { h.connect("1-1.1", "desk") }, "/dev/tbstream3"},
		{func() { h.disconnect("0-1.1") }, "/dev/tbstream4"},
		{func() { h.connect("0-1.1", "laptop") }, "/dev/tbstream4"},
	} {
		step.change()
		if path, err := f.Device(); err != nil || path != step.want {
			t.Errorf("%q, %v; want %s", path, err, step.want)
		}
	}
}

// Two hosts that are there instead of the one that was used are something to wait
// for: the program was right when it was started.
func TestAmbiguousLater(t *testing.T) {
	path, _, _ := pty.Pair(t)
	answers := []error{nil, ErrAmbiguous, ErrNotConnected, nil}
	l := &Link{Log: slog.New(slog.DiscardHandler), Resolve: func() (string, error) {
		err := answers[0]
		answers = answers[1:]
		return path, err
	}}
	for range 2 {
		c, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	l.Close()
}

func TestParseSelector(t *testing.T) {
	for text, want := range map[string]Selector{
		"tbcam":        {Name: "tbcam"},
		"A_b-1":        {Name: "A_b-1"},
		"tbcam@0-1.1":  {"tbcam", "0-1.1"},
		"tbcam@my pc@": {"tbcam", "my pc@"},
	} {
		if got, err := ParseSelector(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "@0-1.1", "tbcam@", "ninechars", "*", "..", "a b", "a\nb", "a%i", "a$b", "a\"", "é", "a/b"} {
		if got, err := ParseSelector(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestSetupChoosesPeer(t *testing.T) {
	for peer, want := range map[string]string{"0-1.1": "0-1.1", "laptop": "0-1.1", "1-1.1": "1-1.1"} {
		h := newFakeHost(t)
		h.connect("0-1.1", "laptop")
		h.connect("1-1.1", "")
		h.kernel()
		c := h.config(true)
		c.Selector.Peer = peer
		if err := c.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := h.read(filepath.Join(Streams, want, "tbcam/in_hopid")); got != "16" {
			t.Errorf("%s: in_hopid is %s", peer, got)
		}
		h.stream("9-1.1", "tbcam", "1")
		if err := c.Remove(); err != nil {
			t.Fatal(err)
		}
		if groups, _ := filepath.Glob(filepath.Join(h.root, Streams, "*", "tbcam")); len(groups) != 1 {
			t.Errorf("%s: %v are left, want the other peer's", peer, groups)
		}
	}
}

func TestSetupListsPeers(t *testing.T) {
	h := newFakeHost(t)
	h.connect("0-1.1", "laptop")
	h.connect("1-1.1", "desk")
	if err := h.config(true).Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "0-1.1 (laptop), 1-1.1 (desk)") {
		t.Errorf("two peers: %v", err)
	}
}
