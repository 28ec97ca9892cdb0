package tbdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/transport/unixsock"
)

// ErrLocked is returned when another process uses the device. Several openers would
// steal each other's bytes.
var ErrLocked = errors.New("another process uses it")

// How often a lock is tried: two programs that start together both see each other.
const (
	lockTries = 4
	lockPause = 20 * time.Millisecond // and up to as much again
)

// acquireLock takes the lock of a device: an abstract Unix socket, which cannot be left
// behind, and whose peer credentials show who holds it. Its name ends in a random
// number, so that no other user can take it first; all locks of the device are found
// by what is before that.
func acquireLock(path string) (*net.UnixListener, error) {
	prefix := "@tbcam" + filepath.Clean(path) + "@"
	for try := 1; ; try++ {
		lock, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("%s%08x", prefix, rand.Uint32())})
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if err = checkOthers(prefix, path, lock.Addr().String()); err == nil {
			go answerHolder(lock)
			return lock, nil
		}
		lock.Close()
		if try == lockTries || !errors.Is(err, ErrLocked) {
			return nil, err
		}
		time.Sleep(lockPause + rand.N(lockPause))
	}
}

// answerHolder takes the connections of those who ask for the holder, until the lock is
// closed: a queue that is full would hide it.
func answerHolder(lock net.Listener) {
	for {
		conn, err := lock.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// checkOthers returns an error that wraps ErrLocked if another lock of the device
// counts.
func checkOthers(prefix, path, own string) error {
	names, err := listSockets(prefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == own {
			continue
		}
		if holder, err := holderOf(name); err == nil && countsAsHolder(holder, path) {
			return fmt.Errorf("%w: process %d", ErrLocked, holder.PID)
		}
	}
	return nil
}

// listSockets lists the abstract sockets whose names begin so (/proc/net/unix in proc(5)).
// A name may hold anything, also what looks like a line: who dials it finds out.
func listSockets(prefix string) ([]string, error) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, fmt.Errorf("find locks: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(table)) {
		if at := strings.Index(line, " "+prefix); at >= 0 {
			names = append(names, strings.TrimSpace(line[at:]))
		}
	}
	return names, nil
}

// holderOf returns who holds a lock.
func holderOf(name string) (unixsock.Cred, error) {
	conn, err := net.Dial("unix", name)
	if err != nil {
		return unixsock.Cred{}, err
	}
	defer conn.Close()
	return unixsock.Of(conn.(*net.UnixConn))
}

// countsAsHolder reports whether a lock keeps this process from a device: that of root, of the
// same user, or of a user who may open the device, who would not need a lock to keep
// others from it.
func countsAsHolder(holder unixsock.Cred, path string) bool {
	return holder.Trusted() || mayOpen(holder, path)
}

// mayOpen reports whether the mode or the ACL of a device lets a process of another
// user read and write it.
func mayOpen(process unixsock.Cred, path string) bool {
	var device unix.Stat_t
	if unix.Stat(path, &device) != nil {
		return false // so it cannot be opened by anybody
	}
	groups := groupsOf(process.PID)
	switch mode := device.Mode; {
	case mode&0o006 == 0o006,
		mode&0o060 == 0o060 && slices.Contains(groups, device.Gid),
		mode&0o600 == 0o600 && device.Uid == process.UID:
		return true
	}
	acl := make([]byte, 4096)
	n, err := unix.Getxattr(path, "system.posix_acl_access", acl)
	return err == nil && aclAllows(acl[:n], process.UID, groups)
}

// groupsOf returns the groups of a process (/proc/PID/status in proc(5)), none if that
// may not be read.
func groupsOf(pid int32) []uint32 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	var groups []uint32
	for line := range strings.Lines(string(status)) {
		key, values, _ := strings.Cut(line, ":")
		if key != "Gid" && key != "Groups" {
			continue
		}
		for _, value := range strings.Fields(values) {
			if gid, err := strconv.ParseUint(value, 10, 32); err == nil {
				groups = append(groups, uint32(gid))
			}
		}
	}
	return groups
}

// aclAllows reports whether an ACL lets a named user or group read and write: that is
// how udev's uaccess opens a device to whoever sits at the screen. An ACL is 4 bytes of
// version, then entries of 2 bytes tag, 2 permissions and 4 ID
// (include/uapi/linux/posix_acl_xattr.h).
func aclAllows(acl []byte, uid uint32, groups []uint32) bool {
	const aclUser, aclGroup, readWrite = 0x02, 0x08, 6
	for len(acl) >= 12 {
		entry := acl[4:12]
		acl = acl[8:]
		tag, permissions := binary.LittleEndian.Uint16(entry), binary.LittleEndian.Uint16(entry[2:])
		id := binary.LittleEndian.Uint32(entry[4:])
		if permissions&readWrite == readWrite && (tag == aclUser && id == uid || tag == aclGroup && slices.Contains(groups, id)) {
			return true
		}
	}
	return false
}
