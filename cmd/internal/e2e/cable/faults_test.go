//go:build cable

package cable

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

// recoveries are how long video was interrupted.
type recoveries []time.Duration

func (r *recoveries) add(since time.Time) { *r = append(*r, time.Since(since)) }

func (r recoveries) log(t *testing.T, what string) {
	if len(r) == 0 {
		return
	}
	slices.Sort(r)
	t.Logf("%s: %d, video was back after %.1f s, at most %.1f s", what, len(r), r[len(r)/2].Seconds(), r[len(r)-1].Seconds())
}

// TestKillsOverTheCable: either program comes back after kill -9, whenever it is
// started again. It does so on two streams at a time, since most of it is waiting:
// whichever side dies on one, the other one dies on the other.
func TestKillsOverTheCable(t *testing.T) {
	source := random(t)
	plan := make([]bool, rounds(t, 25))
	for i := range plan {
		plan[i] = source.IntN(2) == 0
	}
	second := secondStream(t)
	t.Run("together", func(t *testing.T) {
		for i, e := range []ends{theCable, second} {
			t.Run(fmt.Sprint(i+1), func(t *testing.T) {
				t.Parallel()
				kills(t, e, plan, i == 0)
			})
		}
	})
}

// kills kills the sender where the plan names senders, otherwise the viewer.
func kills(t *testing.T, e ends, plan []bool, senders bool) {
	s, w := e.send(t), e.view(t)
	w.more(t, 0)
	watchers := []watcher{w}
	var ofSenders, ofViewers recoveries
	for _, kill := range plan {
		begin := time.Now()
		if kill == senders {
			killHolder(t, s, e.sender)
			s = e.send(t)
			s.WaitText("camera is on")
			w.more(t, harness.CountFrames(w.Program)) // long after the last one of the other camera
			ofSenders.add(begin)
		} else {
			killHolder(t, w.Program, e.viewer)
			w = e.view(t)
			w.more(t, 0)
			ofViewers.add(begin)
			watchers = append(watchers, w)
		}
	}
	w.Stop(syscall.SIGINT)
	stamps := wantFrames(t, watchers...)
	ofSenders.log(t, "kills of the sender")
	ofViewers.log(t, "kills of the viewer")
	t.Logf("%d frames", len(stamps))
}

// killHolder kills a program and checks that the lock of its device outlives the opening:
// else the next program would get the rings as they are, in place of new ones.
// Closing takes the driver half a second (Linux 7.2).
func killHolder(t *testing.T, p *harness.Program, device string) {
	t.Helper()
	begin := time.Now()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	harness.WaitUntil(t, "the lock", func() bool { return !strings.Contains(content(t, "/proc/net/unix"), "@tbcam"+device+"@") })
	if held := time.Since(begin); held < 500*time.Millisecond {
		t.Errorf("%s was not locked any more %v after kill -9", device, held)
	}
	p.WaitExit()
}

// TestUnplugsOverTheCable: video comes back with the cable, however long it
// was out, and neither program is restarted.
func TestUnplugsOverTheCable(t *testing.T) {
	const on, flow = "camera is on", 100 // packets are five frames with their padding
	source := random(t)
	w := theCable.view(t)
	theCable.send(t, "--fps=15")
	w.WaitText(on)
	var back recoveries
	var whole [][2]time.Time // when the cable was
	for n := range rounds(t, 50) {
		before := packets(t)
		harness.WaitUntil(t, "packets", func() bool { return packets(t) > before+flow })
		time.Sleep(time.Duration(source.IntN(int(100 * time.Millisecond)))) // anywhere in a frame
		met := w.count(on)
		set(t, knob("plug"), 0)
		if n > 0 {
			whole[n-1][1] = time.Now()
		}
		// Mostly in again before anybody looks; now and then long after that.
		if n%10 == 0 {
			w.waitAgain(t, "waiting for the stream")
		}
		set(t, knob("plug"), 1)
		begin := time.Now()
		harness.WaitUntil(t, "the camera", func() bool { return w.count(on) > met })
		back.add(begin)
		whole = append(whole, [2]time.Time{begin, begin.Add(harness.Patience)})
	}
	w.more(t, harness.CountFrames(w.Program))
	w.Stop(syscall.SIGINT)
	stamps := wantFrames(t, w)
	for n, times := range whole {
		if !slices.ContainsFunc(stamps, func(s pattern.Stamp) bool { return s.Time.After(times[0]) && s.Time.Before(times[1]) }) {
			t.Errorf("no frame came when the cable was in again for the %d. time", n+1)
		}
	}
	back.log(t, "unplugged")
	t.Logf("%d frames", len(stamps))
}

