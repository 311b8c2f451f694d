// Package keystoretest is the contract of client.Keystore as a test, for every one that there is.
package keystoretest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom.example/strongroom/internal/client"
)

func must[V any](v V, err error) func(t *testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Run tests a keystore that is empty.
func Run(t *testing.T, k client.Keystore) {
	t.Run("documents", func(t *testing.T) { documents(t, k) })
	t.Run("files", func(t *testing.T) { files(t, k) })
	t.Run("names", func(t *testing.T) { names(t, k) })
	t.Run("locks", func(t *testing.T) { locks(t, k) })
	t.Run("writers", func(t *testing.T) { writers(t, k) })
}

func documents(t *testing.T, k client.Keystore) {
	if _, err := k.Read("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := k.Read("no/level/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	check(t, k.Remove("none"))
	check(t, k.Remove("no/level/none"))
	text := []byte("one")
	check(t, k.Write("x/doc", text))
	text[0] = 'X'
	must(k.Read("x/doc"))(t)[1] = 'X'
	if text := must(k.Read("x/doc"))(t); string(text) != "one" {
		t.Errorf("it is not the store's own: %q", text)
	}
	check(t, k.Write("x/doc", []byte("longer than before")))
	check(t, k.Write("x/doc", []byte("two")))
	if text := must(k.Read("x/doc"))(t); string(text) != "two" {
		t.Errorf("replaced: %q", text)
	}
	check(t, k.Write("x/empty", nil))
	if text := must(k.Read("x/empty"))(t); len(text) > 0 {
		t.Errorf("empty: %q", text)
	}
	check(t, k.Remove("x/empty"))
	if _, err := k.Read("x/empty"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}

func files(t *testing.T, k client.Keystore) {
	if _, err := k.Open("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	check(t, k.Write("f/doc", []byte("one")))
	file := must(k.Create("f/doc"))(t)
	must(file.Write([]byte("three")))(t)
	check(t, file.Close()) // not kept
	if text := must(k.Read("f/doc"))(t); string(text) != "one" {
		t.Errorf("read %q", text)
	}
	open := must(k.Open("f/doc"))(t)
	file = must(k.Create("f/doc"))(t)
	must(io.WriteString(file, "12345"))(t)
	check(t, file.Keep())
	check(t, file.Close())
	if err := file.Keep(); err == nil {
		t.Error("a file was kept twice")
	}
	if _, err := file.Write([]byte("6")); err == nil {
		t.Error("a kept file was written to")
	}
	if text := must(io.ReadAll(io.NewSectionReader(open, 0, open.Size())))(t); string(text) != "one" {
		t.Errorf("what was open has changed: %q", text)
	}
	check(t, open.Close())

	large := bytes.Repeat([]byte("0123456789abcdef!"), 200_000) // 3.4 MB, in no even pieces
	file = must(k.Create("f/large"))(t)
	for part := range slices.Chunk(large, 1_234_567) {
		must(file.Write(part))(t)
	}
	if _, err := k.Open("f/large"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it was kept: %v", err)
	}
	check(t, file.Keep())
	open = must(k.Open("f/large"))(t)
	if open.Size() != int64(len(large)) {
		t.Errorf("%d bytes", open.Size())
	}
	part := make([]byte, 1<<20)
	for _, at := range []int{0, 1, 1<<20 - 3, len(large) - len(part)} {
		if n, err := open.ReadAt(part, int64(at)); n != len(part) || err != nil && err != io.EOF || !bytes.Equal(part, large[at:at+len(part)]) {
			t.Errorf("at %d: %d bytes, %v", at, n, err)
		}
	}
	if n, err := open.ReadAt(part, int64(len(large)-3)); n != 3 || err != io.EOF {
		t.Errorf("over the end: %d bytes, %v", n, err)
	}
	check(t, open.Close())
	check(t, k.Remove("f/large"))
}

func names(t *testing.T, k client.Keystore) {
	for _, name := range []string{"n/b", "n/a", "n/y/deeper"} {
		check(t, k.Write(name, []byte(name)))
	}
	file := must(k.Create("n/unkept"))(t)
	release, ok, err := k.Lock("n/a.lock")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if names := must(k.List("n"))(t); !slices.Equal(names, []string{"n/a", "n/b"}) {
		t.Errorf("%q", names)
	}
	check(t, release())
	check(t, file.Close())
	if names := must(k.List("nowhere"))(t); len(names) > 0 {
		t.Errorf("%q", names)
	}
	for _, name := range []string{"", ".", "..", "../out", "/etc/passwd", "x//y", "doc.part"} {
		if err := k.Write(name, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
		if _, _, err := k.Lock(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("lock %q: %v", name, err)
		}
	}
	if _, _, err := k.Lock("n/a"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a lock of another form: %v", err)
	}
}

func locks(t *testing.T, k client.Keystore) {
	release, ok, err := k.Lock("l/a.lock")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := k.Lock("l/a.lock"); ok || err != nil {
		t.Error("two hold one lock", err)
	}
	other, ok, err := k.Lock("l/b.lock")
	if !ok || err != nil {
		t.Fatal("another name", ok, err)
	}
	check(t, other())
	check(t, release())
	if release, ok, err = k.Lock("l/a.lock"); !ok || err != nil {
		t.Fatal("a lock stays", err)
	}
	check(t, release())
	var holders, most, taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				release, ok, err := k.Lock("l/a.lock")
				if err != nil {
					t.Error(err)
				}
				if !ok {
					continue
				}
				most.Store(max(most.Load(), holders.Add(1)))
				taken.Add(1)
				holders.Add(-1)
				if err := release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if most.Load() != 1 || taken.Load() < 8 {
		t.Errorf("%d at once, %d times taken", most.Load(), taken.Load())
	}
}

// writers replace one document at once, and others read it: it is always one of theirs, as a whole.
func writers(t *testing.T, k client.Keystore) {
	const size = 100_000
	whole := func(text []byte) bool {
		return len(text) == size && strings.Count(string(text), string(text[:1])) == size
	}
	check(t, k.Write("w/doc", bytes.Repeat([]byte("a"), size)))
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for range 10 {
				if err := k.Write("w/doc", bytes.Repeat([]byte{byte('b' + w)}, size)); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 10 {
				if text, err := k.Read("w/doc"); err != nil || !whole(text) {
					t.Errorf("%d bytes, %v", len(text), err)
				}
			}
		})
	}
	all.Wait()
	if names := must(k.List("w"))(t); !slices.Equal(names, []string{"w/doc"}) {
		t.Errorf("left: %q", names)
	}
}
