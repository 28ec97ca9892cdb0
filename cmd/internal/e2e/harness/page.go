package harness

import (
	"encoding/json"
	"fmt"
	"image"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/tbcam/tbcam/capture/pattern"
)

// pageText shows the camera and sends the code in its frames: 16 x 6 cells, black and
// white, in the top quarter. A browser that has just started may not know the camera
// yet. Once it is open, it is not opened again: a track that ends is an error.
const pageText = `<!DOCTYPE html><video id=v autoplay muted playsinline></video><canvas id=c></canvas><script>
const post = (path, what) => fetch(path, {method: 'POST', body: JSON.stringify(what)});
const pause = ms => new Promise(done => setTimeout(done, ms));
async function open(attempts) {
	for (;; await pause(500)) {
		try {
			return await navigator.mediaDevices.getUserMedia({video: true});
		} catch (error) {
			if (error.name != 'NotFoundError' || --attempts == 0) throw error;
		}
	}
}
async function run() {
	const stream = await open(20);
	const track = stream.getVideoTracks()[0];
	track.onended = () => post('/error', 'ended');
	v.srcObject = stream;
	await v.play();
	const context = c.getContext('2d', {willReadFrequently: true});
	for (;; await pause(200)) {
		// A canvas that gets a size is allocated again, which costs an emulated machine much.
		if (c.width != v.videoWidth) c.width = v.videoWidth;
		if (c.height != v.videoHeight) c.height = v.videoHeight;
		context.drawImage(v, 0, 0);
		let code = '';
		for (let i = 0; i < 96; i++) {
			const x = (i % 16 + 0.5) * c.width / 16, y = (Math.floor(i / 16) + 0.5) * c.height / 24;
			code += context.getImageData(x, y, 1, 1).data[1] < 128 ? '0' : '1';
		}
		await post('/frame', {label: track.label, width: c.width, height: c.height, code: code});
	}
}
run().catch(error => post('/error', String(error)));
</script>`

// soundText listens to the default microphone, and sends the loudest frequency that it hears. It
// asks for the sound as it is: filters against echo and noise would take a tone for noise.
const soundText = `<!DOCTYPE html><script>
const post = (path, what) => fetch(path, {method: 'POST', body: JSON.stringify(what)});
const pause = ms => new Promise(done => setTimeout(done, ms));
async function run() {
	const wanted = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
	const stream = await navigator.mediaDevices.getUserMedia({audio: wanted});
	const track = stream.getAudioTracks()[0];
	track.onended = () => post('/error', 'ended');
	const context = new AudioContext(), analyser = context.createAnalyser();
	analyser.fftSize = 8192;
	analyser.smoothingTimeConstant = 0;
	context.createMediaStreamSource(stream).connect(analyser);
	await context.resume();
	const levels = new Float32Array(analyser.frequencyBinCount), bin = context.sampleRate / analyser.fftSize;
	for (;; await pause(50)) {
		analyser.getFloatFrequencyData(levels);
		const loudest = levels.indexOf(Math.max(...levels));
		await post('/sound', {label: track.label, hertz: loudest * bin, bin: bin, level: Math.max(levels[loudest], -200)});
	}
}
run().catch(error => post('/error', String(error)));
</script>`

// PageSound is what a page heard in a moment.
type PageSound struct {
	Label      string  // of the microphone
	Hertz, Bin float64 // of what was loudest, and how well that is known
	Level      float64 // of it, in dB
}

// PageFrame is a frame that a page saw.
type PageFrame struct {
	Label         string // of the camera
	Width, Height int
	Code          string
}

// Stamp reads the code in the frame.
func (f PageFrame) Stamp() (pattern.Stamp, error) {
	return pattern.ReadLuma(image.Rect(0, 0, 16, 24), func(x, y int) byte {
		if at := 16*y + x; at < len(f.Code) && f.Code[at] == '1' {
			return 255
		}
		return 0
	})
}

// Page is a web page on which a browser shows the camera, or listens to the microphone. It
// reports what it sees and hears.
type Page struct {
	URL    string
	server *httptest.Server

	mu     sync.Mutex
	frames []PageFrame
	sounds []PageSound
	failed string // why the page has no camera or microphone, or no more
}

// ServePage serves a page that shows the camera until the test ends.
func ServePage(t *testing.T) *Page { t.Helper(); return servePage(t, pageText) }

// ServeSoundPage serves a page that listens to the microphone until the test ends.
func ServeSoundPage(t *testing.T) *Page { t.Helper(); return servePage(t, soundText) }

func servePage(t *testing.T, text string) *Page {
	t.Helper()
	p := &Page{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, text)
	})
	mux.HandleFunc("POST /frame", func(_ http.ResponseWriter, r *http.Request) {
		var f PageFrame
		p.note(r.Body, &f, func() { p.frames = append(p.frames, f) })
	})
	mux.HandleFunc("POST /sound", func(_ http.ResponseWriter, r *http.Request) {
		var s PageSound
		p.note(r.Body, &s, func() { p.sounds = append(p.sounds, s) })
	})
	mux.HandleFunc("POST /error", func(_ http.ResponseWriter, r *http.Request) {
		var text string
		p.note(r.Body, &text, func() { p.failed = text })
	})
	p.server = httptest.NewServer(mux)
	p.URL = p.server.URL
	t.Cleanup(p.server.Close)
	return p
}

// note decodes what the page sent and keeps it.
func (p *Page) note(body io.Reader, to any, keep func()) {
	if err := json.NewDecoder(body).Decode(to); err != nil {
		return // the browser was ended while it sent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	keep()
}

// Take returns the frames since the last call, and why there are no more, if so.
func (p *Page) Take() (frames []PageFrame, failed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	frames, p.frames = p.frames, nil
	return frames, p.failed
}

// TakeSounds returns what was heard since the last call, and why no more is, if so.
func (p *Page) TakeSounds() (sounds []PageSound, failed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sounds, p.sounds = p.sounds, nil
	return sounds, p.failed
}
