package pipewire

import "sync"

// watcher turns the wake-ups of a connection into receptions of a channel.
type watcher struct {
	conn    *conn
	changed chan struct{}
	running sync.WaitGroup
}

// newWatcher watches a connection until close.
func newWatcher(c *conn) *watcher {
	w := &watcher{conn: c, changed: make(chan struct{}, 1)}
	w.running.Go(w.forward)
	return w
}

func (w *watcher) forward() {
	defer close(w.changed)
	for w.conn.wait() {
		notify(w.changed)
	}
}

// stop ends the watching, after which the connection may be closed.
func (w *watcher) stop() {
	w.conn.interrupt()
	w.running.Wait()
}
