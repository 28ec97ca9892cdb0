package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/tbcam-view/internal/preset"
	"github.com/tbcam/tbcam/transport"
)

// controlFlags are the flags of tbcam-view that belong to the controls.
type controlFlags struct {
	preset   string
	keepRate bool
}

func (o *controlFlags) registerFlags(f *pflag.FlagSet) {
	f.StringVar(&o.preset, "preset", "", "apply the preset `NAME` to the camera's controls, and again after a replug (see tbcam-view control --help)")
	f.BoolVar(&o.keepRate, "keep-rate", false, "keep the frame rate in the dark, with darker frames (exposure_dynamic_framerate=0)")
}

// loadPreset returns the preset that the flags name.
func (o *controlFlags) loadPreset() (p preset.Preset, err error) {
	if o.preset == "" {
		return p, nil
	}
	if p, err = preset.Load(o.preset); err != nil {
		err = fmt.Errorf("--preset %s: %w", o.preset, err)
	}
	return p, cli.Mark(err, cli.ErrUsage)
}

// registerControlled adds the flag that chooses among several cameras.
func (o *options) registerControlled(f *pflag.FlagSet) {
	f.StringVar(&o.controlled, "camera", "", "`CAMERA` that a tbcam-view shows, if several are shown: a device or a name")
}

func controlsCommand(o *options) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "controls",
		Short: "List the controls of the sender's camera with their values",
		Long: `List the controls of the sender's camera with their values: the camera that a
tbcam-view on this stream shows, else the one that it would show.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.withRemote(c.Context(), func(_ context.Context, _ *remoteControls, controls transport.Controls) error {
				return cli.WritePrintable(os.Stdout, func(w io.Writer) error { return printControls(w, controls, asJSON) })
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	o.registerControlled(c.Flags())
	o.timeout.Register(c.Flags())
	return c
}

func controlCommand(o *options) *cobra.Command {
	var run controlRun
	c := &cobra.Command{
		Use:   "control NAME[=VALUE]...",
		Short: "Show or set controls of the sender's camera",
		Long: `Show or set controls of the sender's camera, and print what its driver granted.
This works beside a tbcam-view that runs on the same stream, which then sets them
again after a replug; and without one, with the camera off.

