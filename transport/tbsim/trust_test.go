package tbsim

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/tbcam/tbcam/transport/transporttest"
)

// paired proves the ends of every cable to each other. It is common to all tests: keys
// are made once.
var paired *transporttest.Trust

func TestMain(m *testing.M) { os.Exit(runPaired(m)) }

// runPaired runs the tests with two computers that know each other.
func runPaired(m *testing.M) int {
	sender, err := os.MkdirTemp("", "sender-")
	defer os.RemoveAll(sender)
	viewer, errOther := os.MkdirTemp("", "viewer-")
	defer os.RemoveAll(viewer)
	if err = errors.Join(err, errOther); err == nil {
		paired, err = transporttest.OpenTrust(sender, viewer)
	}
	if err == nil {
		err = paired.Pair()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}
