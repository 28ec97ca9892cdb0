package container

import (
	"cmp"
	"time"

	"github.com/tbcam/tbcam/capture"
)

// plain is a Writer: one picture after another, and nothing else.
type plain struct {
	*file
	pictures []byte // being gathered
}

func (m *plain) Write(f *capture.Frame, _ time.Duration) error {
	if len(m.pictures) > 0 && len(m.pictures)+len(f.Data) > chunkSize {
		if err := m.Flush(); err != nil {
			return err
		}
	}
	m.pictures = append(m.pictures, f.Data...)
	return nil
}

// Gap has no place to be noted.
func (m *plain) Gap(capture.Lost, string) error { return nil }

func (m *plain) Size() int64 { return m.size + int64(len(m.pictures)) }

func (m *plain) Flush() error {
	if err := m.append(m.pictures); err != nil {
		return err
	}
	m.pictures = m.pictures[:0]
	return nil
}

func (m *plain) Sync() error { return cmp.Or(m.Flush(), m.sync()) }

func (m *plain) Close() error {
	defer giveBuffer(&m.pictures)
	err := m.Flush()
	if m.size == 0 {
		return cmp.Or(err, m.discard())
	}
	return cmp.Or(err, m.sync(), m.file.Close())
}
