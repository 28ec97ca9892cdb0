package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// limit is what is near the limit of two cores.
type limit struct {
	shot
	format, codec string
}

var limits = []limit{
	{shot{pattern.NamePhoto, 3840, 2160, 30}, "yuyv", "jpeg"},
	{shot{pattern.NamePhoto, 3840, 2160, 60}, "yuyv", "jpeg"},
	{shot{pattern.NamePhoto, 3840, 2160, 60}, "nv12", "raw"},
}

// limits counts frames that do not arrive, where there is little time for each.
func (b *bench) limits() (table, error) {
	t := table{head: []string{"frames", "as", "received/s", "superseded before sending", "lost on the link", "on the wire p50, p99"}}
	for _, l := range limits {
		m, err := b.compare(way{fmt.Sprintf("%v at %d/s as %s", l.shot, l.fps, l.codec), func(c *crew) (sample, error) { return b.pass(c, l) }})
		if err != nil {
			return t, err
		}
		t.add(fmt.Sprintf("%v at %d/s, %s", l.shot, l.fps, l.format), l.codec, m[0]["fps"],
			fmt.Sprintf("%.2f %%", m[0]["superseded before sending"]+m[0]["dropped by the camera"]),
			fmt.Sprintf("%.2f %%", m[0]["lost on the link"]), pair(m[0], "wire"))
	}
	return t, nil
}

// pass sends frames to a viewer that takes them and drops them: it records to /dev/null.
func (b *bench) pass(c *crew, l limit) (sample, error) {
	stream := "unix:" + filepath.Join(c.dir, "s")
	view, err := c.start("tbcam-view", nil, nil, b.program("tbcam-view"), "--stream", stream,
		"--record", "/dev/null", "--record-format", "mkv", "--force", "--stats", "json")
	if err != nil {
		return nil, err
	}
	send := []string{b.program("tbcam-send"), "--stream", stream, "--camera", l.camera, "--size", l.size(),
		"--fps", fmt.Sprint(l.fps), "--format", l.format, "--codec", l.codec}
	if _, err := c.start("tbcam-send", nil, nil, send...); err != nil {
		return nil, err
	}
	if err := c.sleep(warmup); err != nil {
		return nil, err
	}
	before, err := view.summary()
	if err != nil {
		return nil, err
	}
	if err := c.sleep(2 * b.span); err != nil {
		return nil, err
	}
	after, err := view.summary()
	if err != nil {
		return nil, err
	}
	return limitsOf(before, after), nil
}

// limitsOf returns what became of the frames that were captured between two statistics.
func limitsOf(before, after meter.Summary) sample {
	m := sample{"fps": float64(after.Frames-before.Frames) / (after.Seconds - before.Seconds)}
	addLatency(m, after)
	captured := func(s meter.Summary) float64 { n, _ := countDropped(s); return n }
	for _, o := range after.Outcomes {
		since := float64(o.Count)
		for _, b := range before.Outcomes {
			if b.Name == o.Name {
				since -= float64(b.Count)
			}
		}
		m[o.Name] = 100 * since / max(captured(after)-captured(before), 1)
	}
	return m
}

// idleSpan is how long idle programs are watched.
const idleSpan = 20 * time.Second

// idle measures programs that have nothing to do.
func (b *bench) idle() (table, error) {
	t := table{head: []string{"state", "program", "of a core", "switches/s"}}
	for _, state := range []struct {
		name string
		run  func(*crew) (map[string]int, error)
	}{
		{"waiting for the other program", b.wait},
		{"connected, the camera is missing", b.connectIdle},
	} {
		loads := map[string]load{}
		_, err := b.once(way{state.name, func(c *crew) (sample, error) {
			pids, err := state.run(c)
			if err == nil {
				err = c.sleep(2 * warmup)
			}
			if err == nil {
				loads, err = c.loads(pids, idleSpan)
			}
			return nil, err
		}})
		if err != nil {
			return t, err
		}
		for _, name := range []string{"tbcam-send", "tbcam-view", "tbcam-window"} {
			l := loads[name]
			t.add(state.name, name, fmt.Sprintf("%.2f %%", 100*l.cpu.Seconds()/idleSpan.Seconds()), float64(l.switches)/idleSpan.Seconds())
		}
	}
	return t, nil
}

// wait starts each program without its peer.
func (b *bench) wait(c *crew) (map[string]int, error) {
	return b.startIdle(c, filepath.Join(c.dir, "a"), filepath.Join(c.dir, "b"), "pattern")
}

// connectIdle starts both programs with a camera that is waited for.
func (b *bench) connectIdle(c *crew) (map[string]int, error) {
	path := filepath.Join(c.dir, "s")
	return b.startIdle(c, path, path, "/dev/video63")
}

func (b *bench) startIdle(c *crew, sender, viewer, camera string) (map[string]int, error) {
	_, setting, err := c.display()
	if err != nil {
		return nil, err
	}
	view, err := c.start("tbcam-view", []string{setting}, nil, b.program("tbcam-view"), "--window", "--stream", "unix:"+viewer)
	if err != nil {
		return nil, err
	}
	send, err := c.start("tbcam-send", nil, nil, b.program("tbcam-send"), "--wait", "--camera", camera, "--stream", "unix:"+sender)
	if err != nil {
		return nil, err
	}
	if err := c.sleep(2 * warmup); err != nil {
		return nil, err
	}
	window, err := view.child("tbcam-window")
	if err != nil {
		return nil, err
	}
	return map[string]int{"tbcam-send": send.cmd.Process.Pid, "tbcam-view": view.cmd.Process.Pid, "tbcam-window": window}, nil
}
