package capture

import (
	"strings"
	"unicode"
)

// Printable returns a text that others chose, for instance a camera's name or what
// a peer wrote, as a terminal, a log or a file may have it: what is not printable
// becomes U+FFFD. That is control characters (C0 and C1, so that no escape sequence
// remains), line breaks, invalid UTF-8, and the marks that turn the direction of
// writing.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
