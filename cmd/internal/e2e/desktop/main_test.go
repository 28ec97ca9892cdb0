package desktop

import (
	"os"
	"testing"

	"github.com/tbcam/tbcam/cmd/internal/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
