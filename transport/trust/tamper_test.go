package trust

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// flights are what passes the line before there are keys.
var flights = []string{"hello", "welcome", "proof"}

// passFlights has two ends exchange their flights, of which tamper may change each.
func passFlights(t testing.TB, w *world, tamper func(flight string, b []byte) []byte) (sender, viewer *Handshake) {
	s, err := NewSender(w.sender)
	must(t, err)
	defer s.Close()
	v, err := NewViewer(w.viewer, tamper("hello", s.Flight()))
	if err != nil {
		return s, nil
	}
	defer v.Close()
	if s.HandleFlight(tamper("welcome", v.Flight())) == nil {
		_ = v.HandleFlight(tamper("proof", s.Flight()))
	}
	return s, v
}

// TestEachByteOfEachFlight: with any byte changed, lost, or one more, the ends do not
// get to the messages; and the next session of the same ends does.
func TestEachByteOfEachFlight(t *testing.T) {
	w := newWorld(t).paired(t).pairing() // a stranger might be paired with
	length := map[string]int{}
	s, v := passFlights(t, w, func(flight string, b []byte) []byte { length[flight] = len(b); return b })
	if !proven(s) || !proven(v) {
		t.Fatal("unchanged flights prove nothing")
	}
	for fault, change := range map[string]func(b []byte, at int) []byte{
		"changed": func(b []byte, at int) []byte { b[at] ^= 1 << (at % 8); return b },
		"lost":    func(b []byte, at int) []byte { return slices.Delete(b, at, at+1) },
		"twice":   func(b []byte, at int) []byte { return slices.Insert(b, at, b[at]) },
	} {
		for _, flight := range flights {
			for at := len(fault) % stride; at < length[flight]; at += stride {
				changed := false // signatures differ in length
				s, v := passFlights(t, w, func(f string, b []byte) []byte {
					if f != flight || at >= len(b) {
						return b
					}
					changed = true
					return change(bytes.Clone(b), at)
				})
				if changed && proven(s) && proven(v) {
					t.Errorf("byte %d of %s %s: both ends are proven", at, flight, fault)
				}
				if s.trusted || v != nil && v.trusted {
					t.Errorf("byte %d of %s %s: trusted", at, flight, fault)
				}
			}
		}
	}
	if s, v := passFlights(t, w, func(_ string, b []byte) []byte { return b }); !proven(s) || !proven(v) {
		t.Error("the next session is none")
	}
}

// TestFlightsOfOthers: flights of another session, of the wrong direction or step, or a flood of
// bytes prove nothing.
func TestFlightsOfOthers(t *testing.T) {
	w := newWorld(t).paired(t)
	other := map[string][]byte{"none": nil, "zeros": make([]byte, 500), "too long": make([]byte, MaxFlight+1)}
	passFlights(t, w, func(flight string, b []byte) []byte {
		other["other "+flight] = bytes.Clone(b)
		return b
	})
	for _, flight := range flights {
		for name, b := range other {
			if flight == "hello" && name == "other hello" {
				continue // it is as good as any, until the viewer is to be proven
			}
			s, v := passFlights(t, w, func(f string, own []byte) []byte {
				if f == flight {
					return b
				}
				return own
			})
			if proven(s) && proven(v) {
				t.Errorf("%s in place of the %s: proven", name, flight)
			}
		}
	}
}

// fault is what can happen to a packet: what comes out of the line for it, now. held
// are packets that come later.
type fault func(p packet, held *[]packet) []packet

var faults = map[string]fault{
	"lost":     func(packet, *[]packet) []packet { return nil },
	"repeated": func(p packet, _ *[]packet) []packet { return []packet{p, p, p} },
	"delayed":  func(p packet, held *[]packet) []packet { *held = append(*held, p); return nil },
	"reordered": func(p packet, held *[]packet) []packet {
		*held = append(*held, p)
		return nil
	},
	"changed": func(p packet, _ *[]packet) []packet {
		p.data = bytes.Clone(p.data)
		p.data[len(p.data)/2] ^= 4
		return []packet{p}
	},
	"repeated later": func(p packet, held *[]packet) []packet { *held = append(*held, p); return []packet{p} },
}

// hit applies a fault to the packets that choose names by their number. Packets that
// are held come after so many more.
func hit(f fault, after int, choose func(n int) bool) func(packet) []packet {
	var held []packet
	n, due := -1, 0
	return func(p packet) []packet {
		n++
		if choose(n) {
			due = n + after
			return f(p, &held)
		}
		out := []packet{p}
		if len(held) > 0 && n >= due {
			out, held = append(out, held...), nil
		}
		return out
	}
}

// TestEachPacket: whatever happens to any packet of the beginning, and to it alone,
// known ends have a session within 3 s, and strangers none without their user.
func TestEachPacket(t *testing.T) {
	for name, f := range faults {
		for at := range 12 {
			after := map[string]int{"reordered": 1}[name]
			if after == 0 {
				after = 9
			}
			bubble(t, fmt.Sprintf("%s/%d", name, at), func(t *testing.T) {
				w := newWorld(t).paired(t)
				tamper := hit(f, after, func(n int) bool { return n == at })
				w.checkBack(t, name, tamper)
			})
			bubble(t, fmt.Sprintf("%s/%d/pairing", name, at), func(t *testing.T) {
				w := newWorld(t).pairing()
				tamper := hit(f, after, func(n int) bool { return n == at })
				w.checkBack(t, name, tamper)
			})
		}
	}
}

// TestManyFaults: of a line that spoils every third packet nothing comes but sessions and
// refusals.
func TestManyFaults(t *testing.T) {
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range faults {
			if !yield(name) {
				return
			}
		}
	})
	for seed := range uint64(200 / stride) {
		bubble(t, fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			if seed%2 == 0 {
				w.paired(t)
			} else {
				w.pairing()
			}
			var lines []func(packet) []packet
			for _, name := range names {
				lines = append(lines, hit(faults[name], 1+r.IntN(5), func(int) bool { return true }))
			}
			begin := time.Now()
			tamper := func(p packet) []packet {
				if time.Since(begin) > 4*time.Second || r.IntN(3) > 0 {
					return []packet{p}
				}
				return lines[r.IntN(len(lines))](p)
			}
			w.checkBack(t, "many", tamper)
		})
	}
}

// checkBack runs a session with faults and, where it is refused, further ones without.
func (w *world) checkBack(t *testing.T, name string, tamper func(packet) []packet) {
	t.Helper()
	begin := time.Now()
	a := w.run(t, tamper)
	if !a.both() {
		if name != "changed" && name != "many" {
			t.Errorf("no session: sender %v, viewer %v", a.err[true], a.err[false])
		}
		a = w.run(t, nil)
	}
	if !a.both() {
		t.Errorf("no session after that: sender %v, viewer %v", a.err[true], a.err[false])
	}
	if took := time.Since(begin); took > 3*time.Second && name != "many" {
		t.Errorf("it took %v", took)
	}
	if a.outcome[true].Paired && len(w.users.typed) == 0 {
		t.Error("paired without a number")
	}
}
