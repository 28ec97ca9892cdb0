package transporttest

import (
	"context"
	"errors"
	"testing"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/trust"
)

// Trust is what proves both ends of a line to each other.
type Trust struct {
	Sender trust.SenderConfig
	Viewer trust.ViewerConfig
}

// NewTrust returns the Trust of two computers that do not know each other.
func NewTrust(t testing.TB) *Trust {
	t.Helper()
	tr, err := OpenTrust(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// OpenTrust returns the Trust of two computers that keep their keys in directories.
func OpenTrust(sender, viewer string) (*Trust, error) {
	tr := &Trust{}
	tr.Sender.Name, tr.Viewer.Name = "anna@laptop", "anna@desktop"
	for dir, end := range map[string]*trust.Config{sender: &tr.Sender.Config, viewer: &tr.Viewer.Config} {
		store, err := trust.Open(dir)
		if err != nil {
			return nil, err
		}
		if end.Identity, err = store.Identity(); err != nil {
			return nil, err
		}
		end.Store = store
	}
	return tr, nil
}

// Pair has both computers know each other.
func (tr *Trust) Pair() error {
	rights := trust.DefaultRights()
	return errors.Join(
		tr.Sender.Store.Add(trust.Peer{Key: tr.Viewer.Identity.Fingerprint(), Name: "desktop", Role: trust.RoleViewer, Rights: &rights}),
		tr.Viewer.Store.Add(trust.Peer{Key: tr.Sender.Identity.Fingerprint(), Name: "laptop", Role: trust.RoleSender}))
}

// Guard has both programs use it. Either may be nil.
func (tr *Trust) Guard(s *transport.Sender, r *transport.Receiver) {
	if s != nil {
		s.Trust = func() trust.SenderConfig { return tr.Sender }
	}
	if r != nil {
		r.Trust = func() trust.ViewerConfig { return tr.Viewer }
	}
}

// User is one person at both ends: types at the sender what the viewer shows, and
// confirms it.
type User struct{ number chan string }

// AskUser has both ends ask the same user while they pair.
func (tr *Trust) AskUser() {
	u := &User{make(chan string, 1)}
	tr.Sender.Prompt = func() trust.SenderPrompt { return u }
	tr.Viewer.Prompt, tr.Sender.Attempts = u, &trust.Attempts{}
}

// ShowNumber implements trust.ViewerPrompt.
func (u *User) ShowNumber(_ context.Context, number string) { u.number <- number }

// ConfirmSender implements trust.ViewerPrompt.
func (u *User) ConfirmSender(context.Context, string) (bool, error) { return true, nil }

// EnterNumber implements trust.SenderPrompt.
func (u *User) EnterNumber(ctx context.Context, _ int) (string, error) {
	select {
	case number := <-u.number:
		return number, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// GrantRights implements trust.SenderPrompt.
func (u *User) GrantRights(context.Context) (trust.Grant, error) {
	return trust.Grant{Rights: trust.DefaultRights()}, nil
}
