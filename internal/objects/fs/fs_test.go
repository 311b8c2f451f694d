package fs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/objects/objectstest"
)

func open(dir string) (objects.Store, error) {
	if err := fs.Create(dir); err != nil && !errors.Is(err, objects.ErrExists) {
		return nil, err
	}
	return fs.Open(dir)
}

func damage(dir string, d objects.Digest, change func([]byte) []byte) error {
	name := objectFile(dir, d)
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	return os.WriteFile(name, change(b), 0o600)
}

func objectFile(dir string, d objects.Digest) string {
	h := d.String()
	return filepath.Join(dir, h[:2], h[2:4], h)
}

func TestStore(t *testing.T) { objectstest.Run(t, objectstest.Suite{Open: open, Damage: damage}) }

func create(t *testing.T) (string, *fs.Store) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	must(t, fs.Create(dir))
	s, err := fs.Open(dir)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return dir, s
}

func put(t *testing.T, s *fs.Store, b []byte) objects.Digest {
	t.Helper()
	d := objects.Digest(sha256.Sum256(b))
	must(t, s.StageCreate(t.Context(), "upl-put", int64(len(b))))
	_, err := s.StageAppend(t.Context(), "upl-put", 0, bytes.NewReader(b))
	must(t, err)
	_, err = s.StageCommit(t.Context(), "upl-put", d)
	must(t, err)
	return d
}

func TestCreateOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	_, err := fs.Open(dir)
	is(t, err, objects.ErrNotFound)
	must(t, fs.Create(dir))
	is(t, fs.Create(dir), objects.ErrExists)
	s, err := fs.Open(dir)
	must(t, err)
	must(t, s.Close())
	must(t, os.Chmod(dir, 0o750))
	_, err = fs.Open(dir)
	is(t, err, objects.ErrInvalid)
	_, err = fs.Open(t.TempDir()) // a folder, but no store
	is(t, err, objects.ErrInvalid)
}

func TestPermissions(t *testing.T) {
	dir, s := create(t)
	put(t, s, []byte("object"))
	must(t, s.Hold(t.Context(), put(t, s, []byte("held")), true))
	must(t, s.StageCreate(t.Context(), "upl-a", 5))
	must(t, filepath.WalkDir(dir, func(name string, e iofs.DirEntry, err error) error {
		must(t, err)
		fi, err := e.Info()
		must(t, err)
		want := iofs.FileMode(0o400)
		switch {
		case e.IsDir():
			want = 0o700
		case filepath.Ext(name) == ".lock" || strings.Contains(name, "staging"):
			want = 0o600
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, fi.Mode(), want)
		}
		return nil
	}))
}

// TestEveryByteKept: of a body that breaks off, the store keeps all that came.
func TestEveryByteKept(t *testing.T) {
	_, s := create(t)
	broken := errors.New("broken")
	must(t, s.StageCreate(t.Context(), "upl-a", 1<<20))
	at := int64(0)
	for _, n := range []int64{1, 0, 4095, 4097, 100_000} {
		body := io.MultiReader(io.LimitReader(zeros{}, n), iotest.ErrReader(broken))
		got, err := s.StageAppend(t.Context(), "upl-a", at, body)
		is(t, err, broken)
		if got != n {
			t.Fatalf("of %d bytes %d were kept", n, got)
		}
		at += n
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestLinkInTheWay: a symbolic link is refused wherever the store has a file or folder of its
// own, and what it points to is left alone.
func TestLinkInTheWay(t *testing.T) {
	b := []byte("object")
	d := objects.Digest(sha256.Sum256(b))
	h := d.String()
	for _, way := range []string{h[:2], h[:2] + "/" + h[2:4], h[:2] + "/" + h[2:4] + "/" + h} {
		for _, inside := range []bool{false, true} {
			dir, s := create(t)
			target := filepath.Join(t.TempDir(), "target")
			if inside {
				target = filepath.Join(dir, "target")
			}
			must(t, os.Mkdir(target, 0o700))
			if len(way) == 64+6 {
				must(t, os.Remove(target))
				must(t, os.WriteFile(target, b, 0o600))
			}
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, way)), 0o700))
			must(t, os.Symlink(target, filepath.Join(dir, way)))

			must(t, s.StageCreate(t.Context(), "upl-a", int64(len(b))))
			_, err := s.StageAppend(t.Context(), "upl-a", 0, bytes.NewReader(b))
			must(t, err)
			_, err = s.StageCommit(t.Context(), "upl-a", d)
			is(t, err, objects.ErrDamaged)
			_, err = s.Open(t.Context(), d)
			is(t, err, objects.ErrDamaged)
			_, err = s.Verify(t.Context(), d)
			is(t, err, objects.ErrDamaged)
			is(t, s.Remove(t.Context(), d, time.Now()), objects.ErrDamaged)
			is(t, s.Hold(t.Context(), d, true), objects.ErrDamaged)
			if list, err := s.List(t.Context(), objects.Digest{}, 10); err != nil || len(list) > 0 {
				t.Errorf("List = %v, %v", list, err)
			}
			if fi, err := os.Stat(target); err != nil || fi.IsDir() && !empty(t, target) {
				t.Errorf("target of the link at %s was touched", way)
			}
		}
	}

	dir, s := create(t)
	target := t.TempDir()
	must(t, os.WriteFile(filepath.Join(target, "6"), nil, 0o600))
	must(t, os.Symlink(target, filepath.Join(dir, "staging", "upl-a")))
	is(t, s.StageCreate(t.Context(), "upl-a", 6), objects.ErrExists)
	_, err := s.StageAppend(t.Context(), "upl-a", 0, bytes.NewReader(b))
	is(t, err, objects.ErrDamaged)
	must(t, s.StageRemove(t.Context(), "upl-a"))
	if empty(t, target) {
		t.Error("removal went through the link")
	}
	must(t, s.StageCreate(t.Context(), "upl-b", 6))
	must(t, os.Remove(filepath.Join(dir, "staging", "upl-b", "6")))
	must(t, os.Symlink(filepath.Join(target, "6"), filepath.Join(dir, "staging", "upl-b", "6")))
	_, err = s.StageAppend(t.Context(), "upl-b", 0, bytes.NewReader(b))
	is(t, err, objects.ErrDamaged)
}

