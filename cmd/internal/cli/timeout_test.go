package cli

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/pflag"
)

func timeout(t *testing.T, args ...string) (*TimeoutFlag, error) {
	t.Helper()
	var flag TimeoutFlag
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	flag.Register(f)
	return &flag, f.Parse(args)
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flag, err := timeout(t, "--timeout=5s")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := flag.Context(t.Context())
		defer cancel()
		<-ctx.Done()
		err = flag.Explain(ctx, ctx.Err(), "tbcam-send")
		if time.Since(began) != 5*time.Second || !errors.Is(err, ErrTimeout) || ExitCode(err) != ExitFailure {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if want := "waiting for tbcam-send: timed out after 5s"; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	})
}

// A signal, and an error that came in time, remain what they are.
func TestTimeoutNotUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, args := range [][]string{nil, {"--timeout=1h"}} {
			flag, err := timeout(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			parent, end := context.WithCancel(t.Context())
			ctx, cancel := flag.Context(parent)
			time.Sleep(time.Minute)
			if ctx.Err() != nil {
				t.Errorf("%q ended after a minute", args)
			}
			end()
			if err := flag.Explain(ctx, ctx.Err(), "tbcam-send"); err != context.Canceled {
				t.Errorf("%q: %v", args, err)
			}
			cancel()
		}
	})
}

func TestTimeoutRefuses(t *testing.T) {
	for _, text := range []string{"", "0", "-1s", "5", "soon"} {
		if _, err := timeout(t, "--timeout="+text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
