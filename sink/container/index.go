package container

// maxIndex bounds the entries of an index, and the memory for them: three days of
// one a second, after which there is one every two seconds, and so on.
const maxIndex = 1 << 18

// fragment is where a group of frames begins: in time, and in the file.
type fragment struct{ start, offset int64 }

// seekIndex is where players may seek to. Entries are at least span apart, which
// doubles whenever there would be too many of them.
type seekIndex struct {
	span    int64 // in units of the container
	entries []fragment
}

// addFragment takes a fragment, unless the one before begins less than a span earlier.
func (x *seekIndex) addFragment(f fragment) {
	if n := len(x.entries); n > 0 && f.start-x.entries[n-1].start < x.span {
		return
	}
	if len(x.entries) == maxIndex {
		x.thinOut()
		x.addFragment(f)
		return
	}
	x.entries = append(x.entries, f)
}

// thinOut removes every other entry.
func (x *seekIndex) thinOut() {
	for i := range len(x.entries) / 2 {
		x.entries[i] = x.entries[2*i]
	}
	x.entries = x.entries[:len(x.entries)/2]
	x.span *= 2
}
