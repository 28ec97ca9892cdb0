package unixsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// ErrStranger is returned when the other end belongs to a user who may not have it;
// the text names the user.
var ErrStranger = errors.New("the other end belongs to another user")

// Cred is who made the other end, as the kernel reports it (SO_PEERCRED in unix(7)).
type Cred struct {
	PID int32
	UID uint32
}

// Of returns the credentials of the other end: for a client those of whoever called
// listen, for a server those of whoever called connect.
func Of(conn syscall.Conn) (Cred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Cred{}, err
	}
	var cred *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return Cred{}, fmt.Errorf("credentials of the other end: %w", err)
	}
	return Cred{cred.Pid, cred.Uid}, nil
}

// Trusted reports whether it is root or the user of this process.
func (c Cred) Trusted() bool { return c.UID == 0 || int(c.UID) == os.Geteuid() }

// String names the user, and the process.
func (c Cred) String() string { return fmt.Sprintf("%s (process %d)", UserName(c.UID), c.PID) }

// UserName returns the name of a user, or the number of one without a name.
func UserName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

// Users may have the other end beside those who are trusted, by their numbers.
type Users []uint32

// Check returns an error that wraps ErrStranger unless the other end of a Unix socket
// may be used.
func (u Users) Check(conn net.Conn) error {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T is not a socket", conn)
	}
	cred, err := Of(socket)
	if err != nil {
		return err
	}
	if !cred.Trusted() && !slices.Contains(u, cred.UID) {
		return fmt.Errorf("%w: %v", ErrStranger, cred)
	}
	return nil
}
