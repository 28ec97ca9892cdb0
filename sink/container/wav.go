package container

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/tbcam/tbcam/capture"
)

// audioFile is beside the frames of a directory.
const audioFile = "audio.wav"

// Where numbers are in the head of a WAV file, which has a size of its own.
const (
	wavChannelsAt = 22
	wavRateAt     = 24
	wavHead       = 44
)

// wav is the audio of a directory.
type wav struct {
	*file
	audio    audioTrack
	gathered []byte
}

// createWAV makes the file.
func createWAV(path string, format capture.AudioFormat, force bool) (*wav, error) {
	f, err := createFile(path, force)
	if err != nil {
		return nil, err
	}
	w := &wav{file: f, audio: audioTrack{format: format}}
	if err := f.appendParts(wavHeader(format, 0)); err != nil {
		return nil, errors.Join(err, f.discardFile())
	}
	return w, nil
}

// wavHeader returns the head of so many bytes of samples. What its numbers cannot hold,
// half a day of audio, players read up to the end of the file.
func wavHeader(format capture.AudioFormat, size int64) []byte {
	const pcm = 1
	align := format.SampleSize()
	head := append([]byte("RIFF"), le32(uint32(min(size+wavHead-chunkHead, math.MaxUint32)))...)
	head = append(head, "WAVEfmt "...)
	head = append(head, le32(16)...)
	head = append(head, le16(pcm, uint16(format.Channels))...)
	head = append(head, le32(uint32(format.Rate), uint32(format.Rate*align))...)
	head = append(head, le16(uint16(align), 8*sampleBytes)...)
	head = append(head, "data"...)
	return append(head, le32(uint32(min(size, math.MaxUint32)))...)
}

// addSamples gathers samples.
func (w *wav) addSamples(samples []byte) error {
	if len(w.gathered)+len(samples) > chunkSize {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for block := range w.audio.blocksOf(samples) {
		w.gathered = append(w.gathered, block...)
		w.audio.add(len(block))
	}
	return nil
}

// Flush writes what was gathered, and then the head: a reader never finds too large a size.
func (w *wav) Flush() error {
	if len(w.gathered) == 0 {
		return nil
	}
	if err := w.appendParts(w.gathered); err != nil {
		return err
	}
	w.gathered = w.gathered[:0]
	_, err := w.WriteAt(wavHeader(w.audio.format, w.size-wavHead), 0)
	return err
}

// repairWAV gives the audio of a directory its size, and reports whether it had another
// one. Half a sample at the end is cut off.
func repairWAV(dir string) (changed bool, err error) {
	f, err := openLocked(filepath.Join(dir, audioFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	return settleWAV(f)
}

func settleWAV(f *os.File) (changed bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	var is [wavHead]byte
	if _, err := f.ReadAt(is[:], 0); err != nil {
		return false, nil // its head was never written: there is nothing in it
	}
	format := capture.AudioFormat{
		Rate:     int(binary.LittleEndian.Uint32(is[wavRateAt:])),
		Channels: int(binary.LittleEndian.Uint16(is[wavChannelsAt:])),
	}
	if format.Check() != nil {
		return false, nil // another program's
	}
	align := int64(format.SampleSize())
	size := (info.Size() - wavHead) / align * align
	head := wavHeader(format, size)
	if string(is[:]) == string(head) && info.Size() == wavHead+size {
		return false, nil
	}
	_, err = f.WriteAt(head, 0)
	return true, cmp.Or(err, f.Truncate(wavHead+size), f.Sync())
}
