package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/transport/trust"
)

// AddLog adds the command that prints the audit log.
func AddLog(root *cobra.Command) {
	var asJSON bool
	c := &cobra.Command{
		Use:   "log",
		Short: "Print who had the camera, and when",
		Long: `Prints who was paired, refused and connected, when cameras were on, and which controls
were set remotely; the oldest first. The log keeps the last 1 to 2 MB.`,
		Args: NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := OpenTrust()
			if err != nil {
				return err
			}
			events, err := store.Events()
			if err != nil {
				return err
			}
			return WritePrintable(c.OutOrStdout(), func(w io.Writer) error { return printEvents(w, events, asJSON) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	root.AddCommand(c)
}

func printEvents(w io.Writer, events []trust.Event, asJSON bool) error {
	for _, e := range events {
		if asJSON {
			if err := json.NewEncoder(w).Encode(e); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(w, describeEvent(e))
	}
	return nil
}

// describeEvent returns an event as a line for a person.
func describeEvent(e trust.Event) string {
	parts := []string{e.Time.Local().Format(time.DateTime), strings.ReplaceAll(string(e.Kind), "-", " ")}
	add := func(show bool, format string, args ...any) {
		if show {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(e.Peer != "", "%s", e.Peer)
	add(e.Peer == "" && e.Key != trust.Fingerprint{}, "key %s", e.Key.Short())
	add(e.Camera != "", "%s", e.Camera)
	add(e.Detail != "", "(%s)", e.Detail)
	add(e.Frames > 0, "%s frames", formatThousands(int(e.Frames)))
	add(e.Seconds > 0, "%v", time.Duration(e.Seconds*float64(time.Second)).Round(time.Second))
	add(e.Times > 1, "%d times", e.Times)
	return strings.Join(parts, "  ")
}
