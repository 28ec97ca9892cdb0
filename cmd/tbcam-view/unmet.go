package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/tbcam/tbcam/transport"
)

// What happens to a single --snapshot for which there is no frame: it ends with the
// reason, where waiting would not help, and when its time is up.

// onlySnapshot reports whether a single snapshot is all that is left to do.
func (v *viewer) onlySnapshot() bool {
	return v.o.snapshot != "" && v.o.snapshotEvery == 0 && v.sinks() == 1
}

// giveUpSnapshot ends a run that was to take one snapshot of what the far side lacks,
// and reports whether it did.
func (v *viewer) giveUpSnapshot(status transport.Status) bool {
	lacks := status.Cause == transport.NoCamera || status.Cause == transport.NoMode || status.State == transport.Failed
	if !lacks || !v.onlySnapshot() || !v.demand.requested(status.Request) {
		return false
	}
	v.mu.Lock()
	v.failed = cmp.Or(v.failed, status.Cause.Err(status.Text))
	v.mu.Unlock()
	v.done()
	return true
}

// missingSnapshot returns an error where a signal came, or the time of --timeout was
// up, before a single snapshot was taken: a script must not take it for there.
func (v *viewer) missingSnapshot(signals, limited context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.o.snapshot == "" || v.o.snapshotEvery > 0 || v.taken {
		return nil
	}
	err := v.o.timeout.Explain(limited, limited.Err(), "a snapshot")
	if err == nil || signals.Err() != nil {
		return signals.Err()
	}
	if v.notice != "" {
		return v.status.Cause.Err(err.Error() + ": " + v.notice)
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
