// Command tbcam-window is the window of tbcam-view, which starts it; it shows
// frames that come through shared memory.
//
// Started by hand it prints what it is for and exits with 2. Without a display ebiten panics
// before main, which exits with 2 as well.
package main
