package cli

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestFirstAnswer: an error is no answer, and who has not answered yet is not asked any more.
func TestFirstAnswer(t *testing.T) {
	errFails := errors.New("it fails")
	fails := func(context.Context) (string, error) { return "", errFails }
	after := func(wait time.Duration, left *bool) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			select {
			case <-time.After(wait):
				return wait.String(), nil
			case <-ctx.Done():
				*left = true
				return "", ctx.Err()
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var early, late bool
		got, err := FirstAnswer(t.Context(), fails, after(time.Hour, &late), after(time.Second, &early))
		synctest.Wait()
		if got != "1s" || err != nil || early || !late {
			t.Errorf("%q, %v; the others have left: %v, %v", got, err, early, late)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := FirstAnswer(ctx, fails, after(time.Hour, &late)); got != "" || !errors.Is(err, errFails) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without an answer: %q, %v", got, err)
		}
		if _, err := FirstAnswer[string](ctx); err != nil {
			t.Errorf("nobody is asked: %v", err)
		}
	})
}