// packets counts what the sender's host has sent.
func packets(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(content(t, knob("host0/packets")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// count counts how often the viewer has printed a text.
func (w watcher) count(text string) int { return strings.Count(w.Err.String(), text) }

// waitAgain waits until the viewer prints a text once more.
func (w watcher) waitAgain(t *testing.T, text string) {
	t.Helper()
	before := w.count(text)
	harness.WaitUntil(t, fmt.Sprintf("%q again", text), func() bool { return w.count(text) > before })
}

// sessions counts those that the viewer has begun.
func (w watcher) sessions() int { return w.count("connected to") }

// TestDamageOnTheCable: whatever packets are damaged, of whichever direction, no
// frame is shown that was not sent, and the frames go on.
func TestDamageOnTheCable(t *testing.T) {
	source := random(t)
	w := theCable.view(t)
	theCable.send(t, "--fps=15")
	w.more(t, 0)
	damaged := max(120, rounds(t, 0)) // fewer may hit padding only
	for range damaged {
		// A frame takes ten packets, padding nine; what the viewer sends, two.
		end := source.IntN(2)
		host := fmt.Sprintf("host%d/", end)
		set(t, knob(host+[]string{"damage", "overrun"}[source.IntN(2)]), 1+source.IntN([]int{40, 4}[end]))
		harness.WaitUntil(t, "a packet", func() bool { return idle(t, host+"damage") && idle(t, host+"overrun") })
	}
	w.more(t, harness.CountFrames(w.Program)+15)
	w.Stop(syscall.SIGINT)
	stamps := wantFrames(t, w)
	missing := int(stamps[len(stamps)-1].Counter-stamps[0].Counter) + 1 - len(stamps)
	if missing == 0 {
		t.Error("no frame was hit")
	}
	t.Logf("%d packets were damaged; %d frames came, %d are missing, %d sessions", damaged, len(stamps), missing, w.sessions())
}

func idle(t *testing.T, name string) bool { return content(t, knob(name)) == "0" }

// TestLossToAnUnopenedPeer: what is sent before the other side has opened may be
// lost; whoever starts first, they find each other.
func TestLossToAnUnopenedPeer(t *testing.T) {
	for _, host := range []string{"host0", "host1"} {
		lossy := knob(host + "/drop_unopened")
		set(t, lossy, 1)
		defer set(t, lossy, 0)
	}
	s := theCable.send(t)
	time.Sleep(time.Second) // some greetings get lost
	w := theCable.view(t)
	w.more(t, 0)
	watchers := []watcher{w}
	w.Stop(syscall.SIGKILL)
	s.WaitText("viewer disconnected")
	w = theCable.view(t)
	w.more(t, 0)
	watchers = append(watchers, w)
	s.Stop(syscall.SIGKILL)
	s = theCable.send(t)
	s.WaitText("camera is on")
	w.more(t, harness.CountFrames(w.Program))
	w.Stop(syscall.SIGINT)
	wantFrames(t, watchers...)
}

// TestStallsOfTheCable: a cable that moves nothing for a while, in one direction or
// both, costs time and nothing else.
func TestStallsOfTheCable(t *testing.T) {
	w := theCable.view(t)
	theCable.send(t)
	w.more(t, 0)
	for _, c := range []struct {
		hosts []string
		time  time.Duration
	}{
		{[]string{"host0"}, time.Second},     // less than it takes to think the peer dead
		{[]string{"host1"}, 3 * time.Second}, // more
		{[]string{"host0", "host1"}, 3 * time.Second},
	} {
		stall := func(on int) {
			for _, host := range c.hosts {
				set(t, knob(host+"/stall"), on)
			}
		}
		stall(1)
		time.Sleep(c.time)
		stall(0)
		begin := time.Now()
		w.more(t, harness.CountFrames(w.Program)+5)
		t.Logf("%v stalled for %v: 5 frames %.1f s later", c.hosts, c.time, time.Since(begin).Seconds())
	}
	w.Stop(syscall.SIGINT)
	wantFrames(t, w)
}

// TestSuspendOnTheCable: what was on the way when a host was suspended is lost
// without a word; video comes back.
func TestSuspendOnTheCable(t *testing.T) {
	source := random(t)
	w := theCable.view(t)
	s := theCable.send(t, "--fps=15")
	w.more(t, 0)
	for _, c := range []struct {
		host string
		p    *harness.Program
	}{{"host0", s}, {"host1", w.Program}} {
		for _, length := range []time.Duration{300 * time.Millisecond, 3 * time.Second} {
			time.Sleep(time.Duration(source.IntN(int(200 * time.Millisecond))))
			suspendHost(t, c.p, knob(c.host+"/suspend"), length)
			begin := time.Now()
			w.more(t, harness.CountFrames(w.Program)+15)
			t.Logf("%s suspended for %v: 15 frames %.1f s later, %d sessions", c.host, length, time.Since(begin).Seconds(), w.sessions())
		}
	}
	w.Stop(syscall.SIGINT)
	wantFrames(t, w)
}

// suspendHost suspends the program's host. As the kernel does, it first has the
// program stop outside of the driver, whose tbstream_suspend() takes no lock.
func suspendHost(t *testing.T, p *harness.Program, knob string, length time.Duration) {
	t.Helper()
	signal := func(s syscall.Signal) {
		if err := p.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	harness.WaitUntil(t, "the threads to stop", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Process.Pid))
		return !slices.ContainsFunc(threads, func(stat string) bool {
			text, err := os.ReadFile(stat)
			_, state, _ := strings.Cut(string(text), ") ")
			return err == nil && !strings.HasPrefix(state, "T")
		})
	})
	set(t, knob, length.Milliseconds())
	signal(syscall.SIGCONT)
}
