package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// callers are applications that have calls, as Flatpak and Snap name them.
var callers = []string{
	"com.brave.Browser", "com.discordapp.Discord", "com.github.IsmaelMartinez.teams_for_linux", "com.google.Chrome",
	"com.obsproject.Studio", "com.slack.Slack", "io.github.ungoogled_software.ungoogled_chromium", "org.chromium.Chromium",
	"org.mozilla.firefox", "org.signal.Signal", "us.zoom.Zoom",
	"brave", "chromium", "discord", "firefox", "obs-studio", "opera", "slack", "teams-for-linux", "zoom-client",
}

// checkSandboxes looks for what stands between applications and device nodes, where that
// matters.
func (m Machine) checkSandboxes(loopbackWorks, pipeWireWorks bool) []Finding {
	if !pipeWireWorks {
		return slices.Concat(m.checkFlatpaks(flatpakNeedsDevices), m.checkSnaps(), m.missedNodes())
	}
	if !loopbackWorks {
		return m.checkFlatpaks(flatpakHasPortal)
	}
	return slices.Concat(m.checkFlatpaks(flatpakHasPortal), m.checkSnaps())
}

// checkFlatpaks notes those that may open no device nodes (flatpak-metadata(5)).
func (m Machine) checkFlatpaks(finding func(id string) Finding) []Finding {
	var findings []Finding
	for _, base := range []string{"/var/lib/flatpak", filepath.Join(m.Home, ".local/share/flatpak")} {
		for _, dir := range m.globPaths(base + "/app/*") {
			id := filepath.Base(dir)
			metadata, _ := os.ReadFile(filepath.Join(dir, "current/active/metadata"))
			if slices.Contains(callers, id) && !mayOpenDevices(string(metadata)) {
				findings = append(findings, finding(id))
			}
		}
	}
	return findings
}

func flatpakNeedsDevices(id string) Finding {
	return Finding{Hint, "the Flatpak " + id + " opens no device nodes and sees cameras only through the portal",
		"flatpak override --user --device=all " + id}
}

// flatpakHasPortal is the finding where PipeWire and the portal serve: who uses them
// needs no device nodes.
func flatpakHasPortal(id string) Finding {
	return Finding{Good, "the Flatpak " + id + " sees cameras through the portal: the one at PipeWire, not that of v4l2loopback", ""}
}

func mayOpenDevices(metadata string) bool {
	for line := range strings.Lines(metadata) {
		if devices, found := strings.CutPrefix(strings.TrimSpace(line), "devices="); found {
			return slices.Contains(strings.Split(devices, ";"), "all")
		}
	}
	return false
}

// checkSnaps notes those that need a connection to cameras.
func (m Machine) checkSnaps() []Finding {
	var findings []Finding
	for _, dir := range m.globPaths("/snap/*") {
		if name := filepath.Base(dir); slices.Contains(callers, name) {
			findings = append(findings, Finding{Hint, "the Snap " + name + " opens cameras only if allowed",
				"sudo snap connect " + name + ":camera"})
		}
	}
	return findings
}

// missedNodes notes what lists cameras for portals, Firefox and GNOME: it does not
// notice when a v4l2loopback node becomes a camera.
func (m Machine) missedNodes() []Finding {
	if !m.existsFile("/usr/bin/wireplumber") {
		return nil
	}
	return []Finding{{Hint, "applications that use PipeWire and the portal may miss a camera of v4l2loopback that appears later",
		"after tbcam-view has started: systemctl --user restart wireplumber"}}
}
