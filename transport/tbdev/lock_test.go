package tbdev

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tbcam/tbcam/fixtures/otheruser"
	"github.com/tbcam/tbcam/fixtures/pty"
)

// Another user who may not open the device cannot keep it from us, whatever sockets
// that user binds, full queues and forged lines of /proc/net/unix included.
func TestLockOfStranger(t *testing.T) {
	path, _, _ := pty.Pair(t) // mode 0600 or 0620
	names := []string{"@tbcam" + path, "@tbcam" + path + "@00000000", "@x\n0 0 0 0 0 0 @tbcam" + path + "@11111111"}
	for i := range 50 {
		names = append(names, fmt.Sprintf("@tbcam%s@%08x", path, i+1))
	}
	otheruser.Do(t, func() {
		for _, name := range names {
			l, err := net.Listen("unix", name)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { l.Close() })
		}
	})
	lock, err := acquireLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := acquireLock(path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("our own lock: %v", err)
	}
}

// The lock of a user who may open the device counts, and that of root does for everybody.
func TestLockOfOtherUser(t *testing.T) {
	device := filepath.Join(t.TempDir(), "device")
	for mode, counts := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o666: true} {
		if err := errors.Join(os.WriteFile(device, nil, 0o600), os.Chmod(device, mode)); err != nil {
			t.Fatal(err)
		}
		var lock *net.UnixListener
		var err error
		otheruser.Do(t, func() { lock, err = acquireLock(device) })
		if err != nil {
			t.Fatal(err)
		}
		own, err := acquireLock(device)
		if errors.Is(err, ErrLocked) != counts {
			t.Errorf("mode %v: %v", mode, err)
		}
		if own != nil {
			otheruser.Do(t, func() {
				if _, err := acquireLock(device); !errors.Is(err, ErrLocked) {
					t.Errorf("mode %v: root's lock: %v", mode, err)
				}
			})
			own.Close()
		}
		lock.Close()
	}
}

// Of programs that start together at most one gets the device, and a lock that many
// have asked for is not hidden.
func TestLockRace(t *testing.T) {
	device := filepath.Join(t.TempDir(), "device")
	var got atomic.Int32
	var starting sync.WaitGroup
	for range 8 {
		starting.Go(func() {
			lock, err := acquireLock(device)
			if err == nil {
				got.Add(1)
				t.Cleanup(func() { lock.Close() })
			} else if !errors.Is(err, ErrLocked) {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if n := got.Load(); n > 1 {
		t.Errorf("%d have the lock", n)
	}
	lock, err := acquireLock(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for range 5000 { // more than a queue holds
		if _, err := holderOf(lock.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroupsOf(t *testing.T) {
	groups := groupsOf(int32(os.Getpid()))
	if len(groups) == 0 || int(groups[0]) != os.Getgid() {
		t.Errorf("%v", groups)
	}
	if groups := groupsOf(-1); len(groups) != 0 {
		t.Errorf("no process has %v", groups)
	}
}

// The ACL is what setfacl -m u:1000:rw,u:1001:r,g:44:rw writes.
func TestACL(t *testing.T) {
	acl, err := hex.DecodeString("02000000" + "01000600ffffffff" + "02000600e8030000" + "02000400e9030000" +
		"04000600ffffffff" + "080006002c000000" + "10000600ffffffff" + "20000000ffffffff")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid    uint32
		groups []uint32
		want   bool
	}{{1000, nil, true}, {1001, nil, false}, {44, nil, false}, {1002, []uint32{7, 44}, true}, {1002, []uint32{7}, false}} {
		if got := aclAllows(acl, c.uid, c.groups); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for n := range acl {
		aclAllows(acl[:n], 1, nil) // cut anywhere, it does no harm
	}
}
