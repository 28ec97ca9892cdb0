package main

import (
	"time"

	"github.com/tbcam/tbcam/capture"
	"github.com/tbcam/tbcam/codec"
)

// chooseKind returns what to send frames of a format as that come at a rate, and why where
// --codec leaves the choice. Called while using is held.
func (f *feed) chooseKind(in capture.Format, rate capture.Rate) (kind codec.Kind, reason string, err error) {
	kind, err = codec.Choose(f.kind, in)
	if err != nil || f.kind != codec.Auto || kind != codec.JPEG {
		return kind, "", err
	}
	kind, why := f.choice.Choose(time.Now(), in, rate.FPS(), f.describeLine())
	return kind, why.String(), nil
}

// describeLine returns what the choice depends on. Who is no viewer of a stream takes
// nothing but JPEGs: plain MJPEG.
func (f *feed) describeLine() codec.Line {
	s := f.stream.Load()
	if s == nil {
		return codec.Line{WantsJPEG: true}
	}
	return codec.Line{Rate: s.LineRate(), WantsJPEG: !s.AcceptsRaw()}
}

// adaptEncoder has the frames from the next one on be what pays now, where --codec leaves
// the choice: the camera goes on, and no frame is lost. Called while using is held.
func (f *feed) adaptEncoder() {
	e := f.encoded
	kind, reason, err := f.chooseKind(e.in, e.out.Source.Rate)
	if err != nil || kind == e.kind && reason == e.out.Reason {
		return
	}
	mode := *e.out
	mode.Reason = reason
	e.out = &mode
	if kind == e.kind {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.encoded = e
		return
	}
	encoder, err := codec.NewEncoder(kind, f.quality, &f.pool)
	if err != nil {
		f.log.Warn("change the codec", "err", err)
		return
	}
	f.log.Info("codec changed", "codec", kind, "reason", reason)
	e.kind, mode.Format = kind, encoder.Format(e.in)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setEncoder(encoder, e)
}

// codecNow returns what frames are sent as, "" before the first camera, and why where
// --codec leaves the choice.
func (f *feed) codecNow() (name, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.encoder == nil {
		return "", ""
	}
	return f.encoded.kind.String(), f.encoded.out.Reason
}
