package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
)

var update = flag.Bool("update", false, "rewrite the corpus of FuzzFlights")

// fixedWorld returns a world whose keys are always the same.
func fixedWorld(t testing.TB) *world {
	w := newWorld(t).pairing()
	for i, c := range []*Config{&w.sender.Config, &w.viewer.Config} {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{byte(1 + i)}, 32))
		must(t, err)
		id, err := newIdentity(key)
		must(t, err)
		c.Identity = id
	}
	return w
}

// FuzzFlights: a flight that is not the peer's own proves nothing. The random numbers
// are always the same, so that the corpus has flights of this very session.
func FuzzFlights(f *testing.F) {
	w := fixedWorld(f)
	f.Fuzz(func(t *testing.T, step uint8, data []byte) {
		cryptotest.SetGlobalRandom(t, 1)
		changed := false
		s, v := passFlights(t, w, func(flight string, b []byte) []byte {
			if flight != flights[int(step)%len(flights)] {
				return b
			}
			changed = !bytes.Equal(b, data)
			return data
		})
		if changed && proven(s) && proven(v) {
			t.Error("both ends are proven")
		}
		if !changed && !(proven(s) && proven(v)) {
			t.Error("the peer's own flight proves nothing")
		}
	})
}

// TestFlightCorpus: the corpus still has the flights of FuzzFlights's session, so that
// the fuzzer begins behind them. With -update it writes them.
func TestFlightCorpus(t *testing.T) {
	w, dir := fixedWorld(t), filepath.Join("testdata", "fuzz", "FuzzFlights")
	cryptotest.SetGlobalRandom(t, 1)
	step := 0
	passFlights(t, w, func(flight string, b []byte) []byte {
		entry := "go test fuzz v1\nbyte('\\x0" + strconv.Itoa(step) + "')\n[]byte(" + strconv.Quote(string(b)) + ")\n"
		path := filepath.Join(dir, flight)
		if *update {
			must(t, errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(path, []byte(entry), 0o644)))
		}
		if have, err := os.ReadFile(path); err != nil || string(have) != entry {
			t.Errorf("%s is not the %s of this session, %v; run it with -update", path, flight, err)
		}
		step++
		return b
	})
}

// FuzzMessages: whatever a proven stranger states, an end whose user does nothing trusts
// and keeps nobody, and states what can be read. A script has messages by lines.
func FuzzMessages(f *testing.F) {
	w := fixedWorld(f)
	s, v := proveBoth(f, w)
	for _, h := range []*Handshake{s, v} {
		f.Add(h.role == RoleViewer, string(h.Message()))
	}
	must(f, v.HandleMessage(s.Message()))
	f.Add(true, string(v.Message()))
	must(f, s.HandleMessage(v.Message()))
	f.Add(false, string(encodeMessage(message{Verdict: verdictPairing, Commit: s.mine.Commit}))+"\n"+string(s.Message()))
	for _, verdict := range verdictOrder {
		text := string(encodeMessage(message{Verdict: verdict, Name: "x\x1b", Reason: "why", Rights: &Rights{Cameras: []string{"all"}}}))
		f.Add(true, text)
		f.Add(false, `{"verdict":"pairing"}`+"\n"+text)
	}
	f.Fuzz(func(t *testing.T, toSender bool, script string) {
		h := s.again()
		if !toSender {
			h = v.again()
		}
		for line := range strings.Lines(script) {
			if err := h.HandleMessage([]byte(line)); err != nil && h.failure == nil {
				t.Errorf("%q fails with %v, and does not end the handshake", line, err)
			}
			if _, err := parseMessage(h.Message()); err != nil {
				t.Errorf("after %q it states %s: %v", line, h.Message(), err)
			}
		}
		if h.trusted || h.stored || h.mine.Verdict == verdictAccepted || h.mine.Verdict == verdictPaired {
			t.Errorf("%q gets %+v", script, h.mine)
		}
		w.checkNotPaired(t)
	})
}

// again returns a handshake that is proven with the same keys, and has heard nothing.
func (h *Handshake) again() *Handshake {
	var s side = &viewerSide{prompt: nopPrompt{}}
	if h.role == RoleViewer {
		s = &senderSide{prompt: nopPrompt{}, attempts: &Attempts{}}
	}
	again := newHandshake(h.config, h.role, s)
	again.exchange, again.keys, again.mine = h.exchange, h.keys, message{Verdict: verdictPairing}
	if err := s.respond(again); err != nil {
		panic(err)
	}
	return again
}
