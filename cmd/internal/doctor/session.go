package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/tbcam/tbcam/capture/pipewire"
)

// Session is what a user's session has for cameras. ProbeSession fills it.
type Session struct {
	// PipeWire is why PipeWire cannot be asked; nil if it can.
	PipeWire error
	pipewire.Status
	// Bus is why the session bus cannot be asked; nil if it can.
	Bus    error
	Portal Portal
}

// Portal is the camera portal, through which browsers and Flatpaks get cameras.
type Portal struct {
	Installed bool
	Err       error    // it does not answer
	Cameras   bool     // it gives access to cameras, for which it needs a backend
	Present   bool     // it sees a camera
	Denied    []string // applications that the user denied cameras; "" for those without a sandbox
}

// ErrNoBus is returned where there is no session bus, as for root and for services.
var ErrNoBus = errors.New("there is no session bus")

// answerTime bounds how long the portal may take, which the bus may have to start.
const answerTime = 10 * time.Second

// ProbeSession asks PipeWire and the portal of this process's session.
func ProbeSession(ctx context.Context) (s Session) {
	s.Status, s.PipeWire = pipewire.ReadStatus()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	address, err := busAddress()
	if err != nil {
		s.Bus = err
		return s
	}
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		s.Bus = fmt.Errorf("%w: %w", ErrNoBus, err)
		return s
	}
	defer conn.Close()
	s.Portal, s.Bus = probePortal(ctx, conn)
	return s
}

// busAddress returns the address of the session bus. The library's own search would
// start a bus where there is none.
func busAddress() (string, error) {
	address, dir := os.Getenv("DBUS_SESSION_BUS_ADDRESS"), os.Getenv("XDG_RUNTIME_DIR")
	if address == "" && dir != "" {
		path := filepath.Join(dir, "bus")
		if _, err := os.Stat(path); err == nil {
			address = "unix:path=" + path
		}
	}
	if !strings.HasPrefix(address, "unix:") {
		return "", ErrNoBus
	}
	return address, nil
}

// Names on the session bus.
const (
	busName     = "org.freedesktop.DBus"
	portalName  = "org.freedesktop.portal.Desktop"
	portalPath  = "/org/freedesktop/portal/desktop"
	cameraIface = "org.freedesktop.portal.Camera"
	storeName   = "org.freedesktop.impl.portal.PermissionStore"
	storePath   = "/org/freedesktop/impl/portal/PermissionStore"
)

// probePortal asks the portal. The error is of the bus.
func probePortal(ctx context.Context, conn *dbus.Conn) (p Portal, err error) {
	var active, known []string
	err = conn.BusObject().CallWithContext(ctx, busName+".ListNames", 0).Store(&active)
	if err == nil {
		err = conn.BusObject().CallWithContext(ctx, busName+".ListActivatableNames", 0).Store(&known)
	}
	if err != nil {
		return p, fmt.Errorf("ask the session bus: %w", err)
	}
	p.Installed = slices.Contains(active, portalName) || slices.Contains(known, portalName)
	if !p.Installed {
		return p, nil
	}
	p.Present, p.Err = askPortal(ctx, conn)
	p.Cameras = p.Err == nil
	if isMissing(p.Err) {
		p.Err = nil
	}
	if slices.Contains(active, storeName) || slices.Contains(known, storeName) {
		p.Denied = askPermissions(ctx, conn)
	}
	return p, nil
}

// askPortal asks whether the portal sees a camera.
func askPortal(ctx context.Context, conn *dbus.Conn) (present bool, err error) {
	call := conn.Object(portalName, portalPath).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, cameraIface, "IsCameraPresent")
	err = call.Store(&present)
	return present, err
}

// isMissing reports whether an error is that there is no such interface or property.
func isMissing(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && slices.Contains([]string{
		busName + ".Error.InvalidArgs", busName + ".Error.UnknownInterface", busName + ".Error.UnknownProperty",
		busName + ".Error.UnknownMethod", busName + ".Error.UnknownObject",
	}, e.Name)
}

// askPermissions returns which applications are denied cameras. Without an answer there
// are none: the store has no such entry before the first question.
func askPermissions(ctx context.Context, conn *dbus.Conn) (denied []string) {
	var permissions map[string][]string
	var data dbus.Variant
	call := conn.Object(storeName, storePath).CallWithContext(ctx, storeName+".Lookup", 0, "devices", "camera")
	if call.Store(&permissions, &data) != nil {
		return nil
	}
	for id, answers := range permissions {
		if slices.Contains(answers, "no") {
			denied = append(denied, id)
		}
	}
	slices.Sort(denied)
	return denied
}
