package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
)

func TestRecordFlags(t *testing.T) {
	plain := record.Options{Buffer: record.DefaultBuffer, Sync: time.Second}
	for args, change := range map[string]func(o *record.Options){
		"--record=a.mkv":    func(o *record.Options) { o.Path = "a.mkv" },
		"--record=d/":       func(o *record.Options) { o.Path, o.Kind = "d/", container.Directory },
		"--record=%F/a.avi": func(o *record.Options) { o.Path, o.Kind = "%F/a.avi", container.AVI },
		"--record=d/ --record-format=mp4": func(o *record.Options) {
			o.Path, o.Kind = "d/tbcam-%Y%m%d-%H%M%S.mp4", container.MP4
		},
		"--record=a --record-format=mjpeg --record-buffer=1GiB --sync-interval=5s": func(o *record.Options) {
			o.Path, o.Kind, o.Buffer, o.Sync = "a", container.MJPEG, 1<<30, 5*time.Second
		},
		"--record=a.mkv --segment=10m,1GB": func(o *record.Options) {
			o.Path, o.Segment = "a-%Y%m%d-%H%M%S.mkv", record.Limit{Size: 1e9, Time: 10 * time.Minute}
		},
		"--record=a-%S.mkv --keep=7d": func(o *record.Options) {
			o.Path, o.Segment.Time, o.Keep.Time = "a-%S.mkv", 10*time.Minute, 7*24*time.Hour
		},
		"--record=a.mkv --pre-roll=0s": func(o *record.Options) { o.Path, o.Waiting = "a.mkv", true },
		"--record=a.mkv --pre-roll=10s --every=1m": func(o *record.Options) {
			o.Path, o.Waiting, o.PreRoll, o.Every = "a.mkv", true, 10*time.Second, time.Minute
		},
	} {
		var r recordFlags
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		r.registerFlags(f)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		want := plain
		change(&want)
		if got, err := r.recordOptions(false); !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", args, got, err, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	for want, stats := range map[string]record.Stats{
		"recording 1:01:05, 7 frames, 2.0 GB, 10 MB/s, 360 GB free for 10 h": {
			Recording: true, Length: 3665 * time.Second, Frames: 7, Bytes: 2e9, Free: 360e9,
		},
		"not recording 0:00:00, 0 frames, 0 B, 10 MB/s, 1.2 GB free for 2 min": {Free: 1.2e9},
		"stalled: no space 0:00:00, 0 frames, 0 B, 10 MB/s, 3 dropped":         {Recording: true, Problem: "no space", Dropped: 3},
		"recording 0:00:59, 0 frames, 0 B, 10 MB/s, 90 TB free for 104 days":   {Recording: true, Length: 59999 * time.Millisecond, Free: 90e12},
		"recording 0:00:00, 0 frames, 0 B, 10 MB/s, 18 EB free for 11574 days": {Recording: true, Free: 1<<64 - 1},
	} {
		if got := describeRecording(stats, 1e7, true); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	const waiting = "recording is waiting for tbcam-send: 0:00:00, 0 frames, 0 B"
	if got := describeRecording(record.Stats{Recording: true}, 0, false); got != waiting {
		t.Errorf("%q, want %q", got, waiting)
	}
}

func TestPace(t *testing.T) {
	var p pace
	start := time.Now()
	if rate := p.growthRate(500, start); rate != 0 {
		t.Errorf("at first %v", rate)
	}
	for i := 1; i <= 60; i++ {
		rate := p.growthRate(500+uint64(1000*i), start.Add(time.Duration(i)*time.Second))
		if rate != 1000 {
			t.Fatalf("after %d s %v, want 1000", i, rate)
		}
	}
	for i := 61; i <= 90; i++ {
		p.growthRate(60500, start.Add(time.Duration(i)*time.Second))
	}
	if p.mean > 50 || p.mean < 1 {
		t.Errorf("half a minute after the end %v", p.mean)
	}
}
