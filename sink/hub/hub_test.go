package hub

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/transport"
)

var small = capture.Want{Width: 640, Height: 480}

// TestCameraIsReceivedOnce: whoever looks, the sender is asked once and sends each frame
// once; it stops when the last one leaves.
func TestCameraIsReceivedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		viewers := []*viewer{w.local(), w.attach(transport.Policy{}), w.attach(transport.Policy{Window: 64}), w.local()}
		time.Sleep(time.Second)
		for _, v := range viewers {
			v.stream.Start(capture.Want{})
			time.Sleep(time.Second)
		}
		far := w.sender.stream(1)
		for i, v := range viewers {
			v.wantAll(28 * (len(viewers) - i))
			if e := v.Events(); len(e.Peers) != 1 || e.Peers[0].Host != "laptop" {
				t.Errorf("viewer %d sees %+v", i, e.Peers)
			}
			if got := v.mode(); got.Request == 0 || got.Camera != "Front Camera" {
				t.Errorf("viewer %d has %+v", i, got)
			}
		}
		for i, v := range viewers {
			if starts, stops := far.Requests(); len(starts) != 1 || stops != 0 {
				t.Errorf("%d starts, %d stops", len(starts), stops)
			}
			frames := v.Frames()
			v.stream.Stop()
			time.Sleep(time.Second)
			if more := v.Frames() - frames; more > 2 {
				t.Errorf("viewer %d: %d frames came after it stopped", i, more)
			}
		}
		if starts, stops := far.Requests(); len(starts) != 1 || stops != 1 {
			t.Errorf("%d starts, %d stops at the end", len(starts), stops)
		}
	})
}

// TestRunningModeHolds: who asks for another mode is refused, who leaves it open joins, and
// a later request of one that has joined changes it for all.
func TestRunningModeHolds(t *testing.T) {
	inWorld(t, func(w *world) {
		owner, same, other, any := w.local(), w.attach(transport.Policy{}), w.attach(transport.Policy{}), w.attach(transport.Policy{})
		time.Sleep(time.Second)
		owner.stream.Start(small)
		time.Sleep(time.Second)
		same.stream.Start(small)
		request := other.stream.Start(capture.Want{Width: 320, Height: 240})
		any.stream.Start(capture.Want{Camera: Running("")})
		time.Sleep(time.Second)
		if s := other.status(); s.State != transport.Failed || s.Cause != Conflict || s.Request != request || !strings.Contains(s.Text, "640x480") {
			t.Errorf("another mode: %+v", s)
		}
		for name, v := range map[string]*viewer{"owner": owner, "same": same, "any": any} {
			if v.mode().Source.Width != 640 || v.Frames() < 28 {
				t.Errorf("%s has %+v and %d frames", name, v.mode(), v.Frames())
			}
		}
		request = any.stream.Start(capture.Want{Width: 320, Height: 240})
		time.Sleep(time.Second)
		if m := any.mode(); m.Request != request {
			t.Errorf("the change is answered by %+v", m)
		}
		for name, v := range map[string]*viewer{"owner": owner, "same": same, "any": any} {
			if v.mode().Source.Width != 320 {
				t.Errorf("%s has %+v", name, v.mode())
			}
		}
		// It holds for those who looked, also when they look again.
		owner.stream.Stop()
		same.stream.Stop()
		any.stream.Stop()
		time.Sleep(time.Second)
		owner.stream.Start(small)
		time.Sleep(time.Second)
		if m := owner.mode(); m.Source.Width != 320 {
			t.Errorf("after a pause: %+v", m)
		}
	})
}

// TestControlsOfBefore: a stream reports the controls of the camera that it had in another
// viewer's session; nobody who asks for that camera is served with the one that runs now.
func TestControlsOfBefore(t *testing.T) {
	inWorld(t, func(w *world) {
		back, front := w.local(), w.local()
		back.stream.Start(capture.Want{Camera: "Back Camera"})
		time.Sleep(time.Second)
		w.sender.stream(1).out.ReportControls(transport.Controls{Camera: "Front Camera", Path: "/dev/Front Camera"})
		time.Sleep(time.Second)
		front.stream.Start(capture.Want{Camera: "/dev/Front Camera"})
		time.Sleep(time.Second)
		if got := front.mode().Camera; got != "Front Camera" {
			t.Errorf("who asked for the front camera has %q", got)
		}
	})
}

