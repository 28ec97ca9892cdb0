package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// handleCommands lets a user start and stop the recording and begin another file, by
// signals and, with --pre-roll, by lines of commands. It returns
// immediately.
func (o *recordOutput) handleCommands(ctx context.Context, commands io.Reader) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case s := <-signals:
				o.handleSignal(s)
			case <-ctx.Done():
				return
			}
		}
	}()
	if commands != nil {
		// In the background of a terminal, reading it must not stop this program.
		signal.Ignore(syscall.SIGTTIN)
		go o.handleLines(commands)
	}
}

func (o *recordOutput) handleSignal(s os.Signal) {
	if s == syscall.SIGUSR1 {
		_ = o.runCommand("segment") // which logs
	} else {
		_ = o.toggleRecording()
	}
}

// toggleRecording starts the recording, or stops it, and returns what command does.
func (o *recordOutput) toggleRecording() string {
	if o.recorder.Recording() {
		return o.runCommand("stop")
	}
	return o.runCommand("start")
}

// handleLines acts on lines until there are no more.
func (o *recordOutput) handleLines(commands io.Reader) {
	for lines := bufio.NewScanner(commands); lines.Scan(); {
		_ = o.runCommand(lines.Text())
	}
}

// runCommand does what a command asks for, and logs and returns what it has done.
func (o *recordOutput) runCommand(command string) (done string) {
	switch command {
	case "start":
		o.recorder.Record(true)
		done = "recording started"
		if !o.recorder.Recording() {
			done = "recording failed: " + o.recorder.Stats().Problem
		}
	case "stop":
		done = strings.TrimSuffix("recording stopped: "+filepath.Base(o.recorder.Stats().File), ": .")
		o.recorder.Record(false)
	case "segment":
		o.recorder.Segment()
		done = "the next frame begins a new file"
	case "":
		return ""
	default:
		done = fmt.Sprintf("unknown command %q; want start, stop or segment", command)
	}
	o.run.log.Info(done)
	return done
}

// toggleRecording starts the recording, or stops it. A window is open before there is
// a recorder.
func (r *run) toggleRecording() (string, error) {
	for _, output := range r.outputs {
		if o, ok := output.(*recordOutput); ok && o.openedRecorder() != nil {
			return o.toggleRecording(), nil
		}
	}
	return "", errors.New("recorder is not ready yet")
}
