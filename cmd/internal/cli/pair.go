package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/cmd/internal/pairsock"
	"github.com/tbcam/tbcam/transport/trust"
)

// pairWait is how long the pair command waits for a peer.
const pairWait = 2 * time.Minute

// PairCommand is the pair command of either program.
type PairCommand struct {
	Role   trust.Role // of peers
	Stream *string
	// Alone pairs with a peer, without the program that usually has the stream, and returns
	// with whom. It uses the prompts of a Pairing.
	Alone func(ctx context.Context) (name string, err error)

	rights rightsFlags
	once   bool
}

// Command returns the command. Its peer is the other program.
func (p *PairCommand) Command() *cobra.Command {
	other := "tbcam-send"
	long := "Shows six digits, which are typed at tbcam-send on the camera's host."
	if p.Role == trust.RoleViewer {
		other, long = "tbcam-view", "Asks for the six digits that tbcam-view shows at the other end of the cable."
	}
	c := &cobra.Command{
		Use:   "pair",
		Short: "Pair with the computer at the other end of the cable",
		Long: long + `
If a program of this user runs on the stream, also as a service, that is paired, and
goes on. Run ` + other + ` pair on the other computer meanwhile, or start ` + other + ` in a
terminal there. It waits for ` + fmt.Sprint(pairWait.Minutes()) + ` minutes.`,
		Args: NoArgs,
		RunE: p.run,
	}
	if p.Role == trust.RoleViewer {
		p.rights.register(c.Flags())
		c.Flags().BoolVar(&p.once, "once", false, "for one session of the tbcam-send that runs: neither computer keeps the other")
		c.Flags().StringVar(p.Stream, "stream", DefaultStream, StreamUsage)
	}
	return c
}

// errNoTerminal is returned when the pair command can ask nobody.
var errNoTerminal = errors.New("pair: it asks in a terminal; without one use the command peers add")

func (p *PairCommand) run(c *cobra.Command, _ []string) error {
	terminal := OpenTerminal()
	switch {
	case !NeedsTrust(*p.Stream):
		return Mark(fmt.Errorf("pair: programs at %s are not paired: they are of users whom the kernel names", *p.Stream), ErrUsage)
	case terminal == nil:
		return Mark(errNoTerminal, ErrUsage)
	}
	store, err := OpenTrust()
	if err != nil {
		return err
	}
	terminal.grantFromFlags(c, &p.rights)
	terminal.once = p.once
	only := ""
	if c.Flags().Changed("stream") {
		only = *p.Stream
	}
	ctx, cancel := context.WithTimeout(c.Context(), pairWait)
	defer cancel()
	terminal.ReportState("waiting for the other computer; run pair there too")
	name, err := joinPrograms(ctx, pairsock.Find(store.Dir(), p.Role), only, &pairUser{Terminal: terminal})
	switch {
	case !errors.Is(err, errNoProgram):
	case p.once:
		err = errNothingForOnce
	default:
		name, err = p.Alone(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("pair: no computer to pair with came within %v", pairWait)
	}
	if err != nil {
		return err
	}
	return WritePrintable(c.OutOrStdout(), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "paired with %s\n", name)
		return err
	})
}

// errNoProgram is returned when no program runs that could be paired.
var errNoProgram = errors.New("no program runs")

// errNothingForOnce is returned when there is no program that has a session.
var errNothingForOnce = errors.New("pair --once: no tbcam-send of this user runs on a device; start it first")

// joinPrograms has a user answer the questions of the programs at some sockets, until one
// of them is paired, and returns with whom.
func joinPrograms(ctx context.Context, paths []string, stream string, user *pairUser) (string, error) {
	type result struct {
		name   string
		failed error // of a program that cannot pair
	}
	var joins []func(context.Context) (result, error)
	for _, path := range paths {
		joins = append(joins, func(ctx context.Context) (result, error) {
			name, err := pairsock.Join(ctx, path, stream, user)
			if errors.As(err, new(*pairsock.FailedError)) {
				return result{failed: err}, nil
			}
			return result{name: name}, err
		})
	}
	if len(joins) == 0 {
		return "", errNoProgram
	}
	switch first, err := FirstAnswer(ctx, joins...); {
	case err == nil:
		return first.name, first.failed
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", errNoProgram
}

// CountPairable returns how many programs of this user the pair command reaches.
func CountPairable(dir string, role trust.Role) int { return pairsock.CountRunning(dir, role) }

// partWait is how long a session that has paired goes on, so that the peer learns that.
const partWait = 500 * time.Millisecond

// PairAlone runs a Sender or Receiver until it is paired, and returns with whom. trusted and
// refused are its fields.
func PairAlone(ctx context.Context, trusted *func(trust.Outcome), refused *func(error), run func(context.Context) error) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	accept, refuse := *trusted, *refused
	var name string
	*trusted = func(o trust.Outcome) {
		accept(o)
		if !o.Unpaired && name == "" {
			name = o.Peer.Name
			time.AfterFunc(partWait, func() { cancel(nil) })
		}
	}
	*refused = func(err error) {
		refuse(err)
		if isFinal(err) {
			cancel(err)
		}
	}
	err := run(ctx)
	switch cause := context.Cause(ctx); {
	case name != "":
		return name, nil
	case err == nil:
		err = cause
	}
	return "", err
}

// pairUser is the user of the pair command, whom several programs may ask.
type pairUser struct {
	*Terminal
	mu sync.Mutex // one question at a time
}

// EnterNumber implements trust.SenderPrompt.
func (u *pairUser) EnterNumber(ctx context.Context, wrong int) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.Terminal.EnterNumber(ctx, wrong)
}

// GrantRights implements trust.SenderPrompt.
func (u *pairUser) GrantRights(ctx context.Context) (trust.Grant, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.Terminal.GrantRights(ctx)
}

// ConfirmSender implements trust.ViewerPrompt.
func (u *pairUser) ConfirmSender(ctx context.Context, name string) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.Terminal.ConfirmSender(ctx, name)
}
