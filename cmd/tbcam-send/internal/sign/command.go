package sign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// commandTimeout is how long a command may run; then it is killed, with all that it
// has started.
const commandTimeout = 5 * time.Second

// runCommands runs the command for each new state, one after the other. A state that
// lasted only while a command ran is left out.
func runCommands(ctx context.Context, c Config, states mailbox) {
	shown := []Use{}
	for {
		select {
		case uses := <-states:
			if slices.Equal(uses, shown) || len(uses)+len(shown) == 0 {
				continue
			}
			shown = uses
			if err := runCommand(c.Command, uses, commandTimeout); err != nil {
				c.Log.Warn("command for the camera's state failed", "err", err)
			}
		case <-ctx.Done():
			// The lamp does not stay on behind the program.
			if len(shown) > 0 {
				_ = runCommand(c.Command, nil, commandTimeout)
			}
			return
		}
	}
}

// devicesOf lists the kinds of what is on.
func devicesOf(uses []Use) string {
	var kinds []string
	for _, u := range uses {
		kind := "camera"
		if u.Microphone {
			kind = "microphone"
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return strings.Join(kinds, " ")
}

// runCommand runs a command with TBCAM_STATE, TBCAM_PEER and TBCAM_DEVICES set.
func runCommand(command string, uses []Use, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	state := "off"
	if len(uses) > 0 {
		state = "on"
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = append(os.Environ(), "TBCAM_STATE="+state, "TBCAM_PEER="+peersOf(uses), "TBCAM_DEVICES="+devicesOf(uses))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("run %q: killed after %v", command, timeout)
	}
	if err != nil {
		return fmt.Errorf("run %q: %w", command, err)
	}
	return nil
}
