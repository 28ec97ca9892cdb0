package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"time"
)

// Identity is the key of a user, which proves to peers who that is.
type Identity struct {
	certificate tls.Certificate
	fingerprint Fingerprint
}

// Fingerprint returns what peers know the identity by.
func (id *Identity) Fingerprint() Fingerprint { return id.fingerprint }

// keyBlock is the type of the PEM block that holds the key, as PKCS #8.
const keyBlock = "PRIVATE KEY"

// NewIdentity makes a key.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return newIdentity(key)
}

// newIdentity wraps a key in the certificate that TLS needs. Nobody looks at anything
// in it but the key: it names no host, and is valid whatever the clocks show.
func newIdentity(key *ecdsa.PrivateKey) (*Identity, error) {
	fingerprint, err := fingerprintOf(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "tbcam"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // no expiration: RFC 5280, 4.1.2.5
	}
	// Without random numbers, the signature is that of RFC 6979: the same each time.
	der, err := x509.CreateCertificate(nil, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &Identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, fingerprint}, nil
}

// Identity returns the user's identity. It is made when it is first needed.
func (s *Store) Identity() (*Identity, error) {
	path := s.identityFile()
	id, err := loadIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	unlock, err := lockDir(s.dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// Another process may have been faster: then its key counts.
	if id, err := loadIdentity(path); !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = NewIdentity(); err != nil {
		return nil, err
	}
	return id, id.save(path)
}

func (id *Identity) save(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(id.certificate.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}))
}

func loadIdentity(path string) (*Identity, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, &FileError{path, err}
	}
	return newIdentity(key)
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("%w: it holds no key", ErrDamaged)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: its key is not of P-256", ErrDamaged)
	}
	return key, nil
}
