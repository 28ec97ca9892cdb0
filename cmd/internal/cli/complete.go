package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/tbdev"
)

// registerCompletion has the shells complete the values of a command's flags.
func (p *program) registerCompletion(c *cobra.Command) {
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		info := p.info(f.Name)
		complete := info.Complete
		switch {
		case info.Files || f.Value.Type() == "bool":
			return
		case complete == nil:
			complete = cobra.FixedCompletions(info.Choices, cobra.ShellCompDirectiveNoFileComp)
		}
		_ = c.RegisterFlagCompletionFunc(f.Name, p.configured(complete)) // each flag is registered once
	})
	if c.ValidArgsFunction != nil {
		c.ValidArgsFunction = p.configured(c.ValidArgsFunction)
	}
}

// configured returns a completion that knows what the configuration has, such as the stream.
func (p *program) configured(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		_ = p.applyConfig(c) // the command itself reports what is wrong with it
		return complete(c, args, typed)
	}
}

// CompleteStreams completes --stream: streams that are set up on this host, with their peers
// where there are several of a name, devices, and sockets.
func CompleteStreams(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if path, isSocket := strings.CutPrefix(typed, "unix:"); isSocket {
		found, _ := filepath.Glob(path + "*") // a malformed pattern has no files
		for i := range found {
			found[i] = "unix:" + found[i]
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	values := listStreams()
	devices, _ := filepath.Glob(Root() + "/dev/tbstream*")
	for _, d := range devices {
		values = append(values, strings.TrimPrefix(d, Root()))
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		values = append(values, cobra.CompletionWithDesc("unix:"+dir+"/tbcam.sock", "a socket on this host"))
	}
	return values, cobra.ShellCompDirectiveNoFileComp
}

// listStreams returns the streams that are set up, as --stream takes them.
func listStreams() (names []string) {
	found, _ := filepath.Glob(filepath.Join(Root()+tbdev.Streams, "*", "*", "index"))
	count := map[string]int{}
	for _, path := range found {
		count[filepath.Base(filepath.Dir(path))]++
	}
	for _, path := range found {
		name := filepath.Base(filepath.Dir(path))
		if count[name] > 1 {
			name += "@" + filepath.Base(filepath.Dir(filepath.Dir(path)))
		}
		names = append(names, name)
	}
	return names
}

// CameraLister returns the cameras that a command may use, as far as they are known without
// turning anything on.
type CameraLister func(c *cobra.Command) []capture.Device

// CompleteCameras completes --camera: more values, and the devices with their names.
func CompleteCameras(list CameraLister, more ...string) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		values := slices.Clone(more)
		for _, d := range list(c) {
			if !slices.Contains(more, d.Path) {
				values = append(values, cobra.CompletionWithDesc(d.Path, capture.Printable(d.Name)))
			}
		}
		return values, cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteModes completes a flag of a mode: what write returns of each mode that the cameras
// have, which are those of --camera if that is given, or else the usual values.
func CompleteModes(list CameraLister, write func(capture.Mode) string, usual ...string) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var values []string
		for _, d := range chosenCameras(c, list(c)) {
			for _, m := range d.Modes {
				if text := write(m); text != "" && !slices.Contains(values, text) {
					values = append(values, text)
				}
			}
		}
		if len(values) == 0 {
			values = usual
		}
		return values, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// chosenCameras returns the camera that --camera of a command names, else all.
func chosenCameras(c *cobra.Command, cameras []capture.Device) []capture.Device {
	f := c.Flag("camera")
	if f == nil || !f.Changed {
		return cameras
	}
	if d, err := capture.FindDevice(cameras, strings.Trim(f.Value.String(), "[]")); err == nil {
		return []capture.Device{d}
	}
	return cameras
}

// SizeOf, RateOf and FormatOf write a mode as --size, --fps and --format take it.
func SizeOf(m capture.Mode) string { return fmt.Sprintf("%dx%d", m.Width, m.Height) }

// RateOf writes the rate of a mode.
func RateOf(m capture.Mode) string {
	if fps := m.Rate.FPS(); fps > 0 {
		return fmt.Sprintf("%.4g", fps)
	}
	return ""
}

// FormatOf writes the pixel format of a mode.
func FormatOf(m capture.Mode) string { return m.Pixel.String() }

// ModeFlags returns the table's entries of --size, --fps and --format.
func ModeFlags(list CameraLister) []FlagInfo {
	return []FlagInfo{
		{Name: "size", Complete: CompleteModes(list, SizeOf, "640x480", "1280x720", "1920x1080", "3840x2160")},
		{Name: "fps", Value: "FPS", Complete: CompleteModes(list, RateOf, "15", "30", "60")},
		{Name: "format", Value: "FORMAT", Complete: CompleteModes(list, FormatOf, "auto", "mjpeg", "yuyv", "nv12")},
	}
}
