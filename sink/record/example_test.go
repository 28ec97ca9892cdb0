package record_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/sink/container"
	"github.com/tbcam/tbcam/sink/record"
)

// Frames are recorded to a Matroska file. An interrupted recording would be
// repaired by the same call of container.Repair.
func Example() {
	dir, err := os.MkdirTemp("", "record")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "camera.mkv")

	recorder, err := record.New(record.Options{Path: path})
	if err != nil {
		log.Fatal(err)
	}
	pool, start := new(capture.Pool), time.Now()
	format := capture.Format{Pixel: capture.YUYV, Width: 64, Height: 48}
	for n := range 30 {
		f := pool.Get(format.Size())
		f.Format, f.Time = format, start.Add(time.Duration(n)*40*time.Millisecond)
		if err := recorder.Write(f, record.Gap{}); err != nil {
			log.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		log.Fatal(err)
	}

	report, err := container.Repair(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(recorder.Stats().Frames, report.Kind, report.Frames, report.Duration, report.Whole)
	// Output:
	// 30 mkv 30 1.2s true
}
