package cli

import "os"

// RootVariable names a directory in front of /sys, /etc and so on, for tests.
const RootVariable = "TBCAM_ROOT"

// Root returns that directory, "" but in tests.
func Root() string { return os.Getenv(RootVariable) }
