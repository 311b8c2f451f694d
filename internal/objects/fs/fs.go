// Package fs is the object store on a local folder: one process, no service.
//
//	<root>/staging/<id>/<size>   an upload of that many bytes, as far as it came
//	<root>/ab/cd/<hex>           an object, mode 0400
//	<root>/ab/cd/<hex>.lock      its retention and hold, if it ever had any
//
// An upload's length is its offset: bytes are only added at the end, and each length it
// reports has been fsynced by this process. A process killed at any instant leaves a true
// prefix. After a power cut the same holds where the file system orders size after data
// (ext4 as it comes, XFS, Btrfs, ZFS); elsewhere the digest at commit refuses the upload.
//
// It may assume that no other process writes to the folder, and that the folder is on one file
// system with hard links. It never follows a symbolic link below the root, never overwrites
// an object and never writes outside the root.
//
// Only the application enforces retention and holds here: whoever may write to the folder can
// remove a locked object by hand. Where that matters use a bucket with Object Lock.
package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"strongroom.example/strongroom/internal/objects"
)

const staging = "staging"

// Store is an open folder. See [objects.Store] for what its methods promise.
type Store struct {
	root *os.Root
	sync func(*os.File) error // (*os.File).Sync, but for tests of its failure

	mu      sync.Mutex
	uploads map[string]*upload // those in use or lately used
	clock   uint64             // counts uses, to find the least recent

	lockMu sync.Mutex // held while a lock is judged or changed
}

var _ objects.Store = (*Store)(nil)

// Create makes an empty store in dir, which it creates if need be with mode 0700.
// ErrExists if a store is there already.
func Create(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail("create", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //#nosec G302 -- a folder
		return fail("create", err)
	}
	if err := os.Mkdir(path.Join(dir, staging), 0o700); err != nil {
		return fail("create", err)
	}
	for _, name := range []string{dir, path.Dir(path.Clean(dir))} {
		f, err := os.Open(name)
		if err != nil {
			return fail("create", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fail("create", err)
		}
	}
	return nil
}

// Open opens the store that Create made in dir. ErrNotFound if there is none; ErrInvalid if
// others than its owner may enter the folder.
func Open(dir string) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fail("open", err)
	}
	s := &Store{root: root, sync: (*os.File).Sync, uploads: map[string]*upload{}}
	if err := s.check(); err != nil {
		root.Close()
		return nil, fail("open", err)
	}
	return s, nil
}

func (s *Store) check() error {
	fi, err := s.root.Stat(".")
	if err != nil {
		return err
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("folder is open to others than its owner: %w", objects.ErrInvalid)
	}
	_, err = s.lstat(staging, fs.ModeDir)
	return err
}

// Close implements [objects.Store].
func (s *Store) Close() error { return s.root.Close() }

// lstat describes name, which must itself be of type kind: a link or anything else that
// stands in its place is ErrDamaged.
func (s *Store) lstat(name string, kind fs.FileMode) (fs.FileInfo, error) {
	fi, err := s.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if fi.Mode().Type() != kind {
		return nil, objects.ErrDamaged
	}
	return fi, nil
}

// syncDir makes the names in a folder durable.
func (s *Store) syncDir(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(s.sync(f), f.Close())
}

// readDir lists a folder in order of name.
func (s *Store) readDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(s.root.FS(), name)
}

// fail gives an error its operation and the sentinel that belongs to its errno. It drops the
// path, which may name an id or a digest.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var inPath *fs.PathError
	var inLink *os.LinkError
	if errors.As(err, &inPath) {
		err = inPath.Err
	} else if errors.As(err, &inLink) {
		err = inLink.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = objects.ErrNotFound
	case errors.Is(err, fs.ErrExist):
		err = objects.ErrExists
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		err = objects.ErrFull
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP):
		err = objects.ErrDamaged
	}
	return fmt.Errorf("objects: %s: %w", op, err)
}

// hash reads all of r, looking at ctx as it goes.
func hash(ctx context.Context, r io.Reader) (*objects.Hasher, error) {
	h, buf := objects.NewHasher(), make([]byte, chunk)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return h, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
