package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// many runs f in 64 goroutines at once.
func many(f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		all.Go(func() { <-start; f(i) })
	}
	close(start)
	all.Wait()
}

// Of 64 who sign the same place of a stream one wins; the others are told to look again.
func TestOneStream(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		signed := make([]*custody.Signed, 64)
		for i := range signed {
			signed[i] = w.configure(fmt.Sprint(i))
		}
		var won atomic.Int32
		var winner atomic.Value
		many(func(i int) {
			_, err := w.accept(signed[i])
			switch {
			case err == nil:
				won.Add(1)
				winner.Store(signed[i].LeafHash())
			case ev.KindOf(err) != ev.Conflict:
				t.Errorf("refused with %v", err)
			}
		})
		if won.Load() != 1 {
			t.Fatalf("%d events were accepted at one place", won.Load())
		}
		w.await(winner.Load().(ev.Hash))
	}
	w.check()
}

// 64 people on streams of their own, with barriers and events that stand on each other in between: all are included once, in order.
func TestManyStreams(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var accepted []ev.Hash
	many(func(i int) {
		next := func() *custody.Signed { return w.openCase("a") }
		if i%8 == 0 {
			next = w.suspend
		} else if i%8 == 1 {
			next = func() *custody.Signed { return w.configure(fmt.Sprint(i)) }
		}
		for n := 0; n < 3; {
			e, err := w.accept(next()) // two may sign the same statement: then it is one event
			if ev.KindOf(err) == ev.Conflict {
				continue
			} else if err != nil {
				t.Error(err)
				return
			}
			n++
			mu.Lock()
			accepted = append(accepted, e.LeafHash)
			mu.Unlock()
			if n == 2 {
				w.await(e.LeafHash)
			}
		}
	})
	w.check(accepted...)
}

// The same statement is one event, whoever submits it how often and however it is signed.
func TestAcceptTwice(t *testing.T) {
	w := newWorld(t)
	signed := w.openCase("a")
	p := w.people["a"]
	again := must(custody.Sign(signed.Event(), p.key.SPKI(), p.key))
	if again.LeafHash() == signed.LeafHash() {
		t.Fatal("signing again gave the same signature")
	}
	first := w.put(signed)
	w.put(w.configure("2"))
	for _, s := range []*custody.Signed{signed, again} {
		if e, err := w.accept(s); err != nil || e.LeafHash != first.LeafHash || !e.Included() {
			t.Errorf("accepted again: %v", err)
		}
	}
	w.check(first.LeafHash)
}

func TestStaleBasis(t *testing.T) {
	w := newWorld(t)
	signed := w.openCase("a")
	w.put(w.configure("2"))
	if _, err := w.accept(signed); ev.KindOf(err) != ev.Conflict || ev.ReasonOf(err) != ev.ReasonStaleBasis {
		t.Errorf("an event on an old basis: %v", err)
	}
	if _, err := w.Await(t.Context(), signed.LeafHash()); ev.KindOf(err) != ev.NotFound {
		t.Errorf("waiting for it: %v", err)
	}
}

// Complete is asked for while the streams it is about grow; what it answers is always true of what is in the log.
func TestCompleteWhileGrowing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var growing sync.WaitGroup
	var asked atomic.Int32
	for range 4 {
		growing.Go(func() {
			for asked.Load() < 10 && ctx.Err() == nil {
				for _, signed := range []*custody.Signed{w.configure("n"), w.openCase("b")} {
					if e, err := w.accept(signed); err == nil {
						w.await(e.LeafHash)
					} else if ev.KindOf(err) != ev.Conflict {
						t.Error(err)
					}
				}
			}
		})
	}
	streams := []ev.Stream{ev.PolicyOf(origin), ev.VaultOf(origin), ev.ActorOf(w.people["a"].id), ev.CaseOf(ev.NewID[ev.CaseID]())}
	for asked.Load() < 10 && !t.Failed() {
		c, err := w.Complete(ctx, streams, w.Size()-1)
		if err != nil {
			t.Fatal(err)
		}
		w.checkComplete(c, must(w.db.LogRange(ctx, 0, c.Covers)))
		asked.Add(1)
	}
	growing.Wait()
	w.check()
}

