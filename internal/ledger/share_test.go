package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// replica is the ledger of one process among several over the same records and the same tree. It leads while it is told to.
type replica struct {
	*world
	leads atomic.Bool
	loud  *loud
}

// alone ends the world's own ledger, which believes to be the only one.
func (w *world) alone() *world {
	w.Close()
	w.Ledger = nil
	return w
}

// beside opens the ledger of another process, with a folder of its own.
func (w *world) beside(t testing.TB, leads bool, set ...func(*ledger.Config)) *replica {
	t.Helper()
	r := &replica{world: &world{t: t, dir: t.TempDir(), logKey: w.logKey, note: w.note, people: w.people, db: w.db, tree: w.tree}, loud: &loud{}}
	r.leads.Store(leads)
	r.reopen(set...)
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *replica) reopen(set ...func(*ledger.Config)) {
	r.t.Helper()
	if err := r.tryOpen(set...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replica) tryOpen(set ...func(*ledger.Config)) error {
	config := r.config()
	config.Lead = func(context.Context) (bool, error) { return r.leads.Load(), nil }
	config.Logger = slog.New(r.loud)
	for _, f := range set {
		f(&config)
	}
	l, err := ledger.Open(context.Background(), config)
	if err == nil {
		r.Ledger = l
	}
	return err
}

// loud counts what is logged as an error, by message.
type loud struct {
	mu   sync.Mutex
	said map[string]int
}

func (l *loud) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *loud) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *loud) WithGroup(string) slog.Handler                    { return l }
func (l *loud) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = make(map[string]int)
	}
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			text += ": " + a.Value.String()
		}
		return true
	})
	l.said[text]++
	return nil
}

// mentions is how often something was said.
func (l *loud) mentions(what string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text, times := range l.said {
		if strings.Contains(text, what) {
			n += times
		}
	}
	return n
}

func (l *loud) times(message string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text, times := range l.said {
		if strings.HasPrefix(text, message) {
			n += times
		}
	}
	return n
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// led waits until the process works on the log.
func (r *replica) led() {
	r.t.Helper()
	eventually(r.t, "leads", func() bool { return r.loud.times("log_lead_taken") > r.loud.times("log_lead_lost") })
}

func (r *replica) kept() tlog.Checkpoint {
	return must(tlog.OpenCheckpoint(must(os.ReadFile(r.path("checkpoint"))), r.keys()))
}

// load has a process take events, one after the other from each of several people, until stop is called. It returns those acknowledged.
func (r *replica) load(people int) (stop func() []ev.Hash) {
	var mu sync.Mutex
	var list []ev.Hash
	var all sync.WaitGroup
	over := make(chan struct{})
	for i := range people {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				signed := r.openCase("a")
				if i == 0 && n%4 == 3 {
					signed = r.suspend()
				} else if i == 1 && n%4 == 1 {
					signed = r.configure(fmt.Sprint(n))
				}
				e, err := r.accept(signed) // two may sign the same statement: then it is one event
				if ev.KindOf(err) == ev.Conflict {
					continue // another was faster
				} else if err != nil {
					r.t.Error(err)
					return
				}
				mu.Lock()
				list = append(list, e.LeafHash)
				mu.Unlock()
				r.await(e.LeafHash)
			}
		})
	}
	return func() []ev.Hash {
		close(over)
		all.Wait()
		return list
	}
}

// post has the process take an event, and waits for its receipt.
func (r *replica) post() ledger.Entry {
	r.t.Helper()
	for {
		e, err := r.accept(r.openCase("b"))
		if err == nil {
			return r.await(e.LeafHash)
		}
		if ev.KindOf(err) != ev.Conflict { // it stands on what has changed meanwhile
			r.t.Fatal(err)
		}
	}
}

