package fs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

func content(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func create(t *testing.T) (string, *Store) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := Create(dir); err != nil {
		t.Fatal(err)
	}
	return dir, open(t, dir)
}

// failSync makes the n-th fsync from now fail. The others do nothing: no test here cuts the
// power, and the page cache is true to everybody else.
func (s *Store) failSync(n int64, errno syscall.Errno) (hit *atomic.Bool) {
	var calls atomic.Int64
	hit = new(atomic.Bool)
	s.sync = func(f *os.File) error {
		if calls.Add(1) != n {
			return nil
		}
		hit.Store(true)
		return &os.PathError{Op: "sync", Path: f.Name(), Err: errno}
	}
	return hit
}

// TestEveryFsyncFails lets each fsync of a life of an object fail once. The step that needed
// it says so, and to do it again completes it: in the same process, and in the next one.
func TestEveryFsyncFails(t *testing.T) {
	for _, restart := range []bool{false, true} {
		n := int64(1)
		for live(t, n, restart) {
			n++
		}
		if n-1 < 15 {
			t.Errorf("only %d fsyncs in an object's life", n-1)
		}
	}
}

// live takes an object from creation to removal. It reports whether there was an n-th fsync
// to fail.
func live(t *testing.T, n int64, restart bool) bool {
	ctx := t.Context()
	all := content(3000)
	d := objects.Digest(sha256.Sum256(all))
	until := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	dir, s := create(t)
	hit := s.failSync(n, syscall.EIO)
	step := func(name string, f func(*Store) error) {
		t.Helper()
		before := hit.Load()
		err := f(s)
		if failed := hit.Load() && !before; failed != (err != nil) {
			t.Fatalf("fsync %d failed in %s: %v, which returned %v", n, name, failed, err)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("%s: %v", name, err)
		}
		if restart {
			s = open(t, dir)
		}
		if err := f(s); err != nil && !(name == "remove" && errors.Is(err, objects.ErrNotFound)) {
			t.Fatalf("%s again after fsync %d failed: %v", name, n, err)
		}
	}
	step("create", func(s *Store) error { return s.StageCreate(ctx, "upl-a", 3000) })
	for _, until := range []int64{1000, 3000} {
		step("append", func(s *Store) error { return appendUntil(ctx, s, "upl-a", all, until) })
		if info, err := s.StageInfo(ctx, "upl-a"); err != nil || info.Offset != until {
			t.Fatalf("StageInfo = %v, %v", info, err)
		}
	}
	step("commit", func(s *Store) error { _, err := s.StageCommit(ctx, "upl-a", d); return err })
	step("hold", func(s *Store) error { return s.Hold(ctx, d, true) })
	step("lift", func(s *Store) error { return s.Hold(ctx, d, false) })
	step("retain", func(s *Store) error { return s.Retain(ctx, d, until) })
	if info, lock, err := s.Stat(ctx, d); err != nil || info.Size != 3000 || lock != (objects.Lock{Until: until}) {
		t.Fatalf("Stat = %v, %v, %v", info, lock, err)
	}
	if _, err := s.Verify(ctx, d); err != nil {
		t.Fatal(err)
	}
	step("remove", func(s *Store) error { return s.Remove(ctx, d, until) })
	if _, err := s.Open(ctx, d); !errors.Is(err, objects.ErrNotFound) {
		t.Fatalf("removed object opens: %v", err)
	}
	return hit.Load()
}

func appendUntil(ctx context.Context, s *Store, id string, all []byte, until int64) error {
	info, err := s.StageInfo(ctx, id)
	if err != nil {
		return err
	}
	n, err := s.StageAppend(ctx, id, info.Offset, bytes.NewReader(all[info.Offset:until]))
	if err == nil && n != until-info.Offset {
		err = fmt.Errorf("append kept %d of %d", n, until-info.Offset)
	}
	return err
}

