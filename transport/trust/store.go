package trust

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// Role is an end of a line.
type Role string

// The two ends.
const (
	RoleSender Role = "sender"
	RoleViewer Role = "viewer"
)

// Peer is a paired one: whose key may do what.
type Peer struct {
	Key  Fingerprint `json:"key"`
	Name string      `json:"name"`
	// Role is what the peer is: a key may be paired as one and not as the other.
	Role   Role      `json:"role"`
	Rights *Rights   `json:"rights,omitempty"` // of a viewer
	Paired time.Time `json:"paired"`
}

// Bounds of the peers that are kept.
const (
	maxPeers = 1000
	maxName  = 64 // bytes
)

// Errors of changes to the peers.
var (
	// ErrNoPeer is returned when there is no peer of a name.
	ErrNoPeer = errors.New("no such peer")
	// ErrName is returned for what cannot be the name of a peer.
	ErrName = errors.New("not a name of a peer")
	// ErrTooManyPeers is returned when no more can be kept.
	ErrTooManyPeers = errors.New("too many peers are paired")
	// ErrNameTaken is what a NameTakenError wraps.
	ErrNameTaken = errors.New("the name belongs to another key")
)

// NameTakenError is returned when the name of a new peer belongs to another key: of
// the same computer with a new key, or of one that claims to be it.
type NameTakenError struct {
	Name       string
	Known, New Fingerprint
}

func (e *NameTakenError) Error() string {
	return fmt.Sprintf("%q: %v: %v is paired, %v claims to be it", e.Name, ErrNameTaken, e.Known.Short(), e.New.Short())
}

// Unwrap returns ErrNameTaken.
func (e *NameTakenError) Unwrap() error { return ErrNameTaken }

// Store keeps the identity, the peers and the audit log of one user in a directory. Several
// processes may use it at the same time. It caches nothing.
type Store struct {
	dir   string
	audit auditLog
}

// Open returns the Store of a directory, which it makes if it is missing.
func Open(dir string) (*Store, error) {
	if err := openDir(dir); err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	s.audit.path = filepath.Join(dir, "audit.log")
	return s, nil
}

// Inspection is what a directory has.
type Inspection struct {
	Key      Fingerprint // of the user; zero: none was needed yet
	Peers    []Peer
	Problems []error // what is wrong with files
}

// Inspect looks at the files of a directory. It makes and changes none.
func Inspect(dir string) (found Inspection) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return found
	}
	if err == nil {
		err = checkOwned(dir, info, 0o022)
	}
	if err != nil {
		found.Problems = []error{err}
		return found
	}
	s := &Store{dir: dir}
	s.audit.path = filepath.Join(dir, "audit.log")
	id, badKey := loadIdentity(s.identityFile())
	if badKey == nil {
		found.Key = id.Fingerprint()
	}
	peers, badPeers := s.Peers()
	found.Peers = peers
	_, badLog := s.Events()
	for _, err := range []error{badKey, badPeers, badLog} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			found.Problems = append(found.Problems, err)
		}
	}
	return found
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

func (s *Store) identityFile() string { return filepath.Join(s.dir, "identity.pem") }

func (s *Store) peersFile() string { return filepath.Join(s.dir, "peers.json") }

// Peers returns all paired peers, sorted by role and name.
func (s *Store) Peers() ([]Peer, error) {
	text, err := readFile(s.peersFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var peers []Peer
	if err := json.Unmarshal(text, &peers); err != nil {
		return nil, &FileError{s.peersFile(), fmt.Errorf("%w: %w", ErrDamaged, err)}
	}
	for _, p := range peers {
		if err := p.check(); err != nil {
			return nil, &FileError{s.peersFile(), fmt.Errorf("%w: %w", ErrDamaged, err)}
		}
	}
	return peers, nil
}

// check refuses a peer that cannot be kept.
func (p Peer) check() error {
	switch {
	case p.Name == "" || len(p.Name) > maxName || p.Name != capture.Printable(p.Name) || strings.TrimSpace(p.Name) != p.Name:
		return fmt.Errorf("%q: %w", p.Name, ErrName)
	case p.Role == RoleViewer && p.Rights == nil || p.Role == RoleSender && p.Rights != nil:
		return fmt.Errorf("rights of the %s %q", p.Role, p.Name)
	case p.Role != RoleViewer && p.Role != RoleSender:
		return fmt.Errorf("role %q", p.Role)
	case p.Rights == nil:
		return nil
	}
	return p.Rights.check()
}

// Find returns the peer that has a key in a role.
func (s *Store) Find(role Role, key Fingerprint) (peer Peer, found bool, err error) {
	peers, err := s.Peers()
	if err != nil {
		return Peer{}, false, err
	}
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.Role == role && p.Key == key })
	if i < 0 {
		return Peer{}, false, nil
	}
	return peers[i], true, nil
}

