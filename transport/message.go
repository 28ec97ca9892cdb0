package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

// Protocol is the version of the messages, negotiated in Hello and Welcome.
const Protocol = 2

// Bounds of what a peer may send.
const (
	maxHello  = wire.PacketSize - wire.HeaderSize
	maxText   = 256 // bytes of a name
	maxReason = 512 // bytes of a reason: of a Status, of a Bye
	// MaxFrame is the largest frame in bytes, enough for 8192x4096 in 4:2:2.
	MaxFrame = capture.MaxFrame
)

// Peer is how each end describes itself, in Hello and Welcome.
type Peer struct {
	Program  string   `json:"program"`
	Version  string   `json:"version"`
	Host     string   `json:"host"`
	Protocol [2]int   `json:"protocol"` // the oldest and the newest that it has
	Features []string `json:"features,omitempty"`
	// Auth is a flight of trust.Handshake. An end that proves itself leaves out its host
	// until the peer has done so, too.
	Auth []byte `json:"auth,omitempty"`
}

// String returns for instance "tbcam-view on desktop".
func (p Peer) String() string {
	if p.Host == "" {
		return p.Program
	}
	return p.Program + " on " + p.Host
}

// has reports whether the peer knows a feature.
func (p *Peer) has(feature string) bool { return slices.Contains(p.Features, feature) }

// Mode describes the frames of a stream, or its blocks of audio.
type Mode struct {
	Number uint32         `json:"number"`          // frames name it
	Camera string         `json:"camera"`          // or microphone
	Source capture.Mode   `json:"source,omitzero"` // what the camera's driver granted
	Format capture.Format `json:"format"`          // of the frames on the wire
	// Request is the number of the request that this answers, 0 if none.
	Request uint32 `json:"request,omitempty"`
	// Reason is why the frames are raw ones or JPEGs, "" where the sender had no choice.
	Reason string `json:"reason,omitempty"`
}

// State is whether a stream has frames.
type State string

// The states of a stream.
const (
	Running State = "running"
	Waiting State = "waiting" // it goes on by itself, for instance at a replug
	Failed  State = "failed"  // it needs another Start
	Refused State = "refused" // the last Start cannot be had; what ran before goes on
	Idle    State = "idle"    // it was not requested
)

// Status is why a stream has no frames, with a text for people.
type Status struct {
	State State  `json:"state"`
	Text  string `json:"text,omitempty"`
	// Request is the number of the request that this answers, 0 if none.
	Request uint32 `json:"request,omitempty"`
	Cause   Cause  `json:"cause,omitempty"` // of Waiting, Failed and Refused
}

// lostTotals are the counts of a capture.Lost on the wire, where they wrap around.
type lostTotals struct {
	Driver     uint32 `json:"driver,omitempty"`
	Damaged    uint32 `json:"damaged,omitempty"`
	Superseded uint32 `json:"superseded,omitempty"`
}

// countSince returns the counts of a Producer that came after base.
func (t lostTotals) countSince(base lostTotals) lostTotals {
	return lostTotals{t.Driver - base.Driver, t.Damaged - base.Damaged, t.Superseded - base.Superseded}
}

func totalsOf(lost capture.Lost) lostTotals {
	return lostTotals{uint32(lost.Driver), uint32(lost.Damaged), uint32(lost.Superseded)}
}

// advanceTo brings the counts to newer totals. It passes over older ones: those of a
// frame were taken before those of a Status that overtook it.
func (t lostTotals) advanceTo(lost *capture.Lost) {
	for _, c := range [...]struct {
		count *uint64
		total uint32
	}{{&lost.Driver, t.Driver}, {&lost.Damaged, t.Damaged}, {&lost.Superseded, t.Superseded}} {
		*c.count += uint64(max(0, int32(c.total-uint32(*c.count))))
	}
}

// statusMessage is the payload of Status: the counts reach the viewer also while
// there is no frame that carries them.
type statusMessage struct {
	Status
	Lost lostTotals `json:"lost,omitzero"`
}

// boundToRecord returns what fits in a record, however much of it is escaped there.
func (s Status) boundToRecord() Status {
	s.State, s.Cause = State(cutPrintable(string(s.State), 16)), Cause(cutPrintable(string(s.Cause), 16))
	s.Text = cutPrintable(s.Text, maxReason)
	return s
}

// request is the payload of Start and Stop. Both are repeated with every
// heartbeat: a new one has another number.
type request struct {
	Number uint32 `json:"number"` // from 1
	capture.Want
	// Raw: the viewer has no use for JPEGs. It asks nothing of the camera.
	Raw  bool `json:"raw,omitempty"`
	stop bool // it came in a Stop
}

// encodeMessage returns the payload of a message; these types always have one.
func encodeMessage(message any) []byte {
	payload, err := json.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("transport: encode %T: %v", message, err))
	}
	return payload
}

func decodeMessage[T any](h wire.Header, payload []byte, limit int) (T, error) {
	var message T
	if len(payload) > limit {
		return message, fmt.Errorf("read %v: %d bytes, allowed are %d", h.Type, len(payload), limit)
	}
	if err := json.Unmarshal(payload, &message); err != nil {
		return message, fmt.Errorf("read %v: %w", h.Type, err)
	}
	return message, nil
}

