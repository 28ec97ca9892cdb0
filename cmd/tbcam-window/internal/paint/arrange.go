package paint

import (
	"image"
	"slices"
)

// Arrangement places sprites so that none is over another one. The most important ones are
// placed first.
type Arrangement struct {
	Margin int // between a sprite and those above and below it

	taken []image.Rectangle
}

// Free returns a room or, where a sprite at place would be over another one, what is left of
// the room below those in its upper half and above those in its lower half.
func (a *Arrangement) Free(place, room image.Rectangle) image.Rectangle {
	if !slices.ContainsFunc(a.taken, place.Overlaps) {
		return room
	}
	middle := (room.Min.Y + room.Max.Y) / 2
	for _, t := range a.taken {
		if (t.Min.Y+t.Max.Y)/2 < middle {
			room.Min.Y = max(room.Min.Y, t.Max.Y+a.Margin)
		} else {
			room.Max.Y = min(room.Max.Y, t.Min.Y-a.Margin)
		}
	}
	return room
}

// Place reports whether a sprite can be shown, and takes its place.
func (a *Arrangement) Place(s Sprite) bool {
	if slices.ContainsFunc(a.taken, s.Place().Overlaps) {
		return false
	}
	a.taken = append(a.taken, s.Place())
	return true
}
