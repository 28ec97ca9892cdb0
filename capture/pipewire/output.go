package pipewire

/*
#include <stdlib.h>
#include "pipewire.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/tbcam/tbcam/capture"
)

// Camera describes a camera to publish.
type Camera struct {
	Name        string         // of the node
	Description string         // that applications show
	Format      capture.Format // a raw one, for as long as the camera exists
	Rate        capture.Rate
}

// Output is a camera that is published. It may be used from several goroutines.
type Output struct {
	format  capture.Format
	conn    *conn
	watcher *watcher

	mu  sync.Mutex
	out *C.struct_tb_output // nil once it is closed
}

// OpenOutput publishes a camera. Applications see it until Close, or until the
// connection is lost, which Write returns.
func OpenOutput(c Camera) (*Output, error) {
	if c.Format.Pixel.Info().SPA == 0 || c.Format.Pixel.Compressed() || c.Format.Check() != nil {
		return nil, fmt.Errorf("publish a camera at PipeWire: format %v: %w", c.Format, capture.ErrNoMode)
	}
	conn, err := connectManaged(false)
	if err != nil {
		return nil, fmt.Errorf("publish a camera: %w", err)
	}
	o := &Output{format: c.Format, conn: conn}
	if res := o.open(c); res < 0 {
		conn.close()
		return nil, explain("publish a camera at PipeWire", res)
	}
	o.watcher = newWatcher(conn, nil)
	return o, nil
}

func (o *Output) open(c Camera) int {
	name, description := C.CString(c.Name), C.CString(c.Description)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(description))
	video := videoOf(capture.Mode{Pixel: c.Format.Pixel, Width: c.Format.Width, Height: c.Format.Height, Rate: c.Rate})
	planes, _ := c.Format.Planes()
	video.size, video.stride = C.uint32_t(c.Format.Size()), C.uint32_t(planes[0].Stride)
	return int(C.tb_output_open(&o.out, o.conn.c, name, description, &video, answerMS))
}

// videoOf returns a mode as C has it.
func videoOf(m capture.Mode) C.struct_tb_video {
	return C.struct_tb_video{
		format: C.uint32_t(m.Pixel.Info().SPA), width: C.uint32_t(m.Width), height: C.uint32_t(m.Height),
		num: C.uint32_t(m.Rate.Num), den: C.uint32_t(m.Rate.Den),
	}
}

// Changed returns a channel that receives when Streaming may have changed. It is
// closed by Close.
func (o *Output) Changed() <-chan struct{} { return o.watcher.changed }

// Write gives a frame of the camera's format to all applications that read, if any. It
// does not wait for them: where they keep all buffers, the frame is dropped and
// counted by Kept.
func (o *Output) Write(f *capture.Frame) error {
	if f.Format.Pixel != o.format.Pixel || f.Format.Width != o.format.Width || f.Format.Height != o.format.Height || len(f.Data) != o.format.Size() {
		return fmt.Errorf("write to PipeWire: format %v: %w", f.Format, capture.ErrNoMode)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out == nil {
		return ErrClosed
	}
	res := C.tb_output_write(o.out, unsafe.Pointer(&f.Data[0]), C.size_t(len(f.Data)))
	runtime.KeepAlive(f)
	if res < 0 {
		return explain("write to PipeWire", int(res))
	}
	return nil
}

// Describe changes the name that applications show.
func (o *Output) Describe(description string) error {
	text := C.CString(description)
	defer C.free(unsafe.Pointer(text))
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out == nil {
		return ErrClosed
	}
	if res := C.tb_output_describe(o.out, text); res < 0 {
		return explain("describe a camera at PipeWire", int(res))
	}
	return nil
}

// state returns what C knows; the zero value after Close.
func (o *Output) state() (s C.struct_tb_output_state) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out != nil {
		C.tb_output_state(o.out, &s)
	}
	return s
}

// Streaming reports whether an application reads.
func (o *Output) Streaming() bool { s := o.state(); return bool(s.streaming) && s.error == 0 }

// Kept counts the frames that were not written because readers kept all buffers.
func (o *Output) Kept() uint64 { return uint64(o.state().kept) }

// Close removes the camera. It may be called twice.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out == nil {
		return nil
	}
	o.watcher.stop()
	C.tb_output_close(o.out)
	o.out = nil
	o.conn.close()
	return nil
}
