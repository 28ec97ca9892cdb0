package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tbcam/tbcam/capture/pattern"
	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// recorded are the shots of the first part.
var recorded = []shot{
	{pattern.NamePhoto, 640, 480, 30},
	{pattern.NamePhoto, 1280, 720, 30},
	{pattern.NamePhoto, 1920, 1080, 30},
	{pattern.Name, 1920, 1080, 30},
	{pattern.NamePhoto, 3840, 2160, 30},
}

// record compares recording raw frames as JPEGs with the kernel's recipe: GStreamer's
// jpegenc on one host, and `ffmpeg -c copy` on the other.
func (b *bench) record() (table, error) {
	t := table{
		head: []string{"frames", "programs", "sender, ms", "less its source", "receiver, ms", "all less the source, ratio", "CPU s, all of the run", "MB", "latency p50, p99", "dropped"},
		note: "Milliseconds are of CPU for each frame. Both senders make JPEGs of quality 85 of the same raw frames; the source is measured alone:\n" +
			"the test camera in memory for tbcam-send, a pipe for GStreamer. All of the run, by rusage, has the start and the end in it. MB is\n" +
			"the most memory of both programs.",
	}
	g := graph{title: "CPU per frame by resolution, less the source, recording a photo-like camera", unit: "ms", names: []string{"tbcam-send", "GStreamer jpegenc", "tbcam-view", "ffmpeg -c copy"}}
	for _, s := range recorded {
		m, err := b.compare(
			way{"tbcam " + s.String(), func(c *crew) (sample, error) { return b.recordOurs(c, s) }},
			way{"GStreamer and FFmpeg " + s.String(), func(c *crew) (sample, error) { return b.recordTheirs(c, s) }},
			way{"tbcam's source", func(c *crew) (sample, error) { return b.runSource(c, s) }},
			way{"GStreamer's source", func(c *crew) (sample, error) { return b.runPipeSource(c, s) }},
		)
		if err != nil {
			return t, err
		}
		ours, theirs := m[0], m[1]
		ourSender, theirSender := ours["sender"]-m[2]["source"], theirs["sender"]-m[3]["source"]
		ratio := (ourSender + ours["receiver"]) / (theirSender + theirs["receiver"])
		t.add(s, "tbcam", ours["sender"], ourSender, ours["receiver"], ratio, ours["seconds"], ours["MB"],
			figure(ours["p50"])+", "+figure(ours["p99"])+" ms", fmt.Sprintf("%.1f %%", ours["dropped"]))
		t.add("", "GStreamer, FFmpeg", theirs["sender"], theirSender, theirs["receiver"], 1.0, theirs["seconds"], theirs["MB"], "", "")
		if s.camera == pattern.NamePhoto {
			g.add(s.size(), ourSender, theirSender, ours["receiver"], theirs["receiver"])
		}
	}
	b.graphs["cpu.svg"] = g
	return t, nil
}

// recordOurs records with tbcam-send and tbcam-view.
func (b *bench) recordOurs(c *crew, s shot) (sample, error) {
	stream := "unix:" + filepath.Join(c.dir, "s")
	view, err := c.start("tbcam-view", nil, nil, b.program("tbcam-view"), "--stream", stream,
		"--record", filepath.Join(c.dir, "a.mkv"), "--stats", "json")
	if err != nil {
		return nil, err
	}
	send, err := c.start("tbcam-send", nil, nil, append([]string{b.program("tbcam-send"), "--stream", stream, "--codec", "jpeg"}, s.flags()...)...)
	if err != nil {
		return nil, err
	}
	m, err := b.sampleOf(c, view.progress, map[string]*process{"sender": send, "receiver": view})
	if err != nil {
		return nil, err
	}
	return view.endMeasured(m)
}

// sampleOf measures processes while they do their work.
func (b *bench) sampleOf(c *crew, count counter, processes map[string]*process) (sample, error) {
	pids := map[string]int{}
	for name, p := range processes {
		pids[name] = p.cmd.Process.Pid
	}
	return b.samplePIDs(c, count, pids)
}

