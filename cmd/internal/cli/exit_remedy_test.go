package cli

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
)

// TestRemedies: errors of packages that know no flags get their remedy, also in a
// line of the log.
func TestRemedies(t *testing.T) {
	for err, want := range map[error]string{
		record.ErrExist:            "--force",
		record.ErrBufferFull:       "--record-buffer",
		record.ErrNotFinalized:     "tbcam-view repair",
		record.ErrFormatChanged:    "record to a file",
		container.ErrJPEGOnly:      ".mkv",
		container.ErrNotRecording:  "ffmpeg",
		container.ErrNotStreamable: "mkv, mp4 or mjpeg",
	} {
		err = fmt.Errorf("a.mkv: %w", err)
		if got := remedy(err); !strings.HasPrefix(got, "; ") || !strings.Contains(got, want) {
			t.Errorf("%v: remedy is %q, want %s in it", err, got, want)
		}
		var b bytes.Buffer
		NewLog(&b, "tbcam", slog.LevelInfo).Warn("recording", "err", err)
		if !strings.Contains(b.String(), want) {
			t.Errorf("the log has %q, want %s in it", b.String(), want)
		}
	}
}
