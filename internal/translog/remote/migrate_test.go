package remote_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/translog/remote"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// local makes an embedded log, appends to it in uneven groups and returns all the roots it had.
func local(t testing.TB, size int) (*embedded.Log, []tlog.Root) {
	t.Helper()
	log, err := embedded.Create(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, log.Close()) })
	root, err := log.Root(t.Context())
	check(t, err)
	roots := []tlog.Root{root}
	for done, n := 0, 1; done < size; done, n = done+n, n*3 {
		n = min(n, size-done)
		_, err := log.Append(t.Context(), leaves(done, done+n))
		check(t, err)
		root, err := log.Root(t.Context())
		check(t, err)
		roots = append(roots, root)
	}
	return log, roots
}

func same(t *testing.T, a, b remote.Source) {
	t.Helper()
	rootA, err := a.Root(t.Context())
	check(t, err)
	rootB, err := b.Root(t.Context())
	check(t, err)
	if rootA != rootB {
		t.Errorf("roots %v and %v", rootA, rootB)
	}
}

func TestMigrate(t *testing.T) {
	for _, size := range []int{0, 1, 2, 1500} {
		from, roots := local(t, size)
		to := open(t, create(t))
		told := int64(0)
		check(t, remote.Migrate(t.Context(), from, to, roots, func(done, total int64) {
			if done <= told || total != int64(size) {
				t.Errorf("%d of %d after %d", done, total, told)
			}
			told = done
		}))
		if told != int64(size) {
			t.Errorf("told of %d leaves of %d", told, size)
		}
		same(t, from, to)
		kept := translogtest.Check(t, to)
		for i, leaf := range kept {
			if string(leaf.Extra) != string(translogtest.Leaf(i).Extra) {
				t.Fatalf("leaf %d has another envelope", i)
			}
		}
		check(t, remote.Migrate(t.Context(), from, to, roots, nil)) // there is nothing left to do
	}
}

// What was interrupted, anywhere, goes on where it was; and what was moved grows there.
func TestMigrateInterrupted(t *testing.T) {
	from, roots := local(t, 3000)
	cfg := create(t)
	interrupted := 0
	for {
		to := open(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		err := remote.Migrate(ctx, from, to, roots, func(done, total int64) {
			switch {
			case interrupted == 0:
				cancel()
			case done < total:
				go cancel() // while the next leaves are on their way
			}
		})
		cancel()
		if err == nil {
			break
		}
		if interrupted++; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if interrupted == 0 {
		t.Error("nothing was interrupted")
	}
	to := open(t, cfg)
	same(t, from, to)
	for _, log := range []interface {
		Append(context.Context, []tlog.TreeLeaf) ([]int64, error)
	}{from, to} {
		_, err := log.Append(t.Context(), leaves(2990, 3100))
		check(t, err)
	}
	same(t, from, to)
}

// changed is a log with another leaf than its root was made of.
type changed struct {
	*embedded.Log
	leaf int64
}

func (c changed) Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	leaves, err := c.Log.Leaves(ctx, start, count)
	if i := c.leaf - start; i >= 0 && i < int64(len(leaves)) {
		leaves[i].Value = []byte("changed")
	}
	return leaves, err
}

// cut is a log that ends before its root does.
type cut struct{ *embedded.Log }

func (c cut) Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	return c.Log.Leaves(ctx, start, min(count, max(0, 30-start)))
}

func TestMigrateRefuses(t *testing.T) {
	from, roots := local(t, 50)
	last := roots[len(roots)-1]
	forged := last
	forged.Hash[0] ^= 1
	early := roots[2]
	early.Hash[0] ^= 1
	for _, tt := range []struct {
		name        string
		from        remote.Source
		held        []tlog.TreeLeaf // by the other log
		checkpoints []tlog.Root
		want        error
	}{
		{"another first leaf", from, leaves(1, 3), roots, remote.ErrDiffers},
		{"another last leaf", from, append(leaves(0, 20), translogtest.Leaf(99)), roots, remote.ErrDiffers},
		{"leaves in another order", from, append(leaves(1, 2), leaves(0, 1)...), roots, remote.ErrDiffers},
		{"more leaves", from, leaves(0, 51), roots, remote.ErrDiffers},
		{"a forged checkpoint", from, nil, []tlog.Root{forged}, remote.ErrDiffers},
		{"a forged early checkpoint", from, leaves(0, 7), []tlog.Root{last, early}, remote.ErrDiffers},
		{"a later checkpoint", from, nil, []tlog.Root{{Size: 51, Hash: last.Hash}}, remote.ErrDiffers},
		{"a changed leaf", changed{from, 40}, leaves(0, 7), roots, translog.ErrCorrupt},
		{"a changed leaf of those that are there", changed{from, 4}, leaves(0, 7), roots, remote.ErrDiffers},
		{"missing leaves", cut{from}, nil, roots, translog.ErrCorrupt},
	} {
		to := open(t, create(t))
		if len(tt.held) > 0 {
			_, err := to.Append(t.Context(), tt.held)
			check(t, err)
		}
		if err := remote.Migrate(t.Context(), tt.from, to, tt.checkpoints, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if kept := translogtest.Check(t, to); len(kept) != len(tt.held) {
			t.Errorf("%s: %d leaves are there, not %d", tt.name, len(kept), len(tt.held))
		}
	}
}
