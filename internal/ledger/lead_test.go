package ledger_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// gate stops a process at one of its calls, as when the machine stops it.
type gate struct {
	at      string // the call
	mu      sync.Mutex
	reached chan struct{} // closed when it is stopped; nil: it is not to be
	open    chan struct{}
}

// arm has the process stopped at its next call of that name.
func (g *gate) arm(at string) (reached <-chan struct{}, release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	open := make(chan struct{})
	g.at, g.reached, g.open = at, make(chan struct{}), open
	return g.reached, sync.OnceFunc(func() { close(open) })
}

func (g *gate) pass(call string) {
	g.mu.Lock()
	reached, open, stopped := g.reached, g.open, g.at == call && g.reached != nil
	if stopped {
		g.reached = nil
	}
	g.mu.Unlock()
	if stopped {
		close(reached)
		<-open
	}
}

type gatedRecords struct {
	ledger.Records
	*gate
}

func (r gatedRecords) Pending(ctx context.Context, limit int) ([]ledger.Entry, error) {
	list, err := r.Records.Pending(ctx, limit)
	if len(list) > 0 {
		r.pass("after Pending")
	}
	return list, err
}

func (r gatedRecords) Include(ctx context.Context, size int64, checkpoint []byte, included []ledger.Inclusion) error {
	r.pass("Include")
	defer r.pass("after Include")
	return r.Records.Include(ctx, size, checkpoint, included)
}

func (r gatedRecords) Commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	if c.Heads != nil {
		r.pass("Commit")
		defer r.pass("after Commit")
	}
	return r.Records.Commit(ctx, c, judge)
}

type gatedTree struct {
	ledger.Tree
	*gate
}

func (t gatedTree) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	t.pass("Append")
	defer t.pass("after Append")
	return t.Tree.Append(ctx, leaves)
}

// A leader that is stopped in the middle, for so long that another one leads, changes nothing when it goes on, whether it is told so or not.
func TestStoppedLeader(t *testing.T) {
	for i, call := range []string{"after Pending", "Append", "after Append", "Include", "after Include", "Commit", "after Commit"} {
		for _, still := range []bool{false, true} {
			if os.Getenv("STRONGROOM_LONG") != "1" && still != (i%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s, still told to lead %t", call, still), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t).alone()
				g := &gate{}
				a := w.beside(t, true, func(c *ledger.Config) { c.Records, c.Tree = gatedRecords{c.Records, g}, gatedTree{c.Tree, g} })
				b := w.beside(t, false)
				a.led()
				a.check()
				reached, release := g.arm(call)
				defer release()
				before := w.accepted(a, 3)
				<-reached
				b.leads.Store(true)
				b.led()
				before = append(before, w.accepted(b, 3)...)
				for _, leaf := range before {
					b.await(leaf)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				if _, err := b.Complete(ctx, []ev.Stream{ev.PolicyOf(origin)}, b.Size()-1); err != nil {
					t.Fatal(err)
				}
				a.leads.Store(still)
				release()
				for _, leaf := range before { // who waited all the time is answered too
					a.await(leaf)
				}
				before = append(before, w.accepted(a, 3)...)
				a.check(before...)
				b.check(before...)
			})
		}
	}
}

// accepted has a process accept events that nobody waits for.
func (w *world) accepted(r *replica, n int) (list []ev.Hash) {
	for range n {
		e, err := r.accept(r.openCase("b"))
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, e.LeafHash)
	}
	return list
}

// Of a leader that was ended at any moment the next one takes over what is left: there is no end that loses or doubles anything.
func TestKilledLeader(t *testing.T) {
	base := newWorld(t)
	base.check()
	base.stop()
	for at := 1; at < 24; at += 4 {
		for _, persist := range []bool{false, true} {
			t.Run(fmt.Sprint(at, persist), func(t *testing.T) {
				t.Parallel()
				w := base.fork(t)
				w.start()
				w.alone()
				f := newFaults(1<<30, persist, true)
				a := w.beside(t, true, func(c *ledger.Config) { c.Records, c.Tree = faultyRecords{c.Records, f}, faultyTree{c.Tree, f} })
				b := w.beside(t, false)
				a.led()
				f.mu.Lock()
				f.at = f.calls + at
				f.mu.Unlock()
				var list []ev.Hash
				for range 4 {
					if e, err := a.accept(a.openCase("a")); err == nil {
						list = append(list, e.LeafHash)
					}
				}
				eventually(t, "it died", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.struck != "" })
				b.leads.Store(true)
				list = append(list, b.post().LeafHash)
				b.check(list...)
			})
		}
	}
}

// A leader of which nothing succeeds leaves the lead to others for a while. That takes as long as it is patient, so only STRONGROOM_LONG=1
// sees it.
func TestStuckLeader(t *testing.T) {
	if os.Getenv("STRONGROOM_LONG") != "1" {
		t.Skip("STRONGROOM_LONG is not set")
	}
	w := newWorld(t).alone()
	var asked atomic.Int64
	a := w.beside(t, true, func(c *ledger.Config) {
		lead := c.Lead
		c.Tree, c.Lead = stuckTree{c.Tree}, func(ctx context.Context) (bool, error) { asked.Add(1); return lead(ctx) }
	})
	a.led()
	w.accepted(a, 1)
	eventually(t, "the lead is left to others", func() bool { return a.loud.times("log_lead_lost") > 0 })
	before := asked.Load()
	time.Sleep(5 * time.Second)
	if asked.Load() > before+1 {
		t.Error("it goes on asking")
	}
	eventually(t, "it tries again", func() bool { return a.loud.times("log_lead_taken") > 1 })
}

// A lead is good for a while after the last yes, when nobody answers any more.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t).alone()
	var silent atomic.Bool
	a := w.beside(t, true, func(c *ledger.Config) {
		c.Lead = func(ctx context.Context) (bool, error) {
			if silent.Load() {
				<-ctx.Done()
				return true, ctx.Err()
			}
			return true, nil
		}
	})
	a.led()
	silent.Store(true)
	a.post()
	if a.loud.times("log_lead_lost") > 0 {
		t.Error("the lead is lost at once")
	}
	eventually(t, "the lead is lost", func() bool { return a.loud.times("log_lead_lost") > 0 })
	leaf := w.accepted(a, 1)[0]
	silent.Store(false)
	a.await(leaf)
	a.check(leaf)
}
