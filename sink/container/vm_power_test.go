//go:build power

package container

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPowerCut records all containers on an ext4 disk in the virtual machine, and
// kills QEMU: what the guest's kernel had not written is lost.
func TestPowerCut(t *testing.T) {
	seed := *killSeed
	t.Logf("-killseed %d", seed)
	out := t.TempDir()
	image := filepath.Join(out, "disk")
	tool(t, "/sbin/mkfs.ext4", "-q", image, "512M")
	acknowledged := recordInGuest(t, out, seed)
	quiet(t, "/sbin/e2fsck", "-fy", image)
	files := filepath.Join(out, "files")
	must(t, os.Mkdir(files, 0o700))
	quiet(t, "/sbin/debugfs", "-R", "rdump / "+files, image)
	for i, kind := range all {
		path := filepath.Join(files, "a."+kind.String())
		report, err := Repair(path)
		if err != nil {
			t.Errorf("%v: %v", kind, err)
			continue
		}
		t.Logf("%d frames were safe: %+v", acknowledged[i], report)
		got := hashes(t, kind, path, "warning")
		wantFrames(t, got, acknowledged[i])
		remux(t, kind, path, got)
	}
}

// quiet runs a program and ignores its output and its result.
func quiet(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	t.Logf("%s: %v\n%s", name, err, out)
}

// recordInGuest records until the power is cut, and returns how many frames of
// each kind were reported safe by then.
func recordInGuest(t *testing.T, out string, seed uint64) (acknowledged []int) {
	t.Helper()
	script := fmt.Sprintf(`mkdir /run/disk; losetup /dev/loop0 %s/disk; mount /dev/loop0 /run/disk
for kind in mkv mp4 avi mjpeg jpg; do
	%s=/run/disk/a.$kind %s=%d %s >%s/$kind &
done; wait`, out, killedFile, killedSeed, seed, os.Args[0], out)
	vm := exec.Command("../../fixtures/vm/vm", "run", "--modules", "loop ext4", "--out", out, "--timeout", "240", "--", "sh", "-c", script)
	vm.Stdout, vm.Stderr = os.Stdout, os.Stderr
	must(t, vm.Start())
	defer vm.Wait()
	for end := time.Now().Add(4 * time.Minute); len(acknowledged) < len(all); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("nothing is recorded")
			break
		}
		acknowledged = safe(out)
	}
	time.Sleep(time.Duration(rand.New(rand.NewPCG(seed, 13)).Int64N(int64(5 * time.Second))))
	acknowledged = safe(out)
	kill(t, descendants(vm.Process.Pid))
	return acknowledged
}

// safe returns the last number that each recorder has reported, of those that have.
func safe(out string) (numbers []int) {
	for _, kind := range all {
		text, _ := os.ReadFile(filepath.Join(out, kind.String()))
		lines := strings.Fields(string(text[:strings.LastIndex(string(text), "\n")+1]))
		if len(lines) == 0 {
			return nil
		}
		n, _ := strconv.Atoi(lines[len(lines)-1])
		numbers = append(numbers, n)
	}
	return numbers
}

// descendants returns the processes that a process has started, and those that
// they have.
func descendants(pid int) (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(text)) {
		child, _ := strconv.Atoi(field)
		pids = append(append(pids, child), descendants(child)...)
	}
	return pids
}

// kill kills the QEMU among some processes.
func kill(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.HasPrefix(string(name), "qemu-system") {
			must(t, syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
	t.Error("no QEMU is running")
}
