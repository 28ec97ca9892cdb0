package container

import (
	"cmp"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// plain is a Writer: one frame after another, and nothing else.
type plain struct {
	*file
	gathered []byte // being gathered
}

func (m *plain) Write(f *capture.Frame, _ time.Duration) error {
	if len(m.gathered) > 0 && len(m.gathered)+len(f.Data) > chunkSize {
		if err := m.Flush(); err != nil {
			return err
		}
	}
	m.gathered = append(m.gathered, f.Data...)
	return nil
}

// WriteAudio returns ErrNoAudio: Create has refused audio.
func (m *plain) WriteAudio([]byte) error { return ErrNoAudio }

// Gap has no place to be noted.
func (m *plain) Gap(capture.Lost, string) error { return nil }

func (m *plain) Size() int64 { return m.size + int64(len(m.gathered)) }

func (m *plain) Flush() error {
	if err := m.appendParts(m.gathered); err != nil {
		return err
	}
	m.gathered = m.gathered[:0]
	return nil
}

func (m *plain) Sync() error { return cmp.Or(m.Flush(), m.syncWithName()) }

func (m *plain) Close() error {
	defer giveBuffer(&m.gathered)
	err := m.Flush()
	if m.size == 0 {
		return cmp.Or(err, m.discardFile())
	}
	return cmp.Or(err, m.syncWithName(), m.file.Close())
}