A NAME is written as v4l2-ctl does: in lower case, with underscores. A VALUE is a
number, the text of a menu entry, on or off, the text of a string, or default.
A button accepts any.`,
		Example: `  tbcam-view control brightness
  tbcam-view control auto_exposure="Manual Mode" exposure_time_absolute=150
  tbcam-view control --save evening
  tbcam-view --preset evening`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && run.save == "" && run.load == "" && !run.reset {
				return cli.Mark(errors.New("name a control; see tbcam-view controls, and tbcam-view control --help"), cli.ErrUsage)
			}
			if err := run.checkPresets(); err != nil {
				return cli.Mark(err, cli.ErrUsage)
			}
			return o.withRemote(c.Context(), func(ctx context.Context, r *remoteControls, controls transport.Controls) error {
				run.ctx, run.remote, run.controls, run.out = ctx, r, controls, os.Stdout
				return run.runControl(args)
			})
		},
	}
	c.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return o.completeControls(c.Context()), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	o.registerControlled(c.Flags())
	o.timeout.Register(c.Flags())
	c.Flags().BoolVar(&run.reset, "reset", false, "set all controls to their defaults first")
	c.Flags().StringVar(&run.load, "load", "", "then apply the preset `NAME`")
	c.Flags().StringVar(&run.save, "save", "", "finally save all values as the preset `NAME` in $XDG_CONFIG_HOME/tbcam/presets")
	return c
}

// completeControls returns the names of the controls, if a tbcam-view runs that
// has them: completion opens no stream.
func (o *options) completeControls(ctx context.Context) []string {
	v := &controlsViewer{known: make(chan transport.Controls, 1)}
	var controls transport.Controls
	_ = o.withHub(ctx, v, func(ctx context.Context, _ *transport.Receiver, _ *transport.ReceiverStream) error { // without one there are none
		ctx, cancel := context.WithTimeout(ctx, completionWait)
		defer cancel()
		select {
		case controls = <-v.known:
		case <-ctx.Done():
		}
		return nil
	})
	var keys []string
	for _, c := range controls.List {
		if !c.ReadOnly {
			keys = append(keys, c.Key()+"=")
		}
	}
	return keys
}

// completionWait is how long completion may take.
const completionWait = time.Second

// controlsViewer is attached to the tbcam-view that runs and learns of its controls.
type controlsViewer struct {
	transport.NopConsumer
	known chan transport.Controls // the first ones that there are
}

// ControlsChanged implements transport.Consumer.
func (v *controlsViewer) ControlsChanged(c transport.Controls) {
	if c.Path == "" {
		return
	}
	select {
	case v.known <- c:
	default:
	}
}

// withRemote runs do with the controls of the sender's camera.
func (o *options) withRemote(ctx context.Context, do func(context.Context, *remoteControls, transport.Controls) error) error {
	ctx, cancel := o.timeout.Context(ctx)
	defer cancel()
	r, err := o.dialStream(ctx)
	if err != nil {
		return err
	}
	controls, err := r.controls(ctx)
	if err == nil {
		err = do(ctx, r, controls)
	}
	if closing := r.close(); err == nil {
		err = closing
	}
	return markControl(o.timeout.Explain(ctx, err, "the camera's controls"))
}

// markControl gives mistakes of the user their exit code.
func markControl(err error) error {
	if errors.Is(err, capture.ErrNoControl) || errors.Is(err, capture.ErrControlValue) {
		return cli.Mark(err, cli.ErrUsage)
	}
	return err
}

// controlRun is one run of the command control.
type controlRun struct {
	reset      bool
	load, save string // names of presets
	ctx        context.Context
	remote     *remoteControls
	controls   transport.Controls
	out        io.Writer
}

// checkPresets refuses names of presets before anything is set.
func (r *controlRun) checkPresets() error {
	if r.load != "" {
		if _, err := preset.Load(r.load); err != nil {
			return err
		}
	}
	if r.save != "" {
		return preset.CheckName(r.save)
	}
	return nil
}

func (r *controlRun) runControl(args []string) error {
	if r.reset {
		if err := r.setDefaults(); err != nil {
			return err
		}
	}
	if r.load != "" {
		if err := r.setPreset(r.load); err != nil {
			return err
		}
	}
	for _, arg := range args {
		if err := r.showOrSet(arg); err != nil {
			return err
		}
	}
	if r.save == "" {
		return nil
	}
	controls, err := r.remote.controls(r.ctx) // what was set may have changed others
	if err != nil {
		return err
	}
	path, err := preset.Of(controls.Camera, controls.List).Save(r.save)
	if err == nil {
		fmt.Fprintln(r.out, "saved", path)
	}
	return err
}

// setDefaults sets what is not at its default, and once more what that made active.
func (r *controlRun) setDefaults() error {
	for range 2 {
		for _, c := range r.controls.List {
			if c.Settable() != nil || c.WriteOnly || c.Type == "string" || c.Value == c.Default {
				continue
			}
			if err := r.setControl(capture.Setting{ID: c.ID, Value: c.Default}); err != nil {
				return err
			}
		}
		controls, err := r.remote.controls(r.ctx)
		if err != nil {
			return err
		}
		r.controls = controls
	}
	return nil
}

// setPreset sets a preset, as much of it as the camera can have.
func (r *controlRun) setPreset(name string) error {
	p, err := preset.Load(name)
	if err != nil {
		return cli.Mark(err, cli.ErrUsage)
	}
	settings, err := p.Settings(r.controls.List)
	failed := []error{err}
	for _, s := range settings {
		failed = append(failed, r.setControl(s))
	}
	return oneLine(errors.Join(failed...))
}

// oneLine joins the lines of an error.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// showOrSet shows or sets one control.
func (r *controlRun) showOrSet(arg string) error {
	name, value, isSetting := strings.Cut(arg, "=")
	control, err := capture.FindControl(r.controls.List, name)
	if err != nil {
		return err
	}
	if !isSetting {
		r.printControl(control, control.Setting())
		return nil
	}
	// What was set before may have made it active: the far side knows.
	control.Inactive = false
	s, err := control.Parse(value)
	if err != nil {
		return err
	}
	return r.setControl(s)
}

// setControl sets a control and prints what was granted.
func (r *controlRun) setControl(s capture.Setting) error {
	granted, err := r.remote.setControl(r.ctx, s)
	if err != nil {
		return err
	}
	for i := range r.controls.List {
		if c := &r.controls.List[i]; c.ID == s.ID {
			c.Value, c.Text = granted.Value, granted.Text
			r.printControl(*c, granted)
		}
	}
	return nil
}

func (r *controlRun) printControl(c capture.Control, s capture.Setting) {
	fmt.Fprintf(r.out, "%s=%s\n", c.Key(), c.Format(s))
}

// listedControl is a control as --json prints it.
type listedControl struct {
	Key string `json:"key"`
	capture.Control
}

// printControls lists controls for a person or as JSON.
func printControls(w io.Writer, controls transport.Controls, asJSON bool) error {
	if asJSON {
		list := make([]listedControl, len(controls.List))
		for i, c := range controls.List {
			list[i] = listedControl{c.Key(), c}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	locked := ""
	if controls.Locked {
		locked = " (read-only: the sender does not allow changes)"
	}
	fmt.Fprintf(w, "%s: %d controls%s\n", controls.Camera, len(controls.List), locked)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range controls.List {
		value := c.Format(c.Setting())
		if c.WriteOnly {
			value = "-"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", c.Key(), c.Type, value, formatChoices(c))
	}
	return t.Flush()
}

// formatChoices returns which values a control takes.
func formatChoices(c capture.Control) string {
	var parts []string
	def := capture.Setting{Value: c.Default}
	switch c.Type {
	case "button":
		return ""
	case "string":
		parts = append(parts, fmt.Sprintf("%d to %d bytes", c.Min, c.Max))
	case "menu", "intmenu":
		var names []string
		for _, m := range c.Menu {
			names = append(names, m.Name)
		}
		parts = append(parts, strings.Join(names, " | "), "default "+c.Format(def))
	case "bool":
		parts = append(parts, "default "+c.Format(def))
	case "bitmask":
		parts = append(parts, fmt.Sprintf("of %#x", c.Max), "default "+c.Format(def))
	default:
		parts = append(parts, fmt.Sprintf("%d..%d step %d", c.Min, c.Max, c.Step), "default "+c.Format(def))
	}
	if c.ReadOnly {
		parts = append(parts, "read-only")
	}
	if c.Inactive {
		parts = append(parts, "inactive")
	}
	return strings.Join(parts, ", ")
}
