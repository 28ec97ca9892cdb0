package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/sink/container"
)

func repairCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "repair FILE...",
		Short: "Add the missing index and duration to interrupted recordings",
		Long: `Makes recordings seekable that were not finalized because the program was killed or
the host lost power. Index and duration are added in place; frames are not encoded
again. Only an incomplete last frame is cut off.

FILE was written by --record: .mkv, .mp4, .avi or .mjpeg, or a directory
of numbered JPEGs. A file that is being recorded is refused. The repair may
be interrupted safely.`,
		Example: "  tbcam-view repair call.mkv",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Mark(errors.New("repair: no file given; use tbcam-view repair FILE"), cli.ErrUsage)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return repairFiles(c, args) },
	}
}

// repairFiles continues after a file that it cannot repair. It prints all errors but the
// last, which it returns.
func repairFiles(c *cobra.Command, paths []string) (failed error) {
	for _, path := range paths {
		report, err := container.Repair(path)
		switch {
		case err == nil:
			fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", path, describeRepair(report))
		case failed != nil:
			cli.PrintError(c, failed)
			fallthrough
		default:
			failed = fmt.Errorf("repair: %w", err)
		}
	}
	return cli.Mark(failed, cli.ErrSink)
}

// describeRepair returns what was done, for a person.
func describeRepair(r container.Report) string {
	s := "repaired: "
	if r.Whole {
		s = "nothing to repair: "
	}
	s += fmt.Sprintf("%d frames", r.Frames)
	if r.Duration > 0 {
		s += fmt.Sprintf(", %v", r.Duration.Round(time.Millisecond))
	}
	if r.Cut > 0 && !r.Whole {
		s += fmt.Sprintf(", %d bytes of an incomplete frame removed", r.Cut)
	}
	return s
}
