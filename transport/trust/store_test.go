package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/otheruser"
)

// newStore returns a Store of its own with an identity.
func newStore(t testing.TB) (*Store, *Identity) {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return s, id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDefaultDir(t *testing.T) {
	for _, c := range []struct{ state, xdg, home, want string }{
		{"/var/lib/tbcam", "/home/anna/.state", "/home/anna", "/var/lib/tbcam"},
		{"/var/lib/tbcam:/var/lib/other", "", "/root", "/var/lib/tbcam"},
		{"", "/home/anna/.state", "/home/anna", "/home/anna/.state/tbcam"},
		{"", "not/absolute", "/home/anna", "/home/anna/.local/state/tbcam"},
		{"", "", "/home/anna", "/home/anna/.local/state/tbcam"},
	} {
		t.Setenv("STATE_DIRECTORY", c.state)
		t.Setenv("XDG_STATE_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		if dir, err := DefaultDir(); dir != c.want || err != nil {
			t.Errorf("%+v: got %q, %v", c, dir, err)
		}
	}
	t.Setenv("HOME", "")
	if dir, err := DefaultDir(); err != nil || !strings.HasSuffix(dir, "/.local/state/tbcam") {
		t.Errorf("without any: got %q, %v", dir, err)
	}
}

// TestIdentityIsMadeOnce: of processes that start together all have one key, and find it again.
func TestIdentityIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "tbcam")
	keys := make([]Fingerprint, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			s, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			id, err := s.Identity()
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = id.Fingerprint()
		})
	}
	all.Wait()
	for _, key := range keys {
		if key != keys[0] || key == (Fingerprint{}) {
			t.Errorf("keys are %v and %v", keys[0], key)
		}
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, dir + "/identity.pem": 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// spoilers make a file one that cannot be trusted.
var spoilers = []struct {
	name  string
	spoil func(t *testing.T, path string) error
	want  error
}{
	{"readable by its group", func(_ *testing.T, path string) error { return os.Chmod(path, 0o640) }, ErrMode},
	{"readable by all", func(_ *testing.T, path string) error { return os.Chmod(path, 0o604) }, ErrMode},
	{"of another user", func(t *testing.T, path string) error {
		if os.Geteuid() != 0 {
			t.Skip("it needs root, to give a file away")
		}
		return os.Chown(path, otheruser.UID, otheruser.UID)
	}, ErrOwner},
	{"a symbolic link", func(_ *testing.T, path string) error {
		return errors.Join(os.Rename(path, path+".moved"), os.Symlink(path+".moved", path))
	}, ErrDamaged},
	{"a FIFO", func(_ *testing.T, path string) error {
		return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
	}, ErrDamaged},
	{"damaged", func(_ *testing.T, path string) error { return os.WriteFile(path, []byte("{"), 0o600) }, ErrDamaged},
	{"empty", func(_ *testing.T, path string) error { return os.WriteFile(path, nil, 0o600) }, ErrDamaged},
	{"too large", func(_ *testing.T, path string) error { return os.Truncate(path, maxFile+1) }, ErrDamaged},
}

// TestUntrustedFiles: files that others can read or write are refused, and left alone.
func TestUntrustedFiles(t *testing.T) {
	for _, c := range spoilers {
		for _, file := range []string{"identity.pem", "peers.json"} {
			t.Run(file+" "+c.name, func(t *testing.T) {
				s, _ := newStore(t)
				must(t, s.Add(Peer{Name: "laptop", Role: RoleSender}))
				path := filepath.Join(s.Dir(), file)
				must(t, c.spoil(t, path))
				before, _ := os.Lstat(path)
				_, err := s.Identity()
				if file == "peers.json" {
					err = s.Add(Peer{Key: Fingerprint{1}, Name: "other", Role: RoleSender})
				}
				var fileErr *FileError
				if !errors.Is(err, c.want) || !errors.As(err, &fileErr) || fileErr.Path != path {
					t.Errorf("got %v, want %v of %s", err, c.want, path)
				}
				if after, _ := os.Lstat(path); !os.SameFile(before, after) {
					t.Error("the file was replaced")
				}
			})
		}
	}
}

func TestUntrustedDir(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o770))
	if _, err := Open(dir); !errors.Is(err, ErrMode) {
		t.Errorf("writable by its group: %v", err)
	}
	must(t, os.Chmod(dir, 0o755)) // as systemd makes a StateDirectory
	if _, err := Open(dir); err != nil {
		t.Errorf("readable by all: %v", err)
	}
}