// cutPrintable cuts a peer's text and makes it safe for a terminal and a log.
func cutPrintable(s string, limit int) string { return capture.Printable(s[:min(len(s), limit)]) }

func parsePeer(h wire.Header, payload []byte) (Peer, error) {
	p, err := decodeMessage[Peer](h, payload, maxHello)
	if err != nil {
		return Peer{}, err
	}
	p.Program, p.Version, p.Host = cutPrintable(p.Program, 64), cutPrintable(p.Version, 64), cutPrintable(p.Host, 64)
	if p.Protocol[0] > Protocol {
		return Peer{}, fmt.Errorf("%v has protocol %d to %d, this program %d: %w",
			p, p.Protocol[0], p.Protocol[1], Protocol, wire.ErrVersion)
	}
	return p, nil
}

func parseMode(h wire.Header, payload []byte) (Mode, error) {
	m, err := decodeMessage[Mode](h, payload, maxHello)
	if err != nil {
		return Mode{}, err
	}
	m.Camera, m.Reason = cutPrintable(m.Camera, maxText), cutPrintable(m.Reason, maxText)
	if m.Number == 0 {
		return Mode{}, errors.New("read mode: it has no number")
	}
	if err := checkFormat(m.Format); err != nil {
		return Mode{}, fmt.Errorf("read mode: %w", err)
	}
	// A source's pixel format may be one that only the sender knows.
	source := capture.Want{Width: m.Source.Width, Height: m.Source.Height, FPS: m.Source.Rate.FPS()}
	if err := source.Check(); err != nil {
		return Mode{}, fmt.Errorf("read mode: source: %w", err)
	}
	if m.Format.Size() > MaxFrame {
		return Mode{}, fmt.Errorf("read mode: %v has more than %d bytes per frame", m.Format, MaxFrame)
	}
	return m, nil
}

// checkFormat reports what makes a format unusable on the wire, if anything.
func checkFormat(f capture.Format) error {
	switch {
	case !f.IsAudio():
		return f.Check()
	case f != capture.Format{Audio: f.Audio}:
		return errors.New("it is of audio and of video")
	}
	return f.Audio.Check()
}

// kindOf returns the kind of device that delivers a format.
func kindOf(f capture.Format) capture.Kind {
	if f.IsAudio() {
		return capture.Audio
	}
	return capture.Video
}

func parseStatus(h wire.Header, payload []byte) (statusMessage, error) {
	m, err := decodeMessage[statusMessage](h, payload, maxHello)
	m.Status = m.Status.boundToRecord()
	return m, err
}

func parseRequest(h wire.Header, payload []byte) (request, error) {
	r, err := decodeMessage[request](h, payload, maxHello)
	if err != nil {
		return request{}, err
	}
	r.Camera = cutPrintable(r.Camera, maxText)
	if err := r.Check(); err != nil {
		return request{}, fmt.Errorf("read %v: %w", h.Type, err)
	}
	return r, nil
}

// What a sender can make the viewer keep of its cameras.
const (
	maxCameras  = 64
	maxModes    = 4096 // of one camera
	maxControls = 1024 // of one camera; the choices of its menus count, too
	maxInputs   = 64   // of one camera
	maxChannels = 64   // of one microphone, of which two are sent at most
)

// tidyInputs makes a camera's inputs safe to show.
func tidyInputs(inputs []capture.Input) {
	for i := range inputs {
		in := &inputs[i]
		in.Name, in.Problem, in.Standard = cutPrintable(in.Name, maxText), cutPrintable(in.Problem, maxText), cutPrintable(in.Standard, maxText)
		in.Standards = in.Standards[:min(len(in.Standards), maxInputs)]
		for k := range in.Standards {
			in.Standards[k] = cutPrintable(in.Standards[k], maxText)
		}
	}
}

// checkKind reports what is listed that no device of its kind has, if anything.
func checkKind(d capture.Device) error {
	switch {
	case d.Kind != capture.Video && d.Kind != capture.Audio:
		return errors.New("kind is unknown")
	case d.Kind == capture.Audio && len(d.Modes)+len(d.Controls)+len(d.Inputs) > 0:
		return errors.New("a microphone has no modes, controls and inputs")
	case d.Channels < 0 || d.Channels > maxChannels:
		return fmt.Errorf("%d channels: must be 0 to %d", d.Channels, maxChannels)
	}
	return nil
}

func parseCamera(h wire.Header, payload []byte) (capture.Device, error) {
	c, err := decodeMessage[capture.Device](h, payload, wire.MaxPayload)
	if err != nil {
		return capture.Device{}, err
	}
	c.Path, c.Name = cutPrintable(c.Path, maxText), cutPrintable(c.Name, maxText)
	c.Driver, c.Bus = cutPrintable(c.Driver, maxText), cutPrintable(c.Bus, maxText)
	tidyInputs(c.Inputs)
	n := tidyControls(c.Controls)
	if len(c.Modes) > maxModes || n > maxControls {
		return capture.Device{}, fmt.Errorf("read camera: %d modes and %d controls are too many", len(c.Modes), n)
	}
	if len(c.Inputs) > maxInputs {
		return capture.Device{}, fmt.Errorf("read camera: %d inputs are too many", len(c.Inputs))
	}
	if err := checkKind(c); err != nil {
		return capture.Device{}, fmt.Errorf("read camera: %w", err)
	}
	return c, nil
}
