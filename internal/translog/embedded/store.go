package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"strongroom.example/strongroom/internal/translog"
)

// The file's top-level buckets.
var (
	bucketFormat = []byte("format") // one key: formatName
	bucketTrees  = []byte("trees")  // tree id → trillian.Tree
	bucketLogs   = []byte("logs")   // tree id → the log's buckets, see logTX
)

// formatName names the layout. A file that lacks it is not ours.
var formatName = []byte("strongroom trillian log 1")

// initialMmap keeps bbolt from remapping a file below 1 GiB. A commit that
// remaps waits for every open snapshot.
const initialMmap = 1 << 30

// lockWait is how long opening waits for another process to let go of the file.
const lockWait = time.Second

// ErrLocked means that another process has the log open.
var ErrLocked = errors.New("embedded: log is in use by another process")

// ErrWrite means that the file took no write, most often because the disk is
// full. The file holds either all of the request or nothing; repeating it is safe.
var ErrWrite = errors.New("embedded: log file cannot be written")

// store is the bbolt file: snapshots, and one writer at a time.
type store struct {
	path string

	writer sync.Mutex // held for a whole update

	mu     sync.RWMutex // guards the fields below
	db     *bolt.DB     // nil while the file could not be reopened
	closed bool
}

// openStore opens the file. Where create is set it must not exist, else it must.
func openStore(path string, create bool) (*store, error) {
	s := &store{path: path}
	var err error
	if s.db, err = openFile(path, create); err != nil {
		return nil, err
	}
	if create {
		err = s.update(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{bucketFormat, bucketTrees, bucketLogs} {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketFormat).Put(formatName, formatName)
		})
	} else {
		err = s.view(checkFormat)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func openFile(path string, create bool) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         lockWait,
		InitialMmapSize: initialMmap,
		FreelistType:    bolt.FreelistMapType,
		OpenFile: func(name string, flag int, perm fs.FileMode) (*os.File, error) {
			if create {
				return os.OpenFile(name, flag|os.O_EXCL, perm)
			}
			if err := checkWhole(name); err != nil { // bbolt would make an empty file a new log, and die of a shorter one
				return nil, err
			}
			return os.OpenFile(name, flag&^os.O_CREATE, perm)
		},
	})
	var missing *fs.PathError
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrLocked
	case errors.As(err, &missing):
		return nil, fmt.Errorf("embedded: open log: %w", missing.Err)
	default:
		return nil, fmt.Errorf("%w: %w", translog.ErrCorrupt, err)
	}
}

// checkFormat refuses foreign files, and cut-off ones: a page beyond the
// file's end would fault in the memory map.
func checkFormat(tx *bolt.Tx) error {
	info, err := os.Stat(tx.DB().Path())
	if err != nil {
		return fmt.Errorf("embedded: open log: %w", err)
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: file is cut off", translog.ErrCorrupt)
	}
	if b := tx.Bucket(bucketFormat); b == nil || !bytes.Equal(b.Get(formatName), formatName) {
		return fmt.Errorf("%w: not a log of this format", translog.ErrCorrupt)
	}
	return nil
}

// begin starts a snapshot or the writing transaction.
func (s *store) begin(writable bool) (*bolt.Tx, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return nil, translog.ErrClosed
	case s.db == nil:
		return nil, ErrWrite
	}
	return s.db.Begin(writable)
}

// view runs f on a snapshot.
func (s *store) view(f func(*bolt.Tx) error) error {
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(tx)
}

// update runs f and makes its writes durable, all of them or, where f or the
// commit fails, none. The goroutine must not hold a snapshot.
func (s *store) update(f func(*bolt.Tx) error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	if !s.usable() {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	tx, err := s.begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	// Commit point: once this returns nil the writes survive a crash.
	if err := tx.Commit(); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrWrite, err), s.reopen())
	}
	return nil
}

// reopen replaces the open file after a failed commit. bbolt cannot know then
// which of its two meta pages reached the disk: only a fresh look at the file
// can tell. Should this fail too, the next update tries again.
func (s *store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		s.db.Close()
	}
	var err error
	s.db, err = openFile(s.path, false)
	return err
}

// usable is false only after a failed reopen.
func (s *store) usable() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.db != nil || s.closed
}

func (s *store) close() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.db == nil {
		s.closed = true
		return nil
	}
	s.closed = true
	return s.db.Close()
}

// table is a bucket whose entries carry a CRC-32C over key and value, so that
// a bit flipped on disk becomes ErrCorrupt instead of a wrong answer. It is no
// defence against forgery; the signed checkpoint is.
type table struct{ *bolt.Bucket }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func (t table) put(key, value []byte) error {
	sealed := make([]byte, 0, len(value)+4)
	sealed = append(sealed, value...)
	return t.Put(key, binary.BigEndian.AppendUint32(sealed, checksum(key, value)))
}

// get returns the value, valid until the transaction ends; nil if there is none.
func (t table) get(key []byte) ([]byte, error) {
	sealed := t.Get(key)
	if sealed == nil {
		return nil, nil
	}
	return unseal(key, sealed)
}

func unseal(key, sealed []byte) ([]byte, error) {
	n := len(sealed) - 4
	if n < 0 || checksum(key, sealed[:n]) != binary.BigEndian.Uint32(sealed[n:]) {
		return nil, fmt.Errorf("%w: checksum", translog.ErrCorrupt)
	}
	return sealed[:n:n], nil
}

// key returns numbers as a key that sorts like them.
func key(numbers ...int64) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// number reads the i-th number of a key.
func number(b []byte, i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
