package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/cmd/internal/meter"
)

// process is a program that runs.
type process struct {
	name string
	cmd  *exec.Cmd
	out  output
}

// output is what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// crew are the processes of one run.
type crew struct {
	ctx       context.Context
	dir       string // temporary
	processes []*process
}

// close ends all processes that are left, and removes what they wrote.
func (c *crew) close() {
	for i := len(c.processes) - 1; i >= 0; i-- {
		c.processes[i].end()
	}
	os.RemoveAll(c.dir)
}

// start starts a program, with settings of its environment.
func (c *crew) start(name string, settings []string, stdin io.Reader, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(c.ctx, args[0], args[1:]...)}
	p.cmd.Env = append(os.Environ(), settings...)
	p.cmd.Stdin, p.cmd.Stdout = stdin, &p.out
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	c.processes = append(c.processes, p)
	return p, nil
}

// patience is how long a program may take to end.
const patience = 5 * time.Second

// end ends the process as Ctrl-C does, and by force if that takes too long. It may be
// called twice.
func (p *process) end() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	killer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	_ = p.cmd.Wait() // players do not end with 0 on a signal
}

// lifetime returns the processor time of all of the process's life, with that of its
// children (wait4(2)). It has ended.
func (p *process) lifetime() time.Duration {
	usage := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// lifetime is that of all processes together. They have ended.
func (c *crew) lifetime() (all time.Duration) {
	for _, p := range c.processes {
		all += p.lifetime()
	}
	return all
}

// summary returns the last statistics that the process printed.
func (p *process) summary() (s meter.Summary, err error) {
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	err = json.Unmarshal([]byte(lines[len(lines)-1]), &s)
	if err != nil {
		err = fmt.Errorf("%s printed no statistics: %w", p.name, err)
	}
	return s, err
}

// endMeasured ends a process that was measured, and adds the latency that its last
// statistics have.
func (p *process) endMeasured(m sample) (sample, error) {
	p.end()
	summary, err := p.summary()
	if err != nil {
		return nil, err
	}
	addLatency(m, summary)
	return m, nil
}

// progress returns how far the process has come, by the last statistics that it printed.
func (p *process) progress() progress {
	s, err := p.summary()
	if err != nil {
		return progress{} // none yet
	}
	captured, dropped := countDropped(s)
	return progress{float64(s.Frames), s.Seconds, captured, dropped}
}

// child returns the child of a process that runs a program, as tbcam-view's window does.
func (p *process) child(program string) (pid int, err error) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have gone
		for field := range strings.FieldsSeq(string(text)) {
			if name, _ := os.ReadFile("/proc/" + field + "/comm"); strings.TrimSpace(string(name)) == program {
				return strconv.Atoi(field)
			}
		}
	}
	return 0, fmt.Errorf("%s has started no %s", p.name, program)
}

// load is what a process took in some time.
type load struct {
	cpu      time.Duration
	switches int // between threads
}

// loadOf returns what a process has taken so far, with all its threads.
func loadOf(pid int) (l load, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return l, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if fields[0] == "Z" {
		return l, errors.New("it has ended, and nobody has waited for it")
	}
	for _, field := range fields[11:13] { // utime and stime
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return l, err
		}
		l.cpu += time.Duration(ticks) * time.Second / 100
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, task := range tasks {
		l.switches += number(task, "voluntary_ctxt_switches:") + number(task, "nonvoluntary_ctxt_switches:")
	}
	return l, nil
}

// residentMB returns the most memory that a process had, in megabytes.
func residentMB(pid int) float64 {
	return float64(number(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:")) / 1024
}

// number returns a number of a file of /proc, 0 for none.
func number(file, key string) int {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			n, _ := strconv.Atoi(fields[1])
			return n
		}
	}
	return 0
}

// loads measures processes, by their names, for some time.
func (c *crew) loads(pids map[string]int, span time.Duration) (map[string]load, error) {
	before := map[string]load{}
	var err error
	for name, pid := range pids {
		if before[name], err = loadOf(pid); err != nil {
			return nil, fmt.Errorf("%s has ended: %w", name, err)
		}
	}
	if err := c.sleep(span); err != nil {
		return nil, err
	}
	spent := map[string]load{}
	for name, pid := range pids {
		now, err := loadOf(pid)
		if err != nil {
			return nil, fmt.Errorf("%s has ended: %w", name, err)
		}
		spent[name] = load{now.cpu - before[name].cpu, now.switches - before[name].switches}
	}
	return spent, nil
}

func (c *crew) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
