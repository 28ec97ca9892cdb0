package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/capture/v4l2"
	"github.com/tbcam/tbcam/cmd/internal/cli"
)

// list prints the cameras, and why others cannot be used. Where no camera but the
// pattern can be, that is an error.
func list(asJSON bool) error {
	cameras, err := listCameras()
	if err == nil {
		err = cli.PrintCameras(os.Stdout, cameras, asJSON)
	}
	if err != nil {
		return err
	}
	unusable := v4l2.Unusable()
	reasons := make([]string, len(unusable))
	for i, err := range unusable {
		reasons[i] = strings.TrimPrefix(err.Error(), capture.ErrNoCamera.Error()+": ")
	}
	if len(unusable) > 0 && len(cameras) == 1 { // the pattern
		return fmt.Errorf("%w: %s", capture.ErrNoCamera, strings.Join(reasons, "; "))
	}
	for _, reason := range reasons {
		fmt.Fprintln(os.Stderr, "tbcam-send: not listed:", reason)
	}
	return nil
}
