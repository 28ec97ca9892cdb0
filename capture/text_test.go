package capture

import "testing"

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"HD Webcam 日 é €":       "HD Webcam 日 é €",
		"\x1b[2J\x07":           "\uFFFD[2J\uFFFD",
		"\u009b31m\u0085":       "\uFFFD31m\uFFFD", // C1
		"\x9b31m":               "\uFFFD31m",       // and the byte alone
		"\u202eabc\u2066\u200f": "\uFFFDabc\uFFFD\uFFFD",
		"a\r\n\tb\u2028":        "a\uFFFD\uFFFD\uFFFDb\uFFFD",
		"\xff\xfe":              "\uFFFD",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
