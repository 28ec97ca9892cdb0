package container

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// The boxes of ISO/IEC 14496-12 that are written here. Times are in microseconds.
const timescale = 1_000_000

// makeBox returns a box of parts, which are its fields and further boxes.
func makeBox(name string, parts ...[]byte) []byte {
	b := append(make([]byte, 4, 64), name...)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// u16, u32 and u64 return fields of that many bits each.
func u16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func u64(values ...uint64) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// versionAndFlags returns version and flags, with which the fields of many boxes begin.
func versionAndFlags(version byte, flags uint32) []byte { return u32(uint32(version)<<24 | flags) }

// identity is the matrix that leaves frames as they are.
var identity = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

// mp4Head returns the file's beginning. Its length never changes: what is known
// only at the end has its room, see finishHead.
func mp4Head(o Options) []byte {
	created := uint64(max(o.Tags.Start.Sub(epoch1904)/time.Second, 0))
	f := o.Format
	next := uint32(trackNumber + 1)
	extends := makeBox("trex", versionAndFlags(0, 0), u32(trackNumber, 1, 0, 0, keyFrame))
	var audio []byte
	if a := o.Audio; a.Channels > 0 {
		next = audioNumber + 1
		extends = append(extends, makeBox("trex", versionAndFlags(0, 0), u32(audioNumber, 1, 0, 0, keyFrame))...)
		audio = trackBox(created, mp4Track{
			number: audioNumber, volume: 0x100, timescale: uint32(a.Rate), handler: "soun", name: "audio\x00",
			media: makeBox("smhd", versionAndFlags(0, 0), u32(0)), entry: audioEntry(a),
		})
	}
	moov := makeBox("moov",
		makeBox("mvhd", versionAndFlags(1, 0), u64(created, created), u32(timescale), u64(0),
			u32(0x10000), u16(0x100), make([]byte, 10), identity, make([]byte, 24), u32(next)),
		trackBox(created, mp4Track{
			number: trackNumber, width: uint32(f.Width), height: uint32(f.Height), timescale: timescale, handler: "vide", name: "video\x00",
			media: makeBox("vmhd", versionAndFlags(0, 1), make([]byte, 8)), entry: sampleEntry(f, o.Tags.Field),
		}),
		audio,
		makeBox("mvex", freeBox(extendsSize), extends),
		makeBox("udta", metadataBox(o.Tags), freeBox(chaptersSize)))
	return append(makeBox("ftyp", []byte("iso5"), u32(0x200), []byte("iso5iso6mp41")), moov...)
}

// mp4Track is what tracks differ in.
type mp4Track struct {
	number        uint32
	volume        uint16 // 8.8, of audio
	width, height uint32 // pixels, of video
	timescale     uint32
	handler, name string
	media         []byte // media header
	entry         []byte // sample entry
}

// trackBox returns the trak box of a track.
func trackBox(created uint64, t mp4Track) []byte {
	return makeBox("trak",
		makeBox("tkhd", versionAndFlags(1, 3), u64(created, created), u32(t.number, 0), u64(0), // enabled, in the movie
			make([]byte, 12), u16(t.volume, 0), identity, u32(t.width<<16, t.height<<16)),
		makeBox("mdia",
			makeBox("mdhd", versionAndFlags(1, 0), u64(created, created), u32(t.timescale), u64(0), u16(undetermined, 0)),
			makeBox("hdlr", versionAndFlags(0, 0), u32(0), []byte(t.handler), make([]byte, 12), []byte(t.name)),
			makeBox("minf",
				t.media,
				makeBox("dinf", makeBox("dref", versionAndFlags(0, 0), u32(1), makeBox("url ", versionAndFlags(0, 1)))), // in this file
				makeBox("stbl",
					makeBox("stsd", versionAndFlags(0, 0), u32(1), t.entry),
					makeBox("stts", versionAndFlags(0, 0), u32(0)),
					makeBox("stsc", versionAndFlags(0, 0), u32(0)),
					makeBox("stsz", versionAndFlags(0, 0), u32(0, 0)),
					makeBox("stco", versionAndFlags(0, 0), u32(0))))))
}

// audioEntry describes the audio (FLAC in ISOBMFF: https://github.com/xiph/flac,
// doc/isoflac.txt).
func audioEntry(a capture.AudioFormat) []byte {
	const lastInfo = 0x80000000 // the only metadata block, of type 0
	info := streamInfo(a)
	return makeBox("fLaC", make([]byte, 6), u16(1), make([]byte, 8),
		u16(uint16(a.Channels), 8*sampleBytes), u32(0, uint32(a.Rate)<<16),
		makeBox("dfLa", versionAndFlags(0, 0), u32(lastInfo|uint32(len(info))), info))
}

const (
	undetermined = 0x55C4     // the language "und"
	keyFrame     = 0x02000000 // a sample that depends on no other

	extendsSize  = 20      // of the mehd box
	chaptersSize = 8 << 10 // of the chpl box
)

// epoch1904 is where these files' dates begin.
var epoch1904 = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)

