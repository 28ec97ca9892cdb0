package doctor

import (
	"errors"
	"strings"

	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/cmd/internal/distro"
	"github.com/tbcam/tbcam/sink/virtualcam/pwnode"
)

// pipeWire looks at the server, its session manager and our node.
func (m Machine) pipeWire() []Finding {
	if m.Session.PipeWire != nil {
		return []Finding{m.noPipeWire(m.Session.PipeWire)}
	}
	findings := []Finding{{Good, "PipeWire serves this session", ""}}
	if f, lacking := m.noManager(); lacking {
		return append(findings, f)
	}
	for _, name := range m.Session.Cameras {
		if isOurs(name) {
			return append(findings, Finding{Good, "PipeWire has the camera " + name, ""})
		}
	}
	return append(findings, Finding{Good, "PipeWire has no camera of tbcam now; it gets one when tbcam-view --virtual-camera starts", ""})
}

// isOurs reports whether a node of a name is one of tbcam-view's.
func isOurs(name string) bool {
	number, found := strings.CutPrefix(name, pwnode.Name+"-")
	return name == pwnode.Name || found && number != "" && strings.Trim(number, "0123456789") == ""
}

// noPipeWire returns why PipeWire cannot be used.
func (m Machine) noPipeWire(err error) Finding {
	host := distro.Detect(m.Root)
	switch {
	case errors.Is(err, pipewire.ErrNoLibrary), errors.Is(err, pipewire.ErrNotRunning) && !m.hasProgram("pipewire"):
		return Finding{Bad, "PipeWire is not installed", host.Install(distro.PipeWire, distro.WirePlumber)}
	case errors.Is(err, pipewire.ErrNoSession):
		return Finding{Bad, "PipeWire runs in a user's session, and there is none here", "run tbcam-view as the user of the desktop, without sudo"}
	case errors.Is(err, pipewire.ErrNotRunning):
		return Finding{Bad, "PipeWire is not running", "systemctl --user enable --now pipewire.socket"}
	}
	return Finding{Bad, err.Error(), "systemctl --user restart pipewire"}
}

// noManager returns why nothing connects cameras to applications, if so.
func (m Machine) noManager() (f Finding, lacking bool) {
	switch {
	case m.Session.Managed:
		return f, false
	case m.hasProgram("wireplumber"):
		return Finding{Bad, "WirePlumber is not running: no camera is connected to any application", "systemctl --user enable --now wireplumber"}, true
	}
	return Finding{Bad, "WirePlumber is not installed: no camera is connected to any application",
		distro.Detect(m.Root).Install(distro.WirePlumber) + " && systemctl --user enable --now wireplumber"}, true
}

// hasProgram reports whether a program is installed.
func (m Machine) hasProgram(name string) bool {
	return m.existsFile("/usr/bin/"+name) || m.existsFile("/usr/local/bin/"+name)
}

// clearCommand prints how to forget what the user has answered for an application: it
// will be asked again.
func clearCommand(id string) string {
	return "busctl --user call " + storeName + " " + storePath + " " + storeName + ` DeletePermission sss devices camera "` + id + `"`
}

// portal looks at what gives browsers and Flatpaks access to the cameras of PipeWire.
func (m Machine) portal() []Finding {
	p, host := m.Session.Portal, distro.Detect(m.Root)
	switch {
	case m.Session.PipeWire != nil || !m.Session.Managed:
		return nil // one problem at a time
	case m.Session.Bus != nil:
		return []Finding{{Bad, m.Session.Bus.Error() + ": browsers and Flatpaks get no camera from PipeWire", "run tbcam-view in the session of the desktop"}}
	case !p.Installed:
		return []Finding{{Bad, "the camera portal is not installed: browsers and Flatpaks get no camera from PipeWire",
			host.Install(distro.Portal, distro.Backend)}}
	case p.Err != nil:
		return []Finding{{Bad, "the camera portal does not answer: " + p.Err.Error(), "systemctl --user restart xdg-desktop-portal"}}
	case !p.Cameras:
		return []Finding{{Bad, "the camera portal has no backend that can ask for permission",
			host.Install(distro.Backend) + " && systemctl --user restart xdg-desktop-portal"}}
	}
	findings := []Finding{{Good, "the camera portal serves", ""}}
	if !p.Present && len(m.Session.Cameras) > 0 {
		findings = append(findings, Finding{Hint, "the camera portal sees no camera, though PipeWire has one", "systemctl --user restart xdg-desktop-portal"})
	}
	for _, id := range p.Denied {
		findings = append(findings, denied(id))
	}
	return findings
}

// denied is the finding for an application that the user once denied cameras: it gets
// none, and is not asked for again.
func denied(id string) Finding {
	if id == "" {
		return Finding{Bad, "the portal denies cameras to all applications outside of a sandbox, without asking", clearCommand(id)}
	}
	return Finding{Hint, "the portal denies cameras to " + id + ", without asking", clearCommand(id)}
}