func TestPeers(t *testing.T) {
	s, _ := newStore(t)
	rights := DefaultRights()
	viewer := Peer{Key: Fingerprint{1}, Name: "desktop", Role: RoleViewer, Rights: &rights, Paired: time.Unix(1e9, 0).UTC()}
	sender := Peer{Key: Fingerprint{1}, Name: "desktop", Role: RoleSender}
	must(t, errors.Join(s.Add(viewer), s.Add(sender), s.Add(viewer)))
	peers, err := s.Peers()
	if err != nil || len(peers) != 2 || peers[0].Role != RoleSender || !peers[1].Paired.Equal(viewer.Paired) {
		t.Errorf("got %+v, %v", peers, err)
	}
	if got, found, err := s.Find(RoleViewer, viewer.Key); got.Name != "desktop" || !found || err != nil {
		t.Errorf("got %+v, %v, %v", got, found, err)
	}
	if _, found, err := s.Find(RoleViewer, Fingerprint{2}); found || err != nil {
		t.Errorf("an unknown key: %v, %v", found, err)
	}
	taken := viewer
	taken.Key = Fingerprint{2}
	if err := s.Add(taken); !errors.As(err, new(*NameTakenError)) {
		t.Errorf("a name that is taken: %v", err)
	}
	changed, err := s.Grant("desktop", func(r *Rights) { r.Control = true })
	if got, _, _ := s.Find(RoleViewer, viewer.Key); err != nil || !changed.Rights.Control || !got.Rights.Control {
		t.Errorf("granted: %+v, %v", got, err)
	}
	if _, err := s.Grant("laptop", func(*Rights) {}); !errors.Is(err, ErrNoPeer) {
		t.Errorf("rights of nobody: %v", err)
	}
	if p, err := s.Forget(RoleViewer, "desktop"); p.Key != viewer.Key || err != nil {
		t.Errorf("forgot %v, %v", p, err)
	}
	if _, err := s.Forget(RoleViewer, "desktop"); !errors.Is(err, ErrNoPeer) {
		t.Errorf("forgot twice: %v", err)
	}
	if peers, _ := s.Peers(); len(peers) != 1 {
		t.Errorf("left are %v", peers)
	}
}

func TestBadPeers(t *testing.T) {
	s, _ := newStore(t)
	many := Rights{Cameras: make([]string, maxCameras+1)}
	for _, p := range []Peer{
		{Name: "", Role: RoleSender},
		{Name: "a\x1b[1m", Role: RoleSender},
		{Name: " a", Role: RoleSender},
		{Name: strings.Repeat("a", maxName+1), Role: RoleSender},
		{Name: "a", Role: "other"},
		{Name: "a", Role: RoleViewer},
		{Name: "a", Role: RoleSender, Rights: &Rights{}},
		{Name: "a", Role: RoleViewer, Rights: &many},
		{Name: "a", Role: RoleViewer, Rights: &Rights{Cameras: []string{"\n"}}},
	} {
		if err := s.Add(p); err == nil {
			t.Errorf("%+v was kept", p)
		}
	}
	if _, err := os.Stat(s.peersFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was written: %v", err)
	}
}

// TestManyProcesses: changes of several processes at a time are all kept.
func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := Open(dir)
			for n := range 5 {
				err = errors.Join(err, s.Add(Peer{Key: Fingerprint{byte(i), byte(n)}, Name: fmt.Sprint(i, "-", n), Role: RoleSender}))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := Open(dir)
	must(t, err)
	if peers, err := s.Peers(); len(peers) != 40 || err != nil {
		t.Errorf("kept are %d of 40, %v", len(peers), err)
	}
}

