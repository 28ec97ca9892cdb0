package doctor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// browser is one whose use of PipeWire depends on a switch.
type browser struct {
	name     string
	programs []string // below /usr/bin; of a Flatpak its ID
	// settings are files that may have the switch, the one that counts most first.
	settings []string
	on, off  *regexp.Regexp // what they have
	remedy   string
	// Where versions differ: the files that have it, the first one that has the switch,
	// and the first one that finds cameras on all sites.
	versions     []string
	since, sound int
}

// The switches, as the files of settings have them. Of Chromium's choices in
// chrome://flags, @1 is "Enabled".
var (
	chromiumOn  = regexp.MustCompile(`enable-webrtc-pipewire-camera@1"|--enable-features=\S*WebRtcPipeWireCamera`)
	chromiumOff = regexp.MustCompile(`enable-webrtc-pipewire-camera@2"|--disable-features=\S*WebRtcPipeWireCamera`)
	firefoxOn   = regexp.MustCompile(`media\.webrtc\.camera\.allow-pipewire"[^;}]*\btrue\b`)
	firefoxOff  = regexp.MustCompile(`media\.webrtc\.camera\.allow-pipewire"[^;}]*\bfalse\b`)
	number      = regexp.MustCompile(`(?m)^Version=(\d+)`)
)

const (
	chromiumRemedy = "enable chrome://flags/#enable-webrtc-pipewire-camera, or start it with --enable-features=WebRtcPipeWireCamera"
	firefoxRemedy  = "set media.webrtc.camera.allow-pipewire to true in about:config, and start it again"
)

// chromium returns a browser of Chromium's family. None of its versions uses PipeWire by
// itself (156 was tried).
func chromium(name string, config string, programs ...string) browser {
	return browser{
		name: name, programs: programs, on: chromiumOn, off: chromiumOff, remedy: chromiumRemedy,
		settings: []string{
			"~/.config/" + config + "/Local State", "~/.var/app/*/config/" + config + "/Local State",
			"~/.config/" + filepath.Base(config) + "-flags.conf", "/etc/" + filepath.Base(config) + ".d/*",
		},
	}
}

// browsersKnown is the table of browsers. Firefox has had its switch since 116, and finds
// cameras on all sites since 122; Fedora sets it since release 41 in a file below /usr/lib64.
var browsersKnown = []browser{
	chromium("Chromium", "chromium", "chromium", "chromium-browser", "org.chromium.Chromium"),
	chromium("Chrome", "google-chrome", "google-chrome", "google-chrome-stable", "com.google.Chrome"),
	chromium("Brave", "BraveSoftware/Brave-Browser", "brave-browser", "brave", "com.brave.Browser"),
	chromium("Edge", "microsoft-edge", "microsoft-edge", "microsoft-edge-stable", "com.microsoft.Edge"),
	chromium("Vivaldi", "vivaldi", "vivaldi", "vivaldi-stable", "com.vivaldi.Vivaldi"),
	{
		name: "Firefox", programs: []string{"firefox", "firefox-esr", "org.mozilla.firefox"}, on: firefoxOn, off: firefoxOff, remedy: firefoxRemedy,
		settings: []string{
			"~/.mozilla/firefox/*/user.js", "~/.mozilla/firefox/*/prefs.js",
			"~/.config/mozilla/firefox/*/user.js", "~/.config/mozilla/firefox/*/prefs.js",
			"~/.var/app/org.mozilla.firefox/.mozilla/firefox/*/prefs.js",
			"/etc/firefox*/policies/policies.json", "/etc/firefox*/*.js", "/etc/firefox*/*/*.js",
			"/usr/lib*/firefox*/distribution/policies.json", "/usr/lib*/firefox*/*/pref/*.js",
			"/usr/lib*/firefox*/*/preferences/*.js", "/usr/lib*/firefox*/browser/defaults/*/*.js",
		},
		versions: []string{"/usr/lib*/firefox*/application.ini"}, since: 116, sound: 122,
	},
}

// browsers looks at the switches of those that are installed, where there is something
// to switch on.
func (m Machine) browsers() []Finding {
	if m.Session.PipeWire != nil || !m.Session.Managed {
		return nil
	}
	var findings []Finding
	for _, b := range browsersKnown {
		if m.hasBrowser(b) {
			findings = append(findings, m.switchOf(b))
		}
	}
	return findings
}

func (m Machine) hasBrowser(b browser) bool {
	return slices.ContainsFunc(b.programs, func(name string) bool {
		if strings.Contains(name, ".") {
			return m.existsFile("/var/lib/flatpak/app/"+name) || m.existsFile(filepath.Join(m.Home, ".local/share/flatpak/app", name))
		}
		return m.hasProgram(name)
	})
}

// switchOf returns whether a browser uses PipeWire.
func (m Machine) switchOf(b browser) Finding {
	version := m.newest(b)
	name := b.name
	if version > 0 {
		name = fmt.Sprintf("%s %d", b.name, version)
	}
	switch {
	case version > 0 && version < b.since:
		return Finding{Hint, fmt.Sprintf("%s cannot use PipeWire and sees only cameras of v4l2loopback", name),
			fmt.Sprintf("update it to %d or newer", b.sound)}
	case !m.isOn(b):
		return Finding{Hint, name + " does not use PipeWire and sees only cameras of v4l2loopback", b.remedy}
	case version > 0 && version < b.sound:
		return Finding{Hint, name + " uses PipeWire, but some sites find no camera", fmt.Sprintf("update it to %d or newer", b.sound)}
	}
	return Finding{Good, name + " uses the cameras of PipeWire", ""}
}

// isOn reports whether a browser's switch is on in one of its settings, and not off in
// one that counts more.
func (m Machine) isOn(b browser) bool {
	for _, pattern := range b.settings {
		text := m.readTexts(strings.Replace(pattern, "~", m.Home, 1))
		switch {
		case b.on.MatchString(text):
			return true
		case b.off.MatchString(text):
			return false
		}
	}
	return false
}

// newest returns the newest version of a browser that is installed, 0 where it is not
// known.
func (m Machine) newest(b browser) (newest int) {
	for _, pattern := range b.versions {
		for _, match := range number.FindAllStringSubmatch(m.readTexts(pattern), -1) {
			if n, err := strconv.Atoi(match[1]); err == nil {
				newest = max(newest, n)
			}
		}
	}
	return newest
}
