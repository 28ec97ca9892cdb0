package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

// TestModes: a request is granted, refused, failed or not answered; what another request
// was told is no answer.
func TestModes(t *testing.T) {
	refused := transport.Status{State: transport.Refused, Request: 1, Text: "no such mode", Cause: transport.NoMode}
	waiting := transport.Status{State: transport.Waiting, Request: 1, Text: "busy", Cause: transport.Busy}
	for name, c := range map[string]struct {
		answer func(*modes)
		err    error
	}{
		"granted":      {func(m *modes) { m.setMode(transport.Mode{Number: 3, Request: 1}) }, nil},
		"refused":      {func(m *modes) { m.setStatus(refused) }, capture.ErrNoMode},
		"waiting":      {func(m *modes) { m.setStatus(waiting) }, capture.ErrBusy},
		"not answered": {func(m *modes) { m.setMode(transport.Mode{Number: 3, Request: 2}) }, context.DeadlineExceeded},
		"cleared": {func(m *modes) {
			m.setMode(transport.Mode{Number: 3, Request: 1})
			m.clearState()
		}, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newModes()
			m.setStatus(transport.Status{State: transport.Failed, Text: "of another", Request: 77})
			time.AfterFunc(time.Second, func() { c.answer(m) })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			mode, err := m.awaitMode(ctx, 1)
			if !errors.Is(err, c.err) || err == nil && mode.Number != 3 {
				t.Errorf("%s: %+v, %v", name, mode, err)
			}
			if err != nil && strings.Contains(err.Error(), "of another") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
