package ledger_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
)

// workload submits a few events, one of them a barrier, and asks for completeness. It goes on as long as the faults let it, and returns
// what was acknowledged. Requests are repeated as a client does: the same bytes, until there is an answer.
func (w *world) workload() (acknowledged []ev.Hash) {
	ctx, cancel := context.WithTimeout(w.faults.life, 5*time.Minute)
	defer cancel()
	gone := func() bool { return w.faults.life.Err() != nil }
	for _, next := range []func() *custody.Signed{
		func() *custody.Signed { return w.openCase("a") }, func() *custody.Signed { return w.configure("2") }, w.suspend,
		func() *custody.Signed { return w.openCase("b") },
	} {
		signed := next()
		for {
			_, err := w.accept(signed)
			if err == nil {
				acknowledged = append(acknowledged, signed.LeafHash())
				break
			}
			if gone() {
				return acknowledged
			}
			if !errors.Is(err, errFault) {
				w.t.Fatal(err)
			}
		}
	}
	for _, leaf := range acknowledged {
		for !gone() {
			if _, err := w.Await(ctx, leaf); err == nil {
				break
			} else if ctx.Err() != nil && !gone() {
				w.t.Fatalf("an event stays pending after call %d, %s", w.faults.at, w.faults.struck)
			}
		}
	}
	last := w.Size() - 1
	for !gone() && !w.t.Failed() {
		if _, err := w.Complete(ctx, []ev.Stream{ev.PolicyOf(origin)}, last); err == nil {
			break
		} else if ctx.Err() != nil && !gone() {
			w.t.Fatalf("nothing is published after call %d, %s", w.faults.at, w.faults.struck)
		}
	}
	return acknowledged
}

// Every call to the tree and to the records fails once, before or after it took effect: in a ledger that goes on, and in one that dies
// there and is opened again. The normal run takes every eighth call, another one in each mode; STRONGROOM_LONG=1 takes all.
func TestEveryFault(t *testing.T) {
	long := os.Getenv("STRONGROOM_LONG") == "1"
	base := newWorld(t)
	base.check()
	base.stop()
	var mu sync.Mutex
	struck := map[string]bool{}
	t.Run("modes", func(t *testing.T) {
		for i, mode := range []struct {
			name          string
			persist, dead bool
		}{
			{"AndNotPersist", false, false}, {"ButPersist", true, false}, {"AndNotPersistAndDie", false, true}, {"ButPersistAndDie", true, true},
		} {
			t.Run(mode.name, func(t *testing.T) {
				t.Parallel()
				first, step := 2*i+1, 8
				if long {
					first, step = 1, 1
				}
				for at := first; ; at += step {
					f := newFaults(at, mode.persist, mode.dead)
					w := base.fork(t)
					w.faults = f
					var acknowledged []ev.Hash
					if err := w.open(); err == nil {
						acknowledged = w.workload()
					} else if !errors.Is(err, errFault) {
						t.Fatalf("call %d: %v", at, err)
					}
					call := f.disarm()
					if w.Ledger != nil && (call == "" || !mode.dead) {
						w.check(acknowledged...)
					}
					if call == "" {
						break
					}
					mu.Lock()
					struck[call] = true
					mu.Unlock()
					w.stop()
					f.die()
					w.faults = nil
					if err := w.open(); err != nil {
						t.Fatalf("after call %d, %s: %v", at, call, err)
					}
					w.check(acknowledged...)
					w.stop()
					os.RemoveAll(w.dir)
				}
			})
		}
	})
	for _, call := range []string{
		"Append", "Root", "Inclusion", "Consistency", "Commit", "Pending", "Include", "Entry", "LogRange", "States", "HeadsBucket", "HeadsBuckets",
		"Checkpoint",
	} {
		if long && !struck[call] {
			t.Errorf("%s was never failed", call)
		}
	}
}

