package pairsock

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tbcam/tbcam/transport/trust"
)

// maxLine bounds a message in bytes.
const maxLine = 8192

// kind is what a question is about. Those up to kindConfirmSender have an answer, the
// others are news.
type kind string

const (
	kindEnterNumber   kind = "enter-number"
	kindGrantRights   kind = "grant-rights"
	kindConfirmSender kind = "confirm-sender" // Text is its name
	kindShowNumber    kind = "show-number"    // Text is the number
	kindCancel        kind = "cancel"         // nobody waits for the answer, or looks at the number, any more
	kindStream        kind = "stream"         // Text is the stream of the program; the first message
	kindState         kind = "state"          // Text is why there is no session
	kindPaired        kind = "paired"         // Text is with whom; the last message
	kindFailed        kind = "failed"         // Text is why; the last message
)

// question is what a program sends.
type question struct {
	Kind   kind   `json:"kind"`
	Number int    `json:"number,omitempty"` // of the question, for its answer
	Text   string `json:"text,omitempty"`
	Wrong  int    `json:"wrong,omitempty"` // numbers before
}

// answer is what the pair command sends.
type answer struct {
	Number int          `json:"number"` // of the question
	Text   string       `json:"text,omitempty"`
	Grant  *trust.Grant `json:"grant,omitempty"`
	Yes    bool         `json:"yes,omitempty"`
	Err    string       `json:"err,omitempty"` // why there is no answer
}

// readMessages calls take with each message, until one of the two returns an error.
func readMessages[T any](r io.Reader, take func(T) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		var m T
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		if err := take(m); err != nil {
			return err
		}
	}
	return lines.Err()
}

// encodeMessage returns a message as a line.
func encodeMessage(m any) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("pairsock: encode message: %v", err)) // it has texts and numbers
	}
	return append(text, '\n')
}
