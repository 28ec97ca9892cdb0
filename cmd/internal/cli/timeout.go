package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// ErrTimeout is returned when the time of --timeout is up. Its exit code is that of
// failures that have none of their own.
var ErrTimeout = errors.New("timed out")

// TimeoutFlag is --timeout, of what waits for the peer.
type TimeoutFlag struct{ after time.Duration }

// Register adds the flag.
func (t *TimeoutFlag) Register(f *pflag.FlagSet) {
	f.Var(t, "timeout", "give up after `DURATION`, for example 5s (default: wait indefinitely)")
}

// Set, String and Type implement pflag.Value.
func (t *TimeoutFlag) Set(text string) error {
	after, err := time.ParseDuration(text)
	if err != nil || after <= 0 {
		return errors.New(wanted["duration"])
	}
	t.after = after
	return nil
}

func (t *TimeoutFlag) String() string {
	if t.after == 0 {
		return ""
	}
	return t.after.String()
}

// Type names the value in --help.
func (t *TimeoutFlag) Type() string { return "duration" }

// Context returns a context that ends when the time is up.
func (t *TimeoutFlag) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.after == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, t.after, fmt.Errorf("%w after %v", ErrTimeout, t.after))
}

// Explain returns the error of a call that was given the context of Context: one
// that wraps ErrTimeout and names what it waited for, where the time was up.
func (t *TimeoutFlag) Explain(ctx context.Context, err error, waited string) error {
	cause := context.Cause(ctx)
	if err == nil || !errors.Is(cause, ErrTimeout) {
		return err
	}
	return fmt.Errorf("waiting for %s: %w", waited, cause)
}
