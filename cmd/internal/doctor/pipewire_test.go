package doctor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tbcam/tbcam/capture/pipewire"
)

// serving is a session in which all is well.
var serving = Session{
	Status: pipewire.Status{Managed: true, Cameras: []string{"v4l2_input.0", "tbcam"}},
	Portal: Portal{Installed: true, Cameras: true, Present: true},
}

// session returns a session in which something is not well.
func session(change func(*Session)) Session {
	s := serving
	change(&s)
	return s
}

func TestPipeWireFindings(t *testing.T) {
	installed := files{"/usr/bin/pipewire": "", "/usr/bin/wireplumber": "", "/etc/os-release": "ID=arch\n"}
	noServer := func(err error) Session {
		return session(func(s *Session) { s.PipeWire, s.Status = fmt.Errorf("connect: %w", err), pipewire.Status{} })
	}
	unmanaged := session(func(s *Session) { s.Managed = false })
	portal := func(change func(*Portal)) Session { return session(func(s *Session) { change(&s.Portal) }) }
	denied := func(ids ...string) Session { return portal(func(p *Portal) { p.Denied = ids }) }
	for _, tt := range []struct {
		name    string
		files   files
		session Session
		works   bool // without v4l2loopback
		want    Finding
	}{
		{"all is well", installed, serving, true, Finding{Good, "PipeWire has the camera tbcam", ""}},
		{"a further camera", installed, session(func(s *Session) { s.Cameras = []string{"tbcam-12"} }), true, Finding{Good, "PipeWire has the camera tbcam-12", ""}},
		{"no camera of ours", installed, session(func(s *Session) { s.Cameras = []string{"tbcam-view", "tbcam-"} }), true,
			Finding{Good, "gets one when tbcam-view --virtual-camera starts", ""}},
		{"the other way is a hint", installed, serving, true, Finding{Hint, "v4l2loopback is not installed", "sudo pacman -S v4l2loopback-dkms"}},
		{"no library", debian, noServer(pipewire.ErrNoLibrary), false, Finding{Bad, "PipeWire is not installed", "sudo apt install pipewire wireplumber"}},
		{"not installed", fedora, noServer(pipewire.ErrNotRunning), false, Finding{Bad, "PipeWire is not installed", "sudo dnf install pipewire wireplumber"}},
		{"not running", installed, noServer(pipewire.ErrNotRunning), false, Finding{Bad, "PipeWire is not running", "systemctl --user enable --now pipewire.socket"}},
		{"no session", installed, noServer(pipewire.ErrNoSession), false, Finding{Bad, "a user's session", "without sudo"}},
		{"no answer", installed, noServer(pipewire.ErrTimeout), false, Finding{Bad, "does not answer", "restart pipewire"}},
		{"no WirePlumber", debian, unmanaged, false, Finding{Bad, "WirePlumber is not installed", "sudo apt install wireplumber && systemctl"}},
		{"WirePlumber is not running", installed, unmanaged, false, Finding{Bad, "WirePlumber is not running", "enable --now wireplumber"}},
		{"no bus", installed, session(func(s *Session) { s.Bus = ErrNoBus }), false, Finding{Bad, "no session bus", "in the session of the desktop"}},
		{"no portal", debian, portal(func(p *Portal) { *p = Portal{} }), false,
			Finding{Bad, "portal is not installed", "sudo apt install xdg-desktop-portal xdg-desktop-portal-gtk"}},
		{"the portal does not start", installed, portal(func(p *Portal) { *p = Portal{Installed: true, Err: errors.New("exited with 1")} }), false,
			Finding{Bad, "exited with 1", "restart xdg-desktop-portal"}},
		{"no backend", installed, portal(func(p *Portal) { *p = Portal{Installed: true} }), false,
			Finding{Bad, "no backend", "sudo pacman -S xdg-desktop-portal-gtk && systemctl"}},
		{"the portal sees none", installed, portal(func(p *Portal) { p.Present = false }), true, Finding{Hint, "sees no camera", "restart xdg-desktop-portal"}},
		{"denied to all", installed, denied(""), false, Finding{Bad, "denies cameras to all applications",
			`DeletePermission sss devices camera ""`}},
		{"denied to one", installed, denied("org.mozilla.firefox"), true, Finding{Hint, "denies cameras to org.mozilla.firefox",
			`DeletePermission sss devices camera "org.mozilla.firefox"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, tt.files)
			m.Session = tt.session
			wantFinding(t, m, tt.works, tt.want)
			if tt.want.Grade == Bad { // where v4l2loopback works, too, it is a hint
				m = machine(t, with(tt.files, with(loaded, booted)), free)
				m.Session = tt.session
				tt.want.Grade = Hint
				wantFinding(t, m, true, tt.want)
			}
		})
	}
}

// TestBrowserSwitches: the switch is found wherever users and distributions set it.
func TestBrowserSwitches(t *testing.T) {
	version := func(n string) files {
		return files{"/usr/bin/firefox": "", "/usr/lib64/firefox/application.ini": "[App]\nVersion=" + n + "\n"}
	}
	on := `user_pref("media.webrtc.camera.allow-pipewire", true);`
	off := `user_pref("media.webrtc.camera.allow-pipewire", false);`
	fedora := with(version("145.0"), files{"/usr/lib64/firefox/browser/defaults/preferences/firefox-redhat-default-prefs.js": `pref("media.webrtc.camera.allow-pipewire", true);`})
	chromium := files{"/usr/bin/chromium": ""}
	state := func(labs string) files {
		return with(chromium, files{"/home/me/.config/chromium/Local State": `{"browser":{"enabled_labs_experiments":["a@1","` + labs + `"]}}`})
	}
	for _, tt := range []struct {
		name  string
		files files
		want  Finding
	}{
		{"Chromium", chromium, Finding{Hint, "Chromium does not use PipeWire", "--enable-features=WebRtcPipeWireCamera"}},
		{"Chromium, by chrome://flags", state("enable-webrtc-pipewire-camera@1"), Finding{Good, "Chromium uses the cameras of PipeWire", ""}},
		{"Chromium, disabled", with(state("enable-webrtc-pipewire-camera@2"), files{"/etc/chromium.d/x": "--enable-features=WebRtcPipeWireCamera"}),
			Finding{Hint, "Chromium does not", "chrome://flags"}},
		{"Chromium, by a file of flags", with(chromium, files{"/home/me/.config/chromium-flags.conf": "--enable-features=A,WebRtcPipeWireCamera\n"}),
			Finding{Good, "Chromium uses", ""}},
		{"Chromium, by Debian's file", with(chromium, files{"/etc/chromium.d/pw": "CHROMIUM_FLAGS=\"$CHROMIUM_FLAGS --enable-features=WebRtcPipeWireCamera\"\n"}),
			Finding{Good, "Chromium uses", ""}},
		{"Chrome", files{"/usr/bin/google-chrome-stable": ""}, Finding{Hint, "Chrome does not", "chrome://flags"}},
		{"Chromium's Flatpak", files{"/var/lib/flatpak/app/org.chromium.Chromium/x": "", "/home/me/.var/app/org.chromium.Chromium/config/chromium/Local State": `"enable-webrtc-pipewire-camera@1"`},
			Finding{Good, "Chromium uses", ""}},
		{"Firefox", version("153.8.0"), Finding{Hint, "Firefox 153 does not use PipeWire", "about:config"}},
		{"Firefox, switched on", with(version("153.8.0"), files{"/home/me/.mozilla/firefox/a.default/prefs.js": on}), Finding{Good, "Firefox 153 uses", ""}},
		{"Firefox in Fedora", fedora, Finding{Good, "Firefox 145 uses", ""}},
		{"Firefox in Fedora, switched off", with(fedora, files{"/home/me/.mozilla/firefox/a.default/prefs.js": off}), Finding{Hint, "Firefox 145 does not", "about:config"}},
		{"Firefox, by a policy", with(version("140.1"), files{"/etc/firefox/policies/policies.json": `{"policies":{"Preferences":{"media.webrtc.camera.allow-pipewire":{"Value":true}}}}`}),
			Finding{Good, "Firefox 140 uses", ""}},
		{"an old Firefox", with(version("118.0"), files{"/home/me/.mozilla/firefox/a.default/prefs.js": on}), Finding{Hint, "some sites find no camera", "122"}},
		{"a very old Firefox", version("115.9.0"), Finding{Hint, "Firefox 115 cannot use PipeWire", "122"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, tt.files)
			m.Session = serving
			wantFinding(t, m, true, tt.want)
		})
	}
}

// TestFlatpakAtPipeWire: who uses the portal needs no device nodes.
func TestFlatpakAtPipeWire(t *testing.T) {
	m := machine(t, files{"/var/lib/flatpak/app/com.obsproject.Studio/current/active/metadata": "[Context]\ndevices=dri;\n"})
	m.Session = serving
	wantFinding(t, m, true, Finding{Good, "the Flatpak com.obsproject.Studio sees cameras through the portal", ""})
}
