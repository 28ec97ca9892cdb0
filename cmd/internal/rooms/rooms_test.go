package rooms

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tbcam/tbcam/"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
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

// inside reports whether path is one of the rooms or below one.
func inside(path string, rooms ...string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool {
		r = module + r
		return path == r || strings.HasPrefix(path, r+"/")
	})
}

// ways lists which rooms a room may import; the test tools in fixtures are free.
var ways = []struct {
	room string
	may  []string
}{
	{"cmd", []string{"cmd", "sink", "transport", "codec", "capture"}},
	{"sink/container", []string{"sink/container", "capture", "codec", "transport/mjpeg"}},
	{"sink", []string{"sink", "codec", "capture"}},
	{"transport/wire", nil},
	{"transport/mjpeg", nil},
	{"transport", []string{"transport", "capture"}},
	{"codec", []string{"capture"}},
	{"capture/v4l2", []string{"capture"}},
	{"capture/pattern", []string{"capture"}},
	{"capture", nil},
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range list(t, module+"...") {
		for _, w := range ways {
			if !inside(p.ImportPath, w.room) {
				continue
			}
			for _, imported := range p.Imports {
				if strings.HasPrefix(imported, module) && !inside(imported, w.may...) {
					t.Errorf("%s imports %s; it may import %v", p.ImportPath, imported, w.may)
				}
			}
			break // the first room is the narrowest
		}
	}
}

// links are the kinds of links, at one level: none imports another, but for the lock
// of a device, which is a Unix socket.
var links = []string{"transport/unixsock", "transport/pipe", "transport/tbdev"}

func TestLinksAreAtOneLevel(t *testing.T) {
	for _, p := range list(t, module+"...") {
		for _, imported := range p.Imports {
			if strings.HasSuffix(imported, "/transporttest") {
				t.Errorf("%s imports %s outside of a test", p.ImportPath, imported)
			}
			if p.ImportPath == module+"transport/tbdev" && imported == module+"transport/unixsock" {
				continue
			}
			if inside(p.ImportPath, links...) && inside(imported, links...) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// owned lists imports that only some rooms may have.
var owned = []struct {
	imported string
	by       []string
}{
	{"github.com/hajimehoshi/ebiten", []string{"cmd/tbcam-window"}},
	{"github.com/blackjack/webcam", []string{"capture/v4l2"}},
	{"github.com/pion/mediadevices", []string{"capture"}},
	{"golang.org/x/sys/unix", []string{"capture/v4l2", "transport/tbdev", "sink/window/shm", "fixtures"}},
	{"C", []string{"codec"}},
}

func TestDoorsHaveOneRoom(t *testing.T) {
	for _, p := range list(t, module+"...") {
		for _, o := range owned {
			imports := slices.ContainsFunc(p.Imports, func(i string) bool {
				return i == o.imported || strings.HasPrefix(i, o.imported+"/")
			})
			if imports && !inside(p.ImportPath, o.by...) {
				t.Errorf("%s imports %s; only %v may", p.ImportPath, o.imported, o.by)
			}
		}
	}
}

// unwanted lists what the programs must not link, as parts of import paths.
var unwanted = []struct {
	program string
	parts   []string
}{
	{"cmd/tbcam-send", []string{"webrtc", "pion/ice", "pion/dtls", "pion/turn", "net/http", "ebiten"}},
	{"cmd/tbcam-view", []string{"webrtc", "pion/ice", "pion/dtls", "pion/turn", "net/http", "ebiten"}},
	{"cmd/tbcam-window", []string{"webrtc", "pion/ice", "pion/dtls", "pion/turn"}},
}

func TestNothingUnwantedIsLinked(t *testing.T) {
	for _, u := range unwanted {
		for _, dep := range list(t, module+u.program)[0].Deps {
			for _, part := range u.parts {
				if strings.Contains(dep, part) {
					t.Errorf("%s links %s", u.program, dep)
				}
			}
		}
	}
}
