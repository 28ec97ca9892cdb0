package shm

import (
	"reflect"
	"testing"

	"github.com/tbcam/tbcam/capture"
)

func TestMerge(t *testing.T) {
	old, text, on := "old", "new", true
	u := Update{Title: &old, Message: &old, Latency: make([]float32, MaxLatency-1)}
	if u.Quiet() {
		t.Error("a title is more than a frame")
	}
	newer := Update{
		Format: &capture.Format{Width: 1}, Frame: true, Title: &text, Notice: &text, Status: &[]string{text},
		Latency: []float32{1, 2}, Controls: &[]capture.Control{{ID: 1}}, Recording: &on, Microphone: &Microphone{Level: -6},
	}
	u.Merge(newer)
	if n := len(u.Latency); n != MaxLatency || u.Latency[n-1] != 2 || u.Latency[0] != 0 {
		t.Errorf("%d figures, the last is %v", n, u.Latency[n-1])
	}
	want := newer
	want.Message, want.Latency = &old, u.Latency
	if !reflect.DeepEqual(u, want) {
		t.Errorf("merged to %+v", u)
	}
	if quiet := (Update{Frame: true, Latency: []float32{1}}); !quiet.Quiet() {
		t.Error("a frame and its figure are more than a frame")
	}
}
