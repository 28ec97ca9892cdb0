package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/transport/trust"
)

// OpenTrust returns where this user's key and paired peers are.
func OpenTrust() (*trust.Store, error) {
	dir, err := trust.DefaultDir()
	if err != nil {
		return nil, err
	}
	return trust.Open(dir)
}

// peers is the peers command of either program.
type peers struct {
	program, other string // this one, and the one at the other end
	role           trust.Role
	rights         rightsFlags
	asJSON         bool
}

// AddPeers adds the peers command, for peers of a role: those of a sender are viewers.
func AddPeers(root *cobra.Command, role trust.Role) {
	p := &peers{program: root.Name(), other: "tbcam-send", role: role}
	if role == trust.RoleViewer {
		p.other = "tbcam-view"
	}
	c := &cobra.Command{
		Use:   "peers",
		Short: "List, add and forget paired computers",
		Long: `Computers are paired by their keys. The first session with a new one pairs them with
six digits; add does it without, for computers that are set up by hand or by
configuration management: run ` + p.program + ` peers self here and ` + p.other + ` peers self there,
and add each key on the other side.

A change reaches running programs within a second: who is forgotten is disconnected.`,
		Args: NoArgs,
		RunE: p.run(p.list),
	}
	p.registerJSON(c)
	c.AddCommand(p.listCommand(), p.selfCommand(), p.forgetCommand(), p.addCommand())
	if role == trust.RoleViewer {
		c.AddCommand(p.grantCommand())
	}
	root.AddCommand(c)
}

func (p *peers) registerJSON(c *cobra.Command) {
	c.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
}

// run opens the store for a command.
func (p *peers) run(do func(*cobra.Command, *trust.Store, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		store, err := OpenTrust()
		if err != nil {
			return err
		}
		err = do(c, store, args)
		if errors.Is(err, trust.ErrFingerprint) || errors.Is(err, trust.ErrName) || errors.Is(err, trust.ErrCameras) {
			return Mark(err, ErrUsage)
		}
		return err
	}
}

// exactArgs refuses other numbers of arguments than those of usage.
func exactArgs(n int, usage string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return Mark(fmt.Errorf("want %s; see %s --help", usage, c.CommandPath()), ErrUsage)
		}
		return nil
	}
}

func (p *peers) listCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List paired computers", Args: NoArgs, RunE: p.run(p.list)}
	p.registerJSON(c)
	return c
}

func (p *peers) list(c *cobra.Command, store *trust.Store, _ []string) error {
	all, err := store.Peers()
	if err != nil {
		return err
	}
	paired := []trust.Peer{}
	for _, peer := range all {
		if peer.Role == p.role {
			paired = append(paired, peer)
		}
	}
	if p.asJSON {
		return printJSON(c.OutOrStdout(), paired)
	}
	return WritePrintable(c.OutOrStdout(), func(w io.Writer) error { return printPeers(w, paired) })
}

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

func printPeers(w io.Writer, paired []trust.Peer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, peer := range paired {
		since := "added"
		if !peer.Paired.IsZero() {
			since = "paired " + peer.Paired.Local().Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s", peer.Name, peer.Key, since)
		if peer.Rights != nil {
			fmt.Fprintf(t, "\t%v", peer.Rights)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func (p *peers) selfCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "self",
		Short: "Print the key by which other computers know this user",
		Args:  NoArgs,
		RunE: p.run(func(c *cobra.Command, store *trust.Store, _ []string) error {
			id, err := store.Identity()
			if err != nil {
				return err
			}
			if p.asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"key": id.Fingerprint()})
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), id.Fingerprint())
			return err
		}),
	}
	p.registerJSON(c)
	return c
}

func (p *peers) forgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "forget NAME",
		Short:   "Forget a paired computer, and disconnect it",
		Example: "  " + p.program + " peers forget anna@desktop",
		Args:    exactArgs(1, "one NAME"),
		RunE: p.run(func(_ *cobra.Command, store *trust.Store, args []string) error {
			peer, err := store.Forget(p.role, args[0])
			if err != nil {
				return fmt.Errorf("forget: %w", err)
			}
			return store.Record(trust.Event{Kind: trust.EventForgot, Role: p.role, Peer: peer.Name, Key: peer.Key})
		}),
	}
}

func (p *peers) addCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "add KEY NAME",
		Short:   "Pair with a computer whose key is known",
		Example: "  " + p.program + " peers add \"$(ssh desktop " + p.other + " peers self)\" desktop",
		Args:    exactArgs(2, "a KEY and a NAME"),
		RunE: p.run(func(c *cobra.Command, store *trust.Store, args []string) error {
			key, err := trust.ParseFingerprint(args[0])
			if err != nil {
				return fmt.Errorf("add: %w", err)
			}
			peer := trust.Peer{Key: key, Name: args[1], Role: p.role, Paired: time.Now().Round(time.Second)}
			if p.role == trust.RoleViewer {
				rights := trust.DefaultRights()
				p.rights.apply(c.Flags(), &rights)
				peer.Rights = &rights
			}
			if err := store.Add(peer); err != nil {
				return fmt.Errorf("add: %w", err)
			}
			return store.Record(trust.Event{Kind: trust.EventPaired, Role: p.role, Peer: peer.Name, Key: key, Detail: "added"})
		}),
	}
	if p.role == trust.RoleViewer {
		p.rights.register(c.Flags())
	}
	return c
}

func (p *peers) grantCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "grant NAME",
		Short: "Change what a paired computer may do",
		Example: "  " + p.program + " peers grant anna@desktop --control --microphone\n" +
			"  " + p.program + " peers grant anna@desktop --control=false --camera C920",
		Args: exactArgs(1, "one NAME"),
		RunE: p.run(func(c *cobra.Command, store *trust.Store, args []string) error {
			peer, err := store.Grant(args[0], func(r *trust.Rights) { p.rights.apply(c.Flags(), r) })
			if err != nil {
				return fmt.Errorf("grant: %w", err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s may have: %v\n", peer.Name, peer.Rights)
			return store.Record(trust.Event{Kind: trust.EventGranted, Role: p.role, Peer: peer.Name, Key: peer.Key, Detail: peer.Rights.String()})
		}),
	}
	p.rights.register(c.Flags())
	return c
}

// rightsFlags are the flags that choose what a viewer may do.
type rightsFlags struct {
	cameras             []string
	microphone, control bool
}

func (r *rightsFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&r.cameras, "camera", nil, "`CAMERA` that it may have: all, a device, or part of a name (repeatable)")
	f.BoolVar(&r.microphone, "microphone", false, "whether it may have the microphone")
	f.BoolVar(&r.control, "control", false, "whether it may set the controls of cameras")
}

// apply changes those rights whose flags were given, and reports whether there are any.
func (r *rightsFlags) apply(f *pflag.FlagSet, rights *trust.Rights) bool {
	if f.Changed("camera") {
		rights.Cameras = r.cameras
	}
	if f.Changed("microphone") {
		rights.Microphone = r.microphone
	}
	if f.Changed("control") {
		rights.Control = r.control
	}
	return f.Changed("camera") || f.Changed("microphone") || f.Changed("control")
}
