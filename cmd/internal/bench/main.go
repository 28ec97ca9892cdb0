// Command bench runs whole programs at a camera's pace, beside GStreamer's, FFmpeg's and
// mpv's for the same work, and prints what they take: `make bench`.
//
// Processor time is that of every process, as the kernel counts it (proc_pid_stat(5),
// getrusage(2)), less a start of two seconds. Each figure is the median of some rounds,
// in which the programs take turns.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options are the flags.
type options struct {
	bin    string
	docs   string
	rounds int
	span   time.Duration
	only   string
}

func main() {
	var o options
	source := flag.String("source", "", "only read frames of a camera, as WxH,FPS,CAMERA: what the source itself takes")
	flag.StringVar(&o.bin, "bin", "bin", "directory of the programs")
	flag.StringVar(&o.docs, "docs", "", "directory of performance.md and the graphs to renew")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, of which figures are the medians")
	flag.DurationVar(&o.span, "span", 6*time.Second, "how long a round measures")
	flag.StringVar(&o.only, "only", "", "only one part: record, window, limits or idle")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *source != "" {
		err = readSource(ctx, *source)
	} else {
		err = measure(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// part is one table, with its graph if it has one.
type part struct {
	name, title string
	run         func(*bench) (table, error)
}

var parts = []part{
	{"record", "Recording at 30 frames/s", (*bench).record},
	{"window", "A window without a graphics card, at 30 frames/s", (*bench).window},
	{"limits", "What two cores can do", (*bench).limits},
	{"idle", "Idle", (*bench).idle},
}

// measure runs the parts, prints their tables, and renews the documentation if it is to.
func measure(ctx context.Context, o options) error {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if o.only != "" && o.only != p.name {
			continue
		}
		t, err := p.run(b)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		text := t.markdown()
		fmt.Printf("\n### %s\n\n%s", p.title, text)
		if o.docs != "" {
			if err := renew(o.docs, p.name, text); err != nil {
				return err
			}
		}
	}
	return b.writeGraphs()
}