// sampleEntry describes the frames as the object type of JPEG (ISO/IEC 14496-1,
// table 5), as FFmpeg does in MP4.
func sampleEntry(f capture.Format, field capture.Field) []byte {
	c := colourOf(f)
	var fiel []byte // QuickTime File Format, "Field handling"
	if order := fieldOrders[field]; order != 0 {
		fiel = makeBox("fiel", []byte{2, byte(order)})
	}
	const unspecified = 2
	return makeBox("mp4v", make([]byte, 6), u16(1), make([]byte, 16),
		u16(uint16(f.Width), uint16(f.Height)), u32(72<<16, 72<<16, 0), u16(1), make([]byte, 32), u16(24, 0xFFFF),
		makeBox("esds", versionAndFlags(0, 0), esDescriptor),
		makeBox("colr", []byte("nclx"), u16(unspecified, unspecified, uint16(c.MatrixCoefficients)), []byte{byte(c.Range-rangeBroadcast) << 7}),
		fiel)
}

// esDescriptor holds an ES_Descriptor (3) with a DecoderConfigDescriptor (4) for
// JPEG (0x6C) as video (0x11), and an SLConfigDescriptor (6) for MP4.
var esDescriptor = []byte{
	3, 21, 0, trackNumber, 0,
	4, 13, 0x6C, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	6, 1, 2,
}

// metadataBox returns tags as a list of keys and values (QuickTime File Format,
// "Metadata"), which FFmpeg knows inside udta, too.
func metadataBox(t Tags) []byte {
	keys, values := []byte{}, []byte{}
	n := uint32(0)
	for _, s := range tagsOf(t).Tag.SimpleTag {
		n++
		keys = append(keys, makeBox("mdta", []byte(s.TagName))...)
		value := makeBox("data", u32(1, 0), []byte(s.TagString)) // UTF-8
		values = append(values, makeBox(string(u32(n)), value)...)
	}
	return makeBox("meta", versionAndFlags(0, 0),
		makeBox("hdlr", versionAndFlags(0, 0), u32(0), []byte("mdta"), make([]byte, 13)),
		makeBox("keys", versionAndFlags(0, 0), u32(n), keys),
		makeBox("ilst", values))
}

// freeBox returns a free box of that many bytes, 8 at least.
func freeBox(size int) []byte { return makeBox("free", make([]byte, size-8)) }

// movieFragment returns the moof box of samples whose mdat box follows. The last
// sampleSize bytes are the last sample's.
func movieFragment(track, number uint32, start int64, samples []sample) []byte {
	run := make([]byte, 0, len(samples)*sampleSize)
	for _, s := range samples {
		run = append(run, u32(s.duration, s.size)...)
	}
	moof := func(data int) []byte {
		return makeBox("moof",
			makeBox("mfhd", versionAndFlags(0, 0), u32(number)),
			makeBox("traf",
				makeBox("tfhd", versionAndFlags(0, 0x20000), u32(track)), // offsets are from moof
				makeBox("tfdt", versionAndFlags(1, 0), u64(uint64(start))),
				makeBox("trun", versionAndFlags(0, trunFields), u32(uint32(len(samples)), uint32(data)), run)))
	}
	return moof(len(moof(0)) + 8)
}