// TestFsyncFailsInAppend: bytes that a failed fsync was for are no longer there, even if it is
// the one in the middle of a long append, or the last one of all.
func TestFsyncFailsInAppend(t *testing.T) {
	all := content(2*syncEvery + 1000)
	for n, durable := range []int64{0, syncEvery, 2 * syncEvery} {
		errno, want := syscall.EIO, error(syscall.EIO)
		if n == 1 {
			errno, want = syscall.ENOSPC, objects.ErrFull
		}
		dir, s := create(t)
		if err := s.StageCreate(t.Context(), "upl-a", int64(len(all))); err != nil {
			t.Fatal(err)
		}
		s.failSync(int64(n+1), errno)
		got, err := s.StageAppend(t.Context(), "upl-a", 0, bytes.NewReader(all))
		if got != durable || !errors.Is(err, want) {
			t.Fatalf("fsync %d fails: append = %d, %v, want %d, %v", n+1, got, err, durable, want)
		}
		for _, s := range []*Store{s, open(t, dir)} {
			if info, err := s.StageInfo(t.Context(), "upl-a"); err != nil || info.Offset != durable {
				t.Fatalf("fsync %d fails: StageInfo = %v, %v", n+1, info, err)
			}
		}
		if err := appendUntil(t.Context(), s, "upl-a", all, int64(len(all))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StageCommit(t.Context(), "upl-a", sha256.Sum256(all)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTorn: bytes that could not be cut off after a failed fsync are cut off before the next
// append, and bytes that somebody else added are not written over.
func TestTorn(t *testing.T) {
	dir, s := create(t)
	all := content(1000)
	if err := s.StageCreate(t.Context(), "upl-a", 1000); err != nil {
		t.Fatal(err)
	}
	grow := func(b []byte) {
		f, err := os.OpenFile(filepath.Join(dir, "staging", "upl-a", "1000"), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.Write(b)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendUntil(t.Context(), s, "upl-a", all, 100); err != nil {
		t.Fatal(err)
	}
	grow(make([]byte, 50))
	s.uploads["upl-a"].torn = true
	if err := appendUntil(t.Context(), s, "upl-a", all, 200); err != nil {
		t.Fatal(err)
	}
	grow(all[200:300])
	if err := appendUntil(t.Context(), s, "upl-a", all, 400); !errors.Is(err, objects.ErrOffset) {
		t.Fatalf("append over another's bytes: %v", err)
	}
	if info, err := s.StageInfo(t.Context(), "upl-a"); err != nil || info.Offset != 300 {
		t.Fatalf("StageInfo = %v, %v", info, err)
	}
	if err := appendUntil(t.Context(), s, "upl-a", all, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StageCommit(t.Context(), "upl-a", sha256.Sum256(all)); err != nil {
		t.Fatal(err)
	}
}

// TestForgotten: of many uploads the least recently used are forgotten, never one in use, and
// being forgotten changes nothing but that the file is read again.
func TestForgotten(t *testing.T) {
	_, s := create(t)
	s.sync = func(*os.File) error { return nil } // thousands of them prove nothing here
	all := content(100)
	for i := range maxKept + 50 {
		id := fmt.Sprint("upl-", i)
		if err := s.StageCreate(t.Context(), id, 100); err != nil {
			t.Fatal(err)
		}
		if err := appendUntil(t.Context(), s, id, all, 60); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 { // upl-0 stays in use
			if _, err := s.StageAppend(t.Context(), "upl-0", 60, bytes.NewReader(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(s.uploads) > maxKept {
		t.Errorf("%d uploads are remembered", len(s.uploads))
	}
	if s.uploads["upl-0"] == nil || s.uploads["upl-0"].hash == nil || s.uploads["upl-1"] != nil {
		t.Error("forgotten are not the least recently used")
	}
	for _, id := range []string{"upl-0", "upl-1", fmt.Sprint("upl-", maxKept+49)} {
		if err := appendUntil(t.Context(), s, id, all, 100); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StageCommit(t.Context(), id, sha256.Sum256(all)); err != nil {
			t.Fatal(err)
		}
		if s.uploads[id] != nil {
			t.Error("a committed upload is remembered")
		}
	}
	for i := range 100 {
		if _, err := s.StageInfo(t.Context(), fmt.Sprint("nothing-", i)); !errors.Is(err, objects.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if len(s.uploads) > maxKept-2 {
		t.Errorf("%d uploads are remembered: some are none", len(s.uploads))
	}
}

// TestNotReadAgain: what one process wrote it has hashed; only another one reads the file.
func TestNotReadAgain(t *testing.T) {
	dir, s := create(t)
	all := content(1000)
	if err := s.StageCreate(t.Context(), "upl-a", 1000); err != nil {
		t.Fatal(err)
	}
	for _, until := range []int64{1, 500, 1000} {
		if err := appendUntil(t.Context(), s, "upl-a", all, until); err != nil {
			t.Fatal(err)
		}
	}
	// Behind its back the file changes: who read it would notice.
	if err := os.WriteFile(filepath.Join(dir, "staging", "upl-a", "1000"), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	want := objects.NewHasher()
	want.Write(all)
	if sums, err := s.StageSums(t.Context(), "upl-a"); err != nil || sums != want.Sums() {
		t.Errorf("StageSums read the file: %v", err)
	}
	if sums, err := open(t, dir).StageSums(t.Context(), "upl-a"); err != nil || sums == want.Sums() {
		t.Errorf("StageSums of a new instance did not: %v", err)
	}
}

// TestExpiryOfMany: removal during the listing skips none, however many there are.
func TestExpiryOfMany(t *testing.T) {
	dir, s := create(t)
	s.sync = func(*os.File) error { return nil }
	for i := range 700 {
		if err := s.StageCreate(t.Context(), fmt.Sprint("upl-", i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.StageList(t.Context(), func(id string, _ time.Time) error { return s.StageRemove(t.Context(), id) }); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "staging")); err != nil || len(left) > 0 {
		t.Errorf("%d uploads are left, %v", len(left), err)
	}
}
