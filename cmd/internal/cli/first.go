package cli

import (
	"context"
	"errors"
)

// FirstAnswer calls all functions at the same time, and returns the first answer that one
// of them gives without an error; the context of the others ends then. If none does, it
// returns the errors of all.
func FirstAnswer[T any](ctx context.Context, ask ...func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, len(ask))
	for _, f := range ask {
		go func() {
			value, err := f(ctx)
			answers <- answer{value, err}
		}()
	}
	var failed []error
	for range ask {
		a := <-answers
		if a.err == nil {
			return a.value, nil
		}
		failed = append(failed, a.err)
	}
	var none T
	return none, errors.Join(failed...)
}
