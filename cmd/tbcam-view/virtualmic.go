package main

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
	"github.com/tbcam/tbcam/cmd/internal/meter"
	"github.com/tbcam/tbcam/sink"
	"github.com/tbcam/tbcam/sink/virtualmic"
	"github.com/tbcam/tbcam/sink/virtualmic/pwmic"
)

// playbackFlags are the flags of what plays the far microphone.
type playbackFlags struct {
	virtual bool
	listen  bool
	delay   string
}

// autoDelay is the value of --audio-delay that follows the video.
const autoDelay = "auto"

// maxDelay is the longest --audio-delay: what waits is kept in memory.
const maxDelay = time.Second

func (p *playbackFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&p.virtual, "virtual-microphone", false, "publish the far microphone as a microphone of this host, at PipeWire (implies --microphone auto)")
	f.BoolVar(&p.listen, "listen", false, "play the far microphone on this host (implies --microphone auto)")
	f.StringVar(&p.delay, "audio-delay", autoDelay, "age of what --virtual-microphone and --listen play: auto (that of the video), or at least `MS`")
}

// plays reports whether anything plays the far microphone.
func (p *playbackFlags) plays() bool { return p.virtual || p.listen }

// check refuses flags that cannot work.
func (p *playbackFlags) check() error {
	if !p.plays() && p.delay != autoDelay {
		return errors.New("--audio-delay needs --virtual-microphone or --listen")
	}
	_, err := p.fixedDelay()
	return err
}

// fixedDelay returns the delay that was asked for, 0 for auto.
func (p *playbackFlags) fixedDelay() (time.Duration, error) {
	if p.delay == autoDelay {
		return 0, nil
	}
	ms, err := strconv.ParseFloat(p.delay, 64)
	if err == nil && ms >= 0 && ms <= maxDelay.Seconds()*1000 {
		return time.Duration(ms * float64(time.Millisecond)), nil
	}
	return 0, fmt.Errorf("--audio-delay %s: want auto, or 0 to %d ms", p.delay, maxDelay.Milliseconds())
}

// playbackOutput plays the far microphone. While it cannot be used it is tried again.
type playbackOutput struct{ *virtualmic.Microphone }

// describeSound implements soundDescriber.
func (p playbackOutput) describeSound(s *meter.Summary) {
	m := p.Stats()
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	s.Playback = append(s.Playback, meter.Playback{
		Output: p.Name(), Listening: m.Listening,
		Latency: ms(m.Latency), Fill: ms(m.Fill), Target: ms(m.Target), Correction: m.Rate * 1e6,
		Lost: m.Lost, Dropped: m.Dropped, Silence: m.Silence, Underruns: m.Underruns,
	})
}

// playbackOutputs returns what plays the far microphone. It is never measured: figures of
// frames are of video.
func playbackOutputs(r *run, _ func(*capture.Frame)) (all []sink.Output, err error) {
	p := &r.o.playback
	if !p.plays() {
		return nil, nil
	}
	o := virtualmic.Options{
		Delay: r.audioDelay, Need: r.microphone.demand.noteNeed, Explain: cli.Explain, Log: r.log,
	}
	if p.virtual {
		o.Name, o.Driver, o.OnDemand = "virtual microphone", pwmic.Microphone{Description: "tbcam far microphone"}, true
		all = append(all, playbackOutput{virtualmic.New(o)})
	}
	if p.listen {
		o.Name, o.Driver, o.OnDemand = "loudspeaker", pwmic.Speaker{}, false
		all = append(all, playbackOutput{virtualmic.New(o)})
	}
	return all, nil
}

// audioDelay returns how much longer a block is to wait, which without that is played a
// latency after its capture.
func (r *run) audioDelay(latency time.Duration) time.Duration {
	wanted, _ := r.o.playback.fixedDelay() // it was checked
	if r.o.playback.delay == autoDelay {
		wanted = min(r.videoAge.smoothed(), maxDelay)
	}
	return max(wanted-latency, 0)
}

// age is how old frames are when they are presented, averaged over a second or so.
type age struct{ average atomic.Int64 }

// ageShare is how much of a frame's age counts for the average.
const ageShare = 32

// note notes that a frame is presented. It is called by one goroutine.
func (a *age) note(at *[capture.NumStages]time.Time, when time.Time) {
	captured := at[capture.Captured]
	if captured.IsZero() {
		return
	}
	before, now := a.average.Load(), int64(when.Sub(captured))
	if before != 0 {
		now = before + (now-before)/ageShare
	}
	a.average.Store(now)
}

// smoothed returns the average, 0 before the first frame.
func (a *age) smoothed() time.Duration { return time.Duration(a.average.Load()) }

// muter is an Output that plays the far microphone.
type muter interface{ Mute(yes bool) }

// toggleMute mutes what plays the far microphone, or unmutes it.
func (r *run) toggleMute() (muted bool) {
	r.mu.Lock()
	r.muted = !r.muted
	muted = r.muted
	r.mu.Unlock()
	for _, o := range r.outputs {
		if m, ok := o.(muter); ok {
			m.Mute(muted)
		}
	}
	return muted
}
