package hostile

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// MiB is a unit of PeakMemory.
const MiB = 1 << 20

// PeakMemory returns the most bytes that a process has had in memory at a time
// (VmHWM, proc_pid_status(5)).
func PeakMemory(t testing.TB, pid int) int64 {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			var kib int64
			if _, err := fmt.Sscanf(value, "%d kB", &kib); err != nil {
				t.Fatalf("read VmHWM %q: %v", value, err)
			}
			return kib << 10
		}
	}
	t.Fatalf("process %d has no VmHWM: it has ended", pid)
	return 0
}
