package embedded_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

func create(t testing.TB, path string, opts embedded.Options) *embedded.Log {
	t.Helper()
	l, err := embedded.Create(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func open(t testing.TB, path string, opts embedded.Options) *embedded.Log {
	t.Helper()
	l, err := embedded.Open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func leaves(from, to int) []tlog.TreeLeaf {
	var s []tlog.TreeLeaf
	for i := from; i < to; i++ {
		s = append(s, translogtest.Leaf(i))
	}
	return s
}

func appendTo(t testing.TB, l *embedded.Log, leaves ...tlog.TreeLeaf) []int64 {
	t.Helper()
	indexes, err := l.Append(t.Context(), leaves)
	if err != nil {
		t.Fatal(err)
	}
	return indexes
}

func TestConformance(t *testing.T) {
	translogtest.Run(t, func(t *testing.T) func() translogtest.Tree {
		path := filepath.Join(t.TempDir(), "log.db")
		l := create(t, path, embedded.Options{})
		return func() translogtest.Tree {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, path, embedded.Options{})
			return l
		}
	})
}

func TestCreateAndOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.db")
	if _, err := embedded.Open(t.Context(), path, embedded.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of a missing file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("open made a file")
	}
	// What a crashed Create left is no obstacle.
	if err := os.WriteFile(path+".new", []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := create(t, path, embedded.Options{})
	appendTo(t, l, leaves(0, 3)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Create(t.Context(), path, embedded.Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over an existing log: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files in the folder, want 1", len(files))
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if got := translogtest.Check(t, open(t, path, embedded.Options{})); len(got) != 3 {
		t.Errorf("%d leaves, want 3", len(got))
	}
}

func TestOpenRefusesForeignFiles(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty": {}, "text": []byte("not a database"), "zeros": make([]byte, 1<<16),
	} {
		path := filepath.Join(t.TempDir(), "log.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := embedded.Open(t.Context(), path, embedded.Options{}); !errors.Is(err, translog.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				l.Close()
			}
		}
	}
}

func TestClose(t *testing.T) {
	l := create(t, filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	var clients sync.WaitGroup
	for i := range 32 {
		clients.Go(func() {
			for n := 0; ; n++ {
				if _, err := l.Append(t.Context(), leaves(1000*i+n, 1000*i+n+1)); err != nil {
					if !errors.Is(err, translog.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	clients.Wait()
	if _, err := l.Root(t.Context()); !errors.Is(err, translog.ErrClosed) {
		t.Errorf("root of a closed log: %v", err)
	}
	if _, err := l.Leaves(t.Context(), 0, 1); !errors.Is(err, translog.ErrClosed) {
		t.Errorf("leaves of a closed log: %v", err)
	}
}

// TestClockStepsBack moves the clock an hour back, while open and across a restart.
func TestClockStepsBack(t *testing.T) {
	var offset atomic.Int64
	opts := embedded.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }}
	path := filepath.Join(t.TempDir(), "log.db")
	l := create(t, path, opts)
	appendTo(t, l, leaves(0, 2)...)
	for i := 1; i <= 3; i++ {
		offset.Add(int64(-time.Hour))
		if got := appendTo(t, l, leaves(2*i, 2*i+1)...); got[0] != int64(2*i) {
			t.Errorf("index %d, want %d", got[0], 2*i)
		}
		l.Close()
		l = open(t, path, opts)
		appendTo(t, l, leaves(2*i+1, 2*i+2)...)
	}
	// A clock that stands still stalls nothing either.
	l.Close()
	stopped := time.Unix(1, 0)
	l = open(t, path, embedded.Options{Clock: func() time.Time { return stopped }})
	appendTo(t, l, leaves(8, 10)...)
	if got := translogtest.Check(t, l); len(got) != 10 {
		t.Errorf("%d leaves, want 10", len(got))
	}
}

// TestAppendDoesNotKeepLeaves changes the caller's bytes after a call that was given up.
func TestAppendDoesNotKeepLeaves(t *testing.T) {
	l := create(t, filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	for i := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		batch := leaves(10*i, 10*i+10)
		l.Append(ctx, batch)
		cancel()
		for _, leaf := range batch {
			clear(leaf.Value)
			clear(leaf.Extra)
		}
	}
	appendTo(t, l, leaves(0, 1)...) // after all that were given up
	for _, leaf := range translogtest.Check(t, l) {
		if slices.Contains(leaf.Value, 0) || slices.Contains(leaf.Extra, 0) {
			t.Fatal("log kept a reference to its caller's bytes")
		}
	}
}
