package importrules

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tbcam/tbcam/"

// pkg is a package as go list describes it.
type pkg struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Deps       []string
}

// listPackages returns the packages that match the arguments.
func listPackages(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,CgoFiles,Deps"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// isInside reports whether path is one of the packages or below one.
func isInside(path string, packages ...string) bool {
	return slices.ContainsFunc(packages, func(p string) bool {
		p = module + p
		return path == p || strings.HasPrefix(path, p+"/")
	})
}

// importRule is what a package, and those below it, may import.
type importRule struct {
	path string
	may  []string
}

// importRules has the rules of this module. The first one that fits counts, so the
// narrowest comes first. The test tools in fixtures are free.
var importRules = []importRule{
	// A program never imports another one, and what programs share never imports one.
	{"cmd/internal/meter", []string{"capture"}},
	{"cmd/internal/latencytest", []string{"codec", "capture"}},
	{"cmd/internal/distro", nil},
	{"cmd/internal/pairsock", []string{"transport"}},
	{"cmd/internal/cli", []string{"cmd/internal/meter", "cmd/internal/pairsock", "sink", "transport", "codec", "capture"}},
	{"cmd/internal/doctor", []string{"cmd/internal/distro", "sink", "capture"}},
	{"cmd/internal/report", []string{"transport", "capture"}},
	{"cmd/internal/setup", []string{"cmd/internal/cli", "cmd/internal/doctor", "cmd/internal/distro", "sink/virtualcam/v4l2node", "transport/tbdev"}},
	{"cmd/internal/bench", []string{"cmd/internal/meter", "capture"}},
	{"cmd/internal/clitest", nil},
	{"cmd/internal/hostile", []string{"transport", "capture"}},
	{"cmd/internal/e2e", []string{"cmd/internal/meter", "transport", "capture", "fixtures/pty", "fixtures/logbuffer", "fixtures/systemd"}},
	{"cmd/tbcam-window/internal/xscreen", []string{"codec"}},
	{"cmd/tbcam-window/internal/software", []string{"cmd/tbcam-window/internal", "sink/window/shm", "codec"}},
	{"cmd/tbcam-window/internal", []string{"cmd/tbcam-window/internal", "capture"}},
	{"cmd/tbcam-send/internal", nil},
	{"cmd/tbcam-view/internal", []string{"cmd/tbcam-view/internal", "capture"}},
	{"cmd/tbcam-window", []string{"cmd/tbcam-window/internal", "sink/window/shm", "capture"}},
	{"cmd/tbcam-view", append([]string{"cmd/tbcam-view/internal", "sink", "transport", "codec", "capture"}, shared...)},
	{"cmd/tbcam-send", append([]string{"cmd/tbcam-send/internal", "transport", "codec", "capture"}, shared...)},
	{"sink/container", []string{"sink/container", "capture", "codec/jfif"}},
	{"sink/audio", []string{"capture"}},
	{"sink/record", []string{"sink/record", "sink/container", "sink/audio", "capture", "codec/jfif"}},
	{"sink/hub", []string{"transport", "capture"}},
	{"sink", []string{"sink", "codec", "capture"}},
	{"transport/wire", nil},
	{"transport/trust", []string{"capture"}},
	{"transport", []string{"transport", "capture", "codec/jfif"}},
	{"codec/jfif", []string{"capture"}},
	{"codec", []string{"codec/jfif", "capture"}},
	// An adapter at both ends of the flow; no program of tbcam links it.
	{"capture/mediadevices", []string{"sink/virtualcam", "capture"}},
	{"capture/v4l2", []string{"capture"}},
	{"capture/pipewire", []string{"capture"}},
	{"capture/internal", nil},
	{"capture/pattern", []string{"capture"}},
	{"capture", nil},
}

// shared has what the programs share; the rest of cmd/internal is for tests.
var shared = []string{"cmd/internal/cli", "cmd/internal/doctor", "cmd/internal/latencytest", "cmd/internal/meter", "cmd/internal/report", "cmd/internal/setup"}

// TestImportsGoOneWay checks every import of every package. A package of cmd without
// a rule fails, so that a new one gets one.
func TestImportsGoOneWay(t *testing.T) {
	for _, p := range listPackages(t, module+"...") {
		var may []string
		rule := slices.IndexFunc(importRules, func(r importRule) bool { return isInside(p.ImportPath, r.path) })
		if rule >= 0 {
			may = importRules[rule].may
		} else if isInside(p.ImportPath, "fixtures") {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module) && !isInside(imported, may...) {
				t.Errorf("%s imports %s; it may import %v", p.ImportPath, imported, may)
			}
		}
	}
}

