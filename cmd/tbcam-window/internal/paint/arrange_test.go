package paint

import (
	"image"
	"image/color"
	"strings"
	"testing"
)

// TestArrangement: whatever is shown in whatever size, no box is over another one, or over
// the edge; what matters most is there, and where there is room all are.
func TestArrangement(t *testing.T) {
	s := NewStyle(1)
	for size, least := range map[image.Point]int{{160, 120}: 1, {240, 160}: 1, {320, 240}: 3, {640, 480}: 4, {1920, 1080}: 4} {
		room := image.Rectangle{Max: size}.Inset(8)
		lines := []string{"frames shown  1234", "latency, ms  p50  p95  p99  max", "total  41.90  55.20  61.30  83.00"}
		boxes := []struct {
			image *image.RGBA
			x, y  float64
		}{
			{s.Message("No signal\nThe camera is on but sends no frames\nsince 14:03:12", room.Dx()), 0.5, 0.5},
			{s.Pill("Exposure Time, Absolute: 5000 is out of range", room.Dx(), Live), 0.5, 1},
			{s.Pill("REC · Frozen · 2.0×", room.Dx(), Live), 1, 0},
			{s.Statistics(make([]float32, 240), lines, room.Dx()), 0, 0},
		}
		a := Arrangement{Margin: 8}
		var placed []image.Rectangle
		for i, b := range boxes {
			free := a.Free(Align(b.image, room, b.x, b.y).Place(), room)
			if b.y > 0 {
				free = room
			}
			sprite := Align(Fit(b.image, free.Size()), free, b.x, b.y)
			if free.Empty() || !a.Place(sprite) {
				continue
			}
			for _, other := range placed {
				if sprite.Place().Overlaps(other) {
					t.Errorf("%v: box %d at %v is over %v", size, i, sprite.Place(), other)
				}
			}
			if placed = append(placed, sprite.Place()); !sprite.Place().In(room) {
				t.Errorf("%v: box %d at %v is over the edge", size, i, sprite.Place())
			}
		}
		if len(placed) < least {
			t.Errorf("%v: %d boxes, want %d", size, len(placed), least)
		}
	}
}

// TestFree: a box that is as wide as the screen goes below what is in its way.
func TestFree(t *testing.T) {
	s, room := NewStyle(1), image.Rect(0, 0, 320, 240).Inset(8)
	a := Arrangement{Margin: 8}
	chip := Align(s.Pill("REC", room.Dx(), Live), room, 1, 0)
	notice := Align(s.Pill("Saved a.png", room.Dx(), color.RGBA{}), room, 0.5, 1)
	if !a.Place(chip) || !a.Place(notice) {
		t.Fatal("there is no room")
	}
	line := Align(s.Pill(strings.Repeat("30 fps · ", 5), room.Dx(), color.RGBA{}), room, 0, 0)
	if free := a.Free(line.Place(), room); free.Min.Y != chip.Place().Max.Y+8 || free.Max.Y != notice.Place().Min.Y-8 {
		t.Errorf("free is %v, beside %v and %v", free, chip.Place(), notice.Place())
	}
	if free := a.Free(image.Rect(8, 8, 100, 30), room); free != room {
		t.Errorf("free is %v, though nothing is in the way", free)
	}
}
