package ctlsock

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// ErrNobody says that no tbcam-view has the stream.
var ErrNobody = errors.New("no tbcam-view is running on this stream")

// Request is one question; one of its members is set, or none to ask for the
// controls.
type Request struct {
	Set  *capture.Setting `json:"set,omitempty"`
	Mode *capture.Want    `json:"mode,omitempty"` // an empty one asks for the present mode
}

// Response is the answer to a Request.
type Response struct {
	Controls *transport.Controls `json:"controls,omitempty"`
	Granted  *capture.Setting    `json:"granted,omitempty"`
	Mode     *transport.Mode     `json:"mode,omitempty"`
	Error    string              `json:"error,omitempty"`
	Cause    transport.Cause     `json:"cause,omitempty"` // of Error
}

// Bounds of what passes through a door. Only programs of the same user come to
// it: they bound mistakes.
const (
	maxMessage = 1 << 20 // bytes
	patience   = 15 * time.Second
)

// Path returns where the door of the viewer of a stream is, by the name of the
// stream that is the same for all who mean it.
func Path(stream string) (string, error) {
	dir, err := ownDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(stream)) // a socket's path has room for about 100 bytes
	return filepath.Join(dir, "view-"+hex.EncodeToString(sum[:8])+".sock"), nil
}

// ownDir returns the directory of this user's doors. The parent of it belongs to the
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

// Door answers requests until it is closed.
type Door struct {
	listener *net.UnixListener
	cancel   context.CancelFunc
	serving  sync.WaitGroup
}

// Open opens the door at a path. answer is called by a goroutine of each request;
// its context ends with the door, or when the asker has lost its patience. A
// socket that a killed program left behind is replaced.
func Open(path string, answer func(context.Context, Request) Response) (*Door, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("open %s: another tbcam-view is running", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Door{listener: listener, cancel: cancel}
	d.serving.Go(func() { d.serve(ctx, answer) })
	return d, nil
}

func (d *Door) serve(ctx context.Context, answer func(context.Context, Request) Response) {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.serving.Go(func() {
			defer conn.Close()
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			var q Request
			if err := receive(conn, &q); err != nil {
				return
			}
			_ = json.NewEncoder(conn).Encode(answer(ctx, q)) // the asker may have left
		})
	}
}

// Close ends all answers, and removes the socket.
func (d *Door) Close() error {
	d.cancel()
	err := d.listener.Close()
	d.serving.Wait()
	return err
}

// Ask asks the viewer whose door is at path. The error is ErrNobody where there is
// none, or what the Response says.
func Ask(ctx context.Context, path string, q Request) (Response, error) {
	conn, err := net.Dial("unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return Response{}, ErrNobody
	}
	if err != nil {
		return Response{}, fmt.Errorf("ask the running tbcam-view: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var r Response
	if err = json.NewEncoder(conn).Encode(q); err == nil {
		err = receive(conn, &r)
	}
	if err != nil {
		return Response{}, fmt.Errorf("ask the running tbcam-view: %w", cmp.Or(ctx.Err(), err))
	}
	if r.Error != "" {
		return Response{}, r.Cause.Err(r.Error)
	}
	return r, nil
}

// receive reads one message, a line.
func receive(conn net.Conn, message any) error {
	line, err := bufio.NewReader(io.LimitReader(conn, maxMessage)).ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, message)
}