// Who follows accepts events, gets receipts and proofs of completeness while the leader is busy, and remembers the newest checkpoint itself.
func TestFollower(t *testing.T) {
	t.Parallel()
	w := newWorld(t).alone()
	a, b := w.beside(t, true), w.beside(t, false)
	a.led()
	stop := a.load(2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var acknowledged []ev.Hash
	for range 10 {
		e := b.post()
		acknowledged = append(acknowledged, e.LeafHash)
		if b.Size() <= e.Index {
			t.Errorf("event %d is answered under a log of %d", e.Index, b.Size())
		}
		c, err := b.Complete(ctx, []ev.Stream{e.Stream, ev.PolicyOf(origin), ev.VaultOf(origin)}, e.Index)
		if err != nil {
			t.Fatal(err)
		}
		b.checkComplete(c, must(w.db.LogRange(ctx, 0, c.Covers)))
		if _, proof, err := b.Inclusion(ctx, e.LeafHash, b.Size()); err != nil || len(proof) == 0 {
			t.Errorf("inclusion: %v", err)
		}
	}
	acknowledged = append(acknowledged, stop()...)
	b.check(acknowledged...)
	a.check(acknowledged...)
	eventually(t, "both remember the newest checkpoint", func() bool {
		newest := must(tlog.OpenCheckpoint(must(w.db.Checkpoint(ctx)), w.keys()))
		return a.kept() == newest && b.kept() == newest && b.Size() == newest.Size
	})
	if n := b.loud.times("log_lead_taken"); n != 0 {
		t.Errorf("the follower led %d times", n)
	}
	for _, r := range []*replica{a, b} {
		if n := r.loud.times("log_append_failed") + r.loud.times("log_follow_failed"); n > 0 {
			t.Errorf("%d errors: %v", n, r.loud.said)
		}
	}
}

// The lead goes from one to the other and back, under load from both, and what the one published the other goes on with.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t).alone()
	a, b := w.beside(t, true), w.beside(t, false)
	a.led()
	stopA, stopB := a.load(2), b.load(2)
	for leader, next := a, b; leader != nil; {
		leader.leads.Store(false)
		eventually(t, "the lead is lost", func() bool { return leader.loud.times("log_lead_lost") > 0 })
		next.leads.Store(true)
		next.led()
		e := leader.post()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if _, err := leader.Complete(ctx, []ev.Stream{e.Stream}, e.Index); err != nil {
			t.Fatal(err)
		}
		if leader, next = next, leader; next == b {
			break
		}
	}
	w.Ledger = b.Ledger
	w.check(append(stopA(), stopB()...)...)
	w.Ledger = nil
}

// Two who lead for ever do no harm: each event is in the log once and in its order, one chain of publications covers it, whoever waits is
// answered, and it makes no noise.
func TestTwoLeaders(t *testing.T) {
	w := newWorld(t).alone()
	witness := newFake(t, "witness.example")
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + "quorum witness.example\n")
	a, b := w.beside(t, true, s.by), w.beside(t, true, s.by)
	a.led()
	b.led()
	stopA, stopB := a.load(3), b.load(3)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for i := range 6 {
		r := []*replica{a, b}[i%2]
		e := r.post()
		c, err := r.Complete(ctx, []ev.Stream{e.Stream, ev.VaultOf(origin)}, e.Index)
		if err != nil {
			t.Fatal(err)
		}
		r.checkComplete(c, must(w.db.LogRange(ctx, 0, c.Covers)))
		if i < 2 {
			r.finally(s, e)
			if c, err = r.CompleteFinal(ctx, []ev.Stream{e.Stream}, e.Index); err != nil {
				t.Fatal(err)
			}
			if by := must(s.trust.Policy().Cosigned(must(tlog.ParseReceipt(c.Heads)).Checkpoint())); !by.Quorum {
				t.Error("a final proof is not cosigned")
			}
		}
	}
	acknowledged := append(stopA(), stopB()...)
	a.check(acknowledged...)
	b.check(acknowledged...)
	for _, r := range []*replica{a, b} {
		if n := r.loud.times("log_append_failed") + r.loud.times("publish_failed"); n > 3 {
			t.Errorf("%d errors: %v", n, r.loud.said)
		}
	}
}
