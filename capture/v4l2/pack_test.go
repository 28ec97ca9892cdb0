package v4l2

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// padded lays a packed frame out as a driver does that pads its lines, with
// 0xff in the padding.
func padded(f capture.Format, frame []byte, strides []int) []byte {
	var out []byte
	planes, n := f.Planes()
	for i, p := range planes[:n] {
		for line := range p.Lines {
			out = append(out, frame[p.Offset+line*p.Stride:][:p.Stride]...)
			out = append(out, bytes.Repeat([]byte{0xff}, strides[i]-p.Stride)...)
		}
	}
	return out
}

func TestPackRemovesThePadding(t *testing.T) {
	for _, c := range []struct {
		pixel   capture.PixelFormat
		width   int
		strides []int // of the driver's planes; the first is its bytesperline
	}{
		{capture.YUYV, 6, []int{12}},
		{capture.YUYV, 6, []int{16}},
		{capture.GREY, 5, []int{8}},
		{capture.RGB24, 5, []int{16}},
		{capture.NV12, 6, []int{6, 6}},
		{capture.NV12, 6, []int{16, 16}},
		{capture.NV21, 5, []int{8, 8}},
		{capture.YUV420, 6, []int{6, 3, 3}},
		{capture.YUV420, 6, []int{8, 4, 4}},
		{capture.YVU420, 5, []int{16, 8, 8}},
		{capture.YUV422P, 6, []int{16, 8, 8}},
		{capture.YUV444, 5, []int{8, 8, 8}},
	} {
		f := capture.Format{Pixel: c.pixel, Width: c.width, Height: 4}
		t.Run(fmt.Sprintf("%v/%v", f, c.strides), func(t *testing.T) {
			want := make([]byte, f.Size())
			for i := range want {
				want[i] = byte(i%0xfe) + 1
			}
			p, err := newPacking(f, c.strides[0])
			if err != nil {
				t.Fatal(err)
			}
			src := padded(f, want, c.strides)
			got := make([]byte, f.Size())
			p.packFrame(got, [maxBuffers][]byte{src[:p.need[0]]}) // drivers may leave out the last padding
			if !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

// TestPackJoinsPlanes: planes in buffers of their own, each with its padding.
func TestPackJoinsPlanes(t *testing.T) {
	for _, c := range []struct {
		pixel   capture.PixelFormat
		strides []int
	}{
		{capture.NV12, []int{8, 16}},
		{capture.NV16, []int{6, 6}},
		{capture.YUV420, []int{6, 4, 16}},
		{capture.YVU420, []int{16, 8, 8}},
		{capture.YUV444, []int{8, 6, 10}},
	} {
		f := capture.Format{Pixel: c.pixel, Width: 6, Height: 4}
		want := make([]byte, f.Size())
		for i := range want {
			want[i] = byte(i%0xfe) + 1
		}
		p, err := newPackingOf(f, c.strides)
		if err != nil {
			t.Fatal(err)
		}
		var src [maxBuffers][]byte
		all := padded(f, want, c.strides)
		planes, n := f.Planes()
		for i, plane := range planes[:n] {
			src[i], all = all[:p.need[i]], all[c.strides[i]*plane.Lines:]
		}
		got := make([]byte, f.Size())
		p.packFrame(got, src)
		if !bytes.Equal(got, want) {
			t.Errorf("%v %v: got  %x\nwant %x", f, c.strides, got, want)
		}
	}
}

func TestPackRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		pixel         capture.PixelFormat
		width, stride int
	}{
		{capture.YUYV, 5, 10},    // half a sample group
		{capture.YUV420, 5, 5},   // chroma lines of two and a half
		{capture.YUYV, 640, 640}, // a driver that counts pixels
	} {
		f := capture.Format{Pixel: c.pixel, Width: c.width, Height: 4}
		if _, err := newPacking(f, c.stride); err == nil {
			t.Errorf("%v with %d bytes per line was accepted", f, c.stride)
		}
	}
	f := capture.Format{Pixel: capture.NV12, Width: 6, Height: 4}
	for _, strides := range [][]int{{}, {6, 6, 6}, {6, 5}, {6, 6, 6, 6}} {
		if _, err := newPackingOf(f, strides); err == nil {
			t.Errorf("%v with strides %v was accepted", f, strides)
		}
	}
}

func BenchmarkPack1080pYUYV(b *testing.B) {
	f := capture.Format{Pixel: capture.YUYV, Width: 1920, Height: 1080}
	for name, stride := range map[string]int{"packed": 3840, "padded": 4096} {
		b.Run(name, func(b *testing.B) {
			p, _ := newPacking(f, stride)
			src, dst := make([]byte, stride*f.Height), make([]byte, f.Size())
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				p.packFrame(dst, [maxBuffers][]byte{src})
			}
		})
	}
}
