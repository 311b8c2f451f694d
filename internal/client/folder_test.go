package client

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	old := time.Now().Add(-2 * abandoned)
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
	var one, two memory
	one.keystore, two.keystore = f, f
	key := "item/x"
	check(t, one.learn(seen{Covers: 7, Heads: map[string]head{key: {Seq: 3, Leaf: evidence.Hash{3}, Index: 6}}}))
	check(t, two.learn(seen{Covers: 5, Heads: map[string]head{key: {Seq: 2, Leaf: evidence.Hash{2}, Index: 4}, "case/y": {Seq: 1}}}))
	s := must(one.read())(t)
	if s.Covers != 7 || s.Heads[key].Seq != 3 || s.Heads["case/y"].Seq != 1 {
		t.Errorf("%+v", s)
	}
	check(t, f.Write(memoryDoc, []byte("{")))
	if _, err := one.read(); !errors.Is(err, errDamaged) {
		t.Errorf("damaged: %v", err)
	}
	if err := one.learn(seen{Covers: 9}); !errors.Is(err, errDamaged) {
		t.Errorf("learned over a damaged document: %v", err)
	}
}
