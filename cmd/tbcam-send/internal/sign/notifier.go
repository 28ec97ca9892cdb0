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

// Notifications of the desktop (Desktop Notifications Specification 1.2).
const (
	busName    = "org.freedesktop.Notifications"
	objectPath = "/org/freedesktop/Notifications"
	// urgencyCritical keeps a notification until it is closed.
	urgencyCritical = byte(2)
	// callTimeout is how long a desktop may take to answer.
	callTimeout = 2 * time.Second
)

// errNoBus is returned where there is no desktop.
var errNoBus = errors.New("no session bus")

// The keys of the actions in a notification.
const (
	actionStop   = "stop"
	actionForget = "forget"
)

// notifier shows the newest state on the desktop, or in the log. Only its run uses it.
type notifier struct {
	config  Config
	conn    *dbus.Conn        // nil: not connected
	signals chan *dbus.Signal // of conn
	id      uint32            // of the notification that is shown, 0 if none
	shown   []Use
	logged  bool // it was logged that there is no desktop
}

func newNotifier(c Config) *notifier { return &notifier{config: c} }

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
		case signal, ok := <-n.signals:
			if !ok {
				n.disconnect() // the bus has gone
				continue
			}
			n.handle(signal)
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

// notify has the desktop show what is on.
func (n *notifier) notify(uses []Use) error {
	if err := n.connect(); err != nil {
		return err
	}
	var lines []string
	for _, u := range uses {
		// Names are texts of peers and makers, and the body may be markup.
		lines = append(lines, html.EscapeString(fmt.Sprintf("%s%s: %s, since %s", u.kind(), u.Device, u.Peer, u.Since.Local().Format(time.Kitchen))))
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	call := n.object().CallWithContext(ctx, busName+".Notify", 0,
		"tbcam", n.id, "camera-web", headline(uses), strings.Join(lines, "\n"),
		[]string{actionStop, "Stop", actionForget, "Forget this computer"},
		map[string]dbus.Variant{
			"urgency":  dbus.MakeVariant(urgencyCritical),
			"resident": dbus.MakeVariant(true), // an action does not close it
			"category": dbus.MakeVariant("device"),
		}, int32(0))
	if err := call.Store(&n.id); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

func (n *notifier) object() dbus.BusObject { return n.conn.Object(busName, objectPath) }

// connect connects to the bus, unless that was done.
func (n *notifier) connect() error {
	if n.conn != nil {
		return nil
	}
	// The address may name other machines, too: this is about this host.
	if !strings.HasPrefix(n.config.Address, "unix:") {
		return errNoBus
	}
	conn, err := dbus.Connect(n.config.Address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := conn.AddMatchSignal(dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName), dbus.WithMatchObjectPath(objectPath)); err != nil {
		conn.Close()
		return fmt.Errorf("connect: %w", err)
	}
	n.conn, n.signals = conn, make(chan *dbus.Signal, 16)
	conn.Signal(n.signals)
	return nil
}

// disconnect leaves the bus. The next notification connects again.
func (n *notifier) disconnect() {
	if n.conn != nil {
		n.conn.Close()
	}
	n.conn, n.signals, n.id = nil, nil, 0
}

// hide closes the notification.
func (n *notifier) hide() {
	n.shown = nil
	if n.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	n.object().CallWithContext(ctx, busName+".CloseNotification", dbus.FlagNoReplyExpected, n.id)
	n.id = 0
}

// handle acts on what the user has done with the notification.
func (n *notifier) handle(signal *dbus.Signal) {
	if len(signal.Body) < 2 || signal.Body[0] != n.id || n.id == 0 {
		return
	}
	switch signal.Name {
	case busName + ".NotificationClosed":
		n.id = 0
	case busName + ".ActionInvoked":
		switch signal.Body[1] {
		case actionStop:
			n.config.Stop()
		case actionForget:
			n.config.Forget()
		}
	}
}
