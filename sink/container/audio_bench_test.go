package container

import (
	"testing"

	"github.com/tbcam/tbcam/capture"
)

// BenchmarkWriteAudio writes blocks of 10 ms of stereo, with a Flush each second.
func BenchmarkWriteAudio(b *testing.B) {
	block := sound(capture.Stereo, 0, capture.AudioBlock)
	for _, kind := range withAudio {
		b.Run(kind.String(), func(b *testing.B) {
			w, err := Create(b.TempDir()+"/a", audioOptions(kind, capture.Stereo))
			must(b, err)
			must(b, w.Write(&capture.Frame{Data: sampleFrame(jpegs, 0)}, 0))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				must(b, w.WriteAudio(block))
				if i%100 == 99 {
					must(b, w.Flush())
				}
			}
			must(b, w.Close())
		})
	}
}
