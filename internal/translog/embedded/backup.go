package embedded

import (
	"errors"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Frozen is the log as it was at one moment. While it is open the log goes on, but its file cannot grow beyond what is mapped into
// memory (a gigabyte, then doubling): an append that has to waits.
type Frozen struct{ tx *bolt.Tx }

// Freeze holds on to this moment.
func (l *Log) Freeze() (*Frozen, error) {
	tx, err := l.storage.store.begin(false)
	if err != nil {
		return nil, err
	}
	return &Frozen{tx}, nil
}

// Write makes a log in the file path, which must not exist (fs.ErrExist). It is durable, but for its name, when it returns nil.
func (f *Frozen) Write(path string) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return pathless(err)
	}
	_, err = f.tx.WriteTo(out)
	return pathless(errors.Join(err, out.Sync(), out.Close()))
}

// Close lets go of the moment. It may be called again.
func (f *Frozen) Close() error {
	if err := f.tx.Rollback(); !errors.Is(err, berrors.ErrTxClosed) {
		return err
	}
	return nil
}

// pathless drops the path from an error of the file system.
func pathless(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