const (
	trunFields = 0x301 // data offset, each sample's duration and size
	sampleSize = 8
)

// eventMessage returns a gap as an emsg box.
func eventMessage(g gap, id int) []byte {
	return makeBox("emsg", versionAndFlags(1, 0), u32(timescale), u64(uint64(g.at)), u32(0, uint32(id)), []byte(gapScheme), []byte(g.text))
}

// gapScheme is the scheme's URI and an empty value, with their ends.
const gapScheme = "urn:tbcam:gap\x00\x00"

// randomAccess returns the index, an mfra box.
func randomAccess(index []fragment) []byte {
	var entries bytes.Buffer
	for _, f := range index {
		entries.Write(u64(uint64(f.start), uint64(f.offset)))
		entries.Write([]byte{1, 1, 1}) // first traf, trun and sample
	}
	tfra := makeBox("tfra", versionAndFlags(1, 0), u32(trackNumber, 0, uint32(len(index))), entries.Bytes())
	size := uint32(8 + len(tfra) + 16)
	return makeBox("mfra", tfra, makeBox("mfro", versionAndFlags(0, 0), u32(size)))
}

// finishHead puts the duration of the frames (µs) and of the audio (samples), and
// chapters, into a head.
func finishHead(head []byte, video, samples int64, gaps []gap) {
	audio := capture.AudioDuration(samples).Microseconds()
	d := u64(uint64(max(video, audio)))
	copy(findBox(head, "moov", "mvhd")[24:], d)
	for _, t := range []struct {
		trak            []byte
		duration, media int64
	}{
		{findBox(head, "moov", "trak"), video, video},
		{audioTrak(head), audio, samples},
	} {
		if t.trak != nil {
			copy(findBox(t.trak, "tkhd")[28:], u64(uint64(t.duration)))
			copy(findBox(t.trak, "mdia", "mdhd")[24:], u64(uint64(t.media)))
		}
	}
	copy(findBox(head, "moov", "mvex"), makeBox("mehd", versionAndFlags(1, 0), d))
	if room := chapterRoom(head); len(gaps) > 0 {
		copy(room, chapterList(gaps, len(room)))
	}
}

// chapterRoom returns the end of a head, which is for the chapters.
func chapterRoom(head []byte) []byte { return head[max(len(head)-chaptersSize, 0):] }

// chapterList returns as many chapters as room has bytes for, in a box that
// FFmpeg and others take from Nero's files: times are in 100 ns.
func chapterList(gaps []gap, room int) []byte {
	const fixed = 8 + 4 + 4 + 1
	const end = 8 // of a free box
	var list []byte
	n := 0
	for _, g := range gaps {
		title := g.text[:min(len(g.text), math.MaxUint8)]
		if n == math.MaxUint8 || fixed+len(list)+8+1+len(title)+end > room {
			break
		}
		n++
		list = append(list, u64(uint64(g.at)*10)...)
		list = append(list, byte(len(title)))
		list = append(list, title...)
	}
	chpl := makeBox("chpl", versionAndFlags(1, 0), u32(0), []byte{byte(n)}, list)
	return append(chpl, freeBox(room-len(chpl))...)
}

// audioTrak returns the content of the trak box of the audio, nil where there is none.
func audioTrak(head []byte) []byte {
	moov, video := findBox(head, "moov"), findBox(head, "moov", "trak")
	if video == nil {
		return nil
	}
	// video is a slice of moov, so the difference of their capacities is its offset.
	return findBox(moov[cap(moov)-cap(video)+len(video):], "trak")
}

// findBox returns the content of the box at a path, nil where there is none.
func findBox(boxes []byte, path ...string) []byte {
	for len(boxes) >= 8 {
		size := binary.BigEndian.Uint32(boxes)
		if size < 8 || uint64(size) > uint64(len(boxes)) {
			return nil
		}
		if string(boxes[4:8]) == path[0] {
			if len(path) == 1 {
				return boxes[8:size]
			}
			return findBox(boxes[8:size], path[1:]...)
		}
		boxes = boxes[size:]
	}
	return nil
}