// fullDisk returns a directory whose file system has no room left.
func fullDisk(t *testing.T) (dir string, fill func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("it needs root, to mount a file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, func() {
		for size := 64 << 10; size > 0; size /= 2 {
			_ = os.WriteFile(filepath.Join(dir, fmt.Sprint("fill-", size)), make([]byte, size), 0o600)
		}
	}
}

// TestFullDisk: nothing is half-written, and what was there stays.
func TestFullDisk(t *testing.T) {
	dir, fill := fullDisk(t)
	s, err := Open(dir)
	must(t, err)
	must(t, s.Add(Peer{Name: "laptop", Role: RoleSender}))
	must(t, s.Record(Event{Kind: EventPaired}))
	before, err := os.ReadFile(s.peersFile())
	must(t, err)
	fill()
	if err := s.Add(Peer{Key: Fingerprint{1}, Name: strings.Repeat("n", maxName), Role: RoleSender}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a peer: %v", err)
	}
	if _, err := s.Identity(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a key: %v", err)
	}
	for range 100 { // some lines may fit in the last block
		err = s.Record(Event{Kind: EventEnded, Detail: strings.Repeat("d", maxDetail)})
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("an event: %v", err)
	}
	if after, _ := os.ReadFile(s.peersFile()); string(after) != string(before) {
		t.Errorf("the peers are %q, were %q", after, before)
	}
	left, _ := filepath.Glob(dir + "/*.new")
	identity, _ := filepath.Glob(dir + "/identity*")
	if len(left)+len(identity) != 0 {
		t.Errorf("left over are %v, %v", left, identity)
	}
	log, _ := os.ReadFile(s.audit.path)
	if !strings.HasSuffix(string(log), "\n") {
		t.Error("the audit log ends within a line")
	}
}

// TestWatch: a session learns within a second that its peer was forgotten or has other
// rights.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		rights := DefaultRights()
		peer := Peer{Key: Fingerprint{1}, Name: "desktop", Role: RoleViewer, Rights: &rights}
		must(t, errors.Join(s.Add(peer), s.Add(Peer{Key: Fingerprint{2}, Name: "laptop", Role: RoleSender})))
		var changes []Peer
		ended := make(chan error, 1)
		go func() { ended <- s.Watch(t.Context(), peer, func(p Peer) { changes = append(changes, p) }) }()
		step := func(do func() error) {
			must(t, do())
			time.Sleep(time.Second)
			synctest.Wait()
		}
		step(func() error { _, err := s.Forget(RoleSender, "laptop"); return err })
		if len(changes) != 0 {
			t.Errorf("another peer was forgotten: %v", changes)
		}
		step(func() error { _, err := s.Grant("desktop", func(r *Rights) { r.Microphone = true }); return err })
		if len(changes) != 1 || !changes[0].Rights.Microphone {
			t.Errorf("it has other rights: %v", changes)
		}
		step(func() error { _, err := s.Forget(RoleViewer, "desktop"); return err })
		select {
		case err := <-ended:
			if !errors.Is(err, ErrNoPeer) {
				t.Errorf("it ended with %v", err)
			}
		default:
			t.Error("it goes on")
		}
	})
}

// TestAuditLog: events come back in order, within the bound of two files.
func TestAuditLog(t *testing.T) {
	s, _ := newStore(t)
	const written = 6000
	for i := range written {
		must(t, s.Record(Event{Kind: EventEnded, Peer: "desktop", Frames: uint64(i), Detail: strings.Repeat("d", 300)}))
	}
	events, err := s.Events()
	if err != nil || len(events) < 1000 || len(events) == written {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if want := uint64(written - len(events) + i); e.Frames != want || e.Time.IsZero() {
			t.Fatalf("event %d is %+v, want number %d", i, e, want)
		}
	}
	for _, path := range []string{s.audit.path, s.audit.path + ".1"} {
		if info, err := os.Stat(path); err != nil || info.Size() > maxLog || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v bytes, %v", path, info.Size(), err)
		}
	}
}

