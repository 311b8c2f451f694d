package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

func TestFolderKeepsWholeFilesOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := must(OpenFolder(dir))(t)
	if _, err := f.Read("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	check(t, f.Remove("none"))
	check(t, f.Write("x/doc", []byte("one")))
	check(t, f.Write("x/doc", []byte("two")))
	file := must(f.Create("x/doc"))(t)
	must(file.Write([]byte("three")))(t)
	check(t, file.Close()) // not kept
	if text := must(f.Read("x/doc"))(t); string(text) != "two" {
		t.Errorf("read %q", text)
	}
	file = must(f.Create("x/big"))(t)
	must(io.WriteString(file, "12345"))(t)
	check(t, file.Keep())
	check(t, file.Close())
	if err := file.Keep(); err == nil {
		t.Error("a file was kept twice")
	}
	kept := must(f.Open("x/big"))(t)
	if kept.Size() != 5 {
		t.Errorf("%d bytes", kept.Size())
	}
	check(t, kept.Close())
	if names := must(f.List("x"))(t); !slices.Equal(names, []string{"x/big", "x/doc"}) {
		t.Errorf("%q", names)
	}
	for _, name := range []string{"", ".", "..", "../out", "/etc/passwd", "x//y", "doc.part"} {
		if err := f.Write(name, nil); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		check(t, err)
		info := must(d.Info())(t)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	}))
}

func TestFolderRemovesWhatWasAbandoned(t *testing.T) {
	dir := t.TempDir()
	f := must(OpenFolder(dir))(t)
	check(t, f.Write("deposits/kept.age", []byte("x")))
	check(t, f.Write("deposits/kept.json", []byte("{}")))
	check(t, f.Write("deposits/unnoted.age", []byte("x")))
	check(t, f.Write("exports/left.age", []byte("x")))
	for _, name := range []string{"young.part", "old.part"} {
		check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	old := time.Now().Add(-2 * Abandoned)
	for _, name := range []string{"old.part", "deposits/kept.age", "deposits/unnoted.age", "exports/left.age"} {
		check(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	must(OpenFolder(dir))(t)
	for name, want := range map[string]bool{"young.part": true, "old.part": false, "deposits/kept.age": true, "deposits/unnoted.age": false, "exports/left.age": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSaveAs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "evidence.jpg")
	if err := SaveAs(file, func(w io.Writer) error { io.WriteString(w, "half"); return io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if left := must(os.ReadDir(dir))(t); len(left) > 0 {
		t.Errorf("a failure left %s", left[0].Name())
	}
	check(t, SaveAs(file, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }))
	if err := SaveAs(file, func(io.Writer) error { return nil }); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	if text := must(os.ReadFile(file))(t); string(text) != "whole" {
		t.Errorf("%q", text)
	}
}

func TestIdentityIsLocked(t *testing.T) {
	f := must(OpenFolder(t.TempDir()))(t)
	id := must(sealing.NewIdentity())(t)
	check(t, WriteIdentity(f, id, "correct horse"))
	if _, err := ReadIdentity(f, "wrong"); !errors.Is(err, sealing.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if again := must(ReadIdentity(f, "correct horse"))(t); again.Recipient() != id.Recipient() {
		t.Error("another identity came back")
	}
}

// What one process learned, another one of the same person does not take back; and nothing is forgotten because a file is damaged.
func TestMemoryOnlyGrows(t *testing.T) {
	f := must(OpenFolder(t.TempDir()))(t)
	open := func() *memory {
		m := &memory{}
		check(t, m.load(f, first.trust))
		return m
	}
	one, two := open(), open()
	key := "item/x"
	learned := func(covers int64, key string, h head) seen {
		s := seen{Covers: covers}
		s.put(key, h)
		return s
	}
	check(t, one.learn(learned(7, key, head{Seq: 3, Leaf: evidence.Hash{3}, Index: 6})))
	check(t, two.learn(learned(5, key, head{Seq: 2, Leaf: evidence.Hash{2}, Index: 4})))
	check(t, two.learn(learned(5, "case/y", head{Seq: 1})))
	s := open().snapshot()
	x, _ := s.head(key)
	if y, ok := s.head("case/y"); s.Covers != 7 || x.Seq != 3 || y.Seq != 1 || !ok {
		t.Errorf("%d, %+v, %+v", s.Covers, x, y)
	}
	// Many at once, each durable when it is told so.
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			key := fmt.Sprintf("item/%d", i)
			if err := one.learn(learned(int64(i), key, head{Seq: 4, Index: int64(i)})); err != nil {
				t.Error(err)
			}
			other := &memory{keystore: f}
			if on, err := other.readShelf(int(shelfOf(key))); err != nil || on[key].Seq != 4 {
				t.Errorf("not durable: %v, %v", on[key], err)
			}
		})
	}
	all.Wait()

	check(t, f.Write(shelfDoc(int(shelfOf(key))), []byte("{")))
	if err := one.learn(learned(0, key, head{Seq: 9})); !errors.Is(err, errDamaged) {
		t.Errorf("learned over a damaged document: %v", err)
	}
	if err := new(memory).load(f, first.trust); !errors.Is(err, errDamaged) {
		t.Errorf("a damaged document of heads: %v", err)
	}
	check(t, f.Write(memoryDoc, []byte("{")))
	if err := new(memory).load(f, first.trust); !errors.Is(err, errDamaged) {
		t.Errorf("damaged: %v", err)
	}
	if err := one.learn(seen{Covers: 900}); !errors.Is(err, errDamaged) {
		t.Errorf("learned over a damaged document: %v", err)
	}
}

// A name is one process's until it lets go or ends.
func TestFolderLock(t *testing.T) {
	f := must(OpenFolder(t.TempDir()))(t)
	release, ok, err := f.Lock("deposits/a.lock")
	if err != nil || !ok {
		t.Fatalf("%t, %v", ok, err)
	}
	check(t, release())
	if names := must(f.List("deposits"))(t); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}
