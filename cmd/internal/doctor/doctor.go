package doctor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/distro"
	"github.com/tbcam/tbcam/sink/virtualcam/v4l2node"
)

// Grade is how bad a finding is.
type Grade int

// The grades. Calls work without what a Hint asks for, for some at least.
const (
	Good Grade = iota
	Hint
	Bad
)

// String returns the mark at the beginning of a line.
func (g Grade) String() string { return [...]string{"ok", "hint", "WRONG"}[g] }

// Finding is something that was looked at.
type Finding struct {
	Grade  Grade
	What   string
	Remedy string // a command or an advice; "" where there is nothing to do
}

// Machine is what is examined.
type Machine struct {
	Root    string // in front of /sys, /etc and so on; "" but in tests
	Home    string
	Nodes   func() ([]v4l2.LoopbackNode, error)
	Session Session
}

// Examine looks at all that virtual cameras need, the most important first. There are
// two ways to applications, v4l2loopback and PipeWire: while one of them works, what is
// bad about the other is a hint.
func (m Machine) Examine() []Finding {
	loopback := slices.Concat(m.checkModule(), m.checkNodes(), m.checkBoot())
	pipeWire := slices.Concat(m.pipeWire(), m.portal())
	loopbackWorks, pipeWireWorks := Works(loopback), Works(pipeWire)
	if pipeWireWorks {
		demote(loopback)
	}
	if loopbackWorks {
		demote(pipeWire)
	}
	return slices.Concat(loopback, pipeWire, m.browsers(), m.checkSandboxes(loopbackWorks, pipeWireWorks))
}

// demote makes what is bad a hint.
func demote(findings []Finding) {
	for i := range findings {
		if findings[i].Grade == Bad {
			findings[i].Grade = Hint
		}
	}
}

// Works reports whether calls will work.
func Works(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return f.Grade == Bad })
}

