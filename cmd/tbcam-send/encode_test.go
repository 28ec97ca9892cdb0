package main

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/transport"
)

// fedJPEGs is a feed whose camera's driver granted a size, and sends good-420.jpg
// with any width in its header.
type fedJPEGs struct {
	*feed
	jpeg []byte
	log  bytes.Buffer
}

func newFedJPEGs(t *testing.T, granted capture.Format) *fedJPEGs {
	jpeg, err := os.ReadFile("../../fixtures/jpeg/good-420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	fed := &fedJPEGs{jpeg: jpeg}
	fed.feed = newFeed(newOffer(nil, nil), newOpenCameras(), capture.Want{}, codec.Auto, 80, slog.New(slog.NewTextHandler(&fed.log, nil)))
	encoder, err := codec.NewEncoder(codec.Copy, 0, &fed.pool)
	if err != nil {
		t.Fatal(err)
	}
	fed.setEncoder(encoder, encoding{in: granted, out: &transport.Mode{Camera: "odd", Format: granted}})
	return fed
}

// next sends a JPEG whose header has a width, and returns what becomes of it.
func (fed *fedJPEGs) next(width int) (transport.Unit, error) {
	f := fed.pool.Get(len(fed.jpeg))
	copy(f.Data, fed.jpeg)
	sof := bytes.Index(f.Data, []byte{0xFF, 0xC0})
	f.Data[sof+7], f.Data[sof+8] = byte(width>>8), byte(width)
	f.Format = fed.encoded.in
	return fed.encodeFrame(f)
}

// TestJPEGsOfAnotherSize: the JPEG's header counts, not what the driver granted.
// A frame that is alone is dropped and counted; one warning reports the change.
func TestJPEGsOfAnotherSize(t *testing.T) {
	granted := capture.Format{Pixel: capture.MJPEG, Width: 160, Height: 120, Range: capture.Full}
	for name, widths := range map[string]struct{ sent, want []int }{
		"as granted":      {[]int{160, 160, 160}, []int{160, 160, 160}},
		"always another":  {[]int{320, 320, 320}, []int{0, 320, 320}},
		"one is alone":    {[]int{160, 320, 160, 320, 160}, []int{160, 0, 160, 0, 160}},
		"and back":        {[]int{320, 320, 160, 160}, []int{0, 320, 0, 160}},
		"impossible ones": {[]int{160, 65535, 65535, 160}, []int{160, 0, 0, 160}},
	} {
		t.Run(name, func(t *testing.T) {
			fed := newFedJPEGs(t, granted)
			defer fed.closeCamera()
			var last *transport.Mode
			dropped := uint64(0)
			for i, width := range widths.sent {
				p, err := fed.next(width)
				if widths.want[i] == 0 {
					dropped++
					if err == nil {
						t.Fatalf("frame %d is sent", i)
					}
					continue
				}
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if p.Info.Format != p.Frame.Format || p.Info.Format.Width != widths.want[i] {
					t.Errorf("frame %d: mode is %v", i, p.Info.Format)
				}
				p.Frame.Release()
				if last != nil && (last == p.Info) != (last.Format == p.Info.Format) {
					t.Errorf("frame %d: mode %p %v after %p %v", i, p.Info, p.Info.Format, last, last.Format)
				}
				last = p.Info
			}
			if lost, _ := fed.countOutcomes(); lost.Damaged != dropped {
				t.Errorf("%d are counted, want %d", lost.Damaged, dropped)
			}
			if n := strings.Count(fed.log.String(), "a different size"); n > 1 || (n == 1) != (fed.encoded.out.Format != granted || name == "and back") {
				t.Errorf("%d warnings: %s", n, &fed.log)
			}
		})
	}
}
