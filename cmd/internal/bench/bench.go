package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// bench measures.
type bench struct {
	options
	ctx    context.Context
	graphs map[string]graph // by the names of their files
}

func newBench(ctx context.Context, o options) (*bench, error) {
	for _, program := range []string{"tbcam-send", "tbcam-view", "tbcam-window"} {
		if _, err := os.Stat(filepath.Join(o.bin, program)); err != nil {
			return nil, fmt.Errorf("%w; run `make build`", err)
		}
	}
	for _, tool := range []string{"gst-launch-1.0", "ffmpeg", "mpv", "Xvfb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w; run `make deps`", err)
		}
	}
	return &bench{options: o, ctx: ctx, graphs: map[string]graph{}}, nil
}

// warmup is what programs get until they are measured.
const warmup = 2 * time.Second

// sample are the figures of one round.
type sample map[string]float64

// way is one way of doing a job.
type way struct {
	name string
	run  func(*crew) (sample, error)
}

// compare lets the ways of a job take turns, and returns the medians of each.
func (b *bench) compare(ways ...way) ([]sample, error) {
	all := make([][]sample, len(ways))
	for range b.rounds {
		for i, w := range ways {
			s, err := b.once(w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			all[i] = append(all[i], s)
		}
	}
	medians := make([]sample, len(ways))
	for i := range ways {
		medians[i] = medianOf(all[i])
	}
	return medians, nil
}

// once runs one way once.
func (b *bench) once(w way) (sample, error) {
	dir, err := os.MkdirTemp("", "tbcam-bench-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	c := &crew{ctx: ctx, dir: dir}
	defer c.close()
	s, err := w.run(c)
	c.close()
	if s != nil {
		s["seconds"] = c.lifetime().Seconds()
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", w.name, s)
	return s, err
}

// medianOf returns the median of each figure.
func medianOf(all []sample) sample {
	median := sample{}
	for key := range all[0] {
		var values []float64
		for _, s := range all {
			values = append(values, s[key])
		}
		slices.Sort(values)
		median[key] = values[len(values)/2]
	}
	return median
}

// program returns the path of one of ours.
func (b *bench) program(name string) string { return filepath.Join(b.bin, name) }

// fifo makes a FIFO.
func (c *crew) fifo() (string, error) {
	path := filepath.Join(c.dir, "fifo")
	return path, syscall.Mkfifo(path, 0o600)
}
