package trust

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	keySize = 16 // of AES-128
	// Overhead is how much longer a sealed payload is than the plain one, in bytes.
	Overhead = 16
)

// Errors of Open. Neither tells what the record holds.
var (
	// ErrSeal is returned when a record was not sealed by the peer, in this session, in
	// this direction, with this header and place; or was damaged since.
	ErrSeal = errors.New("record has a wrong seal")
	// ErrReplayed is returned when a record of this place, or a later one, was opened before.
	ErrReplayed = errors.New("record was opened before")
)

// Sealer seals the records of one direction of a session with AES-128-GCM. Not safe for
// concurrent use.
//
// The nonce is the number of the record, which never returns in a session; each
// direction has a key of its own. GCM bounds what one key may seal: after 2^48 blocks,
// or 48 days at 1 GB/s, two equal blocks in all that was sent have a probability of 2^-33.
type Sealer struct {
	aead  cipher.AEAD
	nonce [12]byte
	next  uint64
}

// NewSealer returns a Sealer with a key of 16 bytes.
func NewSealer(key []byte) *Sealer { return &Sealer{aead: newAEAD(key)} }

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(fmt.Sprintf("trust: %v", err)) // a length that no key has
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("trust: %v", err))
	}
	return aead
}

// extend returns the 64-bit number of a record by its 32-bit sequence, which wraps
// around. It is at most 2^31 away from next.
func extend(next uint64, sequence uint32) uint64 {
	return next + uint64(int64(int32(sequence-uint32(next))))
}

// Seal appends the sealed payload of a record to dst, and returns it. bound is what of
// the header is bound to it. The payload's pieces must not overlap dst. A sequence less than
// an earlier one is a mistake, and panics: it would give two records one nonce.
func (s *Sealer) Seal(dst, bound []byte, sequence uint32, payload ...[]byte) []byte {
	if int32(sequence-uint32(s.next)) < 0 {
		panic("trust: a sequence number is used again")
	}
	n := extend(s.next, sequence)
	s.next = n + 1
	binary.BigEndian.PutUint64(s.nonce[4:], n)
	if len(payload) == 1 {
		return s.aead.Seal(dst, s.nonce[:], payload[0], bound)
	}
	// GCM takes one piece, and may write the sealed one in its place.
	start := len(dst)
	for _, piece := range payload {
		dst = append(dst, piece...)
	}
	return s.aead.Seal(dst[:start], s.nonce[:], dst[start:], bound)
}

// Opener opens the records of one direction of a session. Not safe for concurrent use.
type Opener struct {
	aead  cipher.AEAD
	nonce [12]byte
	next  uint64
}

// NewOpener returns an Opener with the key of the peer's Sealer.
func NewOpener(key []byte) *Opener { return &Opener{aead: newAEAD(key)} }

// Open appends the plain payload of a record to dst, and returns it. Records may be
// missing before it. What dst has room for behind its length may change also where an error is
// returned.
func (o *Opener) Open(dst, bound []byte, sequence uint32, sealed []byte) ([]byte, error) {
	if int32(sequence-uint32(o.next)) < 0 {
		return dst, ErrReplayed
	}
	n := extend(o.next, sequence)
	binary.BigEndian.PutUint64(o.nonce[4:], n)
	plain, err := o.aead.Open(dst, o.nonce[:], sealed, bound)
	if err != nil {
		return dst, ErrSeal
	}
	o.next = n + 1
	return plain, nil
}