// Add keeps a peer, in place of an older entry of its key. A name that another key has is refused
// with a NameTakenError.
func (s *Store) Add(p Peer) error {
	if err := p.check(); err != nil {
		return err
	}
	return s.change(func(peers []Peer) ([]Peer, error) {
		peers = slices.DeleteFunc(peers, func(old Peer) bool { return old.Role == p.Role && old.Key == p.Key })
		if err := p.checkName(peers); err != nil {
			return nil, err
		}
		if len(peers) >= maxPeers {
			return nil, ErrTooManyPeers
		}
		return append(peers, p), nil
	})
}

// checkNew refuses a peer that Add would refuse, and keeps none.
func (s *Store) checkNew(p Peer) error {
	peers, err := s.Peers()
	return cmp.Or(err, p.check(), p.checkName(peers))
}

// checkName refuses a peer whose name another key has.
func (p Peer) checkName(peers []Peer) error {
	for _, old := range peers {
		if old.Role == p.Role && old.Name == p.Name && old.Key != p.Key {
			return &NameTakenError{p.Name, old.Key, p.Key}
		}
	}
	return nil
}

// Forget removes the peer of a name.
func (s *Store) Forget(role Role, name string) (forgotten Peer, err error) {
	err = s.change(func(peers []Peer) ([]Peer, error) {
		i, err := indexOf(peers, role, name)
		if err != nil {
			return nil, err
		}
		forgotten = peers[i]
		return slices.Delete(peers, i, i+1), nil
	})
	return forgotten, err
}

// remove removes the peer of a key, if there is one.
func (s *Store) remove(role Role, key Fingerprint) error {
	return s.change(func(peers []Peer) ([]Peer, error) {
		return slices.DeleteFunc(peers, func(p Peer) bool { return p.Role == role && p.Key == key }), nil
	})
}

// Grant changes the rights of a viewer.
func (s *Store) Grant(name string, change func(*Rights)) (changed Peer, err error) {
	err = s.change(func(peers []Peer) ([]Peer, error) {
		i, err := indexOf(peers, RoleViewer, name)
		if err != nil {
			return nil, err
		}
		change(peers[i].Rights)
		changed = peers[i]
		return peers, changed.check()
	})
	return changed, err
}

func indexOf(peers []Peer, role Role, name string) (int, error) {
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.Role == role && p.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("%q: %w", name, ErrNoPeer)
	}
	return i, nil
}

// change replaces the file by what edit makes of the peers.
func (s *Store) change(edit func([]Peer) ([]Peer, error)) error {
	unlock, err := lockDir(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	peers, err := s.Peers()
	if err != nil {
		return err
	}
	if peers, err = edit(peers); err != nil {
		return err
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		return strings.Compare(string(a.Role)+"\x00"+a.Name, string(b.Role)+"\x00"+b.Name)
	})
	text, err := json.MarshalIndent(peers, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(s.peersFile(), append(text, '\n'))
}

// watchEvery is how often Watch looks for changes. A user who forgets a peer expects
// its session to end within a second.
const watchEvery = 500 * time.Millisecond

// Watch calls changed when the rights of a peer have changed, until the peer is forgotten
// or the context ends. It returns ErrNoPeer or the context's error; what it cannot
// read counts as forgotten.
func (s *Store) Watch(ctx context.Context, known Peer, changed func(Peer)) error {
	seen := stampOf(s.peersFile())
	for first := true; ; first = false {
		if stamp := stampOf(s.peersFile()); first || stamp != seen {
			seen = stamp
			peer, found, err := s.Find(known.Role, known.Key)
			if err != nil || !found {
				return errors.Join(fmt.Errorf("%q: %w", known.Name, ErrNoPeer), err)
			}
			if peer.Rights != nil && !peer.Rights.Equal(*known.Rights) {
				known = peer
				changed(peer)
			}
		}
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stamp tells one content of a file from the next: each is a file of its own. The
// number of a file that is gone may be used again, so its times count, too.
type stamp struct {
	device, inode uint64
	changed       syscall.Timespec
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}
	}
	return stamp{uint64(st.Dev), st.Ino, st.Ctim}
}
