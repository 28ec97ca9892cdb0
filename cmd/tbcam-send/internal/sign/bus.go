package sign

import (
	"context"
	"errors"
	"fmt"
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

// sessionBus is a desktop, by the session bus.
type sessionBus struct {
	conn     *dbus.Conn
	received chan *dbus.Signal
	id       uint32 // of the notification that is shown, 0 if none
}

// connectBus connects to the bus at an address.
func connectBus(address string) (desktop, error) {
	// The address may name other machines, too: this is about this host.
	if !strings.HasPrefix(address, "unix:") {
		return nil, errNoBus
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := conn.AddMatchSignal(dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName), dbus.WithMatchObjectPath(objectPath)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	b := &sessionBus{conn: conn, received: make(chan *dbus.Signal, 16)}
	conn.Signal(b.received)
	return b, nil
}

func (b *sessionBus) object() dbus.BusObject { return b.conn.Object(busName, objectPath) }

func (b *sessionBus) notify(summary, body string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	call := b.object().CallWithContext(ctx, busName+".Notify", 0,
		"tbcam", b.id, "camera-web", summary, body,
		[]string{actionStop, "Stop", actionForget, "Forget this computer"},
		map[string]dbus.Variant{
			"urgency":  dbus.MakeVariant(urgencyCritical),
			"resident": dbus.MakeVariant(true), // an action does not close it
			"category": dbus.MakeVariant("device"),
		}, int32(0))
	if err := call.Store(&b.id); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

func (b *sessionBus) hide() {
	if b.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	b.object().CallWithContext(ctx, busName+".CloseNotification", dbus.FlagNoReplyExpected, b.id)
	b.id = 0
}

func (b *sessionBus) signals() <-chan *dbus.Signal { return b.received }

func (b *sessionBus) handle(signal *dbus.Signal) (action string) {
	if len(signal.Body) < 2 || signal.Body[0] != b.id || b.id == 0 {
		return ""
	}
	switch signal.Name {
	case busName + ".NotificationClosed":
		b.id = 0
	case busName + ".ActionInvoked":
		action, _ = signal.Body[1].(string)
	}
	return action
}

func (b *sessionBus) close() { b.conn.Close() }
