package ledger_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// farTree is a log that a process may not reach any more.
type farTree struct {
	ledger.Tree
	lost *atomic.Bool
}

func (t farTree) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	if t.lost.Load() {
		return nil, errors.New("no route to the log")
	}
	return t.Tree.Consistency(ctx, from, to)
}

// A process that cannot follow the log, because it does not reach it, gives away what the others signed all the same, and nothing older.
func TestNewest(t *testing.T) {
	w := newWorld(t).alone()
	a := w.beside(t, true)
	a.led()
	var lost atomic.Bool
	b := w.beside(t, false, func(c *ledger.Config) { c.Tree = farTree{c.Tree, &lost} })
	lost.Store(true)
	for range 3 {
		a.post()
		shown := must(tlog.OpenCheckpoint(must(a.Newest(patient(t))), a.keys()))
		if then := must(tlog.OpenCheckpoint(must(b.Newest(patient(t))), a.keys())); then.Size < shown.Size {
			t.Errorf("%d entries after %d", then.Size, shown.Size)
		}
	}
}
