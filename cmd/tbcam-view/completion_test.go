package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestEndInTime: a run that does not end is left soon after a signal, but not before
// its recording is complete, and what it ends with is known.
func TestEndInTime(t *testing.T) {
	failed := errors.New("the disk is full")
	for name, c := range map[string]struct {
		recording, hangs time.Duration // after the signal; 0: not
		want             error
		took             time.Duration
	}{
		"ends":                         {0, 0, nil, 0},
		"ends late":                    {0, time.Second, nil, time.Second},
		"hangs":                        {0, time.Hour, failed, endWithin},
		"records, ends":                {time.Minute, time.Minute, nil, time.Minute},
		"records, hangs":               {time.Minute, time.Hour, failed, time.Minute + endAfterRecording},
		"has recorded already, hangs":  {time.Second, time.Hour, failed, endWithin + endAfterRecording},
		"has recorded already, slowly": {time.Second, endWithin + time.Millisecond, nil, endWithin + time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals, signal := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute, signal)
				begin := time.Now()
				err := endInTime(signals, func(c2 *completion) error {
					c2.setResult(func() error { return failed })
					if c.recording > 0 {
						c2.expectRecording()
					}
					<-signals.Done()
					if c.recording > 0 {
						time.AfterFunc(c.recording, c2.recordingIsComplete)
					}
					time.Sleep(c.hangs)
					return nil
				})
				if took := time.Since(begin) - time.Minute; err != c.want || took != c.took {
					t.Errorf("it ended with %v after %v, want %v after %v", err, took, c.want, c.took)
				}
				time.Sleep(2 * time.Hour)
			})
		})
	}
}
