package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tbcam/tbcam/sink/window/shm"
)

// keysHelp returns a table of keys, indented so that the manual page keeps it.
func keysHelp(keys []shm.Key) string {
	widest := 0
	for _, k := range keys {
		widest = max(widest, utf8.RuneCountInString(k.Name))
	}
	var table strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&table, "    %-*s  %s\n", widest, k.Name, k.Does)
	}
	return table.String()
}
