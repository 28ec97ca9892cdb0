package cli

import "os"

// Root returns a directory in front of /sys, /etc and so on, which only tests set.
func Root() string { return os.Getenv(rootVariable) }
