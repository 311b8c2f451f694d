package fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// maxKept is how many uploads are remembered between calls, with their running hash of some 2 KiB.
const maxKept = 1024

// upload is what this process knows of a staged upload beyond its file. It can be forgotten
// at any time between calls, at the price of reading the file again.
type upload struct {
	turn chan struct{} // holds one token while a call works on the upload

	// Guarded by Store.mu.
	refs    int
	used    uint64
	durable int64 // length this process has fsynced; -1 is unknown

	// Guarded by turn.
	hash *objects.Hasher // covers exactly the durable bytes; nil is unknown
	torn bool            // a failed fsync left bytes after the durable ones
}

// take waits for the upload's turn. The caller gives it back.
func (s *Store) take(ctx context.Context, id string) (*upload, error) {
	s.mu.Lock()
	u := s.uploads[id]
	if u == nil {
		u = &upload{turn: make(chan struct{}, 1), durable: -1}
		s.uploads[id] = u
	}
	u.refs++
	s.clock++
	u.used = s.clock
	s.mu.Unlock()
	select {
	case u.turn <- struct{}{}:
		return u, nil
	case <-ctx.Done():
		s.release(id, u)
		return nil, ctx.Err()
	}
}

func (s *Store) give(id string, u *upload) {
	<-u.turn
	s.release(id, u)
}

// release drops a reference, and the record if it says nothing or is one too many.
func (s *Store) release(id string, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.refs--
	if u.refs == 0 && u.durable < 0 {
		delete(s.uploads, id)
	}
	if len(s.uploads) <= maxKept {
		return
	}
	oldest := ""
	for id, u := range s.uploads {
		if u.refs == 0 && (oldest == "" || u.used < s.uploads[oldest].used) {
			oldest = id
		}
	}
	delete(s.uploads, oldest)
}

// know records the durable length of an upload and the hash that covers it.
func (s *Store) know(u *upload, durable int64, hash *objects.Hasher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.durable, u.hash = durable, hash
}

func (s *Store) durable(u *upload) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return u.durable
}

// locate finds an upload's file, which is named by the size it shall have. A folder without
// one is an upload whose creation was cut short: it can only be removed.
func (s *Store) locate(id string) (file string, size int64, err error) {
	if !objects.ValidID(id) {
		return "", 0, objects.ErrNotFound
	}
	dir := staging + "/" + id
	if _, err := s.lstat(dir, fs.ModeDir); err != nil {
		return "", 0, err
	}
	entries, err := s.readDir(dir)
	if err != nil {
		return "", 0, err
	}
	if len(entries) == 0 {
		return "", 0, objects.ErrNotFound
	}
	name := entries[0].Name()
	size, err = strconv.ParseInt(name, 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != name || len(entries) > 1 || !entries[0].Type().IsRegular() {
		return "", 0, objects.ErrDamaged
	}
	return dir + "/" + name, size, nil
}

// begin locates an upload whose turn the caller has and makes its length durable, once per
// process: what an earlier one wrote last it may not have fsynced.
func (s *Store) begin(id string, u *upload) (file string, info objects.StageInfo, err error) {
	file, info.Size, err = s.locate(id)
	if err != nil {
		s.know(u, -1, nil)
		return "", info, err
	}
	if info.Offset = s.durable(u); info.Offset >= 0 {
		return file, info, nil
	}
	f, err := s.root.Open(file)
	if err != nil {
		return "", info, err
	}
	defer f.Close()
	if err := s.sync(f); err != nil {
		return "", info, err
	}
	fi, err := f.Stat()
	if err != nil {
		return "", info, err
	}
	if info.Offset = fi.Size(); info.Offset > info.Size {
		return "", info, objects.ErrDamaged
	}
	var hash *objects.Hasher
	if info.Offset == 0 {
		hash = objects.NewHasher()
	}
	s.know(u, info.Offset, hash)
	return file, info, nil
}

// StageCreate implements [objects.Store].
func (s *Store) StageCreate(ctx context.Context, id string, size int64) error {
	if !objects.ValidID(id) || size < 0 {
		return fail("create upload", objects.ErrInvalid)
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return fail("create upload", err)
	}
	defer s.give(id, u)
	dir := staging + "/" + id
	if err := s.root.Mkdir(dir, 0o700); err != nil {
		return fail("create upload", err)
	}
	err = func() error {
		f, err := s.root.OpenFile(dir+"/"+strconv.FormatInt(size, 10), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.Close(), s.syncDir(dir), s.syncDir(staging))
	}()
	if err != nil {
		return errors.Join(fail("create upload", err), fail("create upload", s.root.RemoveAll(dir)))
	}
	s.know(u, 0, objects.NewHasher())
	return nil
}

// StageInfo implements [objects.Store].
func (s *Store) StageInfo(ctx context.Context, id string) (objects.StageInfo, error) {
	s.mu.Lock()
	u := s.uploads[id]
	durable := int64(-1)
	if u != nil {
		durable = u.durable
	}
	s.mu.Unlock()
	if durable >= 0 {
		_, size, err := s.locate(id)
		if err != nil {
			return objects.StageInfo{}, fail("upload", err)
		}
		return objects.StageInfo{Size: size, Offset: durable}, nil
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return objects.StageInfo{}, fail("upload", err)
	}
	defer s.give(id, u)
	_, info, err := s.begin(id, u)
	if err != nil {
		return objects.StageInfo{}, fail("upload", err)
	}
	return info, nil
}

// StageRemove implements [objects.Store].
func (s *Store) StageRemove(ctx context.Context, id string) error {
	if !objects.ValidID(id) {
		return fail("remove upload", objects.ErrNotFound)
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return fail("remove upload", err)
	}
	defer s.give(id, u)
	s.know(u, -1, nil)
	dir := staging + "/" + id
	if _, err := s.root.Lstat(dir); err != nil {
		return fail("remove upload", err)
	}
	return fail("remove upload", errors.Join(s.root.RemoveAll(dir), s.syncDir(staging)))
}

// StageList implements [objects.Store]. It also lists what cannot be an upload but stands
// where one would, so that it can be removed.
func (s *Store) StageList(ctx context.Context, f func(id string, modified time.Time) error) error {
	dir, err := s.root.Open(staging)
	if err != nil {
		return fail("list uploads", err)
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(256)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fail("list uploads", err)
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return fail("list uploads", err)
			}
			if !objects.ValidID(e.Name()) {
				continue
			}
			file, _, err := s.locate(e.Name())
			if err != nil {
				file = staging + "/" + e.Name()
			}
			fi, err := s.root.Lstat(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue // ended meanwhile
			}
			if err != nil {
				return fail("list uploads", err)
			}
			if err := f(e.Name(), fi.ModTime()); err != nil {
				return err
			}
		}
	}
}
