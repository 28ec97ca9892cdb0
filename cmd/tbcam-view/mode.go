package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/ctlsock"
	"github.com/tbcam/tbcam/transport"
)

// modes is which mode is wanted of the camera, and which it has.
type modes struct {
	demand modeDemand

	mu      sync.Mutex
	want    capture.Want
	mode    *transport.Mode  // nil: none yet, or there is no camera
	status  transport.Status // the last one of the session
	changed chan struct{}    // closed, and replaced, with every change
	turn    sync.Mutex       // held while one caller changes the mode
}

// modeDemand is the demand of the viewer.
type modeDemand interface {
	ask(want capture.Want) (request uint32, needed bool)
	keep(want capture.Want)
}

func newModes(want capture.Want, d modeDemand) *modes {
	return &modes{demand: d, want: want, changed: make(chan struct{})}
}

// change changes something under the lock and tells those who wait.
func (m *modes) change(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
	close(m.changed)
	m.changed = make(chan struct{})
}

// setMode takes note of the mode that the camera has.
func (m *modes) setMode(mode transport.Mode) { m.change(func() { m.mode = &mode }) }

// setStatus takes note of a status: a refused request leaves the camera as it is.
func (m *modes) setStatus(status transport.Status) {
	m.change(func() {
		m.status = status
		if status.State != transport.Running && status.State != transport.Refused {
			m.mode = nil
		}
	})
}

// clear forgets what the last session has told.
func (m *modes) clear() { m.change(func() { m.mode, m.status = nil, transport.Status{} }) }

func (m *modes) wanted() capture.Want {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want
}

// now returns the mode that the camera has.
func (m *modes) now() (transport.Mode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mode == nil {
		return transport.Mode{}, m.status.Cause.Err("the camera is off: " + cmp.Or(m.status.Text, "waiting for tbcam-send"))
	}
	return *m.mode, nil
}

// set asks for another mode; what it leaves open stays as it was asked before. It
// waits for what the camera's driver grants. What a camera cannot have is taken
// back.
func (m *modes) set(ctx context.Context, change capture.Want) (transport.Mode, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	before := m.wanted()
	want := change.Over(before)
	if err := want.Check(); err != nil {
		return transport.Mode{}, err
	}
	request, needed := m.demand.ask(want)
	if !needed {
		m.demand.ask(before)
		return transport.Mode{}, errors.New("the camera is off: no application reads the virtual camera")
	}
	mode, err := m.await(ctx, request)
	switch {
	case errors.Is(err, errRefused):
		m.demand.keep(before)
	case err != nil:
		m.demand.ask(before)
	default:
		m.change(func() { m.want = want })
	}
	return mode, err
}

// errRefused says that the sender has left what ran before running.
var errRefused = errors.New("request refused by the sender")

// await waits for a mode that answers a request, or for the sender's word that there
// will be none.
func (m *modes) await(ctx context.Context, request uint32) (transport.Mode, error) {
	for {
		m.mu.Lock()
		mode, status, changed := m.mode, m.status, m.changed
		m.mu.Unlock()
		if mode != nil && mode.Request == request {
			return *mode, nil
		}
		if status.Request == request {
			switch err := status.Cause.Err(status.Text); status.State {
			case transport.Refused:
				return transport.Mode{}, &refusal{err}
			case transport.Failed, transport.Waiting:
				return transport.Mode{}, err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return transport.Mode{}, fmt.Errorf("change mode: no answer from the sender: %w", ctx.Err())
		}
	}
}

// refusal is a refused request, in the words of the sender.
type refusal struct{ error }

func (r *refusal) Unwrap() []error { return []error{r.error, errRefused} }

// modePatience is how long a camera may take to start.
const modePatience = 10 * time.Second

// answer implements the door: what another tbcam-view asks of this one.
func (v *viewer) answer(ctx context.Context, q ctlsock.Request) ctlsock.Response {
	ctx, cancel := context.WithTimeout(ctx, modePatience)
	defer cancel()
	refuse := func(err error) ctlsock.Response {
		return ctlsock.Response{Error: err.Error(), Cause: transport.CauseOf(err)}
	}
	switch {
	case q.Set != nil:
		granted, err := setAndWait(ctx, v.setControl, *q.Set)
		if err != nil {
			return refuse(err)
		}
		return ctlsock.Response{Granted: &granted}
	case q.Mode != nil:
		mode, err := v.changeMode(ctx, *q.Mode)
		if err != nil {
			return refuse(err)
		}
		return ctlsock.Response{Mode: &mode}
	}
	controls := v.receiver.Controls()
	if controls.Path == "" {
		return refuse(errors.New("the sender has no camera, has no remote control, or is not connected"))
	}
	return ctlsock.Response{Controls: &controls}
}

func (v *viewer) changeMode(ctx context.Context, change capture.Want) (transport.Mode, error) {
	if change == (capture.Want{}) {
		return v.modes.now()
	}
	return v.modes.set(ctx, change)
}

// openDoor lets tbcam-view controls, control and mode reach this one.
func (v *viewer) openDoor() (closeDoor func()) {
	path, err := ctlsock.Path(cli.StreamKey(v.o.stream))
	var d *ctlsock.Door
	if err == nil {
		d, err = ctlsock.Open(path, v.answer)
	}
	if err != nil {
		v.log.Warn("open the control socket: tbcam-view control and mode will not work", "err", err)
		return func() {}
	}
	return func() {
		if err := d.Close(); err != nil {
			v.log.Warn("close the control socket", "err", err)
		}
	}
}

func modeCommand(o *options) *cobra.Command {
	var flags cli.WantFlags
	c := &cobra.Command{
		Use:   "mode",
		Short: "Show or change the mode of the camera that a tbcam-view is showing",
		Long: `Show the mode of the camera that a tbcam-view on this stream is showing, or change
it with --size, --fps, --format and --camera. What is not given remains unchanged.`,
		Example: `  tbcam-view mode --size 1280x720 --fps 60`,
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			want, err := flags.Want()
			if err != nil {
				return err
			}
			return o.mode(c.Context(), want)
		},
	}
	flags.Register(c.Flags(), "camera to use: a device, part of a name, or pattern")
	o.timeout.Register(c.Flags())
	return c
}

func (o *options) mode(ctx context.Context, want capture.Want) error {
	ctx, cancel := o.timeout.Context(ctx)
	defer cancel()
	path, err := ctlsock.Path(cli.StreamKey(o.stream))
	if err != nil {
		return err
	}
	answer, err := ctlsock.Ask(ctx, path, ctlsock.Request{Mode: &want})
	switch {
	case errors.Is(err, ctlsock.ErrNobody):
		return cli.Mark(fmt.Errorf("%w; start one with --size, --fps and --format", err), cli.ErrStream)
	case err != nil:
		return o.timeout.Explain(ctx, err, "the mode")
	case answer.Mode == nil:
		return errNoAnswer
	}
	_, err = fmt.Fprintf(os.Stdout, "%s, %v\n", answer.Mode.Camera, answer.Mode.Source)
	return err
}