// A part that was put back from an older copy, or comes from elsewhere, is refused; what a crash leaves is not.
func TestCrossCheck(t *testing.T) {
	base := newWorld(t)
	base.check()
	base.stop()
	later := base.fork(t)
	later.start()
	for range 3 {
		later.put(later.openCase("a"))
	}
	later.check()
	later.stop()
	foreign := newWorld(t)
	foreign.check()
	foreign.stop()

	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		where  string // of the mismatch, "" for none
	}{
		"nothing":                    {func(*testing.T, string) {}, ""},
		"older log":                  {from(base, "log.db"), "log"},
		"older records":              {from(base, "records.db"), "records"},
		"older checkpoint":           {from(base, "checkpoint"), "checkpoint file"},
		"older log and checkpoint":   {from(base, "log.db", "checkpoint"), "log"},
		"older log and records":      {from(base, "log.db", "records.db"), "log"},
		"older records, checkpoint":  {from(base, "records.db", "checkpoint"), "records"},
		"another vault's log":        {from(foreign, "log.db"), "log"},
		"another vault's records":    {from(foreign, "records.db"), "records"},
		"another vault's checkpoint": {from(foreign, "checkpoint"), "checkpoint file"},
		"no checkpoint": {func(t *testing.T, dir string) {
			if err := os.Remove(dir + "/checkpoint"); err != nil {
				t.Fatal(err)
			}
		}, "checkpoint file"},
		"empty checkpoint": {func(t *testing.T, dir string) {
			if err := os.WriteFile(dir+"/checkpoint", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "checkpoint file"},
		"all older": {from(base, "log.db", "records.db", "checkpoint"), ""}, // only those who saw the later checkpoint can tell
	} {
		t.Run(name, func(t *testing.T) {
			w := later.fork(t)
			c.change(t, w.dir)
			err := w.open()
			if c.where == "" {
				if err != nil {
					t.Fatal(err)
				}
				w.check()
				return
			}
			if m := (*ledger.Mismatch)(nil); !errors.As(err, &m) || m.Where != c.where {
				t.Errorf("got %v, want a mismatch of the %s", err, c.where)
			}
			if err == nil {
				return
			}
			if again := ledger.Check(t.Context(), w.config()); again == nil || again.Error() != err.Error() {
				t.Errorf("Check says %v", again)
			}
		})
	}
}

func from(w *world, names ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, name := range names {
			content, err := os.ReadFile(w.path(name))
			if err == nil {
				err = os.WriteFile(dir+"/"+name, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A checkpoint that was signed and kept apart, but never recorded, binds all the same: a log that forked from there is refused.
func TestForkAfterUnrecordedCheckpoint(t *testing.T) {
	base := newWorld(t)
	base.check()
	base.stop()
	w := base.fork(t)
	// The process dies when it would record the checkpoint.
	failing := &failingInclude{}
	w.openWith(func(c *ledger.Config) { failing.Records = c.Records; c.Records = failing })
	signed := w.openCase("a")
	if _, err := w.accept(signed); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for !failing.called.Load() && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	w.stop()
	kept := must(os.ReadFile(w.path("checkpoint")))
	if cp := must(tlog.OpenCheckpoint(kept, w.keys())); cp.Size <= w.recorded().Size {
		t.Fatalf("the kept checkpoint has %d leaves", cp.Size)
	}
	w.start()
	w.check(signed.LeafHash()) // the crash is no rollback

	other := base.fork(t)
	other.start()
	other.put(other.openCase("b"))
	other.check()
	other.stop()
	if err := os.WriteFile(other.path("checkpoint"), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := other.open(); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("another history than the one signed: %v", err)
	}
}

func (w *world) recorded() tlog.Checkpoint {
	db := must(sqldb.Open(context.Background(), w.path("records.db")))
	defer db.Close()
	return must(tlog.OpenCheckpoint(must(db.Checkpoint(context.Background())), w.keys()))
}

type failingInclude struct {
	ledger.Records
	called atomic.Bool
}

func (r *failingInclude) Include(context.Context, int64, []byte, []ledger.Inclusion) error {
	r.called.Store(true)
	return errFault
}
