package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink"
)

const (
	// outagePatience is how long a stream that runs may show nothing before that is
	// reported.
	outagePatience = 3 * time.Second
	// lossesPause is the longest time between two counts of frames that are being lost:
	// the sender repeats them with each heartbeat.
	lossesPause = time.Second
)

// outage notices that a stream runs and nothing of it can be shown: no frame can be
// decoded, or the sender loses all of them. It reports that once, and when frames
// show again.
type outage struct {
	// report is called with the cause, with "" when frames show again. It must not wait.
	report func(cause string)

	mu       sync.Mutex
	begun    int          // of outages, to recognise a timer that is late
	timer    *time.Timer  // nil: nothing is wrong
	reported bool         // this outage was
	damaged  int          // frames in a row that could not be decoded
	err      error        // of the last of them
	lost     capture.Lost // since the last frame that came
	lostAt   time.Time    // when that grew last
}

// noteLost takes note of frames that the sender lost while none came.
func (o *outage) noteLost(more capture.Lost) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost.Add(more)
	o.lostAt = time.Now()
	o.startTimer()
}

// startTimer has the outage reported if it lasts. o.mu is held.
func (o *outage) startTimer() {
	if o.timer != nil {
		return
	}
	o.begun++
	number := o.begun
	o.timer = time.AfterFunc(outagePatience, func() { o.reportLasting(number) })
}

// reportLasting reports an outage, unless it has ended.
func (o *outage) reportLasting(number int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case number != o.begun || o.timer == nil || o.reported:
	case o.damaged == 0 && time.Since(o.lostAt) > lossesPause:
		o.endOutage()
	default:
		o.reported = true
		o.report(o.describeCause())
	}
}

// describeCause returns what is wrong, for a person.
func (o *outage) describeCause() string {
	if o.damaged > 0 {
		return fmt.Sprintf("no frame can be decoded: %v", o.err)
	}
	var counts []string
	for _, c := range []struct {
		name string
		n    uint64
	}{{"dropped by the camera", o.lost.Driver}, {"damaged", o.lost.Damaged}, {"superseded", o.lost.Superseded}} {
		if c.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	return "the sender drops all frames: " + strings.Join(counts, ", ")
}

// noteStated notes the reason that the sender itself gives for showing nothing.
func (o *outage) noteStated(cause string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.startTimer()
	o.reported = true
	o.report(cause)
}

// noteReceived takes note of a frame that came: what the sender loses beside it is
// no outage.
func (o *outage) noteReceived() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.damaged == 0 {
		o.endOutage()
	}
}

// noteDecoded takes note of what decoding a frame ended with.
func (o *outage) noteDecoded(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.endOutage()
		return
	}
	o.damaged++
	o.err = err
	o.startTimer()
}

// resetOutage forgets the outage, if there is one: the stream stands, which has another
// reason, or begins again.
func (o *outage) resetOutage() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reported = false
	o.endOutage()
}

// endOutage ends the outage. o.mu is held.
func (o *outage) endOutage() {
	if o.timer == nil {
		return
	}
	o.timer.Stop()
	o.timer, o.damaged, o.err, o.lost = nil, 0, nil, capture.Lost{}
	if o.reported {
		o.reported = false
		o.report("")
	}
}

// observeDecoder returns a decoder that reports the result for each frame to the outage.
func (o *outage) observeDecoder(d sink.Decoder) sink.Decoder { return &observedDecoder{d, o} }

type observedDecoder struct {
	sink.Decoder
	outage *outage
}

func (d *observedDecoder) Decode(f *capture.Frame) (*capture.Frame, error) {
	raw, err := d.Decoder.Decode(f)
	d.outage.noteDecoded(err)
	return raw, err
}
