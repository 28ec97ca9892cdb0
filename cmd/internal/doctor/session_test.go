package doctor

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// TestProbeWithoutSession: as root's and services', whose bus must not be started.
func TestProbeWithoutSession(t *testing.T) {
	for _, name := range []string{"XDG_RUNTIME_DIR", "PIPEWIRE_RUNTIME_DIR", "PIPEWIRE_REMOTE", "DBUS_SESSION_BUS_ADDRESS"} {
		t.Setenv(name, "")
	}
	if s := ProbeSession(t.Context()); !errors.Is(s.PipeWire, pipewire.ErrNoSession) || !errors.Is(s.Bus, ErrNoBus) || s.Managed {
		t.Errorf("%+v", s)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "tcp:host=127.0.0.1,port=1")
	if s := ProbeSession(t.Context()); !errors.Is(s.Bus, ErrNoBus) {
		t.Errorf("a bus that is no socket: %v", s.Bus)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if s := ProbeSession(t.Context()); !errors.Is(s.PipeWire, pipewire.ErrNotRunning) || !errors.Is(s.Bus, ErrNoBus) {
		t.Errorf("nothing runs: %+v", s)
	}
}

// TestProbeSession: what is there is found, a denial too, and what the remedy does.
func TestProbeSession(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: pwsession.TestNodes}.WithPortal(t))
	s.Enter(t)
	got := ProbeSession(t.Context())
	if got.PipeWire != nil || got.Bus != nil || !got.Managed || !slices.Equal(got.Cameras, []string{"vt"}) {
		t.Errorf("PipeWire: %+v", got)
	}
	if p := got.Portal; !p.Installed || p.Err != nil || !p.Cameras || !p.Present || p.Denied != nil {
		t.Errorf("portal: %+v", p)
	}
	s.AllowCameras(false)
	if p := ProbeSession(t.Context()).Portal; !slices.Equal(p.Denied, []string{""}) {
		t.Errorf("denied: %q", p.Denied)
	}
	s.Output("sh", "-c", clearCommand(""))
	if p := ProbeSession(t.Context()).Portal; len(p.Denied) > 0 {
		t.Errorf("denied after %s: %q", clearCommand(""), p.Denied)
	}
	s.Stop(pwsession.WirePlumber, syscall.SIGTERM)
	if got := ProbeSession(t.Context()); got.PipeWire != nil || got.Managed {
		t.Errorf("without WirePlumber: %+v", got)
	}
	s.Stop(pwsession.PipeWire, syscall.SIGTERM)
	if got := ProbeSession(t.Context()); !errors.Is(got.PipeWire, pipewire.ErrNotRunning) {
		t.Errorf("without PipeWire: %+v", got)
	}
}

// TestProbePortal: without a backend that can ask for permission it has no cameras;
// without the desktop's files it does not start.
func TestProbePortal(t *testing.T) {
	for env, starts := range map[string]bool{"XDG_DESKTOP_PORTAL_DIR=/nonexistent": true, "XDG_DATA_DIRS=/nonexistent": false} {
		t.Run(env, func(t *testing.T) {
			s := pwsession.Start(t, pwsession.Options{PipeWire: pwsession.TestNodes, Env: []string{env}})
			s.Enter(t)
			if p := ProbeSession(t.Context()).Portal; !p.Installed || (p.Err == nil) != starts || p.Cameras || p.Present {
				t.Errorf("portal: %+v", p)
			}
		})
	}
}
