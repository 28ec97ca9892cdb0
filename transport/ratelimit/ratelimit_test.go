package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limiter{Burst: 3, Every: time.Second}
		take := func(what string, want int) {
			t.Helper()
			n := 0
			for l.Take() == 0 {
				n++
			}
			if n != want {
				t.Errorf("%s: %d times, want %d", what, n, want)
			}
		}
		take("at first", 3)
		if wait := l.Take(); wait != time.Second {
			t.Errorf("it has to wait %v", wait)
		}
		time.Sleep(999 * time.Millisecond)
		take("too early", 0)
		if wait := l.Take(); wait != time.Millisecond {
			t.Errorf("it has to wait %v", wait)
		}
		time.Sleep(time.Millisecond)
		take("a second later", 1)
		time.Sleep(time.Hour)
		take("after an hour", 3)
		l.Refund(2)
		take("after a refund", 2)
		for range 10 {
			l.Refund(2)
		}
		take("after many refunds", 3)
	})
}
