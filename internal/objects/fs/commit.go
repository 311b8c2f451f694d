package fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"strongroom.example/strongroom/internal/objects"
)

// complete is begin for an upload that must have all its bytes.
func (s *Store) complete(id string, u *upload) (file string, size int64, err error) {
	file, info, err := s.begin(id, u)
	if err == nil && info.Offset != info.Size {
		err = objects.ErrOffset
	}
	return file, info.Size, err
}

// StageOpen implements [objects.Store].
func (s *Store) StageOpen(ctx context.Context, id string) (io.ReadCloser, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return nil, fail("open upload", err)
	}
	defer s.give(id, u)
	file, _, err := s.complete(id, u)
	if err != nil {
		return nil, fail("open upload", err)
	}
	f, err := s.root.Open(file)
	if err != nil {
		return nil, fail("open upload", err)
	}
	return f, nil
}

// StageSums implements [objects.Store].
func (s *Store) StageSums(ctx context.Context, id string) (objects.Sums, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	defer s.give(id, u)
	file, size, err := s.complete(id, u)
	if err != nil {
		return objects.Sums{}, fail("hash upload", err)
	}
	sums, err := s.sums(ctx, u, file, size)
	return sums, fail("hash upload", err)
}

// sums hashes a complete upload, unless its writing did.
func (s *Store) sums(ctx context.Context, u *upload, file string, size int64) (objects.Sums, error) {
	if u.hash == nil {
		f, err := s.root.Open(file)
		if err != nil {
			return objects.Sums{}, err
		}
		defer f.Close()
		h, err := hash(ctx, f)
		if err != nil {
			return objects.Sums{}, err
		}
		s.know(u, size, h)
	}
	sums := u.hash.Sums()
	if sums.Size != size {
		return objects.Sums{}, objects.ErrDamaged
	}
	return sums, nil
}

// StageCommit implements [objects.Store].
func (s *Store) StageCommit(ctx context.Context, id string, want objects.Digest) (objects.Info, error) {
	if !objects.ValidID(id) {
		return objects.Info{}, fail("commit", objects.ErrNotFound)
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return objects.Info{}, fail("commit", err)
	}
	defer s.give(id, u)
	info, err := s.commit(ctx, id, u, want)
	return info, fail("commit", err)
}

func (s *Store) commit(ctx context.Context, id string, u *upload, want objects.Digest) (objects.Info, error) {
	err := s.promote(ctx, id, u, want)
	// Without an upload, committed before or never there, the object tells.
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, objects.ErrNotFound) {
		return objects.Info{}, err
	}
	fi, err := s.object(want)
	if err != nil {
		return objects.Info{}, err
	}
	if err := s.syncPath(want); err != nil {
		return objects.Info{}, err
	}
	// Commit point: the object and its name are durable. What is left of the upload is a
	// second name for the same file; a commit that finds it ends here again, and expiry
	// removes it too, so its removal may fail.
	s.root.RemoveAll(staging + "/" + id)
	s.know(u, -1, nil)
	return objects.Info{Digest: want, Size: fi.Size()}, nil
}

// promote gives a complete upload that has the digest want its object's name.
func (s *Store) promote(ctx context.Context, id string, u *upload, want objects.Digest) error {
	file, size, err := s.complete(id, u)
	if err != nil {
		return err
	}
	sums, err := s.sums(ctx, u, file, size)
	if err != nil {
		return err
	}
	if sums.Digest != want {
		return objects.ErrDigest
	}
	return s.link(ctx, file, size, want)
}

// link gives a finished file its second, final name. link(2) creates or fails, where rename
// would overwrite.
func (s *Store) link(ctx context.Context, file string, size int64, want objects.Digest) error {
	f, err := s.root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() != size {
		return objects.ErrDamaged
	}
	// Before the link, so that no object is ever writable.
	if err := errors.Join(f.Chmod(0o400), s.sync(f)); err != nil {
		return err
	}
	if err := s.makePath(want); err != nil {
		return err
	}
	err = s.root.Link(file, name(want))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := s.object(want)
	if err != nil || os.SameFile(there, fi) {
		return err
	}
	_, err = s.verify(ctx, want)
	return err
}
