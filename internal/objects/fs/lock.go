package fs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

const (
	temporary = ".tmp" // after the name of a lock being written
	maxLock   = 256    // bytes
)

func lockName(d objects.Digest) string { return name(d) + ".lock" }

// lockFile is a lock as it is stored: canonical JSON, until in RFC 3339 or empty.
type lockFile struct {
	Hold  bool   `json:"hold"`
	Until string `json:"until"`
}

func encodeLock(l objects.Lock) []byte {
	file := lockFile{Hold: l.Hold}
	if !l.Until.IsZero() {
		file.Until = l.Until.UTC().Format(time.RFC3339)
	}
	b, _ := json.Marshal(file) // a bool and a string: cannot fail
	return b
}

// decodeLock reads what encodeLock writes; all else is ErrDamaged.
func decodeLock(b []byte) (objects.Lock, error) {
	var file lockFile
	if err := json.Unmarshal(b, &file); err != nil {
		return objects.Lock{}, objects.ErrDamaged
	}
	l := objects.Lock{Hold: file.Hold}
	if file.Until != "" {
		until, err := time.Parse(time.RFC3339, file.Until)
		if err != nil {
			return objects.Lock{}, objects.ErrDamaged
		}
		l.Until = until.UTC()
	}
	if !bytes.Equal(encodeLock(l), b) {
		return objects.Lock{}, objects.ErrDamaged
	}
	return l, nil
}

// readLock returns an object's lock, which is none if it never had any.
func (s *Store) readLock(d objects.Digest) (objects.Lock, error) {
	_, err := s.lstat(lockName(d), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return objects.Lock{}, nil
	}
	if err != nil {
		return objects.Lock{}, err
	}
	f, err := s.root.Open(lockName(d))
	if err != nil {
		return objects.Lock{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLock+1))
	if err != nil {
		return objects.Lock{}, err
	}
	return decodeLock(b)
}

// writeLock replaces an object's lock: the old one stands until the new one is durable.
func (s *Store) writeLock(d objects.Digest, l objects.Lock) error {
	temp := lockName(d) + temporary
	if err := s.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(encodeLock(l))
	if err == nil {
		err = s.sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.root.Rename(temp, lockName(d))
	}
	if err != nil {
		s.root.Remove(temp) // best effort: the next write does it again
		return err
	}
	return s.syncDir(dirs(d)[1])
}

// Retain implements [objects.Store].
func (s *Store) Retain(ctx context.Context, d objects.Digest, until time.Time) error {
	if until.UTC().Year() > 9998 {
		return fail("retain", objects.ErrInvalid)
	}
	if up := until.Truncate(time.Second); up.Before(until) {
		until = up.Add(time.Second)
	}
	return s.relock(d, "retain", func(l *objects.Lock) error {
		if until.Before(l.Until) {
			return objects.ErrLocked
		}
		l.Until = until.UTC()
		return nil
	})
}

// Hold implements [objects.Store].
func (s *Store) Hold(ctx context.Context, d objects.Digest, on bool) error {
	return s.relock(d, "hold", func(l *objects.Lock) error {
		l.Hold = on
		return nil
	})
}

// relock changes an object's lock, one at a time.
func (s *Store) relock(d objects.Digest, op string, change func(*objects.Lock) error) error {
	s.lockMu.Lock()
	defer s.lockMu.Unlock()
	if _, err := s.object(d); err != nil {
		return fail(op, err)
	}
	lock, err := s.readLock(d)
	if err != nil {
		return fail(op, err)
	}
	if err := change(&lock); err != nil {
		return fail(op, err)
	}
	return fail(op, s.writeLock(d, lock))
}
