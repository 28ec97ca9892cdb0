package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// control lets a user start and stop the recording and begin another file, by
// signals and, with --pre-roll, by lines of commands. It returns at once.
func (r *recording) control(ctx context.Context, commands io.Reader) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case s := <-signals:
				r.signal(s)
			case <-ctx.Done():
				return
			}
		}
	}()
	if commands != nil {
		// In the background of a terminal, reading it must not stop this program.
		signal.Ignore(syscall.SIGTTIN)
		go r.obey(commands)
	}
}

func (r *recording) signal(s os.Signal) {
	if s == syscall.SIGUSR1 {
		r.command("segment")
	} else {
		r.toggle()
	}
}

// toggle starts the recording, or stops it, and says what command does.
func (r *recording) toggle() string {
	if r.Recording() {
		return r.command("stop")
	}
	return r.command("start")
}

// obey acts on lines until there are no more.
func (r *recording) obey(commands io.Reader) {
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		r.command(lines.Text())
	}
}

// command obeys, and logs and returns what it has done.
func (r *recording) command(command string) (said string) {
	switch command {
	case "start":
		r.Record(true)
		said = "recording started"
		if !r.Recording() {
			said = "recording has ended: " + r.Stats().Problem
		}
	case "stop":
		r.Record(false)
		said = "recording stopped"
	case "segment":
		r.Segment()
		said = "new file"
	case "":
		return ""
	default:
		said = fmt.Sprintf("unknown command %q; want start, stop or segment", command)
	}
	r.viewer.log.Info(said)
	return said
}
