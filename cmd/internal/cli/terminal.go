package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/trust"
)

// Terminal asks the user of a program in its terminal while it pairs.
type Terminal struct {
	in       io.Reader
	out      io.Writer
	reading  sync.Once
	lines    chan string // closed at the end of in
	declined atomic.Bool // the user does not want to be asked again
	// granted are what flags grant a viewer; nil: the user is asked.
	granted *trust.Rights
	once    bool // for one session only

	mu     sync.Mutex
	stated string // the last state that was reported
}

// errDeclined is returned when a user pressed Enter only.
var errDeclined = errors.New("declined")

// OpenTerminal returns the terminal of the program, nil if it has none. There is one: what
// is typed has one reader.
var OpenTerminal = sync.OnceValue(openTerminal)

func openTerminal() *Terminal {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	// A job in the background is not stopped by a question: its read fails, and it
	// refuses.
	signal.Ignore(syscall.SIGTTIN)
	return newTerminal(os.Stdin, os.Stderr)
}

func newTerminal(in io.Reader, out io.Writer) *Terminal {
	return &Terminal{in: in, out: out, lines: make(chan string)}
}

// SenderPrompt returns what asks a sender's user, nil if nobody is to be asked.
func (t *Terminal) SenderPrompt() trust.SenderPrompt {
	if t == nil || t.declined.Load() {
		return nil
	}
	return t
}

// ViewerPrompt returns what asks a viewer's user, nil if nobody is to be asked.
func (t *Terminal) ViewerPrompt() trust.ViewerPrompt {
	if t == nil || t.declined.Load() {
		return nil
	}
	return t
}

// EnterNumber implements trust.SenderPrompt.
func (t *Terminal) EnterNumber(ctx context.Context, wrong int) (string, error) {
	question := "A tbcam-view that is not paired wants to see this host's camera.\nType the six digits that it shows, or press Enter to refuse: "
	if wrong > 0 {
		question = "That is another number. Type the six digits, or press Enter to refuse: "
	}
	number, err := t.ask(ctx, question)
	if err == nil && number == "" {
		t.declined.Store(true)
		return "", errDeclined
	}
	return number, err
}

// GrantRights implements trust.SenderPrompt.
func (t *Terminal) GrantRights(ctx context.Context) (trust.Grant, error) {
	if t.granted != nil {
		return trust.Grant{Rights: *t.granted, Once: t.once}, nil
	}
	rights := trust.DefaultRights()
	for _, right := range []struct {
		question string
		granted  *bool
	}{{"set the camera's controls", &rights.Control}, {"hear a microphone that tbcam-send offers", &rights.Microphone}} {
		answer, err := t.ask(ctx, "May it also "+right.question+"? [y/N] ")
		if err != nil {
			return trust.Grant{}, err
		}
		*right.granted = isYes(answer)
	}
	return trust.Grant{Rights: rights, Once: t.once}, nil
}

// grantFromFlags has GrantRights return what flags grant, if there are any.
func (t *Terminal) grantFromFlags(c *cobra.Command, flags *rightsFlags) {
	rights := trust.DefaultRights()
	if flags.apply(c.Flags(), &rights) {
		t.granted = &rights
	}
}

// ReportState shows why there is no session with a peer, once.
func (t *Terminal) ReportState(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text = capture.Printable(text); text != t.stated {
		t.stated = text
		fmt.Fprintln(t.out, text)
	}
}

// ShowNumber implements trust.ViewerPrompt.
func (t *Terminal) ShowNumber(_ context.Context, number string) {
	fmt.Fprintf(t.out, "This sender is not paired. Type this number at tbcam-send on the camera's host: %s %s\n", number[:3], number[3:])
}

// ConfirmSender implements trust.ViewerPrompt.
func (t *Terminal) ConfirmSender(ctx context.Context, name string) (bool, error) {
	answer, err := t.ask(ctx, fmt.Sprintf("%q claims that the number was typed there. Did tbcam-send accept it? [y/N] ", name))
	if err == nil && !isYes(answer) {
		t.declined.Store(true)
	}
	return isYes(answer), err
}

// Confirm asks a question to which Enter alone means yes.
func (t *Terminal) Confirm(ctx context.Context, question string) bool {
	answer, err := t.ask(ctx, question+" [Y/n] ")
	return err == nil && (answer == "" || isYes(answer))
}

func isYes(answer string) bool { return strings.HasPrefix(strings.ToLower(answer), "y") }

// ask returns the line that the user types after a question. What was typed before it
// does not count.
func (t *Terminal) ask(ctx context.Context, question string) (string, error) {
	t.reading.Do(func() { go t.read() })
	for drained := false; !drained; {
		select {
		case _, open := <-t.lines:
			drained = !open
		default:
			drained = true
		}
	}
	fmt.Fprint(t.out, question)
	select {
	case line, open := <-t.lines:
		if !open {
			t.declined.Store(true)
			return "", io.EOF
		}
		return strings.TrimSpace(line), nil
	case <-ctx.Done():
		fmt.Fprintln(t.out)
		return "", ctx.Err()
	}
}

// read reads lines until the terminal is gone: nothing can end a read of it before.
func (t *Terminal) read() {
	defer close(t.lines)
	lines := bufio.NewReader(t.in)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		t.lines <- line
	}
}
