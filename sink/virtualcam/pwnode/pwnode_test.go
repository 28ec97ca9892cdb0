package pwnode

import (
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pipewire"
	"github.com/tbcam/tbcam/fixtures/pwsession"
	"github.com/tbcam/tbcam/sink/virtualcam"
)

// TestFreeNodes: the first free name is taken first.
func TestFreeNodes(t *testing.T) {
	free := freeNodes([]string{"tbcam", "phone", "tbcam-3"})
	if len(free) != maxNodes-2 || free[0].Path != "tbcam-2" || free[1].Path != "tbcam-4" {
		t.Errorf("%v", free)
	}
	all := make([]string, 0, maxNodes)
	for _, n := range freeNodes(nil) {
		all = append(all, n.Path)
	}
	if left := freeNodes(all); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestUsers: the number of readers is reported as it changes, and before it does.
func TestUsers(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	format := capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}
	n, err := Driver{}.Open(Name, format, capture.Rate{Num: 30, Den: 1})
	if err != nil {
		t.Fatal(err)
	}
	users, err := n.Users()
	if err != nil {
		t.Fatal(err)
	}
	wait := func(want int) {
		t.Helper()
		end := time.After(30 * time.Second)
		for {
			select {
			case got := <-users:
				if got == want {
					return
				}
			case <-end:
				t.Fatalf("%d readers are not reported", want)
			}
		}
	}
	wait(0)
	reader := s.Command("gst-launch-1.0", "-q", "pipewiresrc", "target-object="+Name, "!", "video/x-raw", "!", "fakesink")
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	wait(1)
	_ = reader.Process.Kill()
	_ = reader.Wait() // by the signal
	wait(0)
	if err := n.(virtualcam.Describer).Describe("tbcam: a camera"); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	for range users { // until it is closed
	}
	if names, err := pipewire.Names(); err != nil || len(names) > 0 {
		t.Errorf("%v are left, %v", names, err)
	}
}
