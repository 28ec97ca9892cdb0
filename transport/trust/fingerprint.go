package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// Fingerprint identifies a key: it is the SHA-256 of a public key of P-256, as an
// uncompressed point (SEC 1, 2.3.3).
type Fingerprint [sha256.Size]byte

// ErrFingerprint is returned for a text that is no fingerprint.
var ErrFingerprint = errors.New("not a fingerprint of a key")

// alphabet writes fingerprints: letters and digits that a double click selects as one word.
var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// errKey is returned for a key that none of this package's identities has.
var errKey = errors.New("its key is not of P-256")

// fingerprintOf returns the fingerprint of a public key.
func fingerprintOf(key *ecdsa.PublicKey) (Fingerprint, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return Fingerprint{}, errKey
	}
	point, err := key.Bytes()
	if err != nil {
		return Fingerprint{}, fmt.Errorf("%w: %w", errKey, err)
	}
	return sha256.Sum256(point), nil
}

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
