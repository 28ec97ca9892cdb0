package container

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/at-wat/ebml-go"

	"github.com/tbcam/tbcam/capture"
)

// The elements of RFC 9559 that are written here, by the names ebml-go has for
// them. All times are in milliseconds (TimecodeScale) unless noted.
type (
	ebmlHeader struct {
		EBMLVersion            uint64
		EBMLReadVersion        uint64
		EBMLMaxIDLength        uint64
		EBMLMaxSizeLength      uint64
		EBMLDocType            string
		EBMLDocTypeVersion     uint64
		EBMLDocTypeReadVersion uint64
	}

	seekHead struct{ Seek []seek }
	seek     struct {
		SeekID       []byte
		SeekPosition uint64 `ebml:",size=8"` // bytes from the start of the Segment's data
	}

	info struct {
		TimecodeScale uint64 // ns
		MuxingApp     string
		WritingApp    string
		DateUTC       time.Time `ebml:",size=8"`
		Duration      float64   // the last, see durationSize
	}

	tracks     struct{ TrackEntry []trackEntry }
	trackEntry struct {
		TrackNumber uint64
		TrackUID    uint64
		TrackType   uint64
		FlagLacing  uint64
		Language    string
		CodecID     string
		Video       *video
		Audio       *audio
	}
	video struct {
		FlagInterlaced uint64
		FieldOrder     uint64 `ebml:",omitempty"`
		PixelWidth     uint64
		PixelHeight    uint64
		ColourSpace    []byte `ebml:",omitempty"` // UncompressedFourCC
		Colour         colour
	}
	colour struct {
		MatrixCoefficients uint64
		Range              uint64
	}

	audio struct {
		SamplingFrequency float64
		Channels          uint64
		BitDepth          uint64
	}

	tags struct{ Tag tag }
	tag  struct {
		Targets   targets
		SimpleTag []simpleTag
	}
	targets struct {
		TagChapterUID uint64 `ebml:",omitempty"` // 0 is the whole file
	}
	simpleTag struct {
		TagName   string
		TagString string
	}

	chapters     struct{ EditionEntry editionEntry }
	editionEntry struct{ ChapterAtom []chapterAtom }
	chapterAtom  struct {
		ChapterUID       uint64
		ChapterTimeStart uint64 // ns
		ChapterDisplay   chapterDisplay
	}
	chapterDisplay struct {
		ChapString   string
		ChapLanguage string
	}

	cues     struct{ CuePoint []cuePoint }
	cuePoint struct {
		CueTime           uint64
		CueTrackPositions cueTrackPositions
	}
	cueTrackPositions struct {
		CueTrack           uint64
		CueClusterPosition uint64 // bytes from the start of the Segment's data
	}
)

// Numbers that RFC 9559 gives a meaning.
const (
	videoTrackType = 1
	audioTrackType = 2

	// FlagInterlaced and FieldOrder. Lines of the two fields take turns in a frame,
	// which the values of "interleaved" state.
	interlaced        = 1
	progressive       = 2
	topInterleaved    = 9
	bottomInterleaved = 14

	// ITU-T H.273. Of the two codes for BT.601, BT.470BG is what JPEG decoders
	// report, so the container and the frames agree.
	matrixRGB   = 0
	matrixBT709 = 1
	matrixBT601 = 5

	rangeBroadcast = 1
	rangeFull      = 2
)

// gapTag names the tag of a chapter with what is missing before it.
const gapTag = "GAP"

// gapUID returns the UID of a gap's chapter, which must not be 0. Who sees only
// the tag of the chapter learns the time (ms) from it.
func gapUID(at int64) uint64 { return uint64(at) + 1 }

func gapTags(g gap) []byte {
	return marshalElements(&struct{ Tags tags }{tags{tag{
		Targets:   targets{gapUID(g.at)},
		SimpleTag: []simpleTag{{gapTag, g.text}},
	}}})
}

