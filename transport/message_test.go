package transport

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files in fixtures/wire")

// messages feeds the golden files, the round trips and the fuzz seeds.
var messages = []struct {
	name    string
	header  wire.Header
	message any
	parse   func(wire.Header, []byte) (any, error)
}{
	{"message-hello", wire.Header{Type: wire.Hello, Version: wire.GreetingVersion}, Peer{"tbcam-send", "1.0", "laptop", [2]int{1, 2}, nil, nil}, parsed(parsePeer)},
	{"message-welcome", wire.Header{Type: wire.Welcome}, Peer{"tbcam-view", "1.0", "desktop", [2]int{1, 2}, []string{"audio"}, nil}, parsed(parsePeer)},
	{"message-start", wire.Header{Type: wire.Start, Stream: 1}, request{Number: 1, Want: capture.Want{Camera: "auto", Pixel: capture.MJPEG, Width: 1280, Height: 720, FPS: 29.97}}, parsed(parseRequest)},
	{"message-start-any", wire.Header{Type: wire.Start, Stream: 1}, request{Number: 2}, parsed(parseRequest)},
	{"message-stop", wire.Header{Type: wire.Stop, Stream: 1}, request{Number: math.MaxUint32}, parsed(parseRequest)},
	{"message-mode", wire.Header{Type: wire.Mode, Stream: 1}, Mode{Number: 1, Camera: "HD Webcam", Source: mjpeg720.Source, Format: mjpeg720.Format}, parsed(parseMode)},
	{"message-status", wire.Header{Type: wire.Status, Stream: 1}, statusMessage{Status: Status{State: Waiting, Text: "the camera is unplugged"}}, parsed(parseStatus)},
	{"message-camera", wire.Header{Type: wire.Camera, Flags: wire.First}, capture.Device{
		Path: "/dev/video0", Name: "HD Webcam", Driver: "uvcvideo", Bus: "usb-0000:00:14.0-1",
		Modes: []capture.Mode{mjpeg720.Source},
		Controls: []capture.Control{{
			ID: 0x980918, Name: "Power Line Frequency", Type: "menu", Max: 2, Step: 1, Default: 1, Value: 1,
			Menu: []capture.ControlMenuItem{{Index: 0, Name: "Disabled"}, {Index: 1, Name: "50 Hz"}},
		}},
	}, parsed(parseCamera)},
	{"message-set", wire.Header{Type: wire.Set, Stream: 1}, setMessage{3, []numberSetting{
		{1, capture.Setting{ID: 0x980900, Value: -5}}, {4, capture.Setting{ID: 0x980901, Text: "abc"}},
	}}, parsed(parseSet)},
	{"message-set-none", wire.Header{Type: wire.Set, Stream: 1}, setMessage{Have: 1}, parsed(parseSet)},
	{"message-controls", wire.Header{Type: wire.Controls, Stream: 1}, controlsMessage{
		Number: 9,
		Controls: Controls{Camera: "HD Webcam", Path: "/dev/video0", Opening: 2, Locked: true, List: []capture.Control{
			{ID: 0x980900, Name: "Brightness", Type: "int", Min: -64, Max: 64, Step: 1, Value: -5},
			{ID: 0x980901, Name: "Label", Type: "string", Max: 32, Step: 1, Text: "abc", Inactive: true},
		}},
		Answers: []answer{{Number: 1, Granted: &capture.Setting{ID: 0x980900, Value: -5}}, {Number: 4, Error: "no such control"}},
	}, parsed(parseControls)},
	{"message-controls-none", wire.Header{Type: wire.Controls, Stream: 1}, controlsMessage{Number: 1}, parsed(parseControls)},
	{"message-status-lost", wire.Header{Type: wire.Status, Stream: 1}, statusMessage{Status{State: Running}, lostTotals{1, math.MaxUint32, 3}}, parsed(parseStatus)},
	{"message-status-refused", wire.Header{Type: wire.Status, Stream: 1}, statusMessage{Status: Status{Refused, "no such mode", 3, NoMode}}, parsed(parseStatus)},
	{"message-mode-interlaced", wire.Header{Type: wire.Mode, Stream: 1}, Mode{Number: 2, Camera: "Grabber", Source: capture.Mode{
		Pixel: capture.UYVY, Width: 720, Height: 576, Rate: capture.Rate{Num: 25, Den: 1}, Field: capture.TopFirst,
	}, Format: capture.Format{Pixel: capture.MJPEG, Width: 720, Height: 576}}, parsed(parseMode)},
	{"message-start-audio", wire.Header{Type: wire.Start, Stream: 2}, request{Number: 3, Want: capture.Want{Kind: capture.Audio, Camera: "auto"}}, parsed(parseRequest)},
	{"message-mode-audio", wire.Header{Type: wire.Mode, Stream: 2}, Mode{Number: 1, Camera: "Built-in Audio", Format: capture.Format{Audio: capture.Stereo}, Request: 3}, parsed(parseMode)},
	{"message-camera-audio", wire.Header{Type: wire.Camera}, capture.Device{
		Kind: capture.Audio, Path: "pipewire:alsa_input.pci-0000_00_1f.3.analog-stereo", Name: "Built-in Audio", Driver: "alsa", Channels: 2,
	}, parsed(parseCamera)},
	{"message-start-raw", wire.Header{Type: wire.Start, Stream: 1}, request{Number: 3, Want: capture.Want{FPS: 30}, Raw: true}, parsed(parseRequest)},
	{"message-mode-reason", wire.Header{Type: wire.Mode, Stream: 1}, Mode{Number: 3, Camera: "HD Webcam", Source: mjpeg720.Source, Format: mjpeg720.Format, Reason: "an output wants JPEG"}, parsed(parseMode)},
}

