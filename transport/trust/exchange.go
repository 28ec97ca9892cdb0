package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxFlight is the length of the longest flight in bytes: base64 of it leaves room for
// the rest of a greeting in one packet.
const MaxFlight = 2048

// Errors of the exchange.
var (
	// ErrProof is returned when the peer cannot prove that it has a key, or does not
	// follow the exchange.
	ErrProof = errors.New("the peer did not prove its key")
)

// exchange is a handshake of TLS 1.3 (RFC 8446) by messages, in three flights: the
// sender is the client. It has no record layer and nothing to choose: one group, one
// kind of key, no resumption. With it each end proves its key to the other, and both
// share secrets that nobody else has.
//
// The messages are not encrypted, as they would be in QUIC: that only hides keys from
// those who read the line, and what is proven does not rest on it.
type exchange struct {
	conn   *tls.QUICConn
	server bool
	flight []byte // the last one of this end
	peer   Fingerprint
	params []byte // what the peer's greeting states
	done   bool
}

// tlsConfig returns the configuration of both ends. accept sees the peer's key before this
// end shows its own, where that end is the client; it is not proven then.
func tlsConfig(id *Identity, accept func(Fingerprint) error) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{id.certificate},
		MinVersion:             tls.VersionTLS13,
		MaxVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768},
		NextProtos:             []string{"tbcam/2"},
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // no authority: the key itself is known, or not
		VerifyConnection: func(state tls.ConnectionState) error {
			key, err := certifiedKey(state.PeerCertificates)
			if err != nil {
				return err
			}
			return accept(key)
		},
	}
}

// certifiedKey returns the key in a chain of one certificate.
func certifiedKey(chain []*x509.Certificate) (Fingerprint, error) {
	if len(chain) != 1 {
		return Fingerprint{}, fmt.Errorf("%w: %d certificates", ErrProof, len(chain))
	}
	key, _ := chain[0].PublicKey.(*ecdsa.PublicKey)
	fingerprint, err := fingerprintOf(key)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return fingerprint, nil
}

// startClient begins the sender's part: its flight is the first one. params are what
// the greeting states beside the flight; the viewer learns them unchanged.
func startClient(id *Identity, params []byte, accept func(Fingerprint) error) (*exchange, error) {
	e := &exchange{conn: tls.QUICClient(&tls.QUICConfig{TLSConfig: tlsConfig(id, accept)})}
	return e, e.start(params, nil)
}

// startServer begins the viewer's part with the sender's first flight, which it answers.
func startServer(id *Identity, params, flight []byte, accept func(Fingerprint) error) (*exchange, error) {
	e := &exchange{conn: tls.QUICServer(&tls.QUICConfig{TLSConfig: tlsConfig(id, accept)}), server: true}
	return e, e.start(params, flight)
}

func (e *exchange) start(params, flight []byte) error {
	e.conn.SetTransportParameters(params)
	err := e.conn.Start(context.Background()) // it waits for flights only, and close ends that
	if err == nil && e.server {
		err = e.conn.HandleData(tls.QUICEncryptionLevelInitial, flight)
	}
	if err == nil {
		err = e.collectEvents()
	}
	// A client with another group or version would need a flight more than there is.
	if err == nil && e.server && !isServerHello(e.flight) {
		err = fmt.Errorf("%w: its first flight is not complete", ErrProof)
	}
	if err != nil {
		e.close()
		return proofError(err)
	}
	return nil
}

// handle takes the peer's next flight, which completes the exchange on this end.
func (e *exchange) handle(flight []byte) error {
	if err := e.feedFlight(flight); err != nil {
		e.close()
		return proofError(err)
	}
	return nil
}

func (e *exchange) feedFlight(flight []byte) error {
	e.flight = nil
	if !e.server {
		// The server's hello comes first, and has a level of its own.
		n := helloLength(flight)
		if err := e.conn.HandleData(tls.QUICEncryptionLevelInitial, flight[:n]); err != nil {
			return err
		}
		flight = flight[n:]
	}
	if err := e.conn.HandleData(tls.QUICEncryptionLevelHandshake, flight); err != nil {
		return err
	}
	if err := e.collectEvents(); err != nil {
		return err
	}
	if !e.done {
		return fmt.Errorf("%w: its flight is not complete", ErrProof)
	}
	return nil
}

// collectEvents handles what the handshake has produced.
func (e *exchange) collectEvents() error {
	for {
		switch event := e.conn.NextEvent(); event.Kind {
		case tls.QUICNoEvent:
			return nil
		case tls.QUICErrorEvent:
			return event.Err
		case tls.QUICWriteData:
			e.flight = append(e.flight, event.Data...)
		case tls.QUICTransportParameters:
			e.params = append([]byte{}, event.Data...)
		case tls.QUICHandshakeDone:
			key, err := certifiedKey(e.conn.ConnectionState().PeerCertificates)
			if err != nil {
				return err
			}
			e.peer, e.done = key, true
		}
	}
}

// export returns a secret of both ends. It depends on both keys: that of the client
// comes too late in TLS for its exporter to cover it.
func (e *exchange) export(label string, client, server Fingerprint, length int) ([]byte, error) {
	state := e.conn.ConnectionState()
	context := append(client[:], server[:]...)
	return state.ExportKeyingMaterial("EXPORTER-tbcam/2 "+label, context, length)
}

// close ends the handshake's goroutine. It is idempotent.
func (e *exchange) close() { _ = e.conn.Close() }

// Handshake messages of TLS begin with a type, and a length of three bytes.
const (
	typeServerHello = 2
	messageHeader   = 4
)

func isServerHello(flight []byte) bool {
	return len(flight) > messageHeader && flight[0] == typeServerHello && len(flight) > helloLength(flight)
}

// helloLength returns the length of the first message of a flight, at most that of
// the flight.
func helloLength(flight []byte) int {
	if len(flight) < messageHeader {
		return len(flight)
	}
	return min(len(flight), messageHeader+int(binary.BigEndian.Uint32(flight)&0xffffff))
}

// proofError makes an error of TLS one of this package.
func proofError(err error) error {
	if errors.Is(err, ErrProof) || errors.As(err, new(*UnknownError)) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrProof, err)
}
