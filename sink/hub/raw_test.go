package hub

import (
	"slices"
	"testing"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
	"github.com/tbcam/tbcam/transport/transporttest"
)

// tiny is what raw frames are, and tinySample what they hold.
var tiny = capture.Format{Pixel: capture.YUYV, Width: 16, Height: 16}

func tinySample(number uint32) []byte { return transporttest.Sample(number, tiny.Size()) }

// setRaw sets whether the viewer has a use for JPEGs, and returns the number of that
// request of one that is attached.
func (v *viewer) setRaw(raw bool) (request uint32) {
	switch s := v.stream.(type) {
	case *Subscription:
		s.SetRaw(raw)
	case *transport.ReceiverStream:
		request = s.SetRaw(raw)
	}
	return request
}

// wantCompressed checks whether the last frame and the mode of it were JPEGs.
func (v *viewer) wantCompressed(what string, compressed bool) {
	v.T.Helper()
	formats, mode := v.Events().Formats, v.mode()
	if len(formats) == 0 {
		v.T.Errorf("%s: no frame", what)
		return
	}
	if f := formats[len(formats)-1]; f.Pixel.Compressed() != compressed || mode.Format.Pixel.Compressed() != compressed {
		v.T.Errorf("%s: a frame of %v in mode %v", what, f, mode.Format)
	}
}

// wantOnlyJPEGs checks that a viewer got no raw frame, and no mode of one.
func (v *viewer) wantOnlyJPEGs(what string) {
	v.T.Helper()
	e := v.Events()
	if len(e.Formats) < 10 || !e.Formats[0].Pixel.Compressed() || !e.Modes[0].Format.Pixel.Compressed() {
		v.T.Errorf("%s: %d frames, modes %+v", what, len(e.Formats), e.Modes)
	}
}

// inRawWorld is inWorld with a sender that has the choice, and two viewers of raw frames:
// one here, and one attached.
func inRawWorld(t *testing.T, test func(w *world, window, guest *viewer)) {
	inWorld(t, func(w *world) {
		w.sender.auto = true
		window, guest := w.local(), w.attach(transport.Policy{}, takeTiny)
		takeTiny(window)
		window.startRaw("")
		guest.startRaw(Running(""))
		test(w, window, guest)
		if starts, stops := w.sender.stream(1).Requests(); stops != 0 {
			t.Errorf("the camera was stopped after %v", starts)
		}
		window.wantAll(60)
	})
}

// startRaw asks for frames of a camera, with no use for JPEGs.
func (v *viewer) startRaw(camera string) {
	v.setRaw(true)
	v.stream.Start(capture.Want{Camera: camera})
	time.Sleep(time.Second)
	v.wantCompressed("alone", false)
}

func takeTiny(v *viewer) { v.sample = tinySample }

// TestRawIfAllTakeIt: frames are raw as long as no viewer of the camera has a use for JPEGs.
// One that has gets none but JPEGs, from the first one on, and nobody misses a frame.
func TestRawIfAllTakeIt(t *testing.T) {
	for name, join := range map[string]func(*world) *viewer{
		"here":     (*world).local,
		"attached": func(w *world) *viewer { return w.attach(transport.Policy{Window: 64}, takeTiny) },
	} {
		inRawWorld(t, func(w *world, window, guest *viewer) {
			recorder := join(w)
			takeTiny(recorder)
			time.Sleep(time.Second)
			request := recorder.stream.Start(capture.Want{})
			time.Sleep(time.Second)
			if m := recorder.mode(); m.Request != request {
				t.Errorf("%s: request %d is answered by %+v", name, request, m)
			}
			for _, v := range []*viewer{window, guest, recorder} {
				v.wantCompressed(name+": recording", true)
			}
			recorder.wantOnlyJPEGs(name)
			recorder.wantAll(25)
			recorder.stream.Stop()
			time.Sleep(time.Second)
			for _, v := range []*viewer{window, guest} {
				v.wantCompressed(name+": after the recording", false)
			}
		})
	}
}

// TestRawIsChanged: a viewer that has frames already changes its mind.
func TestRawIsChanged(t *testing.T) {
	inRawWorld(t, func(w *world, window, guest *viewer) {
		for _, v := range []*viewer{window, guest} {
			for _, raw := range []bool{false, true} {
				v.setRaw(raw)
				time.Sleep(time.Second)
				window.wantCompressed("changed", !raw)
				guest.wantCompressed("changed", !raw)
			}
		}
	})
}

// TestRawIsAnswered: an attached viewer that changes its mind gets a mode that answers, whether
// or not the camera's frames change.
func TestRawIsAnswered(t *testing.T) {
	inRawWorld(t, func(w *world, window, guest *viewer) {
		for _, others := range []bool{true, false} {
			window.setRaw(others)
			time.Sleep(time.Second)
			for _, raw := range []bool{false, true} {
				request := guest.setRaw(raw)
				time.Sleep(time.Second)
				if m := guest.mode(); m.Request != request {
					t.Errorf("request %d is answered by %+v", request, m)
				}
				guest.wantCompressed("changed", !(raw && others))
			}
		}
	})
}

// TestJPEGsBesideARefusal: who joins for JPEGs gets none but those, too, when another viewer
// asks for what the camera lacks in the same moment.
func TestJPEGsBesideARefusal(t *testing.T) {
	inRawWorld(t, func(w *world, window, guest *viewer) {
		recorder := w.local()
		takeTiny(recorder)
		recorder.stream.Start(capture.Want{})
		window.stream.Start(capture.Want{FPS: 7})
		time.Sleep(time.Second)
		refused := func(s transport.Status) bool { return s.State == transport.Refused }
		if all := window.Events().Statuses; !slices.ContainsFunc(all, refused) {
			t.Errorf("the change is answered by %+v", all)
		}
		recorder.wantOnlyJPEGs("beside a refusal")
		guest.wantCompressed("beside a refusal", true)
	})
}

// TestRawWithoutAChoice: who wants JPEGs gets what there is of a sender that has none, even
// where that answers no request.
func TestRawWithoutAChoice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sender.raw = true
		window, recorder := w.local(), w.local()
		takeTiny(window)
		takeTiny(recorder)
		time.Sleep(time.Second)
		window.startRaw("")
		recorder.stream.Start(capture.Want{})
		time.Sleep(time.Second)
		recorder.wantCompressed("without a choice", false)
		recorder.wantAll(25)
	})
}