// TestChangeThatIsLacking: what the camera lacks is told to who asked, and what ran goes
// on, or is asked for again.
func TestChangeThatIsLacking(t *testing.T) {
	for fps, state := range map[float64]transport.State{7: transport.Refused, 9: transport.Failed} {
		inWorld(t, func(w *world) {
			owner, guest := w.local(), w.attach(transport.Policy{})
			time.Sleep(time.Second)
			owner.stream.Start(small)
			guest.stream.Start(capture.Want{})
			time.Sleep(time.Second)
			request := guest.stream.Start(capture.Want{FPS: fps})
			synctest.Wait()
			time.Sleep(5 * time.Second)
			found := false
			for _, s := range guest.Events().Statuses {
				found = found || s.State == state && s.Cause == transport.NoMode && s.Request == request
			}
			if !found {
				t.Errorf("%g fps: the request is answered by %+v", fps, guest.Events().Statuses)
			}
			if got := owner.mode().Source; got.Width != 640 || owner.Frames() < 170 {
				t.Errorf("%g fps: %d frames of %v came", fps, owner.Frames(), got)
			}
			late := w.attach(transport.Policy{})
			time.Sleep(time.Second)
			request = late.stream.Start(capture.Want{Camera: Running("")})
			time.Sleep(time.Second)
			if got := late.mode(); got.Request != request || got.Source.Width != 640 {
				t.Errorf("%g fps: a later viewer has %+v", fps, got)
			}
		})
	}
}

// TestSeveralCameras: another camera is another stream, and a name that means a camera
// which runs joins that, also where only the sender can tell.
func TestSeveralCameras(t *testing.T) {
	inWorld(t, func(w *world) {
		front, back, part, running := w.local(), w.attach(transport.Policy{}), w.attach(transport.Policy{}), w.attach(transport.Policy{})
		time.Sleep(time.Second)
		front.stream.Start(capture.Want{})
		back.stream.Start(capture.Want{Camera: "Back Camera", FPS: 15})
		time.Sleep(time.Second)
		part.stream.Start(capture.Want{Camera: "Front"})
		running.stream.Start(capture.Want{Camera: Running("Back Camera")})
		time.Sleep(time.Second)
		for name, c := range map[string]struct {
			*viewer
			camera string
		}{"front": {front, "Front Camera"}, "back": {back, "Back Camera"}, "part": {part, "Front Camera"}, "running": {running, "Back Camera"}} {
			if c.mode().Camera != c.camera || c.Frames() < 25 || c.status().State != transport.Running {
				t.Errorf("%s has %+v, %+v and %d frames", name, c.mode(), c.status(), c.Frames())
			}
			if controls := c.Events().Controls; controls[len(controls)-1].Camera != c.camera {
				t.Errorf("%s has the controls of %s", name, controls[len(controls)-1].Camera)
			}
		}
		if back.mode().Source.Rate.Num != 15 || front.mode().Source.Rate.Num != 30 {
			t.Errorf("modes are %+v and %+v", front.mode(), back.mode())
		}
		granted := make(chan capture.Setting, 1)
		back.stream.SetControl(capture.Setting{ID: 1, Value: 3}, func(s capture.Setting, _ error) { granted <- s })
		if s := <-granted; s.Value != 4 {
			t.Errorf("granted is %+v", s)
		}
	})
}

// TestRunningTurnsNothingOn: a viewer that only joins learns that there is nothing.
func TestRunningTurnsNothingOn(t *testing.T) {
	inWorld(t, func(w *world) {
		v := w.attach(transport.Policy{})
		time.Sleep(time.Second)
		v.stream.Start(capture.Want{Camera: Running("")})
		time.Sleep(time.Second)
		if s := v.status(); s.State != transport.Failed || !strings.Contains(s.Text, "camera is off") {
			t.Errorf("status is %+v", s)
		}
		if len(w.sender.streams) > 0 {
			if starts, _ := w.sender.stream(1).Requests(); len(starts) > 0 {
				t.Error("the camera was turned on")
			}
		}
		cameras, err := v.receiver.Cameras(w.ctx)
		if err != nil || len(cameras) != 1 {
			t.Errorf("the list is %v, %v", cameras, err)
		}
	})
}

