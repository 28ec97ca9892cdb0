package sign

import (
	"context"
	"errors"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// desktop shows a notification. Only the notifier uses it.
type desktop interface {
	// notify shows a notification in place of the last one.
	notify(summary, body string) error
	// hide closes the notification, if one is shown.
	hide()
	// signals receives what handle is for; it is closed when the desktop has gone.
	signals() <-chan *dbus.Signal
	// handle returns the action that the user chose, "" for none.
	handle(*dbus.Signal) string
	// close leaves the desktop.
	close()
}

// notifier shows the newest state on the desktop, or in the log. Only its run uses it.
type notifier struct {
	config  Config
	connect func() (desktop, error) // a nil desktop with an error
	desktop desktop                 // nil: not connected
	shown   []Use
	logged  bool // it was logged that there is no desktop
}

func newNotifier(c Config) *notifier {
	return &notifier{config: c, connect: func() (desktop, error) { return connectBus(c.Address) }}
}

// run shows states until the context ends, and then nothing more.
func (n *notifier) run(ctx context.Context, states mailbox) {
	defer n.disconnect()
	var hide <-chan time.Time
	for {
		select {
		case uses := <-states:
			switch {
			case len(uses) > 0:
				hide = nil
				n.show(uses)
			case len(n.shown) > 0 && hide == nil:
				hide = time.After(hideAfter)
			}
		case <-hide:
			hide = nil
			n.hide()
		case signal, ok := <-n.signals():
			if !ok {
				n.disconnect() // the desktop has gone
				continue
			}
			n.act(n.desktop.handle(signal))
		case <-ctx.Done():
			n.hide()
			return
		}
	}
}

// show replaces what is shown.
func (n *notifier) show(uses []Use) {
	if slices.Equal(uses, n.shown) {
		return
	}
	n.shown = uses
	if err := n.notify(uses); err != nil {
		n.logOnce(err)
		n.config.Log.Info(describe(uses))
		if n.config.Bell != nil {
			_, _ = n.config.Bell.Write([]byte("\a"))
		}
	}
}

// logOnce logs why there is no notification, the first time.
func (n *notifier) logOnce(err error) {
	if !n.logged && !errors.Is(err, errNoBus) {
		n.config.Log.Warn("cannot notify the desktop", "err", err)
	}
	n.logged = true
}

// notify has the desktop show what is on. It connects to the desktop first, unless that was done.
func (n *notifier) notify(uses []Use) (err error) {
	if n.desktop == nil {
		if n.desktop, err = n.connect(); err != nil {
			return err
		}
	}
	var lines []string
	for _, u := range uses {
		// Names are texts of peers and makers, and the body may be markup.
		lines = append(lines, html.EscapeString(fmt.Sprintf("%s%s: %s, since %s", u.kind(), u.Device, u.Peer, u.Since.Local().Format(time.Kitchen))))
	}
	return n.desktop.notify(headline(uses), strings.Join(lines, "\n"))
}

// signals returns the signals of the desktop, nil while there is none.
func (n *notifier) signals() <-chan *dbus.Signal {
	if n.desktop == nil {
		return nil
	}
	return n.desktop.signals()
}

// hide closes the notification.
func (n *notifier) hide() {
	n.shown = nil
	if n.desktop != nil {
		n.desktop.hide()
	}
}

// disconnect leaves the desktop. The next notification connects again.
func (n *notifier) disconnect() {
	if n.desktop != nil {
		n.desktop.close()
	}
	n.desktop = nil
}

// act does what the user has chosen in the notification.
func (n *notifier) act(action string) {
	switch action {
	case actionStop:
		n.config.Stop()
	case actionForget:
		n.config.Forget()
	}
}
