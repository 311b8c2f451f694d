package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Folder is a Keystore in a directory of the person's own: folders 0700, files 0600, every write fsynced and renamed into place.
type Folder string

const (
	partSuffix = ".part"
	lockSuffix = ".lock"
	maxDoc     = 64 << 20
)

// OpenFolder makes the folder if there is none, and removes what was abandoned in it: files that nobody kept, exports, and what was sealed
// for a deposit whose draft was never written.
func OpenFolder(dir string) (Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f := Folder(dir)
	return f, filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !f.isScratch(name) {
			return ignoreAbsent(err)
		}
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < Abandoned {
			return ignoreAbsent(err)
		}
		return ignoreAbsent(os.Remove(name)) //#nosec G122 -- a folder that is closed to others
	})
}

func (f Folder) isScratch(file string) bool {
	name, err := filepath.Rel(string(f), file)
	if err != nil {
		return false
	}
	name = filepath.ToSlash(name)
	return strings.HasSuffix(name, partSuffix) || strings.HasSuffix(name, lockSuffix) || IsScratch(name, func(name string) bool {
		_, err := os.Lstat(filepath.Join(string(f), filepath.FromSlash(name)))
		return !errors.Is(err, fs.ErrNotExist)
	})
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f Folder) path(name string) (string, error) {
	if !fs.ValidPath(name) || name == "." || strings.HasSuffix(name, partSuffix) {
		return "", fmt.Errorf("keystore: %w", fs.ErrInvalid)
	}
	return filepath.Join(string(f), filepath.FromSlash(name)), nil
}

func (f Folder) Read(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.Size() > maxDoc {
		return nil, errDamaged
	}
	return io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
}

func (f Folder) Write(name string, content []byte) error {
	file, err := f.Create(name)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Keep()
}

func (f Folder) Create(name string) (NewFile, error) {
	final, err := f.path(name)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(final)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, path.Base(name)+".*"+partSuffix) // 0600
	if err != nil {
		return nil, err
	}
	return &newFile{file, final, false}, nil
}

type newFile struct {
	*os.File
	final string
	done  bool
}

// Keep makes the file durable under its name. Commit point: when the folder is fsynced, the file is there after any crash.
func (n *newFile) Keep() error {
	if n.done {
		return fs.ErrClosed
	}
	n.done = true
	err := errors.Join(n.Sync(), n.File.Close())
	if err == nil {
		err = os.Rename(n.Name(), n.final)
	}
	if err != nil {
		return errors.Join(err, ignoreAbsent(os.Remove(n.Name())))
	}
	return syncFolder(filepath.Dir(n.final))
}

func (n *newFile) Close() error {
	if n.done {
		return nil
	}
	n.done = true
	return errors.Join(n.File.Close(), os.Remove(n.Name()))
}

func (f Folder) Open(name string) (File, error) {
	at, err := f.path(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(at)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return keptFile{file, info.Size()}, nil
}

type keptFile struct {
	*os.File
	size int64
}

func (k keptFile) Size() int64 { return k.size }

func (f Folder) Remove(name string) error {
	at, err := f.path(name)
	if err != nil {
		return err
	}
	if err := ignoreAbsent(os.Remove(at)); err != nil {
		return err
	}
	return ignoreAbsent(syncFolder(filepath.Dir(at)))
}

func (f Folder) List(level string) ([]string, error) {
	at, err := f.path(level)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil, ignoreAbsent(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasSuffix(e.Name(), partSuffix) && !strings.HasSuffix(e.Name(), lockSuffix) {
			names = append(names, path.Join(level, e.Name()))
		}
	}
	return names, nil
}

// Lock holds a lock of the operating system on a file of that name, which is removed with it.
func (f Folder) Lock(name string) (release func() error, ok bool, err error) {
	at, err := f.path(name)
	if err != nil || !strings.HasSuffix(name, lockSuffix) {
		return nil, false, errors.Join(err, fs.ErrInvalid)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return nil, false, err
	}
	for {
		file, ok, err := openLocked(at)
		if err != nil || !ok {
			return nil, false, err
		}
		// Who had it before removed the file: then this lock is on a file that nobody else finds.
		mine, err := file.Stat()
		there, gone := os.Stat(at)
		if err == nil && gone == nil && os.SameFile(mine, there) {
			return func() error { return removeLocked(file, at) }, true, nil
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, false, err
		}
	}
}

// SaveAs gives what write wrote the name file, once write has returned nil: durably and at once, or not at all. An existing file is not
// replaced (fs.ErrExist).
func SaveAs(file string, write func(io.Writer) error) error {
	if _, err := os.Lstat(file); err == nil {
		return fs.ErrExist
	}
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*"+partSuffix)
	if err != nil {
		return err
	}
	n := &newFile{temp, file, false}
	if err := write(temp); err != nil {
		return errors.Join(err, n.Close())
	}
	return n.Keep()
}

// syncFolder makes a change of names durable. Windows and browsers have no such call: there a rename is durable with the file.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
