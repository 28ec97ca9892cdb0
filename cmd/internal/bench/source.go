package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/pattern"
)

// shot is what a camera films.
type shot struct {
	camera        string // a test camera
	width, height int
	fps           int
}

func (s shot) size() string { return fmt.Sprintf("%dx%d", s.width, s.height) }

func (s shot) String() string {
	if s.camera == pattern.NamePhoto {
		return s.size() + " photo"
	}
	return s.size() + " bars"
}

// flags are those of tbcam-send.
func (s shot) flags() []string {
	return []string{"--camera", s.camera, "--size", s.size(), "--fps", fmt.Sprint(s.fps), "--format", "yuyv", "--quality", "85"}
}

// open opens the camera here.
func (s shot) open() (capture.Source, error) {
	device, err := pattern.Driver{}.Find(s.camera)
	if err != nil {
		return nil, err
	}
	mode := capture.Mode{Pixel: capture.YUYV, Width: s.width, Height: s.height, Rate: capture.Rate{Num: uint32(s.fps), Den: 1}}
	return pattern.Driver{}.Open(device, mode, &capture.Pool{})
}

// readSource reads frames at the camera's pace, and drops them.
func readSource(ctx context.Context, spec string) error {
	var s shot
	var err error
	if n, _ := fmt.Sscanf(spec, "%dx%d,%d,%s", &s.width, &s.height, &s.fps, &s.camera); n != 4 {
		return fmt.Errorf("-source %q: want WxH,FPS,CAMERA", spec)
	}
	source, err := s.open()
	if err != nil {
		return err
	}
	return film(ctx, source, func([]byte) error { return nil })
}

// film passes frames on at the camera's pace, until there is an error or no more of them.
func film(ctx context.Context, source capture.Source, pass func([]byte) error) error {
	stop := context.AfterFunc(ctx, func() { source.Close() })
	defer stop()
	defer source.Close()
	for {
		f, err := source.Read()
		if errors.Is(err, capture.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		err = pass(f.Data)
		f.Release()
		if err != nil {
			return err
		}
	}
}

// feed returns what a program reads from standard input that has no camera, and counts the
// frames that it has taken.
func (c *crew) feed(s shot) (io.Reader, counter, error) {
	source, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	if err := widenPipe(w); err != nil {
		return nil, nil, err
	}
	var taken atomic.Uint64
	go func() {
		defer w.Close()
		_ = film(c.ctx, source, func(frame []byte) error { // ends when the program does
			_, err := w.Write(frame)
			taken.Add(1)
			return err
		})
	}()
	begun := time.Now()
	return r, func() progress { return progress{frames: float64(taken.Load()), seconds: time.Since(begun).Seconds()} }, nil
}

// widenPipe makes a pipe as large as a process without privileges may (pipe(7)): the
// source is not to be what is measured.
func widenPipe(w *os.File) error {
	const setPipeSize, size = 1031, 1 << 20 // F_SETPIPE_SZ of fcntl(2)
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, size); errno != 0 {
		return os.NewSyscallError("fcntl", errno)
	}
	return syscall.SetNonblock(int(w.Fd()), true) // Fd has made it block
}
