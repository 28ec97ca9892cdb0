package pipewire

/*
#include "pipewire.h"
*/
import "C"

import (
	"slices"

	"github.com/tbcam/tbcam/capture"
)

// Of ranges these sizes and rates are offered, beside the node's default.
var (
	usualSizes = [][2]uint32{{320, 240}, {640, 360}, {640, 480}, {1280, 720}, {1920, 1080}, {2560, 1440}, {3840, 2160}}
	usualRates = []uint32{10, 15, 20, 24, 25, 30, 50, 60}
)

// maxModes bounds what is listed of one node.
const maxModes = 4096

// modesOf lists the combinations that a node offers, each once.
func modesOf(offers []C.struct_tb_mode) (modes []capture.Mode) {
	for i := range offers {
		o := &offers[i]
		for _, format := range o.formats[:o.n_formats] {
			pixel := capture.FromSPA(uint32(format))
			if pixel == 0 {
				continue
			}
			for _, size := range sizesOf(o) {
				for _, rate := range ratesOf(o) {
					m := capture.Mode{Pixel: pixel, Width: int(size[0]), Height: int(size[1]), Rate: rate}
					if len(modes) < maxModes && !slices.Contains(modes, m) {
						modes = append(modes, m)
					}
				}
			}
		}
	}
	return modes
}

// sizesOf returns the sizes of an offer that any frame may have.
func sizesOf(o *C.struct_tb_mode) (sizes [][2]uint32) {
	add := func(w, h uint32) {
		if w > 0 && h > 0 && w <= capture.MaxDimension && h <= capture.MaxDimension && !slices.Contains(sizes, [2]uint32{w, h}) {
			sizes = append(sizes, [2]uint32{w, h})
		}
	}
	if !o.size_range {
		for i := range o.n_sizes {
			add(uint32(o.widths[i]), uint32(o.heights[i]))
		}
		return sizes
	}
	add(uint32(o.widths[0]), uint32(o.heights[0]))
	for _, s := range usualSizes {
		if s[0] >= uint32(o.widths[1]) && s[0] <= uint32(o.widths[2]) && s[1] >= uint32(o.heights[1]) && s[1] <= uint32(o.heights[2]) {
			add(s[0], s[1])
		}
	}
	return sizes
}

// ratesOf returns the rates of an offer; one that is not known where it has none.
func ratesOf(o *C.struct_tb_mode) (rates []capture.Rate) {
	add := func(r capture.Rate) {
		if r.FPS() > 0 && !slices.Contains(rates, r) {
			rates = append(rates, r)
		}
	}
	listed := make([]capture.Rate, o.n_rates)
	for i := range listed {
		listed[i] = capture.Rate{Num: uint32(o.nums[i]), Den: uint32(o.dens[i])}
	}
	if !o.rate_range {
		for _, r := range listed {
			add(r)
		}
	} else {
		add(listed[0])
		for _, fps := range usualRates {
			if f := float64(fps); f >= listed[1].FPS() && f <= listed[2].FPS() {
				add(capture.Rate{Num: fps, Den: 1})
			}
		}
	}
	if len(rates) == 0 {
		rates = []capture.Rate{{}}
	}
	return rates
}
