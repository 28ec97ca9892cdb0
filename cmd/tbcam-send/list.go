package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/cmd/internal/cli"
)

// printList prints the cameras and microphones, and why others cannot be used. Where no camera
// but test cameras can be, that is an error.
func printList(drivers []capture.Driver, microphones []microphoneDriver, asJSON bool) error {
	cameras, err := listCameras(drivers)
	devices := devicesOf(cameras)
	if err == nil {
		heard, failed := listMicrophones(microphones)
		if failed != nil { // cameras do without it
			fmt.Fprintln(os.Stderr, "tbcam-send: list microphones:", cli.Explain(failed))
		}
		devices = append(devices, microphonesOf(heard)...)
		err = cli.PrintCameras(os.Stdout, devices, asJSON)
	}
	if err != nil {
		return err
	}
	reasons := listUnusable(drivers, cameras)
	real := slices.ContainsFunc(cameras, func(c hostCamera) bool { return !c.Test })
	if len(reasons) > 0 && !real {
		return fmt.Errorf("%w: %s", capture.ErrNoCamera, strings.Join(reasons, "; "))
	}
	for _, reason := range reasons {
		fmt.Fprintln(os.Stderr, "tbcam-send: not listed:", reason)
	}
	return nil
}

// listUnusable returns why devices that may be cameras cannot be used. Those that need
// libcamera can, where a camera of its is listed.
func listUnusable(drivers []capture.Driver, cameras []hostCamera) (reasons []string) {
	hasLibcamera := slices.ContainsFunc(cameras, func(c hostCamera) bool { return c.Driver == "libcamera" })
	for _, d := range drivers {
		excluder, ok := d.(capture.Excluder)
		if !ok {
			continue
		}
		for _, err := range excluder.Unusable() {
			if !hasLibcamera || !errors.Is(err, capture.ErrNeedsLibcamera) {
				reasons = append(reasons, strings.TrimPrefix(cli.Explain(err), capture.ErrNoCamera.Error()+": "))
			}
		}
	}
	return reasons
}