// samplePIDs is sampleOf for processes of which one may be another one's child.
func (b *bench) samplePIDs(c *crew, count counter, pids map[string]int) (sample, error) {
	if err := c.sleep(warmup); err != nil {
		return nil, err
	}
	begun, before := time.Now(), count()
	loads, err := c.loads(pids, b.span)
	if err != nil {
		return nil, err
	}
	span, now := time.Since(begun).Seconds(), count()
	// Statistics come once a second, and say of which moment they are.
	fps := (now.frames - before.frames) / (now.seconds - before.seconds)
	m := sample{"fps": fps, "dropped": 100 * (now.dropped - before.dropped) / max(now.captured-before.captured, 1)}
	for name, l := range loads {
		m[name] = l.cpu.Seconds() * 1000 / (span * fps)
		m["MB"] += residentMB(pids[name])
	}
	return m, nil
}

// progress is how many frames have passed, and in how many seconds; and of how many
// captured ones how many were dropped, where that is known.
type progress struct{ frames, seconds, captured, dropped float64 }

// counter returns the progress until now.
type counter func() progress

// due counts the frames that a camera should have delivered: of other programs nothing
// else is known.
func (s shot) due() counter {
	begun := time.Now()
	return func() progress {
		seconds := time.Since(begun).Seconds()
		return progress{frames: seconds * float64(s.fps), seconds: seconds}
	}
}

// addLatency adds the percentiles of the whole way and of the stages.
func addLatency(m sample, s meter.Summary) {
	for _, l := range s.Latency {
		m[l.Stage+" p50"], m[l.Stage+" p99"] = l.P50, l.P99
	}
	m["p50"], m["p99"] = m["total p50"], m["total p99"]
}

// countDropped returns how many frames the camera has captured, and how many of them did
// not arrive.
func countDropped(s meter.Summary) (captured, dropped float64) {
	for _, o := range s.Outcomes {
		switch n := float64(o.Count); o.Name {
		case "sent":
			captured += n
		case "dropped by the camera", "dropped as damaged", "superseded before sending":
			captured, dropped = captured+n, dropped+n
		case "lost on the link", "not decodable", "superseded before showing", "dropped by the recorder":
			dropped += n
		}
	}
	return captured, dropped
}

// recordTheirs records with GStreamer's encoder, as the kernel's documentation has it, and
// FFmpeg.
func (b *bench) recordTheirs(c *crew, s shot) (sample, error) {
	fifo, err := c.fifo()
	if err != nil {
		return nil, err
	}
	receiver, err := c.start("ffmpeg", nil, nil, "ffmpeg", "-v", "error", "-nostdin", "-f", "mjpeg", "-i", fifo,
		"-c", "copy", "-y", filepath.Join(c.dir, "a.mkv"))
	if err != nil {
		return nil, err
	}
	sender, count, err := c.pipeline(s, "jpegenc", "quality=85", "!", "filesink", "location="+fifo)
	if err != nil {
		return nil, err
	}
	return b.sampleOf(c, count, map[string]*process{"sender": sender, "receiver": receiver})
}

// pipeline starts GStreamer with the raw frames of a camera, which come through a pipe.
func (c *crew) pipeline(s shot, rest ...string) (*process, counter, error) {
	frames, count, err := c.feed(s)
	if err != nil {
		return nil, nil, err
	}
	args := []string{"gst-launch-1.0", "-q", "fdsrc", "fd=0", fmt.Sprintf("blocksize=%d", 2*s.width*s.height), "!",
		"rawvideoparse", "format=yuy2", fmt.Sprintf("width=%d", s.width), fmt.Sprintf("height=%d", s.height),
		fmt.Sprintf("framerate=%d/1", s.fps), "!"}
	p, err := c.start("gst-launch-1.0", nil, frames, append(args, rest...)...)
	return p, count, err
}

// runSource measures what the frames of tbcam-send take alone.
func (b *bench) runSource(c *crew, s shot) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := c.start("source", nil, nil, self, "-source", fmt.Sprintf("%s,%d,%s", s.size(), s.fps, s.camera))
	if err != nil {
		return nil, err
	}
	return b.sampleOf(c, s.due(), map[string]*process{"source": p})
}

// runPipeSource measures what those of GStreamer take alone.
func (b *bench) runPipeSource(c *crew, s shot) (sample, error) {
	p, count, err := c.pipeline(s, "fakesink")
	if err != nil {
		return nil, err
	}
	return b.sampleOf(c, count, map[string]*process{"source": p})
}
