package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
	"github.com/tbcam/tbcam/sink/virtualcam/v4l2node"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// What packages below cmd cannot name, the commands add, in the log too: flags and
// programs.
func TestRemedies(t *testing.T) {
	noModule := fmt.Errorf("stream %q %w: %w", "tbcam", tbdev.ErrNotSetUp, tbdev.ErrNoModule)
	for _, c := range []struct {
		err  error
		text string
	}{
		{noModule, "sudo modprobe thunderbolt_stream"},
		{noModule, "--stream unix:PATH"},
		{fmt.Errorf("%w: %w", noModule, tbdev.ErrKernelTooOld), "install a newer kernel"},
		{fmt.Errorf("%w: %w", noModule, tbdev.ErrOptionOff), "a kernel that has it"},
		{fmt.Errorf("%w: %w", noModule, tbdev.ErrNotInstalled), "kernel-modules-extra"},
		{tbdev.ErrNotAllowed, "sudo tbcam-view setup"},
		{tbdev.ErrNotSetUp, "sudo tbcam-view setup"},
		{tbdev.ErrNoService, "connect the cable"},
		{tbdev.ErrManyServices, "--stream NAME@PEER"},
		{tbdev.ErrNoHopIDs, "tbcam-view setup"},
		{tbdev.ErrAmbiguous, "--stream NAME@PEER"},
		{tbdev.ErrName, "unix:PATH"},
		{tbdev.ErrLocked, "end that process"},
		{unixsock.ErrStranger, "--allow-user"},
		{unixsock.ErrPathTooLong, "a shorter path"},
		{unixsock.ErrNotSocket, "another path"},
		{unixsock.ErrListening, "end that program"},
		{transport.ErrNoRemoteControl, "update tbcam-send"},
		{capture.ErrNotAllowed, "usermod -aG video"},
		{v4l2.ErrNoLoopback, "modprobe v4l2loopback"},
		{v4l2node.ErrNotLoaded, "sudo modprobe v4l2loopback"},
		{v4l2node.ErrNoneFree, "v4l2loopback-ctl add"},
		{v4l2node.ErrCannotAdd, "devices=2"},
		{capture.ErrNeedsLibcamera, "apt install pipewire-libcamera"},
		{pipewire.ErrNoLibrary, "dnf install pipewire-libs"},
		{pipewire.ErrNoSession, "not as root"},
		{pipewire.ErrNotRunning, "systemctl --user start pipewire"},
		{pipewire.ErrNoSessionManager, "systemctl --user start wireplumber"},
		{transport.ErrOlderPeer, "update it"},
		{record.ErrExist, "--force"},
		{record.ErrBufferFull, "--record-buffer"},
		{record.ErrNotFinalized, "tbcam-view repair"},
		{record.ErrFormatChanged, "record to a file"},
		{container.ErrJPEGOnly, ".mkv"},
		{container.ErrNotRecording, "ffmpeg"},
		{container.ErrNotStreamable, "mkv, mp4 or mjpeg"},
	} {
		if got := remedyOf(fmt.Errorf("open stream: %w", c.err)); !strings.HasPrefix(got, "; ") || !strings.Contains(got, c.text) {
			t.Errorf("%v: the remedy is %q, want %q", c.err, got, c.text)
		}
		var b bytes.Buffer
		NewLog(&b, "tbcam", slog.LevelInfo).Warn("failed", "err", c.err)
		if !strings.Contains(b.String(), c.text) {
			t.Errorf("the log has %q, want %q in it", b.String(), c.text)
		}
	}
	for want, err := range map[string]error{
		"list cameras: the time is up": fmt.Errorf("list cameras: %w", context.DeadlineExceeded), "read: it ended": fmt.Errorf("read: %w", io.EOF),
		"the other end was closed": io.EOF, "interrupted": context.Canceled, "read: it ended too early": fmt.Errorf("read: %w", io.ErrUnexpectedEOF),
	} {
		if got := Explain(err); got != want {
			t.Errorf("%v is explained as %q, want %q", err, got, want)
		}
	}
	if got := remedyOf(fmt.Errorf("anything")); got != "" {
		t.Errorf("an unknown error has the remedy %q", got)
	}
}
