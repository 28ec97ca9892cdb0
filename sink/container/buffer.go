package container

import "sync"

// spare is a buffer in which a recording gathered frames that has ended, for the
// next one: segment after segment takes no more memory than one.
var spare struct {
	sync.Mutex
	buffer []byte
}

// Reserve makes a buffer of that many bytes for the next recording, and has the
// kernel give its memory now.
func Reserve(bytes int) {
	b := make([]byte, bytes)
	clear(b)
	b = b[:0]
	giveBuffer(&b)
}

func takeBuffer() []byte {
	spare.Lock()
	defer spare.Unlock()
	b := spare.buffer
	spare.buffer = nil
	return b
}

// giveBuffer takes the buffer over, unless it still holds what could not be
// written. None is left, so that a second Close gives nothing.
func giveBuffer(b *[]byte) {
	spare.Lock()
	defer spare.Unlock()
	if len(*b) == 0 && cap(*b) > cap(spare.buffer) {
		spare.buffer, *b = *b, nil
	}
}
