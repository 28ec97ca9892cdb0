package container

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tbcam/tbcam/capture"
)

// The chunks of an AVI file, after Microsoft's "AVI RIFF File Reference" and
// "OpenDML AVI File Format Extensions" 1.02. All numbers are little-endian.
const (
	frameID = "00dc" // of the first stream, compressed
	indexID = "ix00"
	audioID = "01wb" // of the second stream
	audioIx = "ix01"
	junkID  = "JUNK"

	chunkHead = 8  // ID, size
	listHead  = 12 // LIST, size, type
	riffHead  = 12 // RIFF, size, type

	// Where numbers are in the head.
	totalAt     = 48    // avih: frames in the first part
	largestAt   = 60    // avih: suggested buffer size
	scaleAt     = 128   // strh: seconds by
	rateAt      = 132   // strh: frames
	lengthAt    = 140   // strh: frames
	suggestedAt = 144   // strh: suggested buffer size
	entriesAt   = 224   // indx: entries in use
	superAt     = 244   // indx: its entries
	allAt       = 16648 // dmlh: frames

	// With audio its list of headers lies before that of dmlh. Where numbers are in it.
	audioAt        = allAt - chunkHead - listHead
	audioLengthAt  = audioAt + 52  // strh: samples per channel
	audioAlignAt   = audioAt + 96  // strf: bytes of a sample of all channels
	audioEntriesAt = audioAt + 112 // indx: entries in use
	audioSuperAt   = audioAt + 132 // indx: its entries
	audioListSize  = 132 + maxParts*superEntry

	maxParts   = 1024
	superEntry = 16

	keyFrames = 0x10 // of an entry in idx1
	noKey     = 1 << 31
)

// appendChunk appends a chunk, padded to an even length.
func appendChunk(b []byte, id string, parts ...[]byte) []byte {
	at := len(b)
	b = append(append(b, id...), 0, 0, 0, 0)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.LittleEndian.PutUint32(b[at+4:], uint32(len(b)-at-chunkHead))
	if len(b)%2 != at%2 {
		b = append(b, 0)
	}
	return b
}

func riffChunk(id string, parts ...[]byte) []byte { return appendChunk(nil, id, parts...) }

func riffList(kind string, parts ...[]byte) []byte {
	return riffChunk("LIST", append([][]byte{[]byte(kind)}, parts...)...)
}

// le32 returns numbers of 32 bits.
func le32(values ...uint32) []byte { return appendLE(nil, values...) }

