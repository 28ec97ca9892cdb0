package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/report"
	"github.com/tbcam/tbcam/transport"
)

// reportFlags are the flags of doctor about the report.
type reportFlags struct{ report, replug, suspend bool }

func (f *reportFlags) register(flags *pflag.FlagSet) {
	flags.BoolVar(&f.report, "report", false, "measure the line to tbcam-send, and print a report for an issue")
	flags.BoolVar(&f.replug, "replug", false, "with --report: also ask for the cable to be unplugged and plugged in")
	flags.BoolVar(&f.suspend, "suspend", false, "with --report: also ask for a computer to be suspended and woken")
}

// check refuses what cannot be asked.
func (f *reportFlags) check() error {
	switch {
	case !f.report:
		return errors.New("--replug and --suspend go with --report")
	case (f.replug || f.suspend) && cli.OpenTerminal() == nil:
		return errors.New("--replug and --suspend need a terminal, to ask for that")
	}
	return nil
}

const (
	// measureFor is how long each part of a measurement takes.
	measureFor = 2 * time.Second
	// patienceOfReport is how long what is asked for may take, and the session that follows.
	patienceOfReport = 5 * time.Minute
)

// linkReport is one run of doctor --report. It implements transport.Consumer.
type linkReport struct {
	transport.NopConsumer
	stream *sharedStream
	log    *slog.Logger

	mu      sync.Mutex
	peer    *transport.Peer // nil between sessions
	since   time.Time       // when that became so
	changed chan struct{}   // closed when it changes
}

// Connected implements transport.Consumer.
func (r *linkReport) Connected(peer transport.Peer) { r.setPeer(&peer) }

// Disconnected implements transport.Consumer.
func (r *linkReport) Disconnected(err error) {
	logLost(r.log, err)
	r.setPeer(nil)
}

func (r *linkReport) setPeer(peer *transport.Peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peer, r.since = peer, time.Now()
	close(r.changed)
	r.changed = make(chan struct{})
}

// awaitSession waits until there is a session, or none, and returns its peer and since when
// that is so.
func (r *linkReport) awaitSession(ctx context.Context, connected bool) (*transport.Peer, time.Time, error) {
	for {
		r.mu.Lock()
		peer, since, changed := r.peer, r.since, r.changed
		r.mu.Unlock()
		if connected == (peer != nil) {
			return peer, since, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, since, ctx.Err()
		}
	}
}

// printReport measures the line to the sender and prints the report.
func (o *options) printReport(ctx context.Context, flags reportFlags, out io.Writer) error {
	if err := flags.check(); err != nil {
		return cli.Mark(err, cli.ErrUsage)
	}
	log := o.log.New(os.Stderr, "tbcam-view")
	stream, err := o.openStream(&capture.Pool{}, log)
	if err != nil {
		return err
	}
	defer stream.close()
	r := &linkReport{stream: stream, log: log, changed: make(chan struct{})}
	stream.Subscribe(r)
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel() // what waits for the sender ends with it
		ended <- stream.run(running)
	}()
	log.Info("waiting for tbcam-send", "stream", o.stream)
	sections, err := r.measureAll(running, o, flags)
	cancel()
	if err := cmp.Or(<-ended, err); err != nil {
		return err
	}
	return printSections(out, append([]section{{"This computer", report.Host{Root: cli.Root()}.Describe(streamDevice(o.stream))}}, sections...))
}

// streamDevice returns the device of a stream, "" for a socket.
func streamDevice(stream string) string {
	names := cli.StreamNames(stream)
	if device := names[len(names)-1]; strings.HasPrefix(device, "/") {
		return device
	}
	return ""
}

// section is a part of the report.
type section struct {
	heading string
	entries []report.Entry
}

func printSections(out io.Writer, sections []section) error {
	return cli.WritePrintable(out, func(w io.Writer) error {
		if _, err := fmt.Fprintln(w, "tbcam report; it names no computer, user or key"); err != nil {
			return err
		}
		for _, s := range sections {
			if err := report.Print(w, s.heading, s.entries); err != nil {
				return err
			}
		}
		return nil
	})
}

