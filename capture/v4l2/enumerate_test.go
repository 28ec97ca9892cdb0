package v4l2

import (
	"errors"
	"os"
	"testing"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"github.com/tbcam/tbcam/capture"
)

// The library is found to have its descriptor where it is looked for.
func TestDescriptorOfLibrary(t *testing.T) {
	if fd, err := descriptorOf(new(webcam.Webcam)); fd != 0 || err != nil {
		t.Errorf("descriptor %d, %v", fd, err)
	}
}

// What cannot be enumerated is an error that callers act on, and leaves nothing open.
func TestOpenEnumeratorErrors(t *testing.T) {
	for path, want := range map[string]error{
		t.TempDir() + "/video0": capture.ErrNoCamera,
		os.DevNull:              unix.ENOTTY,
	} {
		before := countDescriptors(t)
		if fd, _, err := openEnumerator(path, bufTypeVideoCapture); !errors.Is(err, want) || fd >= 0 {
			t.Errorf("%s: descriptor %d, %v; want %v", path, fd, err, want)
		}
		if after := countDescriptors(t); after != before {
			t.Errorf("%s: %d descriptors are open, before %d", path, after, before)
		}
	}
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
