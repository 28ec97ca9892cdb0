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
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/door"
	"github.com/tbcam/tbcam/transport"
)

// modes is which mode is wanted of the camera, and which it has.
type modes struct {
	ask func(capture.Want) bool // false: nobody needs pictures now

	mu      sync.Mutex
	want    capture.Want
	mode    *transport.Mode  // nil: none yet, or the sender is gone
	status  transport.Status // since the last Start
	changed chan struct{}    // closed, and replaced, with every change
	turn    sync.Mutex       // held while one caller changes the mode
}

func newModes(want capture.Want, ask func(capture.Want) bool) *modes {
	return &modes{ask: ask, want: want, changed: make(chan struct{})}
}

// change changes something under the lock and tells those who wait.
func (m *modes) change(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
	close(m.changed)
	m.changed = make(chan struct{})
}

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
		return transport.Mode{}, errors.New("no camera is on: " + cmp.Or(m.status.Text, "tbcam-view waits for tbcam-send"))
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
	m.change(func() { m.mode, m.status = nil, transport.Status{} })
	if !m.ask(want) {
		m.ask(before)
		return transport.Mode{}, errors.New("no camera is on: no application looks at the virtual camera")
	}
	mode, err := m.await(ctx)
	if err != nil {
		m.ask(before)
		return transport.Mode{}, err
	}
	m.change(func() { m.want = want })
	return mode, nil
}

// await waits for a mode, or for the sender's word that there will be none.
func (m *modes) await(ctx context.Context) (transport.Mode, error) {
	for {
		m.mu.Lock()
		mode, status, changed := m.mode, m.status, m.changed
		m.mu.Unlock()
		switch {
		case mode != nil:
			return *mode, nil
		case status.State == transport.Failed, status.State == transport.Waiting, status.State == transport.Refused:
			return transport.Mode{}, errors.New(status.Text)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return transport.Mode{}, fmt.Errorf("change the mode: no answer of the sender: %w", ctx.Err())
		}
	}
}

// modePatience is how long a camera may take to start.
const modePatience = 10 * time.Second

// answer implements the door: what another tbcam-view asks of this one.
func (v *viewer) answer(ctx context.Context, q door.Request) door.Response {
	ctx, cancel := context.WithTimeout(ctx, modePatience)
	defer cancel()
	refuse := func(err error) door.Response { return door.Response{Error: err.Error()} }
	switch {
	case q.Set != nil:
		granted, err := setAndWait(ctx, v.setControl, *q.Set)
		if err != nil {
			return refuse(err)
		}
		return door.Response{Granted: &granted}
	case q.Mode != nil:
		mode, err := v.changeMode(ctx, *q.Mode)
		if err != nil {
			return refuse(err)
		}
		return door.Response{Mode: &mode}
	}
	controls := v.receiver.Controls()
	if controls.Path == "" {
		return refuse(errors.New("the sender has no camera, is of a version without remote control, or is not there"))
	}
	return door.Response{Controls: &controls}
}

func (v *viewer) changeMode(ctx context.Context, change capture.Want) (transport.Mode, error) {
	if change == (capture.Want{}) {
		return v.modes.now()
	}
	return v.modes.set(ctx, change)
}

// openDoor lets tbcam-view controls, control and mode reach this one.
func (v *viewer) openDoor() (closeDoor func()) {
	path, err := door.Path(cli.StreamKey(v.o.stream))
	var d *door.Door
	if err == nil {
		d, err = door.Open(path, v.answer)
	}
	if err != nil {
		v.log.Warn("tbcam-view controls and mode will not reach this one", "why", err)
		return func() {}
	}
	return func() {
		if err := d.Close(); err != nil {
			v.log.Warn("close the door of tbcam-view control", "why", err)
		}
	}
}

func modeCommand(o *options) *cobra.Command {
	var flags cli.WantFlags
	c := &cobra.Command{
		Use:   "mode",
		Short: "Show or change the mode of the camera that a tbcam-view is showing",
		Long: `Show the mode of the camera that a tbcam-view on this stream is showing, or change
it with --size, --fps, --format and --camera. What is not given stays as it is.`,
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
	flags.Register(c.Flags(), "of the sender: a `CAMERA`'s device or (part of its) name, or pattern")
	return c
}

func (o *options) mode(ctx context.Context, want capture.Want) error {
	path, err := door.Path(cli.StreamKey(o.stream))
	if err != nil {
		return err
	}
	answer, err := door.Ask(ctx, path, door.Request{Mode: &want})
	switch {
	case errors.Is(err, door.ErrNobody):
		return cli.Mark(fmt.Errorf("%w; start one with --size, --fps and --format", err), cli.ErrStream)
	case err != nil:
		return err
	case answer.Mode == nil:
		return errNoAnswer
	}
	_, err = fmt.Fprintf(os.Stdout, "%s, %v\n", answer.Mode.Camera, answer.Mode.Source)
	return err
}
