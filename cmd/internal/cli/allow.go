package cli

import (
	"fmt"
	"os/user"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/transport/unixsock"
)

// AllowFlag is --allow-user.
type AllowFlag struct{ users unixsock.Users }

// Register adds the flag.
func (a *AllowFlag) Register(f *pflag.FlagSet) {
	f.Var(a, "allow-user", "user allowed at the other end of unix:PATH, besides you and root (repeatable)")
}

// Set adds a user. It implements pflag.Value with String and Type.
func (a *AllowFlag) Set(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("no such user")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	a.users = append(a.users, uint32(uid))
	return err
}

func (a *AllowFlag) String() string { return "" }

// Type names the value in --help.
func (a *AllowFlag) Type() string { return "NAME" }

// checkStream refuses the flag for a stream that is no socket: only a
// socket knows the user at its other end.
func (a *AllowFlag) checkStream(stream string) error {
	if len(a.users) > 0 {
		return Mark(fmt.Errorf("--allow-user needs --stream unix:PATH, not %s", stream), ErrUsage)
	}
	return nil
}
