package cli

import (
	"errors"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/trust"
)

// TrustFlags are the flags that decide which peers are served.
type TrustFlags struct{ allowUnpaired, unsealedFrames bool }

// Register adds the flags. what is the help on --allow-unpaired: what an unpaired peer gets.
func (t *TrustFlags) Register(f *pflag.FlagSet, what string) {
	f.BoolVar(&t.allowUnpaired, "allow-unpaired", false, what)
	f.BoolVar(&t.unsealedFrames, "no-seal-frames", false, "leave frames readable on the cable, for raw video at its full rate; controls stay sealed")
}

// UnsealedFrames reports whether frames go without a seal.
func (t *TrustFlags) UnsealedFrames() bool { return t.unsealedFrames }

// AllowUnpaired reports whether unpaired peers are served.
func (t *TrustFlags) AllowUnpaired() bool { return t.allowUnpaired }

// NeedsTrust reports whether anybody may have the other end of a stream: of a device,
// but not of a socket or a pipe.
func NeedsTrust(stream string) bool { return !strings.HasPrefix(stream, "unix:") && !IsPipe(stream) }

// Config returns this user's part in a handshake over a stream. The Store is nil where
// the stream needs none.
func (t *TrustFlags) Config(stream string) (trust.Config, error) {
	if t.allowUnpaired && isUnit() {
		return trust.Config{}, Mark(errUnpairedUnit, ErrUsage)
	}
	if !NeedsTrust(stream) {
		return trust.Config{}, nil
	}
	store, err := OpenTrust()
	if err != nil {
		return trust.Config{}, err
	}
	id, err := store.Identity()
	if err != nil {
		return trust.Config{}, err
	}
	if _, err := store.Peers(); err != nil { // else each session would fail by it
		return trust.Config{}, err
	}
	return trust.Config{Identity: id, Store: store, Name: userAtHost(), AllowUnpaired: t.allowUnpaired}, nil
}

// StartConfig begins what Config does, and returns what waits for its result: files and
// the names of users may take as long as all else of a start.
func (t *TrustFlags) StartConfig(stream string) func() (trust.Config, error) {
	config := sync.OnceValues(func() (trust.Config, error) { return t.Config(stream) })
	go func() { _, _ = config() }()
	return config
}

// userAtHost returns the name by which other computers keep this one: users of a host
// have keys of their own.
func userAtHost() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := host
	if u, err := user.Current(); err == nil {
		name = u.Username + "@" + host
	}
	return capture.Printable(name)
}

// RecordOutcome logs and records that a session with a peer begins.
func RecordOutcome(store *trust.Store, log *slog.Logger, o trust.Outcome) {
	if o.Unpaired {
		log.Warn("the other computer is not paired (--allow-unpaired): anybody may be there", "key", o.Peer.Key.Short())
	}
	events := []trust.Event{{Kind: trust.EventConnected, Role: o.Peer.Role, Peer: o.Peer.Name, Key: o.Peer.Key}}
	if o.Paired {
		detail := "by its number"
		if o.Once {
			detail = "by its number, for one session"
		}
		events = append([]trust.Event{{Kind: trust.EventPaired, Role: o.Peer.Role, Peer: o.Peer.Name, Key: o.Peer.Key, Detail: detail}}, events...)
	}
	var failed error
	for _, e := range events {
		failed = errors.Join(failed, store.Record(e))
	}
	if failed != nil {
		log.Warn("audit log", "err", failed)
	}
}
