package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestExitCodes: each code that errors have is in the manual, and docs/exit-codes.md has the
// same table.
func TestExitCodes(t *testing.T) {
	var table strings.Builder
	listed := map[string]bool{}
	for _, term := range exitTerms {
		fmt.Fprintf(&table, "| %s | %s |\n", term.Word, strings.ReplaceAll(term.Meaning, "--timeout", "`--timeout`"))
		listed[term.Word] = true
	}
	for _, c := range codes {
		if !listed[fmt.Sprint(c.code)] {
			t.Errorf("exit code %d is not in the manual", c.code)
		}
	}
	page, err := os.ReadFile("../../../docs/exit-codes.md")
	if err != nil || !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/exit-codes.md lacks the table (%v):\n%s", err, &table)
	}
}
