package main

import (
	"context"
	"errors"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/ctlsock"
	"github.com/tbcam/tbcam/transport"
)

// modePatience is how long a camera may take to start.
const modePatience = 10 * time.Second

// answer answers what another tbcam-view asks of this one.
func (b *bridge) answer(ctx context.Context, q ctlsock.Request) ctlsock.Response {
	ctx, cancel := context.WithTimeout(ctx, modePatience)
	defer cancel()
	refuse := func(err error) ctlsock.Response {
		return ctlsock.Response{Error: err.Error(), Cause: transport.CauseOf(err)}
	}
	switch {
	case q.Set != nil:
		granted, err := setControlAndWait(ctx, b.setControl, *q.Set)
		if err != nil {
			return refuse(err)
		}
		return ctlsock.Response{Granted: &granted}
	case q.Mode != nil:
		mode, err := b.changeMode(ctx, *q.Mode)
		if err != nil {
			return refuse(err)
		}
		return ctlsock.Response{Mode: &mode}
	}
	controls := b.far.Controls()
	if controls.Path == "" {
		return refuse(errors.New("the sender has no camera, has no remote control, or is not connected"))
	}
	return ctlsock.Response{Controls: &controls}
}

func (b *bridge) changeMode(ctx context.Context, change capture.Want) (transport.Mode, error) {
	if change == (capture.Want{}) {
		return b.modes.current()
	}
	return b.modes.requestMode(ctx, change)
}

// openControlSocket lets tbcam-view controls, control and mode reach this one.
func (b *bridge) openControlSocket() (closeSocket func()) {
	path, err := ctlsock.Path(cli.StreamKey(b.stream))
	var d *ctlsock.Door
	if err == nil {
		d, err = ctlsock.Open(path, b.answer)
	}
	if err != nil {
		b.log.Warn("open the control socket: tbcam-view control and mode will not work", "err", err)
		return func() {}
	}
	return func() {
		if err := d.Close(); err != nil {
			b.log.Warn("close the control socket", "err", err)
		}
	}
}