// chaptersOf returns the Chapters element, nothing without a gap.
func chaptersOf(gaps []gap) []byte {
	if len(gaps) == 0 {
		return nil
	}
	var edition editionEntry
	for _, g := range gaps {
		edition.ChapterAtom = append(edition.ChapterAtom, chapterAtom{
			ChapterUID:       gapUID(g.at),
			ChapterTimeStart: uint64(g.at) * uint64(time.Millisecond),
			ChapterDisplay:   chapterDisplay{g.text, "eng"},
		})
	}
	return marshalElements(&struct{ Chapters chapters }{chapters{edition}})
}

// trackNumber is the number of the track of frames, audioNumber that of the audio.
const (
	trackNumber = 1
	audioNumber = 2
)

func videoOf(f capture.Format, field capture.Field) video {
	v := video{
		FlagInterlaced: progressive,
		FieldOrder:     fieldOrders[field],
		PixelWidth:     uint64(f.Width),
		PixelHeight:    uint64(f.Height),
		ColourSpace:    []byte(f.Pixel.Info().Matroska),
		Colour:         colourOf(f),
	}
	if v.FieldOrder != 0 {
		v.FlagInterlaced = interlaced
	}
	return v
}

// fieldOrders holds the codes of interlaced frames, the same in Matroska and in
// QuickTime's fiel box.
var fieldOrders = map[capture.Field]uint64{capture.TopFirst: topInterleaved, capture.BottomFirst: bottomInterleaved}

func colourOf(f capture.Format) colour {
	c := colour{matrixBT601, rangeBroadcast}
	if f.Matrix == capture.BT709 {
		c.MatrixCoefficients = matrixBT709
	}
	if f.Range == capture.Full {
		c.Range = rangeFull
	}
	if f.Pixel.Info().IsRGB() {
		c = colour{matrixRGB, rangeFull}
	}
	return c
}

// codecJPEG is the CodecID of frames that are JPEGs.
const codecJPEG = "V_MJPEG"

func codecID(p capture.PixelFormat) string {
	if p.Compressed() {
		return codecJPEG
	}
	return "V_UNCOMPRESSED"
}

// tagsOf omits what is not known. DATE_RECORDED and its form are of the
// Matroska tag specification (draft-ietf-cellar-tags); the others are our own.
func tagsOf(t Tags) tags {
	var all tags
	for _, s := range []simpleTag{
		{"CAMERA", t.Camera},
		{"HOST", t.Host},
		{"MODE", t.Mode},
		{"DATE_RECORDED", t.Start.UTC().Format("2006-01-02 15:04:05.000")},
	} {
		if s.TagString != "" {
			all.Tag.SimpleTag = append(all.Tag.SimpleTag, s)
		}
	}
	return all
}

// header is everything before the first cluster, in its encoded parts. Its
// length never changes, so the end of the recording can write it once more.
type header struct{ ebml, info, tracks, tags []byte }

func newHeader(o Options) header {
	t := o.Tags
	return header{
		ebml: marshalElements(&struct{ EBML ebmlHeader }{ebmlHeader{1, 1, 4, 8, "matroska", 4, 2}}),
		info: marshalElements(&struct{ Info info }{info{
			TimecodeScale: uint64(time.Millisecond),
			MuxingApp:     "tbcam",
			WritingApp:    cmp.Or(t.Program, "tbcam"),
			DateUTC:       t.Start,
		}}),
		tracks: marshalElements(&struct{ Tracks tracks }{tracks{trackEntries(o)}}),
		tags:   marshalElements(&struct{ Tags tags }{tagsOf(t)}),
	}
}