// appendLE appends numbers of 32 bits.
func appendLE(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// le16 returns numbers of 16 bits.
func le16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// aviHead returns the beginning of a file up to its first chunk of frames. Its
// length does not depend on what comes.
func aviHead(o Options, rate capture.Rate) []byte {
	const trustedTypes = 0x800
	f := o.Format
	audio, streams := audioHeaders(o.Audio), uint32(1)
	if len(audio) > 0 {
		streams++
	}
	width, height := uint32(f.Width), uint32(f.Height)
	period := uint32(1e6 / rate.FPS())
	hdrl := riffList("hdrl",
		riffChunk("avih", le32(period, 0, 0, trustedTypes, 0, 0, streams, 0, width, height, 0, 0, 0, 0)),
		riffList("strl",
			riffChunk("strh", []byte("vidsMJPG"), le32(0, 0, 0, rate.Den, rate.Num, 0, 0, 0, 0xFFFFFFFF, 0),
				le16(0, 0, uint16(f.Width), uint16(f.Height))),
			riffChunk("strf", le32(40, width, height), le16(1, 24), []byte("MJPG"), le32(width*height*3, 0, 0, 0, 0)),
			riffChunk("indx", le16(4, 0), le32(0), []byte(frameID), make([]byte, 12+maxParts*superEntry))),
		audio,
		riffList("odml", riffChunk("dmlh", make([]byte, 248))))
	return append(riffChunk("RIFF", []byte("AVI "), hdrl, infoList(o.Tags)), riffList("movi")...)
}

// audioHeaders returns the list of headers of the audio, nothing for none.
func audioHeaders(a capture.AudioFormat) []byte {
	if a.Channels == 0 {
		return nil
	}
	const pcm = 1
	align := uint32(a.SampleSize())
	rate := uint32(a.Rate) * align
	return riffList("strl",
		riffChunk("strh", []byte("auds"), le32(0, 0, 0, 0, align, rate, 0, 0, longestBlock*align, 0xFFFFFFFF, align), le16(0, 0, 0, 0)),
		riffChunk("strf", le16(pcm, uint16(a.Channels)), le32(uint32(a.Rate), rate), le16(uint16(align), 8*sampleBytes)),
		riffChunk("indx", le16(4, 0), le32(0), []byte(audioID), make([]byte, 12+maxParts*superEntry)))
}

// hasAudio reports whether a head has the headers of audio.
func hasAudio(head []byte) bool { return string(head[audioAt+chunkHead:audioAt+listHead]) == "strl" }

// infoList returns the tags, by the names of RIFF's INFO list.
func infoList(t Tags) []byte {
	host := ""
	if t.Host != "" {
		host = "host " + t.Host
	}
	var parts [][]byte
	for _, c := range []struct{ id, text string }{
		{"ISFT", t.Program},
		{"ISRC", t.Camera},
		{"ICRD", t.Start.UTC().Format("2006-01-02 15:04:05.000")},
		{"ICMT", strings.Trim(fmt.Sprintf("%s, %s", t.Mode, host), ", ")},
	} {
		if c.text != "" {
			parts = append(parts, riffChunk(c.id, []byte(c.text), []byte{0}))
		}
	}
	return riffList("INFO", parts...)
}

// partHead returns the beginning of a part after the first one.
func partHead(p part) []byte {
	b := append([]byte("RIFF"), le32(uint32(p.riffEnd-p.riff-chunkHead))...)
	b = append(b, "AVIXLIST"...)
	b = append(b, le32(uint32(p.moviEnd-p.movi-chunkHead))...)
	return append(b, "movi"...)
}

// updateHead puts what is known of the parts and of the largest frame (bytes)
// into a head.
func updateHead(head []byte, parts []part, largest int) {
	put := func(at int64, v int64) { binary.LittleEndian.PutUint32(head[at:], uint32(v)) }
	var frames int64
	var places []superPlace
	for _, p := range parts {
		frames += p.frames
		places = append(places, superPlace{p.ix, p.ixEnd, p.frames})
	}
	first := parts[0]
	put(4, first.riffEnd-chunkHead)
	put(first.movi+4, first.moviEnd-first.movi-chunkHead)
	put(totalAt, first.frames)
	put(largestAt, int64(largest))
	put(suggestedAt, int64(largest))
	put(lengthAt, frames)
	put(entriesAt, putSuperIndex(head[superAt:], places))
	if !hasAudio(head) {
		put(allAt, frames)
		return
	}
	put(allAt+audioListSize, frames)
	var samples int64
	places = places[:0]
	for _, p := range parts {
		samples += p.samples
		places = append(places, superPlace{p.audioIx, p.audioIxEnd, p.samples})
	}
	put(audioLengthAt, samples)
	put(audioEntriesAt, putSuperIndex(head[audioSuperAt:], places))
}

// superPlace is where the index of a stream in a part is, and how long the stream is
// there.
type superPlace struct{ ix, ixEnd, length int64 }

// putSuperIndex writes an index of indexes, and returns how many there are.
func putSuperIndex(b []byte, places []superPlace) (entries int64) {
	for _, p := range places {
		if p.ix > 0 {
			at := entries * superEntry
			binary.LittleEndian.PutUint64(b[at:], uint64(p.ix))
			binary.LittleEndian.PutUint32(b[at+8:], uint32(p.ixEnd-p.ix))
			binary.LittleEndian.PutUint32(b[at+12:], uint32(p.length))
			entries++
		}
	}
	return entries
}

// indexSize returns the bytes that the indexes of a part with so many chunks need.
func indexSize(chunks int64) int64 { return chunkHead + 24 + 8*chunks + chunkHead + 16*chunks }

// standardIndex returns the index of a stream that lies in a part. Repetitions are no key
// frames: players do not seek to them.
func standardIndex(indexID, chunkID string, p part, index []entry) []byte {
	entries := make([]byte, 0, len(index)*8)
	for _, e := range index {
		size := e.size
		if size == 0 {
			size = noKey
		}
		entries = appendLE(entries, e.offset, size)
	}
	base := binary.LittleEndian.AppendUint64(nil, uint64(p.riff))
	return riffChunk(indexID, le16(2, 1<<8), le32(uint32(len(index))), []byte(chunkID), base, le32(0), entries)
}

// legacyIndex returns the index of the first part for readers that do not know
// OpenDML. Its offsets are of the chunks, from the type of the movi list.
func legacyIndex(p part, frames, audio []entry) []byte {
	entries := make([]byte, 0, (len(frames)+len(audio))*16)
	for len(frames)+len(audio) > 0 {
		id, from := frameID, &frames
		if len(frames) == 0 || len(audio) > 0 && audio[0].offset < frames[0].offset {
			id, from = audioID, &audio
		}
		e := (*from)[0]
		*from = (*from)[1:]
		flags := uint32(keyFrames)
		if e.size == 0 {
			flags = 0
		}
		entries = append(entries, id...)
		entries = appendLE(entries, flags, e.offset-uint32(p.movi)-2*chunkHead, e.size)
	}
	return riffChunk("idx1", entries)
}