func empty(t *testing.T, dir string) bool {
	entries, err := os.ReadDir(dir)
	must(t, err)
	return len(entries) == 0
}

// TestLinkedNotYetRemoved is a commit killed between giving the object its name and removing
// the upload's: to commit again ends it, and expiry leaves the object alone.
func TestLinkedNotYetRemoved(t *testing.T) {
	for name, end := range map[string]func(*fs.Store, objects.Digest) error{
		"commit": func(s *fs.Store, d objects.Digest) error {
			_, err := s.StageCommit(t.Context(), "upl-a", d)
			return err
		},
		"expiry": func(s *fs.Store, d objects.Digest) error {
			return s.StageList(t.Context(), func(id string, _ time.Time) error { return s.StageRemove(t.Context(), id) })
		},
	} {
		dir, s := create(t)
		b := []byte("object")
		d := put(t, s, b)
		staged := filepath.Join(dir, "staging", "upl-a", "6")
		must(t, os.Mkdir(filepath.Dir(staged), 0o700))
		must(t, os.Link(objectFile(dir, d), staged))
		must(t, end(s, d))
		if !empty(t, filepath.Join(dir, "staging")) {
			t.Errorf("%s leaves the upload", name)
		}
		_, err := s.Verify(t.Context(), d)
		must(t, err)
	}
}

// TestStrays: what a killed process can leave is passed over, and goes.
func TestStrays(t *testing.T) {
	dir, s := create(t)
	b := []byte("object")
	d := put(t, s, b)
	half := objectFile(dir, d) + ".lock.tmp"
	must(t, os.WriteFile(half, []byte(`{"hold":tr`), 0o600))
	if _, lock, err := s.Stat(t.Context(), d); err != nil || lock.Hold {
		t.Errorf("Stat beside half a lock = %v, %v", lock, err)
	}
	must(t, s.Hold(t.Context(), d, true))
	if _, err := os.Stat(half); !errors.Is(err, iofs.ErrNotExist) {
		t.Error("half a lock is left")
	}
	must(t, s.Hold(t.Context(), d, false))
	must(t, os.WriteFile(half, nil, 0o600))
	must(t, s.Remove(t.Context(), d, time.Now()))
	if !empty(t, filepath.Dir(half)) {
		t.Error("a removed object leaves something")
	}

	// A creation cut short.
	must(t, os.Mkdir(filepath.Join(dir, "staging", "upl-a"), 0o700))
	_, err := s.StageInfo(t.Context(), "upl-a")
	is(t, err, objects.ErrNotFound)
	var listed []string
	must(t, s.StageList(t.Context(), func(id string, _ time.Time) error {
		listed = append(listed, id)
		return s.StageRemove(t.Context(), id)
	}))
	if len(listed) != 1 || !empty(t, filepath.Join(dir, "staging")) {
		t.Errorf("listed %v", listed)
	}
}

// TestUnreadableLock: a lock nobody can read keeps its object.
func TestUnreadableLock(t *testing.T) {
	dir, s := create(t)
	b := []byte("object")
	d := put(t, s, b)
	for _, lock := range []string{
		"", "{}", "null", `{"hold":false}`, `{"hold":false,"until":""} `, `{"until":"","hold":false}`, `{"hold":false,"until":"2030"}`,
		`{"hold":false,"until":"2030-01-01T00:00:00+01:00"}`, `{"hold":false,"until":"2030-01-01T00:00:00.5Z"}`,
		`{"hold":false,"until":"","x":1}`, `{"hold":true,"hold":false,"until":""}`, strings.Repeat(" ", 1000),
	} {
		must(t, os.WriteFile(objectFile(dir, d)+".lock", []byte(lock), 0o600))
		is(t, s.Remove(t.Context(), d, time.Now()), objects.ErrDamaged)
		is(t, s.Hold(t.Context(), d, false), objects.ErrDamaged)
		_, _, err := s.Stat(t.Context(), d)
		is(t, err, objects.ErrDamaged)
		_, err = s.Verify(t.Context(), d)
		must(t, err)
	}
}

// TestNoNames: an error says neither id nor digest nor where the store is.
func TestNoNames(t *testing.T) {
	dir, s := create(t)
	d := objects.Digest(sha256.Sum256(nil))
	_, statErr := s.StageInfo(t.Context(), "upl-secret")
	_, openErr := s.Open(t.Context(), d)
	_, noStore := fs.Open(filepath.Join(dir, "none"))
	must(t, s.StageCreate(t.Context(), "upl-secret", 1))
	for _, err := range []error{statErr, openErr, noStore, s.StageCreate(t.Context(), "upl-secret", 1), s.Hold(t.Context(), d, true)} {
		if text := err.Error(); strings.Contains(text, "secret") || strings.Contains(text, d.String()[:4]) || strings.Contains(text, filepath.Base(dir)+"/") {
			t.Errorf("error says too much: %v", err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
