package pipewire

import "sync"

// watcher turns the wake-ups of a connection into receptions of a channel.
type watcher struct {
	conn    *conn
	note    func() // called before each reception, if set
	changed chan struct{}
	running sync.WaitGroup
}

// newWatcher watches a connection until stop.
func newWatcher(c *conn, note func()) *watcher {
	w := &watcher{conn: c, note: note, changed: make(chan struct{}, 1)}
	w.running.Go(w.forward)
	return w
}

func (w *watcher) forward() {
	defer close(w.changed)
	for w.conn.wait() {
		if w.note != nil {
			w.note()
		}
		notify(w.changed)
	}
}

// stop ends the watching, after which the connection may be closed.
func (w *watcher) stop() {
	w.conn.interrupt()
	w.running.Wait()
}