// measureAll measures the line, and again after what the user was asked to do.
func (r *linkReport) measureAll(ctx context.Context, o *options, flags reportFlags) ([]section, error) {
	waiting, stop := o.timeout.Context(ctx)
	defer stop()
	peer, _, err := r.awaitSession(waiting, true)
	if err != nil {
		return nil, o.timeout.Explain(waiting, err, "tbcam-send")
	}
	versions := report.Entry{Name: "versions", Text: fmt.Sprintf("viewer %s, sender %s", version, cmp.Or(peer.Version, "unknown"))}
	if r.stream.attached() {
		return []section{{"The line", []report.Entry{versions, {Name: "not measured", Text: "another tbcam-view has the stream: stop that, and run it again"}}}}, nil
	}
	figures, err := r.measure(ctx)
	if err != nil {
		return nil, err
	}
	sections := []section{{"The line", append([]report.Entry{versions, {Name: "kind", Text: kindOfStream(o.stream)}}, figures.Entries()...)}}
	for _, step := range reportSteps {
		if !step.wanted(flags) {
			continue
		}
		s, err := r.interrupt(ctx, step)
		if err != nil {
			return nil, err
		}
		sections = append(sections, s)
	}
	return sections, nil
}

// kindOfStream returns what a stream is, without its path.
func kindOfStream(stream string) string {
	switch device := streamDevice(stream); {
	case device == "":
		return "Unix socket, within this computer"
	case strings.HasPrefix(device, "/dev/tbstream"):
		return "USB4STREAM"
	}
	return "character device"
}

func (r *linkReport) measure(ctx context.Context) (*report.Figures, error) {
	r.log.Info(fmt.Sprintf("measuring for %v", 3*measureFor))
	figures, err := report.Measure(ctx, r.stream.receiver, measureFor)
	return figures, cli.Mark(err, cli.ErrStream)
}

// reportStep is something that a user is asked to do to the line.
type reportStep struct {
	heading, ask string
	wanted       func(reportFlags) bool
}

var reportSteps = []reportStep{
	{"After a replug", "Unplug the cable now, wait 5 seconds, and plug it in again.", func(f reportFlags) bool { return f.replug }},
	{"After a suspend", "Suspend one of the computers now, and wake it after 10 seconds.", func(f reportFlags) bool { return f.suspend }},
}

// interrupt asks for a step, waits until the session has ended and another one has begun,
// and measures that.
func (r *linkReport) interrupt(ctx context.Context, step reportStep) (section, error) {
	fmt.Fprintln(os.Stderr, step.ask)
	waiting, cancel := context.WithTimeout(ctx, patienceOfReport)
	defer cancel()
	begun := time.Now()
	_, lost, err := r.awaitSession(waiting, false)
	if err != nil {
		return r.describeUninterrupted(ctx, step)
	}
	_, back, err := r.awaitSession(waiting, true)
	if err != nil && ctx.Err() == nil {
		return section{step.heading, []report.Entry{{Name: "session", Text: fmt.Sprintf("none within %v", patienceOfReport)}}}, nil
	}
	if err != nil {
		return section{}, err
	}
	entries := []report.Entry{{Name: "session", Text: fmt.Sprintf("lost for %.1f s%s", back.Sub(lost).Seconds(), describeSleep(begun, back))}}
	figures, err := r.measure(ctx)
	if err != nil {
		return section{}, err
	}
	return section{step.heading, append(entries, figures.Entries()...)}, nil
}

// describeUninterrupted returns the section of a step that has ended no session.
func (r *linkReport) describeUninterrupted(ctx context.Context, step reportStep) (section, error) {
	if ctx.Err() != nil {
		return section{}, ctx.Err()
	}
	return section{step.heading, []report.Entry{{Name: "session", Text: fmt.Sprintf("went on for %v", patienceOfReport)}}}, nil
}

// describeSleep returns how long this computer slept between two times: the monotonic clock
// stands still meanwhile, and the wall clock does not.
func describeSleep(from, to time.Time) string {
	if slept := to.Round(0).Sub(from.Round(0)) - to.Sub(from); slept > time.Second {
		return fmt.Sprintf("; this computer slept for %.0f s", slept.Seconds())
	}
	return ""
}
