package fs

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// name is where an object lies; dirs are the folders on the way there, outermost first.
func name(d objects.Digest) string {
	h := d.String()
	return h[:2] + "/" + h[2:4] + "/" + h
}

func dirs(d objects.Digest) [2]string {
	h := d.String()
	return [2]string{h[:2], h[:2] + "/" + h[2:4]}
}

func (s *Store) makePath(d objects.Digest) error {
	for _, dir := range dirs(d) {
		if err := s.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if _, err := s.lstat(dir, fs.ModeDir); err != nil {
			return err
		}
	}
	return nil
}

// syncPath makes an object's name durable, whoever made it and the folders on its way.
func (s *Store) syncPath(d objects.Digest) error {
	dirs := dirs(d)
	return errors.Join(s.syncDir(dirs[1]), s.syncDir(dirs[0]), s.syncDir("."))
}

// object describes an object's file, having looked at every step of the way.
func (s *Store) object(d objects.Digest) (fs.FileInfo, error) {
	for _, dir := range dirs(d) {
		if _, err := s.lstat(dir, fs.ModeDir); err != nil {
			return nil, err
		}
	}
	return s.lstat(name(d), 0)
}

func (s *Store) open(d objects.Digest) (*object, error) {
	fi, err := s.object(d)
	if err != nil {
		return nil, err
	}
	f, err := s.root.Open(name(d))
	if err != nil {
		return nil, err
	}
	return &object{f, fi.Size()}, nil
}

type object struct {
	file *os.File
	size int64
}

func (o *object) Size() int64 { return o.size }

func (o *object) Read(p []byte) (int, error) { return o.file.Read(p) }

func (o *object) ReadAt(p []byte, off int64) (int, error) { return o.file.ReadAt(p, off) }

func (o *object) Seek(offset int64, whence int) (int64, error) { return o.file.Seek(offset, whence) }

func (o *object) Close() error { return o.file.Close() }

// Open implements [objects.Store].
func (s *Store) Open(ctx context.Context, d objects.Digest) (objects.Object, error) {
	o, err := s.open(d)
	if err != nil {
		return nil, fail("open", err)
	}
	return o, nil
}

// Stat implements [objects.Store].
func (s *Store) Stat(ctx context.Context, d objects.Digest) (objects.Info, objects.Lock, error) {
	fi, err := s.object(d)
	if err != nil {
		return objects.Info{}, objects.Lock{}, fail("stat", err)
	}
	lock, err := s.readLock(d)
	if err != nil {
		return objects.Info{}, objects.Lock{}, fail("stat", err)
	}
	return objects.Info{Digest: d, Size: fi.Size()}, lock, nil
}

// List implements [objects.Store]. What is not a regular file under its own name is no object.
func (s *Store) List(ctx context.Context, after objects.Digest, limit int) ([]objects.Info, error) {
	list, err := s.list(ctx, nil, ".", "", after.String(), limit)
	return list, fail("list", err)
}

// list adds the objects in dir, all of whose names begin with prefix, to list.
func (s *Store) list(ctx context.Context, list []objects.Info, dir, prefix, after string, limit int) ([]objects.Info, error) {
	entries, err := s.readDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(list) >= limit {
			break
		}
		if len(prefix) < 4 {
			longer := prefix + e.Name()
			if _, err := hex.DecodeString(e.Name()); err != nil || len(e.Name()) != 2 || !e.IsDir() || longer < after[:len(longer)] {
				continue
			}
			if list, err = s.list(ctx, list, path.Join(dir, e.Name()), longer, after, limit); err != nil {
				return nil, err
			}
			continue
		}
		d, err := objects.ParseDigest(e.Name())
		if err != nil || e.Name() <= after || !strings.HasPrefix(e.Name(), prefix) || !e.Type().IsRegular() {
			continue
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, objects.Info{Digest: d, Size: fi.Size()})
	}
	return list, nil
}

// Address implements [objects.Store]: a folder has none for others.
func (s *Store) Address(ctx context.Context, d objects.Digest, from, to int64, life time.Duration) (objects.Address, error) {
	return objects.Address{}, nil
}

// Verify implements [objects.Store].
func (s *Store) Verify(ctx context.Context, d objects.Digest) (objects.Sums, error) {
	sums, err := s.verify(ctx, d)
	return sums, fail("verify", err)
}

func (s *Store) verify(ctx context.Context, d objects.Digest) (objects.Sums, error) {
	o, err := s.open(d)
	if err != nil {
		return objects.Sums{}, err
	}
	defer o.Close()
	h, err := hash(ctx, o)
	if err != nil {
		return objects.Sums{}, err
	}
	sums := h.Sums()
	if sums.Digest != d {
		return objects.Sums{}, objects.ErrDamaged
	}
	return sums, nil
}

// Remove implements [objects.Store]. A lock that cannot be read keeps the object.
func (s *Store) Remove(ctx context.Context, d objects.Digest, now time.Time) error {
	s.lockMu.Lock()
	defer s.lockMu.Unlock()
	return fail("remove", s.remove(d, now))
}

func (s *Store) remove(d objects.Digest, now time.Time) error {
	_, err := s.object(d)
	if errors.Is(err, fs.ErrNotExist) {
		// An earlier removal may have been cut short before it was durable.
		return errors.Join(err, s.forget(d))
	}
	if err != nil {
		return err
	}
	lock, err := s.readLock(d)
	if err != nil {
		return err
	}
	if !lock.Allows(now) {
		return objects.ErrLocked
	}
	if err := s.root.Remove(name(d)); err != nil {
		return err
	}
	return s.forget(d)
}

// forget drops what an object's removal leaves, and makes the removal durable.
func (s *Store) forget(d objects.Digest) error {
	dir := dirs(d)[1]
	if _, err := s.lstat(dir, fs.ModeDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, left := range []string{lockName(d), lockName(d) + temporary} {
		if err := s.root.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.syncDir(dir)
}
