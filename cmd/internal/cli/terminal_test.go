package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// talk has a person answer the questions of a terminal, each with one line.
func talk(t *testing.T, answers ...string) (terminal *Terminal, printed *strings.Builder, end func()) {
	t.Helper()
	in, person := io.Pipe()
	printed = &strings.Builder{}
	terminal = newTerminal(in, writerFunc(func(p []byte) (int, error) {
		printed.Write(p)
		if strings.HasSuffix(string(p), " ") && len(answers) > 0 {
			answer := answers[0]
			answers = answers[1:]
			go func() { _, _ = io.WriteString(person, answer+"\n") }()
		}
		return len(p), nil
	}))
	return terminal, printed, func() { person.Close() }
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal, printed, end := talk(t, "111111", " 222 222 ", "", "", "Yes", "n", "n", "y", "n")
		defer end()
		ctx := t.Context()
		for wrong, want := range []string{"111111", "222 222"} {
			if got, err := terminal.EnterNumber(ctx, wrong); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
		if grant, err := terminal.GrantRights(ctx); grant.Rights.Control || grant.Rights.Microphone || err != nil {
			t.Errorf("Enter grants %v, %v", grant, err)
		}
		if grant, err := terminal.GrantRights(ctx); !grant.Rights.Control || grant.Rights.Microphone || grant.Once || err != nil {
			t.Errorf("Yes grants %v, %v", grant, err)
		}
		if grant, err := terminal.GrantRights(ctx); grant.Rights.Control || !grant.Rights.Microphone || err != nil {
			t.Errorf("Yes to the second question grants %v, %v", grant, err)
		}
		terminal.ShowNumber(ctx, "012345")
		if !strings.Contains(printed.String(), "012 345") {
			t.Errorf("it shows %q", printed)
		}
		if terminal.ViewerPrompt() == nil || terminal.SenderPrompt() == nil {
			t.Error("nobody is asked")
		}
		if yes, err := terminal.ConfirmSender(ctx, "lap\ntop"); yes || err != nil || strings.Contains(printed.String(), "lap\n") {
			t.Errorf("confirmed: %v, %v; it shows %q", yes, err, printed)
		}
		if terminal.ViewerPrompt() != nil || terminal.SenderPrompt() != nil {
			t.Error("who has declined is asked again")
		}
	})
}

func TestTerminalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal, _, end := talk(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := terminal.EnterNumber(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a user who is away: %v", err)
		}
		end()
		synctest.Wait()
		if _, err := terminal.EnterNumber(t.Context(), 0); !errors.Is(err, io.EOF) || terminal.SenderPrompt() != nil {
			t.Errorf("a terminal that has gone: %v", err)
		}
		terminal, _, end = talk(t, "")
		defer end()
		if _, err := terminal.EnterNumber(t.Context(), 0); !errors.Is(err, errDeclined) || terminal.SenderPrompt() != nil {
			t.Errorf("Enter: %v", err)
		}
		if none := (*Terminal)(nil); none.SenderPrompt() != nil || none.ViewerPrompt() != nil {
			t.Error("without a terminal somebody is asked")
		}
	})
}
