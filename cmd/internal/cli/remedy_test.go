package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/tbdev"
	"github.com/tbcam/tbcam/transport/unixsock"
)

// What packages below cmd cannot name, the commands add: flags and programs.
func TestRemedies(t *testing.T) {
	noModule := fmt.Errorf("stream %q %w: %w", "tbcam", tbdev.ErrNotSetUp, tbdev.ErrNoModule)
	for _, c := range []struct {
		err  error
		text string
	}{
		{noModule, "sudo modprobe thunderbolt_stream"},
		{noModule, "--stream unix:PATH"},
		{tbdev.ErrNotSetUp, "sudo tbcam-view setup"},
		{tbdev.ErrNoService, "connect the cable"},
		{tbdev.ErrManyServices, "--service"},
		{tbdev.ErrNoHopIDs, "tbcam-view setup"},
		{tbdev.ErrAmbiguous, "--stream NAME@PEER"},
		{tbdev.ErrName, "unix:PATH"},
		{tbdev.ErrLocked, "end that process"},
		{unixsock.ErrStranger, "--allow-user"},
		{unixsock.ErrPathTooLong, "a shorter path"},
		{unixsock.ErrNotSocket, "another path"},
		{unixsock.ErrListening, "end that program"},
		{transport.ErrNoRemoteControl, "update tbcam-send"},
	} {
		if got := remedy(fmt.Errorf("open stream: %w", c.err)); !strings.HasPrefix(got, "; ") || !strings.Contains(got, c.text) {
			t.Errorf("%v: the remedy is %q, want %q", c.err, got, c.text)
		}
	}
	if got := remedy(fmt.Errorf("anything")); got != "" {
		t.Errorf("an unknown error has the remedy %q", got)
	}
}
