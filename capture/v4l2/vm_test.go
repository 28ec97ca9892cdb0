//go:build vm

package v4l2

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/vm"
)

// The helpers of the tests that need kernel drivers, in *_vm_test.go.

func loadVivid(t testing.TB) string { return vm.LoadVivid(t, 1)[0] }

var small = capture.Mode{Pixel: capture.YUYV, Width: 320, Height: 180, Rate: capture.Rate{Num: 30, Den: 1}}

// start opens a camera that is closed when the test is over; all frames must be
// back in the pool then.
func start(t testing.TB, path string, mode capture.Mode) *Source {
	t.Helper()
	pool := new(capture.Pool)
	s, err := Open(path, mode, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames are not released", n)
		}
	})
	return s
}

// next reads a frame that is released when the test is over.
func next(t testing.TB, s capture.Source) *capture.Frame {
	t.Helper()
	f, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Release)
	return f
}

// setControl sets a 32-bit control by name, or presses a button, for instance one
// of those with which vivid injects faults.
func setControl(t testing.TB, path, name string, value int32) {
	t.Helper()
	controls, err := OpenControls(path)
	if err != nil {
		t.Fatal(err)
	}
	defer controls.Close()
	c := controlNamed(t, controls, name)
	if _, err := controls.Set(capture.Setting{ID: c.ID, Value: int64(value)}); err != nil {
		t.Fatal(err)
	}
}

// descriptors returns how many files this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// hold makes another process use a node until the test is over, as a camera or as
// an output.
func hold(t testing.TB, use, path string) (pid int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TBCAM_HOLD="+use+" "+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the other process reports %q", line)
	}
	return cmd.Process.Pid
}

// TestMain is also the process that hold starts.
func TestMain(m *testing.M) {
	use, path, asked := strings.Cut(os.Getenv("TBCAM_HOLD"), " ")
	if !asked {
		os.Exit(m.Run())
	}
	if err := holdHere(use, path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1)) // until the parent closes it
}

func holdHere(use, path string) error {
	if use == "capture" {
		_, err := Open(path, small, new(capture.Pool))
		return err
	}
	o, err := OpenOutput(path, tiny, capture.Rate{})
	if err != nil {
		return err
	}
	return o.Write(testFrame(tiny, 0))
}

// driver is what the tests find cameras with.
var driver Driver
