package shm

// Key is what a key does in the window.
type Key struct{ Name, Does string }

// Keys lists the keys of the window, for its help and that of tbcam-view.
// docs/tbcam-window.1 lists them too, which a test compares.
var Keys = []Key{
	{"F, double click", "full screen"},
	{"Esc", "leave full screen"},
	{"M", "mirror"},
	{"R", "rotate by 90°"},
	{"Wheel, + −", "zoom"},
	{"Drag, arrows", "move the zoomed frame"},
	{"0", "reset zoom"},
	{"Space", "freeze"},
	{"S", "snapshot"},
	{"V", "start or stop recording"},
	{"A", "mute or unmute the microphone"},
	{"I", "statistics: line, graph, off"},
	{"C", "camera controls"},
	{"P", "confirm a new sender"},
	{"T", "always on top"},
	{"B", "hide border"},
	{"H", "this help"},
	{"Q", "quit"},
}

// PanelKeys lists the keys while the panel of controls is open.
var PanelKeys = []Key{
	{"↑ ↓", "choose"},
	{"← →", "change; with Shift ten steps"},
	{"Home, End", "minimum, maximum"},
	{"Enter", "toggle, next choice"},
	{"Backspace", "reset"},
	{"Shift+Backspace", "reset all"},
}
