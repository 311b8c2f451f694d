package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/translog/embedded"
)

// A log is moved to a log server: interrupted at first, then whole. The vault goes on with the new one and with no other.
func TestMoveLog(t *testing.T) {
	e := someEngines(t)
	// Its name is in the log server for good, so this vault is no copy of the tests'.
	dir := filepath.Join(t.TempDir(), "vault")
	c, founding := unfounded(dir)
	must(Found(t.Context(), dir, testOptions(), founding))
	p := must(open(t.Context(), dir, testOptions()))
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	_, before, err := c.deposit(p, in, 5_000)
	if err != nil {
		t.Fatal(err)
	}
	must(0, p.settle(t.Context()))
	must(0, p.close())

	o := testOptions()
	if _, err := MoveLog(t.Context(), dir, o, nil); !errors.Is(err, errMoveNowhere) {
		t.Errorf("moved to nowhere: %v", err)
	}
	o.ConfigFile = written(t, e.logConfig())
	if _, err := open(t.Context(), dir, o); !errors.Is(err, ErrNoLog) {
		t.Errorf("before the move: %v", err)
	}
	running := must(open(t.Context(), dir, testOptions()))
	if _, err := MoveLog(t.Context(), dir, o, nil); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("of a running vault: %v", err)
	}
	must(0, running.close())
	interrupted, stop := context.WithCancel(t.Context())
	if _, err := MoveLog(interrupted, dir, o, func(done, total int64) { stop() }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	clean(t, dir, testOptions())

	moved := must(MoveLog(t.Context(), dir, o, nil))
	if moved.Entries == 0 || moved.Checkpoints == 0 || moved.Tree == 0 {
		t.Errorf("moved %+v", moved)
	}
	// The old log's file, had it stayed, is nothing any more.
	must(0, os.Rename(moved.Kept, folder(dir).log()))
	if _, err := MoveLog(t.Context(), dir, o, nil); !errors.Is(err, ErrMoved) {
		t.Errorf("moved twice: %v", err)
	}
	if _, err := open(t.Context(), dir, testOptions()); !errors.Is(err, ErrNoLog) {
		t.Errorf("on the old log: %v", err)
	}
	must(0, os.Remove(folder(dir).log()))
	examined := clean(t, dir, o)
	p = must(open(t.Context(), dir, o))
	if entry := must(p.records.Entry(t.Context(), before.LeafHash)); !bytes.Equal(entry.Receipt, before.Receipt) {
		t.Error("a receipt has changed")
	}
	if _, _, err := c.deposit(p, in, 5_000); err != nil {
		t.Error(err)
	}
	if root := must(p.tree.Root(t.Context())); root.Size <= moved.Entries {
		t.Errorf("%d entries in the new log, of %d moved", root.Size, moved.Entries)
	}
	must(0, p.close())
	if after := clean(t, dir, o); after.Events <= examined.Events {
		t.Errorf("%+v, then %+v", examined, after)
	}
}