// links are the kinds of links, at one level: none imports another, but for the lock
// of a device, which is a Unix socket.
var links = []string{"transport/unixsock", "transport/pipe", "transport/tbdev"}

// TestLinksAreAtOneLevel checks that no link needs another, and that the fakes for
// tests are not linked.
func TestLinksAreAtOneLevel(t *testing.T) {
	for _, p := range listPackages(t, module+"...") {
		for _, imported := range p.Imports {
			if strings.HasSuffix(imported, "/transporttest") {
				t.Errorf("%s imports %s outside of a test", p.ImportPath, imported)
			}
			if p.ImportPath == module+"transport/tbdev" && imported == module+"transport/unixsock" {
				continue
			}
			if isInside(p.ImportPath, links...) && isInside(imported, links...) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// owned lists imports that only some packages may have.
var owned = []struct {
	imported string
	by       []string
}{
	{"github.com/hajimehoshi/ebiten", []string{"cmd/tbcam-window"}},
	{"github.com/jezek/xgb", []string{"cmd/tbcam-window/internal/xscreen", "fixtures/xvfb"}},
	{"github.com/blackjack/webcam", []string{"capture/v4l2"}},
	{"github.com/pion/mediadevices", []string{"capture"}},
	{"github.com/pion/mediadevices/pkg/driver", []string{"capture/mediadevices"}},
	{"github.com/godbus/dbus", []string{"cmd/internal/doctor", "cmd/tbcam-send/internal/sign"}},
	{"golang.org/x/sys/unix", []string{"capture/v4l2", "capture/internal/monotonic", "transport/tbdev", "sink/window/shm", "cmd/tbcam-window/internal/xscreen", "fixtures"}},
	{"C", []string{"codec", "capture/pipewire"}},
}

// TestOwnedImports checks that each kernel door, cgo and the graphics library are
// imported by their owners only.
func TestOwnedImports(t *testing.T) {
	for _, p := range listPackages(t, module+"...") {
		for _, o := range owned {
			imports := slices.ContainsFunc(p.Imports, func(i string) bool {
				return i == o.imported || strings.HasPrefix(i, o.imported+"/")
			})
			if imports && !isInside(p.ImportPath, o.by...) {
				t.Errorf("%s imports %s; only %v may", p.ImportPath, o.imported, o.by)
			}
		}
	}
}

// TestPureGo builds what other programs import on hosts without a C compiler.
func TestPureGo(t *testing.T) {
	for _, path := range []string{"capture", "codec/jfif", "transport", "sink/container", "sink/record"} {
		cmd := exec.Command("go", "build", module+path)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s without cgo: %v: %s", path, err, out)
		}
	}
}

// unwanted lists what the programs must not link, as parts of import paths.
var unwanted = []struct {
	program string
	parts   []string
}{
	{"cmd/tbcam-send", []string{"webrtc", "pion/ice", "pion/dtls", "pion/turn", "net/http", "ebiten", "capture/mediadevices"}},
	{"cmd/tbcam-view", []string{"webrtc", "pion/ice", "pion/dtls", "pion/turn", "net/http", "ebiten", "capture/mediadevices"}},
	{"cmd/tbcam-window", []string{"webrtc", "pion/ice", "pion/dtls", "pion/turn", "capture/mediadevices"}},
}

// TestNothingUnwantedIsLinked checks that no network stack is linked, and no adapter for
// other programs.
func TestNothingUnwantedIsLinked(t *testing.T) {
	for _, u := range unwanted {
		for _, dep := range listPackages(t, module+u.program)[0].Deps {
			for _, part := range u.parts {
				if strings.Contains(dep, part) {
					t.Errorf("%s links %s", u.program, dep)
				}
			}
		}
	}
}
