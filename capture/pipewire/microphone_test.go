package pipewire

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/fixtures/pwsession"
)

// TestMicrophone: of a source that is named, and of the default one, blocks come in order,
// none is missing, and their times rise. SPA's test source of audio stops for
// good on a busy machine, so this one is silent.
func TestMicrophone(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: fakeMicrophone})
	s.Enter(t)
	var pool capture.Pool
	devices, err := Microphones{}.Devices()
	want := capture.Device{Kind: capture.Audio, Path: "pipewire:fakemic", Bus: "pipewire:fakemic", Name: "Fake microphone", Driver: "pipewire"}
	if err != nil || len(devices) != 1 || !reflect.DeepEqual(devices[0], want) {
		t.Errorf("listed are %+v, %v", devices, err)
	}
	checkOpened(t, want, &pool)
	for _, name := range []string{"fakemic", ""} {
		m, err := OpenMicrophone(name, capture.Mono, &pool)
		if err != nil {
			t.Fatal(err)
		}
		watchdog := closeWhenLate(m)
		checkBlocks(t, name, m)
		watchdog.Stop()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if _, err := m.Read(); !errors.Is(err, capture.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	if n := pool.Outstanding(); n != 0 {
		t.Errorf("%d outstanding", n)
	}
}

// closeWhenLate closes a microphone that delivers too little in 20 s, which ends a Read that
// waits, unless it is stopped before.
func closeWhenLate(m capture.Source) *time.Timer {
	return time.AfterFunc(20*time.Second, func() { m.Close() })
}

// checkOpened: a microphone that is listed delivers.
func checkOpened(t *testing.T, d capture.Device, pool *capture.Pool) {
	t.Helper()
	m, err := Microphones{}.Open(d, pool)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer closeWhenLate(m).Stop()
	f, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
}

// fakeMicrophone is a source that plays silence.
const fakeMicrophone = `
context.objects = [
  { factory = adapter args = { factory.name = support.null-audio-sink node.name = fakemic node.description = "Fake microphone" media.class = Audio/Source/Virtual audio.position = [ MONO ] } } ]
`

func checkBlocks(t *testing.T, name string, m *Microphone) {
	t.Helper()
	var last *capture.Frame
	for range 100 {
		f, err := m.Read()
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if age := time.Since(f.Time); age < 0 || age > 2*time.Second {
			t.Fatalf("%q: block %d is %v old", name, f.Sequence, age)
		}
		if last != nil {
			// How far apart their times are means nothing on a busy machine: the server's clock
			// jumps there.
			if f.Sequence != last.Sequence+1 || !f.Time.After(last.Time) {
				t.Errorf("%q: block %d comes %v after block %d", name, f.Sequence, f.Time.Sub(last.Time), last.Sequence)
			}
			last.Release()
		}
		last = f
	}
	last.Release()
	if lost := m.Lost().Driver; lost > 0 {
		t.Errorf("%q: %d blocks lost", name, lost)
	}
}

// TestSlowListener: what a listener leaves for more than a second is lost, in whole blocks that
// are counted, and it goes on with the oldest that is left.
func TestSlowListener(t *testing.T) {
	s := pwsession.Start(t, pwsession.Options{PipeWire: fakeMicrophone})
	s.Enter(t)
	var pool capture.Pool
	m, err := OpenMicrophone("fakemic", capture.Stereo, &pool)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer closeWhenLate(m).Stop()
	read := func() (sequence uint32, age time.Duration) {
		f, err := m.Read()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Release()
		return f.Sequence, time.Since(f.Time)
	}
	first, _ := read()
	written := m.written()
	for m.written() < written+3*capture.AudioRate/2 {
		if !m.conn.wait() {
			t.Fatal("the microphone delivers nothing")
		}
	}
	next, age := read()
	if lost := m.Lost().Driver; lost < 50 || uint64(next-first-1) != lost || age < 900*time.Millisecond {
		t.Errorf("block %d, %v old, comes after block %d; lost are %d", next, age, first, lost)
	}
	lost := m.Lost().Driver
	for want := next + 1; want < next+50; want++ {
		if got, _ := read(); got != want || m.Lost().Driver != lost {
			t.Fatalf("block %d comes in place of %d; lost are %d", got, want, m.Lost().Driver)
		}
	}
}

// TestStampLine: stamps that jitter make a line that does not, and one that is far off
// begins another.
func TestStampLine(t *testing.T) {
	var l stampLine
	jitter := []time.Duration{0, 3, -2, 4, -4, 1, -2}
	for n := range int64(2000) {
		sample := n * 256
		l.addStamp(time.Hour + jitter[n%7]*time.Millisecond)
		if d := l.timeOf(sample) - time.Hour - capture.AudioDuration(sample); d.Abs() > 300*time.Microsecond {
			t.Fatalf("stamp %d: the line is %v off", n, d)
		}
	}
	l.addStamp(2 * time.Hour)
	if at := l.timeOf(0); at != 2*time.Hour {
		t.Errorf("after a jump it is %v", at)
	}
}

func TestMicrophoneRefused(t *testing.T) {
	if _, err := OpenMicrophone("", capture.AudioFormat{Rate: 8000, Channels: 1}, nil); err == nil {
		t.Error("opened at another rate")
	}
	s := pwsession.Start(t, pwsession.Options{})
	s.Enter(t)
	var pool capture.Pool
	m, err := OpenMicrophone("", capture.Stereo, &pool)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Read(); !errors.Is(err, capture.ErrGone) {
		t.Errorf("without a microphone: %v", err)
	}
	if devices, err := (Microphones{}).Devices(); err != nil || len(devices) > 0 {
		t.Errorf("listed are %+v, %v", devices, err)
	}
	if _, err := (Microphones{}).Open(capture.Device{Path: "pipewire:fakemic"}, &pool); !errors.Is(err, capture.ErrNoMicrophone) {
		t.Errorf("opened one that is not there: %v", err)
	}
}
