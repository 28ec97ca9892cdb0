package main

import (
	"context"
	"errors"

	"github.com/tbcam/tbcam/sink/hub"
	"github.com/tbcam/tbcam/transport"
)

// What happens to a single --snapshot for which there is no frame: it ends with the
// reason, where waiting would not help, and when its time is up.

// onlySnapshot reports whether a single snapshot is all that is left to do.
func (r *run) onlySnapshot() bool {
	return r.o.snapshot != "" && r.o.snapshotEvery == 0 && r.fanout.Left() == 1
}

// giveUp ends a run that cannot have what it asks for, and reports whether it did.
func (r *run) giveUp(status transport.Status) bool {
	if status.Cause != hub.Conflict {
		return r.giveUpSnapshot(status)
	}
	if mode, _ := r.bridge.currentMode(); mode.Number > 0 || !r.stream.attached() {
		return false
	}
	r.noteFailure(hub.ConflictError(status.Text))
	r.done()
	return true
}

// giveUpSnapshot ends a run that was to take one snapshot of what the far side lacks,
// and reports whether it did.
func (r *run) giveUpSnapshot(status transport.Status) bool {
	lacks := status.Cause == transport.NoCamera || status.Cause == transport.NoMode || status.State == transport.Failed
	if !lacks || !r.onlySnapshot() || !r.bridge.demand.isRequested(status.Request) {
		return false
	}
	r.noteFailure(status.Cause.Err(status.Text))
	r.done()
	return true
}

// missingSnapshot returns an error where a signal came, or the time of --timeout was
// up, before a single snapshot was taken: a script must not take it for there.
func (r *run) missingSnapshot(signals, limited context.Context) error {
	r.mu.Lock()
	taken, bridge := r.snapshot, r.bridge
	r.mu.Unlock()
	if r.o.snapshot == "" || r.o.snapshotEvery > 0 || taken {
		return nil
	}
	err := r.o.timeout.Explain(limited, limited.Err(), "a snapshot")
	if err == nil || signals.Err() != nil {
		return signals.Err()
	}
	if bridge == nil {
		return err
	}
	if notice, status := bridge.waitingFor(); notice != "" {
		return status.Cause.Err(err.Error() + ": " + notice)
	}
	return err
}

// checkTimeout refuses --timeout where nothing is waited for.
func (o *options) checkTimeout() error {
	if o.timeout.String() != "" && (o.snapshot == "" || o.snapshotEvery > 0) {
		return errors.New("--timeout needs --snapshot FILE.png, without --snapshot-every")
	}
	return nil
}
