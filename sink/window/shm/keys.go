package shm

// Key is what a key does in the window.
type Key struct{ Name, Does string }

// Keys lists the keys of the window, for its help and that of tbcam-view.
// docs/tbcam-window.1 lists them too, which a test compares.
var Keys = []Key{
	{"F, double click", "full screen"},
	{"Esc", "leave it"},
	{"M", "mirror"},
	{"R", "rotate by 90°"},
	{"Wheel, + −", "zoom"},
	{"Drag, arrows", "move the zoomed picture"},
	{"0", "whole picture again"},
	{"Space", "freeze"},
	{"S", "snapshot"},
	{"V", "record on, off"},
	{"I", "statistics: line, graph, off"},
	{"C", "controls of the camera"},
	{"T", "always on top"},
	{"B", "without a border"},
	{"H", "this help"},
	{"Q", "quit"},
}

// PanelKeys lists the keys while the panel of controls is open.
var PanelKeys = []Key{
	{"↑ ↓", "choose"},
	{"← →", "change; with Shift ten steps"},
	{"Home, End", "least, most"},
	{"Enter", "switch, next choice"},
	{"Backspace", "default"},
	{"Shift+Backspace", "all defaults"},
}
