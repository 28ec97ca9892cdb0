package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// shown are the shots of the windows.
var shown = []shot{{pattern.Name, 1920, 1080, 30}, {pattern.NamePhoto, 1920, 1080, 30}}

// The window on a screen of 1920x1080 takes nine tenths of it.
const windowWidth, windowHeight = 1728, 972

// window compares tbcam-view's window with those of players, all of 1728x972 on Xvfb.
func (b *bench) window() (table, error) {
	t := table{
		head: []string{"frames", "programs", "player, ms", "X server, ms", "shown/s", "show p50, p99", "latency p50, p99", "CPU s, all of the run", "MB"},
		note: "The players decode what `tbcam-send --wire mjpeg` writes to a FIFO, and may drop some of it. What tbcam-send takes is only in the\n" +
			"CPU seconds, which are of all programs from start to end, by rusage.",
	}
	g := graph{title: "Latency by stage, 1080p30 to a window, p50", unit: "ms", stacked: true, names: meter.StageNames[:len(meter.StageNames)-1]}
	for _, s := range shown {
		m, err := b.compare(
			way{"tbcam " + s.String(), func(c *crew) (sample, error) { return b.showOurs(c, s) }},
			way{"mpv " + s.String(), func(c *crew) (sample, error) { return b.showFIFO(c, s, mpv) }},
			way{"ffplay " + s.String(), func(c *crew) (sample, error) { return b.showFIFO(c, s, ffplay) }},
		)
		if err != nil {
			return t, err
		}
		ours := m[0]
		t.add(s, fmt.Sprintf("tbcam-view %s, tbcam-window %s", figure(ours["view"]), figure(ours["window"])), ours["view"]+ours["window"], ours["X server"],
			ours["fps"], pair(ours, "show"), pair(ours, "total"), ours["seconds"], ours["MB"])
		t.add("", "mpv --vo=x11", m[1]["player"], m[1]["X server"], "at most "+figure(m[1]["fps"]), "", "", m[1]["seconds"], m[1]["MB"])
		t.add("", "ffplay, SDL in software", m[2]["player"], m[2]["X server"], "at most "+figure(m[2]["fps"]), "", "", m[2]["seconds"], m[2]["MB"])
		var stages []float64
		for _, stage := range g.names {
			stages = append(stages, ours[stage+" p50"])
		}
		g.add(s.String(), stages...)
	}
	b.graphs["latency.svg"] = g
	return t, nil
}

func pair(m sample, stage string) string {
	return figure(m[stage+" p50"]) + ", " + figure(m[stage+" p99"]) + " ms"
}

// display starts an X server without a screen.
func (c *crew) display() (server *process, setting string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	p := &process{name: "Xvfb", cmd: exec.CommandContext(c.ctx, "Xvfb", "-displayfd", "3", "-nolisten", "tcp", "-noreset", "-screen", "0", "1920x1080x24")}
	p.cmd.ExtraFiles = []*os.File{w}
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		return nil, "", err
	}
	c.processes = append(c.processes, p)
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return nil, "", errors.New("no display was named by Xvfb")
	}
	return p, "DISPLAY=:" + strings.TrimSpace(line), nil
}

// showOurs shows frames in tbcam-view's window.
func (b *bench) showOurs(c *crew, s shot) (sample, error) {
	server, setting, err := c.display()
	if err != nil {
		return nil, err
	}
	stream := "unix:" + filepath.Join(c.dir, "s")
	view, err := c.start("tbcam-view", []string{setting}, nil, b.program("tbcam-view"), "--stream", stream, "--window", "--stats", "json")
	if err != nil {
		return nil, err
	}
	send := append([]string{b.program("tbcam-send"), "--stream", stream, "--codec", "jpeg"}, s.flags()...)
	if _, err := c.start("tbcam-send", nil, nil, send...); err != nil {
		return nil, err
	}
	if err := c.sleep(warmup); err != nil {
		return nil, err
	}
	window, err := view.child("tbcam-window")
	if err != nil {
		return nil, err
	}
	m, err := b.samplePIDs(c, view.progress, map[string]int{"view": view.cmd.Process.Pid, "window": window, "X server": server.cmd.Process.Pid})
	if err != nil {
		return nil, err
	}
	return view.endMeasured(m)
}

// player returns the command that shows a FIFO of JPEGs.
type player func(fifo string) []string

func mpv(fifo string) []string {
	return []string{"mpv", "--no-config", "--really-quiet", "--vo=x11", "--profile=low-latency", "--untimed", "--no-input-terminal",
		"--demuxer-lavf-format=mjpeg", fmt.Sprintf("--geometry=%dx%d", windowWidth, windowHeight), fifo}
}

func ffplay(fifo string) []string {
	return []string{"ffplay", "-v", "error", "-fflags", "nobuffer", "-flags", "low_delay", "-framedrop",
		"-x", fmt.Sprint(windowWidth), "-y", fmt.Sprint(windowHeight), "-f", "mjpeg", "-i", fifo}
}

// showFIFO shows frames in a player's window.
func (b *bench) showFIFO(c *crew, s shot, with player) (sample, error) {
	server, setting, err := c.display()
	if err != nil {
		return nil, err
	}
	fifo, err := c.fifo()
	if err != nil {
		return nil, err
	}
	p, err := c.start("player", []string{setting, "SDL_RENDER_DRIVER=software", "SDL_AUDIODRIVER=dummy"}, nil, with(fifo)...)
	if err != nil {
		return nil, err
	}
	args := append([]string{b.program("tbcam-send"), "--stream", fifo, "--wire", "mjpeg", "--codec", "jpeg", "--stats", "json"}, s.flags()...)
	send, err := c.start("tbcam-send", nil, nil, args...)
	if err != nil {
		return nil, err
	}
	if err := c.sleep(warmup); err != nil { // as ours gets
		return nil, err
	}
	return b.sampleOf(c, send.progress, map[string]*process{"player": p, "X server": server})
}
