package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/record"
)

func logLines(b *bytes.Buffer) []string { return strings.Split(strings.TrimSpace(b.String()), "\n") }

func TestLogLine(t *testing.T) {
	var b bytes.Buffer
	log := NewLog(&b, "tbcam-view", slog.LevelInfo).With("stream", "tbcam")
	log.Debug("not shown")
	log.Info("camera is \x1b[2J\u202eCam", "err", errors.Join(errors.New("a"), errors.New("b\u009b")), "none", "")
	log.Info(strings.Repeat("x", 2*maxLine))
	want := "tbcam-view: camera is \uFFFD[2J\uFFFDCam (stream: tbcam, err: a; b\uFFFD)"
	if got := logLines(&b); got[0] != want || len(got) != 2 || len(got[1]) > maxLine+20 {
		t.Errorf("%q, want %q and a short line", got, want)
	}
}

// TestLogJSON: each line is an object with plain values, whatever a peer wrote.
func TestLogJSON(t *testing.T) {
	var b bytes.Buffer
	flags := LogFlags{format: logJSON}
	log := flags.New(&b, "tbcam-view").With("stream", "tbcam")
	log.Debug("not shown")
	log.Warn("camera is \x1b[2J\u202eCam", "err", record.ErrExist, "frames", 3, "mode", capture.Mode{Width: 640, Height: 480}, "on", true)
	log.Info(strings.Repeat("\u00e9", 2*maxLine), "text", strings.Repeat("x", 2*maxLine))
	lines := logLines(&b)
	if len(lines) != 2 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &object); err != nil || capture.Printable(lines[0]) != lines[0] {
		t.Fatalf("%v: %q", err, lines[0])
	}
	for key, want := range map[string]any{
		"level": "warn", "msg": "camera is \uFFFD[2J\uFFFDCam", "program": "tbcam-view", "stream": "tbcam",
		"err": record.ErrExist.Error() + "; --force overwrites it", "frames": 3.0, "on": true,
	} {
		if object[key] != want {
			t.Errorf("%s is %v, want %v", key, object[key], want)
		}
	}
	if err := json.Unmarshal([]byte(lines[1]), &object); err != nil || len(lines[1]) > maxLine {
		t.Errorf("%d bytes: %v", len(lines[1]), err)
	}
}

// A flood is bounded and counted, and hides no line from another place.
func TestLogFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := NewLog(&b, "tbcam-view", slog.LevelDebug)
		const steps, perStep = 10, 10_000 // 3 s
		for i := range steps {
			for j := range perStep {
				log.Info(fmt.Sprint("mode ", i*perStep+j))
			}
			log.Info("recording failed", "step", i)
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(2 * countEvery)
		synctest.Wait()
		shown, counted := 0, 0
		for _, line := range logLines(&b) {
			var last, n, more int
			if k, _ := fmt.Sscanf(strings.ReplaceAll(line, ",", ""), "tbcam-view: mode %d ... %d more suppressed", &last, &more); k == 2 {
				counted += more
			} else if k, _ := fmt.Sscanf(line, "tbcam-view: mode %d", &n); k == 1 {
				shown++
			}
		}
		if shown < maxBurst || shown > maxBurst+3*maxRate || shown+counted != steps*perStep {
			t.Errorf("%d lines shown, %d counted", shown, counted)
		}
		if n := strings.Count(b.String(), "recording failed"); n != steps {
			t.Errorf("%d of %d other lines were shown", n, steps)
		}
		if n := len(logLines(&b)); n > maxBurst+3*maxRate+steps+4 {
			t.Errorf("%d lines in all", n)
		}
		if !strings.Contains(b.String(), ",") {
			t.Error("large numbers have no commas")
		}
	})
}

// Who logs seldom is never cut short, however long it runs.
func TestLogSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := NewLog(&b, "tbcam-send", slog.LevelInfo)
		for i := range 1000 {
			log.Info(fmt.Sprint("camera opened ", i))
			time.Sleep(time.Second / maxRate)
		}
		if n := len(logLines(&b)); n != 1000 || strings.Contains(b.String(), "suppressed") {
			t.Errorf("%d lines", n)
		}
	})
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 3214: "3,214", 1234567: "1,234,567"} {
		if got := formatThousands(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}
