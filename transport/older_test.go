package transport_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/wire"
)

// older is a peer of protocol 1: it writes what the programs of that wrote, and reads as
// they did.
type older struct{ *impostor }

// replay writes the records of a file in fixtures/wire, in the session that there is.
func (o older) replay(name string) {
	o.Helper()
	b, err := os.ReadFile(filepath.Join("..", "fixtures", "wire", name))
	if err != nil {
		o.Fatal(err)
	}
	for len(b) > 0 {
		h, payload, err := wire.Parse(b)
		if err != nil || h.Version != 1 {
			o.Fatalf("%s: %v of version %d: %v", name, h.Type, h.Version, err)
		}
		b = b[wire.HeaderSize+h.Length:]
		o.record(h, payload)
	}
}

// read returns the payload of the next record, which has to be of a type, and of
// version 1 in a stream that it knows: anything else ended its session.
func (o older) read(t wire.Type) string {
	o.Helper()
	h, payload, err := o.reader.Next()
	if err != nil || h.Version != 1 || h.Type != t || h.Stream > 1 {
		o.Fatalf("%v of version %d in stream %d, %v; want %v", h.Type, h.Version, h.Stream, err, t)
	}
	o.session = h.Session
	return string(payload)
}

// readPast is read, but for records of another type before.
func (o older) readPast(other, t wire.Type) string {
	o.Helper()
	h, payload, err := o.reader.Next()
	for err == nil && h.Version == 1 && h.Type == other {
		h, payload, err = o.reader.Next()
	}
	if err != nil || h.Version != 1 || h.Type != t {
		o.Fatalf("%v of version %d, %v; want %v", h.Type, h.Version, err, t)
	}
	return string(payload)
}

// checkFarewell checks the end of a session with an older peer: both users read why.
func (o older) checkFarewell(name, reason string) {
	o.Helper()
	if !strings.HasPrefix(reason, name+" on ") || !strings.HasSuffix(reason, ": the other computer runs an older tbcam; update it") {
		o.Errorf("the reason is %q", reason)
	}
	o.record(wire.Header{Type: wire.ByeAck, Version: 1}, nil)
	o.waitFor(time.Second, "warning", func() bool {
		return strings.Contains(o.log.String(), `msg="session failed" err="the other computer runs an older tbcam"`)
	})
	if n := strings.Count(o.log.String(), "\n"); n != 1 {
		o.Errorf("%d lines were logged:\n%v", n, o.log)
	}
}

// The reason reaches an older viewer's log only after a Pong, with which a session
// of protocol 1 began.
func TestOlderViewer(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sending = start(w.sender.Run)
		o := older{w.impostor(w.cable.Viewer)}
		o.read(wire.Hello)
		o.replay("older-welcome-ping.bin")
		if n := len(o.read(wire.Pong)); n != 32 {
			t.Errorf("the Pong has %d bytes", n)
		}
		o.checkFarewell("sender", o.read(wire.Bye))
	})
}

// The reason reaches an older sender's log only after a Welcome.
func TestOlderSender(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		o := older{w.impostor(w.cable.Sender)}
		o.session = 3
		o.replay("older-hello.bin")
		if welcome := o.read(wire.Welcome); !strings.Contains(welcome, `"protocol":[1,2]`) {
			t.Errorf("got %s", welcome)
		}
		o.checkFarewell("viewer", o.readPast(wire.Ping, wire.Bye))
	})
}

// An older peer that answers no Bye keeps nobody: the next one is served.
func TestOlderPeerIsReplaced(t *testing.T) {
	inWorld(t, func(w *world) {
		w.viewing = start(w.receiver.Run)
		o := older{w.impostor(w.cable.Sender)}
		o.session = 3
		o.replay("older-hello.bin")
		time.Sleep(2 * transport.ByeWait)
		o.conn.Close()
		w.stop(w.viewing)
		w.startBoth()
		w.waitForFrames(3, time.Second)
	})
}
