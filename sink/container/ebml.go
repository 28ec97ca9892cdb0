package container

import (
	"io"
	"math/bits"

	"github.com/at-wat/ebml-go"
)

// element is what an EBML element begins with (RFC 8794, 4 to 6).
type element struct {
	id   uint32 // with its marker
	size int64  // of the content; unknownSize is larger than any file
	head int64  // bytes before the content
}

// Identifiers as element has them.
var (
	idEBML        = idOf(ebml.ElementEBML)
	idSegment     = idOf(ebml.ElementSegment)
	idSeekHead    = idOf(ebml.ElementSeekHead)
	idVoid        = idOf(ebml.ElementVoid)
	idInfo        = idOf(ebml.ElementInfo)
	idTracks      = idOf(ebml.ElementTracks)
	idTrack       = idOf(ebml.ElementTrackEntry)
	idCodec       = idOf(ebml.ElementCodecID)
	idAudio       = idOf(ebml.ElementAudio)
	idChannels    = idOf(ebml.ElementChannels)
	idTags        = idOf(ebml.ElementTags)
	idTag         = idOf(ebml.ElementTag)
	idTargets     = idOf(ebml.ElementTargets)
	idChapterUID  = idOf(ebml.ElementTagChapterUID)
	idSimpleTag   = idOf(ebml.ElementSimpleTag)
	idTagString   = idOf(ebml.ElementTagString)
	idCluster     = idOf(ebml.ElementCluster)
	idTimecode    = idOf(ebml.ElementTimecode)
	idSimpleBlock = idOf(ebml.ElementSimpleBlock)
	idChapters    = idOf(ebml.ElementChapters)
	idCues        = idOf(ebml.ElementCues)
	idDuration    = idOf(ebml.ElementDuration)
)

func idOf(e ebml.ElementType) uint32 { return uint32(bigEndian(e.Bytes())) }

// bigEndian returns the number in up to eight bytes.
func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// parseElement reads the beginning of an element.
func parseElement(b []byte) (e element, ok bool) {
	idEnd := vintLength(b)
	if idEnd > 4 || idEnd >= len(b) {
		return element{}, false
	}
	end := idEnd + vintLength(b[idEnd:])
	if end > min(idEnd+8, len(b)) {
		return element{}, false
	}
	size := bigEndian(b[idEnd:end])
	size &^= 1 << (7 * (end - idEnd)) // the marker
	return element{uint32(bigEndian(b[:idEnd])), int64(size), int64(end)}, true
}

// vintLength returns the length of a number that begins so, more than 8 for none.
func vintLength(b []byte) int {
	if len(b) == 0 {
		return 9
	}
	return bits.LeadingZeros8(b[0]) + 1
}

// elementAt reads the beginning of an element before end, if there is one.
func elementAt(f io.ReaderAt, at, end int64) (e element, ok bool) {
	var b [12]byte
	n, _ := f.ReadAt(b[:max(min(12, end-at), 0)], at)
	return parseElement(b[:n])
}

// findElement returns the content of the element at a path inside b, nil for none.
func findElement(b []byte, path ...uint32) []byte {
	for {
		e, ok := parseElement(b)
		if !ok || e.size > int64(len(b))-e.head {
			return nil
		}
		content := b[e.head : e.head+e.size]
		if e.id == path[0] {
			if len(path) == 1 {
				return content
			}
			return findElement(content, path[1:]...)
		}
		b = b[e.head+e.size:]
	}
}