// Print writes findings for a person, remedies below.
func Print(w io.Writer, findings []Finding) error {
	for _, f := range findings {
		line := fmt.Sprintf("%-6s%s\n", f.Grade, f.What)
		if f.Remedy != "" {
			line += "      -> " + f.Remedy + "\n"
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
}

// Parts of the file system.
const (
	moduleDir  = "/sys/module/v4l2loopback"
	secureBoot = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	mokDKMS    = "/var/lib/dkms/mok.pub"
	mokUbuntu  = "/var/lib/shim-signed/mok/MOK.der"
)

func (m Machine) rootedPath(path string) string { return filepath.Join(m.Root, path) }

func (m Machine) existsFile(path string) bool {
	_, err := os.Stat(m.rootedPath(path))
	return err == nil
}

// readText returns a file's, "" where it cannot be read.
func (m Machine) readText(path string) string {
	b, _ := os.ReadFile(m.rootedPath(path))
	return strings.TrimSpace(string(b))
}

// readTexts returns those of the files that match, joined.
func (m Machine) readTexts(pattern string) string {
	paths, _ := filepath.Glob(m.rootedPath(pattern)) // the patterns are well-formed
	var all []string
	for _, path := range paths {
		b, _ := os.ReadFile(path)
		all = append(all, string(b))
	}
	return strings.Join(all, "\n")
}

func (m Machine) globPaths(pattern string) []string {
	paths, _ := filepath.Glob(m.rootedPath(pattern))
	return paths
}

// checkModule looks at the driver.
func (m Machine) checkModule() []Finding {
	if !m.LoadedLoopback() {
		return append([]Finding{m.explainMissing()}, m.checkSignature()...)
	}
	version := m.readText(moduleDir + "/version")
	f := []Finding{{Good, fmt.Sprintf("v4l2loopback %s is loaded%s", version, m.moduleOptions()), ""}}
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n == 2 && major == 0 && minor < 13 {
		f = append(f, Finding{Hint, "v4l2loopback " + version + " cannot detect when an application reads the camera, which stays on",
			"install version 0.13 or newer, from your distribution's backports or github.com/v4l2loopback"})
	}
	return f
}

// moduleOptions returns those of the driver that matter.
func (m Machine) moduleOptions() string {
	var all []string
	for _, name := range []string{"exclusive_caps", "max_buffers", "max_openers"} {
		if value := m.readText(moduleDir + "/parameters/" + name); value != "" {
			all = append(all, name+"="+value)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// explainMissing returns why the driver is not loaded.
func (m Machine) explainMissing() Finding {
	kernel := m.readText("/proc/sys/kernel/osrelease")
	host := distro.Detect(m.Root)
	switch {
	case m.HasLoopback():
		return Finding{Bad, "v4l2loopback is not loaded", v4l2node.LoadCommand}
	case len(m.globPaths("/usr/src/v4l2loopback-*")) > 0:
		return Finding{Bad, "v4l2loopback is not built for this kernel, " + kernel,
			host.Install(distro.Headers) + " && " + host.Rebuild() + " && " + v4l2node.LoadCommand}
	}
	return Finding{Bad, "v4l2loopback is not installed", host.Install(distro.V4L2Loopback, distro.Headers) + " && " + v4l2node.LoadCommand}
}

// KeyRemedy returns what has the kernel take modules of DKMS under Secure Boot, "" where
// that is off.
func (m Machine) KeyRemedy() string {
	if b, _ := os.ReadFile(m.rootedPath(secureBoot)); len(b) != 5 || b[4] != 1 {
		return ""
	}
	key := mokDKMS
	if m.existsFile(mokUbuntu) {
		key = mokUbuntu
	}
	return "sudo mokutil --import " + key + ", and confirm at the next boot"
}

// checkSignature notes Secure Boot, under which the kernel takes signed modules only.
func (m Machine) checkSignature() []Finding {
	remedy := m.KeyRemedy()
	if remedy == "" {
		return nil
	}
	return []Finding{{Hint, "Secure Boot is on: modules built by DKMS load only if their key is enrolled (else modprobe prints \"Key was rejected by service\")", remedy}}
}

// checkNodes looks at the virtual cameras. One that every application sees is enough.
func (m Machine) checkNodes() []Finding {
	if !m.LoadedLoopback() {
		return nil
	}
	nodes, err := m.Nodes()
	switch {
	case err != nil:
		return []Finding{{Bad, err.Error(), ""}}
	case len(nodes) == 0 && m.existsFile(v4l2.LoopbackControl):
		return []Finding{{Bad, "no v4l2loopback node exists", v4l2node.AddCommand}}
	case len(nodes) == 0:
		return []Finding{{Bad, "no v4l2loopback node exists", "sudo modprobe -r v4l2loopback; " + v4l2node.LoadCommand}}
	}
	works := slices.ContainsFunc(nodes, func(n v4l2.LoopbackNode) bool { return n.Err == nil && n.Exclusive })
	var findings []Finding
	for _, n := range nodes {
		f := checkNode(n)
		if f.Grade == Bad && works {
			f.Grade = Hint
		}
		findings = append(findings, f)
	}
	return findings
}

func checkNode(n v4l2.LoopbackNode) Finding {
	name := fmt.Sprintf("%s (%s)", n.Path, n.Name)
	switch {
	case errors.Is(n.Err, capture.ErrNotAllowed):
		return Finding{Bad, n.Err.Error(), "sudo usermod -aG video $USER, and log in again"}
	case n.Err != nil:
		return Finding{Bad, n.Err.Error(), ""}
	case !n.Exclusive:
		return Finding{Bad, name + " is an output as well: Chromium and others do not list it",
			"sudo modprobe -r v4l2loopback; " + v4l2node.LoadCommand}
	case n.MaxOpeners > 0 && n.MaxOpeners < 3:
		return Finding{Hint, fmt.Sprintf("%s can be opened by %d programs at a time; tbcam-view and a browser need more", name, n.MaxOpeners),
			fmt.Sprintf("echo 10 | sudo tee /sys/class/video4linux/%s/max_openers", filepath.Base(n.Path))}
	case n.KeepsFormat:
		return Finding{Hint, fmt.Sprintf("%s has the format of another program, %v", name, n.Format),
			"nothing, if it suits: tbcam-view uses it; override it with --virtual-camera-size and --virtual-camera-format"}
	case n.Capture:
		return Finding{Good, fmt.Sprintf("%s is in use: applications see %v", name, n.Format), ""}
	}
	return Finding{Good, name + " is free; it becomes a camera when tbcam-view starts", ""}
}

// LoadedLoopback reports whether v4l2loopback is loaded.
func (m Machine) LoadedLoopback() bool { return m.existsFile(moduleDir) }

// HasLoopback reports whether v4l2loopback is installed for the running kernel.
func (m Machine) HasLoopback() bool {
	return strings.Contains(m.readText("/lib/modules/"+m.readText("/proc/sys/kernel/osrelease")+"/modules.dep"), "v4l2loopback.ko")
}

// BootsLoopback reports whether the host's owner has decided what becomes of v4l2loopback
// at boot: it is loaded with options, or blacklisted.
func (m Machine) BootsLoopback() bool {
	loads := strings.Contains(m.readTexts("/etc/modules-load.d/*.conf")+m.readText("/etc/modules"), "v4l2loopback")
	return m.BlacklistsLoopback() || loads && strings.Contains(m.readTexts("/etc/modprobe.d/*.conf"), "exclusive_caps=1")
}

// BlacklistsLoopback reports whether the owner does not want it loaded.
func (m Machine) BlacklistsLoopback() bool {
	return strings.Contains(m.readTexts("/etc/modprobe.d/*.conf"), "blacklist v4l2loopback")
}

// checkBoot looks at whether the driver comes back.
func (m Machine) checkBoot() []Finding {
	switch {
	case m.BlacklistsLoopback():
		return []Finding{{Hint, "v4l2loopback is blacklisted in /etc/modprobe.d: it is not loaded at boot", "grep -l v4l2loopback /etc/modprobe.d/*"}}
	case m.BootsLoopback():
		return []Finding{{Good, "v4l2loopback is loaded at boot, with exclusive_caps=1", ""}}
	}
	return []Finding{{Hint, "v4l2loopback is not loaded at boot with exclusive_caps=1",
		"echo v4l2loopback | sudo tee /etc/modules-load.d/v4l2loopback.conf; " +
			"echo options v4l2loopback exclusive_caps=1 card_label=" + v4l2node.Label + " | sudo tee /etc/modprobe.d/v4l2loopback.conf"}}
}
