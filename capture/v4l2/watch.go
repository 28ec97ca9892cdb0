package v4l2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long /dev must be quiet before a change is reported: a camera has
// several nodes, and udev makes each one accessible only after it was created.
const settle = 100 * time.Millisecond

// Watch returns a channel that receives when video nodes appeared, became accessible
// or went away, so that no program polls for a camera. Changes that were not received
// yet are one. The channel is closed when ctx ends.
func (Driver) Watch(ctx context.Context) (<-chan struct{}, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch /dev: %w", err)
	}
	if err := watcher.Add("/dev"); err != nil {
		watcher.Close()
		return nil, fmt.Errorf("watch /dev: %w", err)
	}
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		defer watcher.Close()
		coalesceEvents(ctx, watcher, changes)
	}()
	return changes, nil
}

// coalesceEvents turns bursts of events into single changes. An error of the watcher
// means lost events: it counts as a change, too.
func coalesceEvents(ctx context.Context, watcher *fsnotify.Watcher, changes chan<- struct{}) {
	quiet := time.NewTimer(settle)
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-watcher.Events:
			if strings.HasPrefix(e.Name, "/dev/video") && e.Op&(fsnotify.Create|fsnotify.Chmod|fsnotify.Remove) != 0 {
				quiet.Reset(settle)
			}
		case <-watcher.Errors:
			quiet.Reset(settle)
		case <-quiet.C:
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	}
}