// TestFloodOfRefusals: a stranger who is refused every second makes a line a minute,
// and replaces no other event.
func TestFloodOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStore(t)
		for range 600 {
			must(t, s.Record(Event{Kind: EventRefused, Key: Fingerprint{1}}))
			time.Sleep(time.Second)
		}
		events, err := s.Events()
		times := 0
		for _, e := range events {
			times += e.Times
		}
		if err != nil || len(events) != 10 || times < 540 {
			t.Errorf("%d lines stand for %d refusals, %v", len(events), times, err)
		}
	})
}

func TestAllowsCamera(t *testing.T) {
	camera := capture.Device{Path: "/dev/video2", Name: "HD Pro Webcam C920"}
	for _, c := range []struct {
		cameras []string
		want    bool
	}{
		{nil, false},
		{[]string{AllCameras}, true},
		{[]string{"c920"}, true},
		{[]string{"/dev/video2"}, true},
		{[]string{"/dev/video"}, false},
		{[]string{"Infrared", "Pro"}, true},
		{[]string{"Infrared"}, false},
	} {
		if got := (Rights{Cameras: c.cameras}).AllowsCamera(camera); got != c.want {
			t.Errorf("%q: %v", c.cameras, got)
		}
	}
	microphone := capture.Device{Kind: capture.Audio, Path: "/dev/video2", Name: "HD Pro Webcam C920"}
	if (Rights{Cameras: []string{AllCameras, "C920", "/dev/video2"}}).AllowsCamera(microphone) {
		t.Error("a microphone is allowed as a camera")
	}
	for _, c := range []struct {
		rights Rights
		text   string
	}{
		{Rights{}, "nothing"},
		{DefaultRights(), "all cameras"},
		{Rights{Cameras: []string{"C920"}, Microphone: true, Control: true}, "cameras C920, microphone, control"},
	} {
		if got := c.rights.String(); got != c.text {
			t.Errorf("%+v is %q", c.rights, got)
		}
	}
}

func TestFingerprint(t *testing.T) {
	id, err := NewIdentity()
	must(t, err)
	text := id.Fingerprint().String()
	for _, same := range []string{text, strings.ToUpper(text)} {
		if f, err := ParseFingerprint(same); f != id.Fingerprint() || err != nil {
			t.Errorf("%q: %v, %v", same, f, err)
		}
	}
	for _, bad := range []string{"", text[1:], text + "a", "1" + text[1:], strings.Repeat("a", 51) + "b"} {
		if f, err := ParseFingerprint(bad); !errors.Is(err, ErrFingerprint) {
			t.Errorf("%q is %v, %v", bad, f, err)
		}
	}
}

// TestInspect: it finds all that is wrong with the files, and makes none.
func TestInspect(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	if found := Inspect(missing); found.Key != (Fingerprint{}) || len(found.Peers) != 0 || len(found.Problems) != 0 {
		t.Errorf("no directory: %v", found)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it has made the directory")
	}
	w := newWorld(t).paired(t)
	dir := w.viewer.Store.dir
	must(t, w.viewer.Store.Record(Event{Kind: EventConnected}))
	if found := Inspect(dir); found.Key != w.viewer.Identity.Fingerprint() || len(found.Peers) != 1 || len(found.Problems) != 0 {
		t.Errorf("in order: %v", found)
	}
	must(t, os.Chmod(filepath.Join(dir, "identity.pem"), 0o644))
	must(t, os.Chmod(filepath.Join(dir, "audit.log"), 0o604))
	must(t, os.WriteFile(filepath.Join(dir, "peers.json"), []byte("{"), 0o600))
	problems := Inspect(dir).Problems
	if len(problems) != 3 || !errors.Is(problems[0], ErrMode) || !errors.Is(problems[1], ErrDamaged) || !errors.Is(problems[2], ErrMode) {
		t.Errorf("found %v", problems)
	}
	must(t, os.Chmod(dir, 0o777))
	if problems := Inspect(dir).Problems; len(problems) != 1 || !errors.Is(problems[0], ErrMode) {
		t.Errorf("an open directory: %v", problems)
	}
}