// trackEntries describes the frames, and the audio if there is some.
func trackEntries(o Options) []trackEntry {
	v := videoOf(o.Format, o.Tags.Field)
	entries := []trackEntry{{
		TrackNumber: trackNumber, TrackUID: trackNumber, TrackType: videoTrackType,
		Language: "und", CodecID: codecID(o.Format.Pixel), Video: &v,
	}}
	if o.Audio.Channels == 0 {
		return entries
	}
	return append(entries, trackEntry{
		TrackNumber: audioNumber, TrackUID: audioNumber, TrackType: audioTrackType,
		Language: "und", CodecID: "A_PCM/INT/LIT",
		Audio: &audio{float64(o.Audio.Rate), uint64(o.Audio.Channels), 8 * sampleBytes},
	})
}

// ending is what is known only at the end; zeros leave it open.
type ending struct {
	size     int64 // bytes of the Segment's data
	cues     int64 // bytes from the start of the Segment's data to the Cues
	chapters int64 // and to the Chapters
	duration int64 // ms
}

// durationSize is the length of the Duration element: ID, size, and a float64.
const durationSize = 2 + 1 + 8

// encodeHeader returns the header, with Void elements in place of what is not known.
func (h header) encodeHeader(e ending) []byte {
	seek := h.seekHead(e)
	fixed := len(h.info) - durationSize
	info := append(bytes.Clone(h.info[:fixed]), voidOf(durationSize)...)
	if e.duration > 0 {
		copy(info[fixed:], marshalElements(&struct{ Duration float64 }{float64(e.duration)}))
	}
	return bytes.Join([][]byte{h.ebml, segmentHead(e.size), seek, info, h.tracks, h.tags}, nil)
}

// segmentStart returns where the Segment's data begins in the file.
func (h header) segmentStart() int64 { return int64(len(h.ebml) + len(segmentHead(0))) }

// seekHead returns the SeekHead, which is the first thing in the Segment. What is
// not there has no entry: a Void takes the room.
func (h header) seekHead(e ending) []byte {
	const entry = 3 + 3 + 4 + 3 + 8 // Seek, SeekID, SeekPosition
	const size = 5 + 5*entry + 2    // SeekHead with five entries, the smallest Void
	info := int64(size)
	tracks := info + int64(len(h.info))
	tags := tracks + int64(len(h.tracks))
	var s seekHead
	for _, part := range []struct {
		id ebml.ElementType
		at int64
	}{
		{ebml.ElementInfo, info},
		{ebml.ElementTracks, tracks},
		{ebml.ElementTags, tags},
		{ebml.ElementCues, e.cues},
		{ebml.ElementChapters, e.chapters},
	} {
		if part.at != 0 {
			s.Seek = append(s.Seek, seek{part.id.Bytes(), uint64(part.at)})
		}
	}
	head := marshalElements(&struct{ SeekHead seekHead }{s})
	return append(head, voidOf(size-len(head))...)
}

// segmentHead returns the ID and size of the Segment, unknown for 0.
func segmentHead(size int64) []byte {
	if size == 0 {
		size = unknownSize
	}
	return appendSize(bytes.Clone(ebml.ElementSegment.Bytes()), size)
}

// unknownSize is a size of eight bytes with all its bits set (RFC 8794, 6.2).
const unknownSize = 1<<56 - 1

// appendSize appends a size of always eight bytes.
func appendSize(b []byte, size int64) []byte {
	return binary.BigEndian.AppendUint64(b, 1<<56|uint64(size))
}

// voidOf returns a Void element of that many bytes in total, 2 to 128.
func voidOf(size int) []byte {
	v := make([]byte, size)
	v[0] = ebml.ElementVoid.Bytes()[0]
	v[1] = 0x80 | byte(size-2)
	return v
}

// marshalElements encodes elements of this file. They are fixed at compile time, so an
// error is a mistake in them.
func marshalElements(elements any) []byte {
	var b bytes.Buffer
	if err := ebml.Marshal(elements, &b); err != nil {
		panic(fmt.Sprintf("container: encoding %T: %v", elements, err))
	}
	return b.Bytes()
}
