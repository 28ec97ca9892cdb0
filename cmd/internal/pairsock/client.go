package pairsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/tbcam/tbcam/transport/trust"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// User is who answers a program's questions.
type User interface {
	trust.SenderPrompt
	trust.ViewerPrompt
	// ReportState shows why there is no session with a peer.
	ReportState(text string)
}

// ErrLeft is returned when the program ended before it was paired.
var ErrLeft = errors.New("the program has ended")

// ErrOtherStream is returned for a program that waits for peers on another stream.
var ErrOtherStream = errors.New("the program has another stream")

// FailedError is returned when a program cannot pair.
type FailedError struct{ Reason string }

func (e *FailedError) Error() string { return e.Reason }

// Join has a user answer the questions of the program that listens at a path, until that is
// paired, and returns with whom. With a stream, other programs are left alone.
func Join(ctx context.Context, path, stream string, user User) (name string, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return "", fmt.Errorf("connect to the program that runs: %w", err)
	}
	if err := unixsock.Users(nil).Check(conn); err != nil {
		conn.Close()
		return "", err
	}
	return join(ctx, conn, stream, user)
}

// join is Join on a connection, which it closes.
func join(ctx context.Context, conn net.Conn, stream string, user User) (name string, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := &client{conn: conn, stream: stream, user: user, shown: map[int]context.CancelFunc{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	err = readMessages(conn, c.handleQuestion)
	c.cancel()
	c.answering.Wait()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, errPaired):
		return c.paired, nil
	case err == nil:
		err = ErrLeft
	}
	return "", err
}

// errPaired ends a client whose program is paired.
var errPaired = errors.New("paired")

// client answers the questions of a program.
type client struct {
	conn      net.Conn
	stream    string
	user      User
	ctx       context.Context
	cancel    context.CancelFunc
	answering sync.WaitGroup
	paired    string // with whom

	mu    sync.Mutex
	shown map[int]context.CancelFunc // ends what the user is shown or asked, by the question's number
}

func (c *client) handleQuestion(q question) error {
	switch q.Kind {
	case kindStream:
		if c.stream != "" && q.Text != c.stream {
			return ErrOtherStream
		}
	case kindState:
		c.user.ReportState(q.Text)
	case kindPaired:
		c.paired = q.Text
		return errPaired
	case kindFailed:
		return &FailedError{q.Text}
	case kindCancel:
		c.end(q.Number)
	case kindShowNumber:
		if len(q.Text) != 6 {
			return fmt.Errorf("the number %q", q.Text)
		}
		c.user.ShowNumber(c.begin(q.Number), q.Text)
	default:
		ctx := c.begin(q.Number)
		c.answering.Go(func() {
			defer c.end(q.Number)
			c.answer(ctx, q)
		})
	}
	return nil
}

// begin returns a context that ends with a question.
func (c *client) begin(number int) context.Context {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown[number] = cancel
	return ctx
}

// end ends a question.
func (c *client) end(number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.shown[number]; cancel != nil {
		cancel()
		delete(c.shown, number)
	}
}

// answer asks the user, and sends the answer.
func (c *client) answer(ctx context.Context, q question) {
	a, err := c.ask(ctx, q)
	if ctx.Err() != nil {
		return // nobody waits for it
	}
	a.Number = q.Number
	if err != nil {
		a.Err = err.Error()
	}
	if _, err := c.conn.Write(encodeMessage(a)); err != nil {
		c.conn.Close() // which ends Join
	}
}

func (c *client) ask(ctx context.Context, q question) (a answer, err error) {
	switch q.Kind {
	case kindEnterNumber:
		a.Text, err = c.user.EnterNumber(ctx, q.Wrong)
	case kindGrantRights:
		var grant trust.Grant
		grant, err = c.user.GrantRights(ctx)
		a.Grant = &grant
	case kindConfirmSender:
		a.Yes, err = c.user.ConfirmSender(ctx, q.Text)
	default:
		err = fmt.Errorf("unknown question %.20q", q.Kind)
	}
	return a, err
}
