package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/tbcam/tbcam/cmd/internal/cli"
)

// account is the user whose cable this is.
type account struct {
	name, home string
	uid, gid   uint32
	groups     []uint32
}

// findAccount returns the user who ran sudo, or the one who tries a dry run. It is nil for
// root itself.
func findAccount() (*account, error) {
	name := os.Getenv("SUDO_USER")
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("find the user: %w", err)
		}
		name = u.Username
	}
	if name == "" || name == "root" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("find the user of sudo: %w", err)
	}
	return newAccount(u)
}

func newAccount(u *user.User) (*account, error) {
	a := &account{name: u.Username, home: u.HomeDir}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("find the groups of %s: %w", u.Username, err)
	}
	var failed error
	parse := func(text string) uint32 {
		id, err := strconv.ParseUint(text, 10, 32)
		failed = errors.Join(failed, err)
		return uint32(id)
	}
	a.uid, a.gid = parse(u.Uid), parse(u.Gid)
	for _, id := range ids {
		a.groups = append(a.groups, parse(id))
	}
	return a, failed
}

// runtimeDir is where the sockets of the user's session are.
func (a *account) runtimeDir() string { return fmt.Sprintf("/run/user/%d", a.uid) }

// hasSession reports whether the user's service manager runs.
func (a *account) hasSession() bool { return exists(a.runtimeDir() + "/systemd/private") }

// offline has systemctl change files alone, of a user whose manager does not run.
const offline = "SYSTEMD_OFFLINE=1"

// command returns a program that runs as the user, with an environment of the user's.
func (a *account) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = "/"
	c.Env = []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "PATH=/usr/local/bin:/usr/bin:/bin"}
	if exists(a.runtimeDir()) {
		c.Env = append(c.Env, "XDG_RUNTIME_DIR="+a.runtimeDir(), "DBUS_SESSION_BUS_ADDRESS=unix:path="+a.runtimeDir()+"/bus")
	}
	if !a.hasSession() {
		c.Env = append(c.Env, offline)
	}
	for _, name := range []string{"TERM", "LANG", cli.RootVariable} {
		if value, found := os.LookupEnv(name); found {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}}
	}
	return c
}

// runAsUser is a step that is a program of the user's.
func (s *setup) runAsUser(ctx context.Context, name string, args ...string) error {
	shown := "sudo -u " + s.user.name + " "
	if s.user.hasSession() {
		shown += "XDG_RUNTIME_DIR=" + s.user.runtimeDir() + " "
	} else {
		shown += offline + " "
	}
	return s.runStep(shown+name+" "+strings.Join(args, " "), func() error {
		return runProgram(s.user.command(ctx, name, args...))
	})
}

// canOpen reports whether the user may read and write a device: by its owner, or by its
// group.
func (a *account) canOpen(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return false
	case owner.Uid == a.uid:
		return mode&0o600 == 0o600
	case a.hasGroup(owner.Gid):
		return mode&0o060 == 0o060
	}
	return mode&0o006 == 0o006
}

func (a *account) hasGroup(gid uint32) bool {
	for _, g := range a.groups {
		if g == gid {
			return true
		}
	}
	return false
}