// TestSessionsEndTogether: the sessions of a hub's clients are those of the sender. They
// come back with it.
func TestSessionsEndTogether(t *testing.T) {
	inWorld(t, func(w *world) {
		local, guest := w.local(), w.attach(transport.Policy{})
		local.stream.Start(capture.Want{})
		guest.stream.Start(capture.Want{})
		for n := 1; n <= 5; n++ {
			time.Sleep(3 * time.Second)
			for i, v := range []*viewer{local, guest} {
				if e := v.Events(); len(e.Peers) != n || len(e.Ends) != n-1 || v.Frames() < n*60 {
					t.Errorf("viewer %d: %d sessions, %d ends, %d frames after %d", i, len(e.Peers), len(e.Ends), v.Frames(), n)
				}
			}
			w.cable.Cut()
		}
	})
}

// TestTimes: a client knows when a frame was captured, on its own clock, and to the
// nanosecond how long after the one before.
func TestTimes(t *testing.T) {
	inWorld(t, func(w *world) {
		local, guest := w.local(), w.attach(transport.Policy{})
		var times [2][]time.Time
		for i, v := range []*viewer{local, guest} {
			v.Seen = func(f *capture.Frame) {
				if age := time.Since(f.At[capture.Captured]); age < 0 || age > 5*time.Millisecond {
					t.Errorf("viewer %d: frame %d is %v old", i, f.Sequence, age)
				}
				if f.At[capture.Sent].Before(f.At[capture.Captured].Add(-time.Millisecond)) {
					t.Errorf("viewer %d: frame %d was sent before it was captured", i, f.Sequence)
				}
				times[i] = append(times[i], f.Time)
			}
			v.stream.Start(capture.Want{})
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if len(times[1]) < 200 {
			t.Fatalf("%d frames came", len(times[1]))
		}
		for i, at := range times[1][1:] {
			if step := at.Sub(times[1][i]); step%(time.Second/30) != 0 {
				t.Fatalf("frame %d came %v after the one before", i, step)
			}
		}
	})
}

// TestSlowClients: of a client that pauses, one that records misses nothing, and one
// that shows gets the newest frame; others never wait.
func TestSlowClients(t *testing.T) {
	inWorld(t, func(w *world) {
		local := w.local()
		paused := make(chan bool, 2)
		pause := func(v *viewer) {
			v.cable.Capacity = 1
			v.Seen = func(f *capture.Frame) {
				if f.Sequence == 60 {
					time.Sleep(240 * time.Millisecond)
					paused <- true
				}
			}
		}
		recorder, live := w.attach(transport.Policy{Window: 64}, pause), w.attach(transport.Policy{}, pause)
		for _, v := range []*viewer{local, recorder, live} {
			v.stream.Start(capture.Want{})
		}
		time.Sleep(5 * time.Second)
		if len(paused) != 2 {
			t.Fatal("nobody paused")
		}
		local.wantAll(140)
		recorder.wantAll(140)
		if missed := live.Events().Totals.Superseded; missed < 3 || missed > 8 {
			t.Errorf("the live view misses %d frames", missed)
		}
	})
}

// TestClientThatReadsNothing: it is dropped, and delays nobody meanwhile.
func TestClientThatReadsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		local, guest := w.local(), w.attach(transport.Policy{})
		local.stream.Start(capture.Want{})
		guest.stream.Start(capture.Want{})
		time.Sleep(time.Second)
		hubEnd, client := net.Pipe()
		defer client.Close()
		begin, ended := time.Now(), make(chan time.Duration, 1)
		w.running.Go(func() {
			_ = w.hub.serveClient(w.ctx, transport.NewConn(hubEnd), &w.memory)
			ended <- time.Since(begin)
		})
		if after := <-ended; after > 3*time.Second {
			t.Errorf("it was dropped after %v", after)
		}
		time.Sleep(5 * time.Second)
		local.wantAll(200)
		guest.wantAll(200)
	})
}

// TestClientThatViolatesTheProtocol: it is dropped, and nobody else notices.
func TestClientThatViolatesTheProtocol(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "rubbish": strings.Repeat("rubbish ", 3<<19), "early": "x"} {
		inWorld(t, func(w *world) {
			local := w.local()
			local.stream.Start(capture.Want{})
			time.Sleep(time.Second)
			hubEnd, client := net.Pipe()
			ended := make(chan error, 1)
			w.running.Go(func() { ended <- w.hub.serveClient(w.ctx, transport.NewConn(hubEnd), &w.memory) })
			w.running.Go(func() { _, _ = client.Write([]byte(text)) })
			w.running.Go(func() { drain(client) })
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Errorf("%s: it is served", name)
			}
			client.Close()
			local.wantAll(20)
		})
	}
}

func drain(conn net.Conn) {
	for data := make([]byte, 4096); ; {
		if _, err := conn.Read(data); err != nil {
			return
		}
	}
}
