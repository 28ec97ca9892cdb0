package container

import "sync"

// buffers are those in which recordings gathered pictures that have ended, for
// the next one: segment after segment takes no more memory than one.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func takeBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

// giveBuffer takes the buffer over, unless it still holds what could not be
// written. None is left, so that a second Close gives nothing.
func giveBuffer(b *[]byte) {
	if len(*b) > 0 || cap(*b) == 0 {
		return
	}
	empty := *b
	buffers.Put(&empty)
	*b = nil
}
