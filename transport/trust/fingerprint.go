package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// Fingerprint identifies a key: it is the SHA-256 of an ed25519 public key.
type Fingerprint [sha256.Size]byte

// ErrFingerprint is returned for a text that is no fingerprint.
var ErrFingerprint = errors.New("not a fingerprint of a key")

// alphabet writes fingerprints: letters and digits that a double click selects as one word.
var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// fingerprintOf returns the fingerprint of a public key.
func fingerprintOf(key ed25519.PublicKey) Fingerprint { return sha256.Sum256(key) }

// ParseFingerprint reads what String writes, in either case.
func ParseFingerprint(text string) (Fingerprint, error) {
	var f Fingerprint
	if err := f.UnmarshalText([]byte(text)); err != nil {
		return Fingerprint{}, err
	}
	return f, nil
}

// String returns the 52 characters that a user compares or copies.
func (f Fingerprint) String() string { return alphabet.EncodeToString(f[:]) }

// Short returns the beginning of the text, for logs.
func (f Fingerprint) Short() string { return f.String()[:8] }

// MarshalText implements encoding.TextMarshaler.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	bytes, err := alphabet.DecodeString(strings.ToLower(string(text)))
	// The last character has a bit of padding, so that another text could mean the same.
	if err != nil || len(bytes) != len(f) || alphabet.EncodeToString(bytes) != strings.ToLower(string(text)) {
		return fmt.Errorf("%.60q: %w", text, ErrFingerprint)
	}
	copy(f[:], bytes)
	return nil
}
