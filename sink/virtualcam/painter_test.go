package virtualcam

import (
	"bytes"
	"os"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
	"github.com/tbcam/tbcam/codec/jfif"
)

func newTestPainter(t *testing.T, f capture.Format, pool *capture.Pool) *painter {
	t.Helper()
	p, err := newPainter(f, codec.FitContain, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.closeCodecs()
		if n := pool.Outstanding(); n != 0 {
			t.Errorf("%d frames are not released", n)
		}
	})
	return p
}

// sample returns a frame of a JPEG of the fixtures.
func sample(t *testing.T, pool *capture.Pool, name string) *capture.Frame {
	t.Helper()
	data, err := os.ReadFile("../../fixtures/jpeg/" + name)
	if err != nil {
		t.Fatal(err)
	}
	header, err := jfif.ParseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	f := pool.Get(len(data))
	copy(f.Data, data)
	f.Format, f.Sequence = header.Format(), 9
	return f
}

// TestJPEGsAreCopied: those of the node's size and range as they are, others anew.
func TestJPEGsAreCopied(t *testing.T) {
	good := format(capture.MJPEG, 160, 120) // their size
	smaller := format(capture.MJPEG, 32, 24)
	for _, tt := range []struct {
		name   string
		to     capture.Format
		copied bool
	}{
		{"good-422.jpg", good, true},
		{"good-420-progressive.jpg", good, true},
		{"good-422-limited.jpg", good, false}, // browsers take every JPEG for full range
		{"good-422.jpg", smaller, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pool capture.Pool
			p := newTestPainter(t, tt.to, &pool)
			f := sample(t, &pool, tt.name)
			defer f.Release()
			g, err := p.paintFrame(f.Retain())
			if err != nil {
				t.Fatal(err)
			}
			defer g.Release()
			header, err := jfif.ParseHeader(g.Data)
			if err != nil || header.Format() != tt.to || g.Format != tt.to || g.Sequence != 9 {
				t.Errorf("it is %v, frame %d of %v, %v; want %v", header.Format(), g.Sequence, g.Format, err, tt.to)
			}
			if bytes.Equal(f.Data, g.Data) != tt.copied {
				t.Errorf("copied: %v, want %v", !tt.copied, tt.copied)
			}
		})
	}
}

// TestLyingJPEG: what is not the frame that is announced does not reach
// applications.
func TestLyingJPEG(t *testing.T) {
	var pool capture.Pool
	f := sample(t, &pool, "good-422.jpg")
	f.Format.Width *= 2
	p := newTestPainter(t, f.Format, &pool)
	if g, err := p.paintFrame(f); err == nil {
		g.Release()
		t.Error("it is passed on")
	}
	if g, err := p.paintFrame(sample(t, &pool, "no-eoi.jpg")); err == nil {
		g.Release()
		t.Error("half of it is passed on")
	}
	junk := pool.Get(100)
	junk.Format = p.format
	if g, err := p.paintFrame(junk); err == nil {
		g.Release()
		t.Error("junk is passed on")
	}
}

func TestPlaceholderOfANodeWithJPEGs(t *testing.T) {
	var pool capture.Pool
	p := newTestPainter(t, format(capture.MJPEG, 320, 240), &pool)
	f, err := p.drawText([]string{"no signal"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if !isWhole(f) || f.Format != p.format {
		t.Errorf("it is %v", f.Format)
	}
}
