package container

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// golden holds the SHA-256 of what each kind makes of the same frames, without audio: a
// second track changes nothing for those who have none.
var golden = map[Kind]string{
	Matroska:  "781fd2794df5e03a850ce8c0d4753a9d907f769f70d583b5a31b3ab4c3e36859",
	MP4:       "eb0a229c2ea99b645b8fadfcd18d22b2457f4e69ea87867a773a05135232fd3c",
	AVI:       "4a3075036464700062c5a98ef1dbb9b3a55905bdc2b317467c58219d23e501db",
	MJPEG:     "c49c22e404401f0a74585addf2833be27d0eb146f8f08dcb2a915ea4881749ba",
	Directory: "e01e45f200860700aa7ede4ca90e4c41fd82abc2bea2933d01d7afe1d241e2fe",
}

// goldenFile returns the file in which a kind has its structure.
func goldenFile(kind Kind, path string) string {
	if kind == Directory {
		return filepath.Join(path, timesFile)
	}
	return path
}

func TestGolden(t *testing.T) {
	for _, kind := range all {
		f := shoot(t, kind, jpegs)
		times := newTimes(99)
		for i := range 120 {
			if i == 40 {
				must(t, f.Gap(capture.Lost{Driver: 3}, "no signal"))
			}
			f.add(times.next())
			if i%25 == 24 {
				must(t, f.Flush())
			}
		}
		f.close()
		data, err := os.ReadFile(goldenFile(kind, f.path))
		must(t, err)
		if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != golden[kind] {
			t.Errorf("%v: %d bytes of %s, want %s", kind, len(data), got, golden[kind])
		}
	}
}
