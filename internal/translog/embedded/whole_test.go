package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/translog"
)

// A log cut anywhere is refused as damaged; without the check, opening one below its first pages kills the process.
func TestCutAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l, err := Create(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	used := int(f.tx.Size()) // the file is longer: its end is not in use yet
	if err := errors.Join(f.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 0; size < used; size += 1 << 11 {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := Open(t.Context(), path, Options{}); !errors.Is(err, translog.ErrCorrupt) {
			if err == nil {
				l.Close()
			}
			t.Errorf("%d of %d bytes: %v", size, used, err)
		}
	}
}