func parsed[T any](parse func(wire.Header, []byte) (T, error)) func(wire.Header, []byte) (any, error) {
	return func(h wire.Header, payload []byte) (any, error) { return parse(h, payload) }
}

func TestMessages(t *testing.T) {
	for i, m := range messages {
		m.header.Session, m.header.Sequence = 7, uint32(i)
		got := wire.Append(nil, m.header, encodeMessage(m.message))
		path := filepath.Join("..", "fixtures", "wire", m.name+".bin")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(golden) {
			t.Errorf("%s: got\n%q, the golden file has\n%q", m.name, got, golden)
		}
		_, payload, err := wire.Parse(golden)
		if err != nil {
			t.Fatal(m.name, err)
		}
		if back, err := m.parse(m.header, payload); err != nil || !reflect.DeepEqual(back, m.message) {
			t.Errorf("%s: got %+v, %v, want %+v", m.name, back, err, m.message)
		}
	}
}

func TestParsePeerVersions(t *testing.T) {
	for versions, ok := range map[[2]int]bool{{1, 1}: true, {0, 2}: true, {1, 9}: true, {0, 0}: true, {3, 4}: false, {3, 1}: false} {
		_, err := parsePeer(wire.Header{}, encodeMessage(Peer{Protocol: versions}))
		if ok != (err == nil) || !ok && !errors.Is(err, wire.ErrVersion) {
			t.Errorf("%v: %v", versions, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Café 日":              "Café 日",
		"a\x00\x1b[2J\r\n\tb": "a\uFFFD\uFFFD[2J\uFFFD\uFFFD\uFFFDb",
		"\u202eevil":          "\uFFFDevil",
		"\xff\xfe":            "\uFFFD",
		"0123456789abcdef":    "0123456789",
		"012345678é":          "012345678\uFFFD",
	} {
		if got := cutPrintable(in, 10); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Whatever describes this host fits into the record, and is accepted there.
func TestLongTextsFit(t *testing.T) {
	long := strings.Repeat("\x01<\"", 5000)
	status := Status{State: State(long), Text: long}.boundToRecord()
	if _, err := parseStatus(wire.Header{}, encodeMessage(status)); err != nil {
		t.Error(err)
	}
}

func TestEncodePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a want that failed its Check was sent")
		}
	}()
	encodeMessage(request{Want: capture.Want{FPS: math.NaN()}})
}
