package record

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Errors of New about the file that is to be recorded.
var (
	// ErrExist is returned for a file that exists, without Options.Force.
	ErrExist = fmt.Errorf("%w", fs.ErrExist)
	// ErrSymlink is returned for a link: what it leads to is never overwritten.
	ErrSymlink = errors.New("symbolic links are not overwritten")
	// ErrDirectory is returned for a directory whose path does not end in a slash.
	ErrDirectory = fmt.Errorf("%w", syscall.EISDIR)
	// ErrNotFile is returned for what is neither a file nor a directory.
	ErrNotFile = errors.New("not a file")
)

// ErrFormatChanged is returned by Write where a stream cannot follow: the frames
// have another format than the first one.
var ErrFormatChanged = errors.New("the format of the frames has changed, which a stream cannot follow")

// ErrBufferFull is logged when frames are dropped, since the disk is too slow for
// Options.Buffer.
var ErrBufferFull = errors.New("no memory left for frames")

// ErrNotFinalized is logged for a file that could not get its index. It plays, and
// container.Repair adds the index.
var ErrNotFinalized = errors.New("recording was not finalized")

// notFinalized is the cause of an ErrNotFinalized, and has its text.
type notFinalized struct{ error }

func (e notFinalized) Unwrap() []error { return []error{e.error, ErrNotFinalized} }
