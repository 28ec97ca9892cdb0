package container

import (
	"errors"
	"io"
)

const (
	// workPerByte bounds the bytes that a repair reads, by the file's size: it
	// surveys a file twice and more, and looks into the last frames.
	workPerByte = 8
	// workAtLeast is added to that, for small files.
	workAtLeast = 64 << 20
	// maxPatches bounds the memory for what a repair has to change, in bytes.
	maxPatches = 64 << 20
	// patchCost is what each change costs beside its data.
	patchCost = 64

	pageSize = 4 << 10
)

// bounded is a storage for a survey, which may be of anybody's file. Small reads
// are served from a page. When too much was read, or once reading has failed, it
// fails for good: what follows is unknown, and not damaged.
type bounded struct {
	storage
	left int64 // bytes that may still be read
	err  error

	page [pageSize]byte
	at   int64 // of page
	n    int   // bytes in page
}

func newBounded(f storage, size int64) *bounded {
	return &bounded{storage: f, left: workPerByte*size + workAtLeast}
}

func (r *bounded) ReadAt(b []byte, at int64) (int, error) {
	if len(b) > pageSize/8 {
		return r.readCounted(b, at)
	}
	if at < r.at || at+int64(len(b)) > r.at+int64(r.n) {
		n, err := r.readCounted(r.page[:], at)
		if r.at, r.n = at, n; n < len(b) {
			return copy(b, r.page[:n]), err
		}
	}
	return copy(b, r.page[at-r.at:]), nil
}

// readCounted reads from the storage.
func (r *bounded) readCounted(b []byte, at int64) (n int, err error) {
	if r.left -= int64(len(b)); r.left < 0 && r.err == nil {
		r.err = ErrDamaged
	}
	if r.err != nil {
		return 0, r.err
	}
	if n, err = r.storage.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (r *bounded) WriteAt(b []byte, at int64) (int, error) {
	r.n = 0
	return r.storage.WriteAt(b, at)
}