// When nothing but publications is uncovered, none is made.
func TestQuiet(t *testing.T) {
	w := newWorld(t)
	w.check()
	before := w.Size()
	time.Sleep(300 * time.Millisecond)
	if w.Size() != before {
		t.Errorf("the log grew from %d to %d leaves by itself", before, w.Size())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.Complete(ctx, nil, before); ev.KindOf(err) != ev.Pending {
		t.Errorf("complete beyond the log: %v", err)
	}
}

// The vault's clock steps back: its own events follow those that are there.
func TestClockStepsBack(t *testing.T) {
	w := newWorld(t)
	w.drift.Store(int64(-time.Hour))
	w.put(w.openCase("a"))
	w.check()
}

func TestAwait(t *testing.T) {
	w := newWorld(t)
	w.stop()
	// The tree never answers: the waiting ends with the context, or with Close.
	w.openWith(func(c *ledger.Config) { c.Tree = stuckTree{c.Tree} })
	signed := w.openCase("a")
	if _, err := w.accept(signed); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Await(ctx, signed.LeafHash()); ev.KindOf(err) != ev.Pending || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("awaiting a stuck log: %v", err)
	}
	ended, stuck := make(chan error), w.Ledger
	go func() { _, err := stuck.Await(context.Background(), signed.LeafHash()); ended <- err }()
	time.Sleep(20 * time.Millisecond)
	w.stop()
	if err := <-ended; !errors.Is(err, ledger.ErrStopped) {
		t.Errorf("awaiting a closed ledger: %v", err)
	}
	w.start()
	w.await(signed.LeafHash())
	w.check(signed.LeafHash())
}

// stuckTree does not answer Append.
type stuckTree struct{ ledger.Tree }

func (stuckTree) Append(ctx context.Context, _ []tlog.TreeLeaf) ([]int64, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A log that shows another history than the one last signed gets no signature, and events wait.
func TestNoSignatureForAnotherHistory(t *testing.T) {
	base := newWorld(t)
	base.stop()
	for name, lie := range map[string]func(tlog.Root) tlog.Root{
		"smaller":      func(r tlog.Root) tlog.Root { r.Size -= 2; return r },
		"another root": func(r tlog.Root) tlog.Root { r.Hash[0] ^= 1; return r },
		"larger":       func(r tlog.Root) tlog.Root { r.Size++; return r },
	} {
		t.Run(name, func(t *testing.T) {
			w := base.fork(t)
			tree := &lyingTree{lie: lie}
			w.openWith(func(c *ledger.Config) { tree.Tree = c.Tree; c.Tree = tree })
			before := string(w.Checkpoint())
			tree.lies.Store(true)
			signed := w.openCase("a")
			if _, err := w.accept(signed); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := w.Await(ctx, signed.LeafHash()); ev.KindOf(err) != ev.Pending {
				t.Errorf("await: %v", err)
			}
			kept := must(os.ReadFile(w.path("checkpoint")))
			if string(w.Checkpoint()) != before || string(kept) != before {
				t.Error("a checkpoint was signed")
			}
			tree.lies.Store(false)
			w.await(signed.LeafHash())
			w.check(signed.LeafHash())
		})
	}
}

type lyingTree struct {
	ledger.Tree
	lie  func(tlog.Root) tlog.Root
	lies atomic.Bool
}

func (t *lyingTree) Root(ctx context.Context) (tlog.Root, error) {
	r, err := t.Tree.Root(ctx)
	if t.lies.Load() {
		r = t.lie(r)
	}
	return r, err
}

// An event whose row was damaged before it was appended never enters the log.
func TestDamagedRowStaysOut(t *testing.T) {
	w := newWorld(t)
	w.stop()
	records := &damagedRecords{}
	w.openWith(func(c *ledger.Config) { records.Records = c.Records; c.Records = records })
	before := w.Size()
	signed := w.openCase("a")
	records.damaged.Store(true)
	if _, err := w.accept(signed); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if root := must(w.tree.Root(t.Context())); root.Size > before+1 { // one publication may have been under way
		t.Errorf("the log grew from %d to %d", before, root.Size)
	}
	records.damaged.Store(false)
	w.await(signed.LeafHash())
	w.check(signed.LeafHash())
}

type damagedRecords struct {
	ledger.Records
	damaged atomic.Bool
}

func (r *damagedRecords) Pending(ctx context.Context, limit int) ([]ledger.Entry, error) {
	list, err := r.Records.Pending(ctx, limit)
	for i := range list {
		if r.damaged.Load() {
			list[i].Leaf.Value = []byte(strings.ToUpper(string(list[i].Leaf.Value)))
		}
	}
	return list, err
}

// Close leaves nothing running, whoever waits.
func TestCloseLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.stop()
	settle := func(most int) int {
		for range 200 {
			if runtime.NumGoroutine() <= most {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		return runtime.NumGoroutine()
	}
	before := settle(0)
	for range 3 {
		w.start()
		w.put(w.openCase("a"))
		for range 8 {
			go w.Complete(context.Background(), nil, 1<<40)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := w.Complete(ctx, nil, 1<<40); ev.KindOf(err) != ev.Pending && ev.KindOf(err) != ev.Internal {
				t.Errorf("complete: %v", err)
			}
		}
		w.stop()
	}
	if after := settle(before); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
