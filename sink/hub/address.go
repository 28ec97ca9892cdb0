package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// address is where the owner of a line is found, by a name of the line.
type address struct {
	socket string // on which its hub listens
	lock   string // a file that it has locked
}

// addressOf returns the address of a line by a name that is the same for all who mean it.
func addressOf(name string) (address, error) {
	dir, err := ownDir()
	if err != nil {
		return address{}, err
	}
	sum := sha256.Sum256([]byte(name)) // a socket's path has room for about 100 bytes
	base := filepath.Join(dir, "hub-"+hex.EncodeToString(sum[:8]))
	return address{base + ".sock", base + ".lock"}, nil
}

// ownDir returns the directory of this user's hubs. The parent of it belongs to the
// user, or to root: in a common directory such as /tmp, others could take the name.
func ownDir() (string, error) {
	parent, err := parentDir(os.Getuid())
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, "tbcam")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if !isPrivate(dir) {
		return "", fmt.Errorf("%s: not a private directory; remove it", dir)
	}
	return dir, nil
}

// parentDir returns XDG_RUNTIME_DIR or, where that is not set, as under sudo, what it
// would be, or else what takes its place.
func parentDir(uid int) (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir, nil
	}
	if dir := filepath.Join("/run/user", strconv.Itoa(uid)); isPrivate(dir) {
		return dir, nil
	}
	if uid == 0 {
		return "/run", nil
	}
	return os.UserCacheDir()
}

// isPrivate reports whether dir is a directory that only the user of this process may
// use.
func isPrivate(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Getuid()
}

// errOwned is returned when another process owns the line.
var errOwned = errors.New("another process owns the line")

// acquire makes this process the owner of an address. The kernel frees it when the process
// ends, however it does; the file stays.
func (a address) acquire() (*os.File, error) {
	f, err := os.OpenFile(a.lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errOwned
	}
	return nil, fmt.Errorf("lock %s: %w", a.lock, err)
}
