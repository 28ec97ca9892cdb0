package main

import (
	"os"
	"testing"
	"time"
)

// TestLoad: the switches between threads and the processor time of a child are counted, of
// the child that runs the program.
func TestLoad(t *testing.T) {
	c := &crew{ctx: t.Context(), dir: t.TempDir()}
	defer c.close()
	p, err := c.start("sh", nil, nil, "sh", "-c", "cat /dev/zero >/dev/null & while sleep 0.01; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := p.child("cat")
	for end := time.Now().Add(10 * time.Second); err != nil; pid, err = p.child("cat") {
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	cat, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Kill()
	loads, err := c.loads(map[string]int{"sh": p.cmd.Process.Pid, "cat": pid}, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if l := loads["sh"]; l.switches < 10 || l.switches > 1000 {
		t.Errorf("%d switches of a shell that waits 50 times", l.switches)
	}
	if l := loads["cat"]; l.cpu < 20*time.Millisecond {
		t.Errorf("%v of a processor for a program that never waits", l.cpu)
	}
	if _, err := p.child("another"); err == nil {
		t.Error("a child of another name was found")
	}
}
