package sink

import (
	"log/slog"
	"sync"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// transforming is a decoder whose frames are transformed, once for all sinks.
type transforming struct {
	decoder     Decoder
	mu          sync.Mutex // held while transformer works
	transformer *codec.Transformer
	log         *slog.Logger
	warned      string // of the last frame's crop
}

// Transforming returns a decoder that applies a transform to what d decodes. It
// owns both. It warns once of a crop that does not fit; a nil log discards.
func Transforming(d Decoder, t *codec.Transformer, log *slog.Logger) Decoder {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &transforming{decoder: d, transformer: t, log: log}
}

func (d *transforming) Decode(f *capture.Frame) (*capture.Frame, error) {
	raw, err := d.decoder.Decode(f)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.warnOnce(d.transformer.Check(raw.Format))
	return d.transformer.Apply(raw)
}

func (d *transforming) warnOnce(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != d.warned {
		d.log.Warn(text)
	}
	d.warned = text
}

func (d *transforming) Close() {
	d.decoder.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.transformer.Close()
}
