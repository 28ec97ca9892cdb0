package main

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// TestOutage: that nothing can be shown is reported once, with its cause, and when
// that is over; what a healthy stream loses is not reported.
func TestOutage(t *testing.T) {
	broken := errors.New("bad code")
	damaged := func(o *outage) { o.noteReceived(); o.noteDecoded(broken) }
	shown := func(o *outage) { o.noteReceived(); o.noteDecoded(nil) }
	recorded := func(o *outage) { o.noteReceived() }
	lost := func(o *outage) { o.noteLost(capture.Lost{Driver: 1, Damaged: 2}) }
	stated := func(o *outage) { o.noteStated("the lens is covered") }
	undecodable := "no frame can be decoded: bad code"
	type step struct {
		what  func(*outage) // 0.4 s apart
		times int
		want  []string
	}
	for name, steps := range map[string][]step{
		"undecodable":        {{damaged, 7, nil}, {damaged, 20, []string{undecodable}}, {shown, 1, []string{""}}, {shown, 9, nil}},
		"twice":              {{damaged, 9, []string{undecodable}}, {shown, 1, []string{""}}, {damaged, 9, []string{undecodable}}},
		"one of many":        {{damaged, 1, nil}, {shown, 20, nil}},
		"one and no more":    {{damaged, 1, nil}, {nil, 9, []string{undecodable}}},
		"every other":        {{damaged, 5, nil}, {shown, 1, nil}, {damaged, 5, nil}, {shown, 1, nil}, {damaged, 5, nil}},
		"lost":               {{lost, 7, nil}, {lost, 9, []string{"the sender drops all frames: 8 dropped by the camera, 16 damaged"}}, {recorded, 1, []string{""}}},
		"lost at the start":  {{lost, 1, nil}, {nil, 20, nil}, {lost, 7, nil}, {recorded, 1, nil}},
		"stated":             {{stated, 1, []string{"the lens is covered"}}, {nil, 20, nil}, {recorded, 1, []string{""}}},
		"begins again":       {{damaged, 5, nil}, {(*outage).resetOutage, 1, nil}, {damaged, 5, nil}, {damaged, 9, []string{undecodable}}, {(*outage).resetOutage, 1, nil}, {shown, 1, nil}},
		"lost, then damaged": {{lost, 4, nil}, {recorded, 1, nil}, {damaged, 9, []string{undecodable}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reports := make(chan string, 10)
				o := &outage{report: func(cause string) { reports <- cause }}
				for i, s := range steps {
					for range s.times {
						if s.what != nil {
							s.what(o)
						}
						time.Sleep(400 * time.Millisecond)
						synctest.Wait()
					}
					var got []string
					for len(reports) > 0 {
						got = append(got, <-reports)
					}
					if !slices.Equal(got, s.want) {
						t.Errorf("step %d: reported %q, want %q", i, got, s.want)
					}
				}
				o.resetOutage()
			})
		})
	}
}
