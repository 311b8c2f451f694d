package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

// otherRecords shows a process another newest checkpoint than there is.
type otherRecords struct {
	ledger.Records
	shown *atomic.Pointer[[]byte]
}

func (r otherRecords) Checkpoint(ctx context.Context) ([]byte, error) {
	if note := r.shown.Load(); note != nil {
		return *note, nil
	}
	return r.Records.Checkpoint(ctx)
}

// A checkpoint that does not extend what a process has seen is not believed, not remembered and not signed over, whoever leads; that is said
// once, and nothing is accepted there until it is over.
func TestAnotherLog(t *testing.T) {
	w := newWorld(t)
	old := w.Checkpoint()
	w.stop()
	fork := w.fork(t)
	fork.start()
	for range 8 {
		fork.put(fork.openCase("c"))
	}
	forked := fork.Checkpoint()
	fork.stop()
	garbage := []byte("garbage\n")
	for name, shown := range map[string]*[]byte{"forked": &forked, "rolled back": &old, "garbage": &garbage, "none": new([]byte)} {
		for _, leads := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, leads %t", name, leads), func(t *testing.T) {
				t.Parallel()
				w := w.fork(t)
				w.start()
				w.put(w.openCase("a"))
				w.check()
				w.alone()
				var lie atomic.Pointer[[]byte]
				b := w.beside(t, leads, func(c *ledger.Config) { c.Records = otherRecords{c.Records, &lie} })
				var a *replica
				if leads {
					b.led()
				} else {
					a = w.beside(t, true)
					a.led()
				}
				b.post()
				lie.Store(shown)
				// A step of the leader that began before may still end.
				eventually(t, "it is said", func() bool { return b.loud.times("log_follow_failed")+b.loud.times("log_append_failed") > 0 })
				before, newest := b.kept(), b.Checkpoint()
				known := name != "forked" // a fork is not known for one before the log is as long
				var list []ev.Hash
				if !known {
					list = w.accepted(b, 1)
				}
				if !leads {
					eventually(t, "it is known", func() bool { a.post(); return b.Sound() != nil })
					known = true
				}
				if known {
					b.unsound(t)
					if _, err := b.accept(b.openCase("b")); ev.KindOf(err) != ev.Internal || ev.ReasonOf(err) != "log" {
						t.Errorf("an event is accepted meanwhile: %v", err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				if leads && !known {
					if _, err := b.Await(ctx, list[0]); ev.KindOf(err) != ev.Pending {
						t.Errorf("await: %v", err)
					}
				}
				<-ctx.Done()
				if n := b.loud.times("log_follow_failed"); n > 2 {
					t.Errorf("it is said %d times", n)
				}
				if name == "rolled back" && b.loud.mentions("older than what this process has seen") == 0 {
					t.Errorf("it is said as %v", b.loud.said)
				}
				if b.kept() != before || string(b.Checkpoint()) != string(newest) {
					t.Error("another log was believed")
				}
				lie.Store(nil)
				eventually(t, "it is over", func() bool { return b.Sound() == nil })
				list = append(list, w.accepted(b, 1)...)
				b.await(list[len(list)-1])
				b.check(list...)
			})
		}
	}
}

// What a process remembers in its own file binds it, however much the others have done since; that it remembers little or nothing does not
// keep it out.
func TestOwnCheckpoint(t *testing.T) {
	base := newWorld(t)
	base.check()
	base.stop()
	later := base.fork(t)
	later.start()
	later.put(later.openCase("a"))
	later.check()
	later.stop()
	other := base.fork(t)
	other.start()
	for range 3 {
		other.put(other.openCase("b"))
	}
	other.check()
	other.stop()
	for name, c := range map[string]struct {
		file  func(*testing.T, string)
		parts func(*testing.T, string)
		where string // of the mismatch, "" for none
	}{
		"its own":             {from(later, "checkpoint"), nil, ""},
		"none":                {func(*testing.T, string) {}, nil, ""},
		"older":               {from(base, "checkpoint"), nil, ""},
		"another log's":       {from(other, "checkpoint"), nil, "log"},
		"all others put back": {from(later, "checkpoint"), from(base, "log.db", "records.db"), "log"},
		"records put back":    {from(later, "checkpoint"), from(base, "records.db"), "records"},
		"garbage":             {func(t *testing.T, dir string) { must(0, os.WriteFile(dir+"/checkpoint", []byte("garbage"), 0o600)) }, nil, "checkpoint file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := later.fork(t)
			if c.parts != nil {
				c.parts(t, w.dir)
			}
			must(0, os.Remove(w.path("checkpoint")))
			c.file(t, w.dir)
			w.db = must(sqldb.Open(t.Context(), w.path("records.db")))
			w.tree = must(embedded.Open(t.Context(), w.path("log.db"), embedded.Options{Logger: quiet()}))
			r := &replica{world: w, loud: &loud{}}
			err := r.tryOpen()
			if m := (*ledger.Mismatch)(nil); c.where != "" && (!errors.As(err, &m) || m.Where != c.where) || c.where == "" && err != nil {
				t.Fatalf("got %v, want a mismatch of the %q", err, c.where)
			}
			if err != nil {
				return
			}
			if r.kept().Size != r.Size() {
				t.Errorf("it remembers %d of %d leaves", r.kept().Size, r.Size())
			}
		})
	}
}

// With witnesses: the leader alone asks them. Whoever follows gets final receipts and final proofs, says how finality stands, and takes what
// auditors bring.
func TestFinalityFollowed(t *testing.T) {
	w := newWorld(t).alone()
	witness, auditor := newFake(t, "witness.example"), newFake(t, "auditor.example")
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + auditor.line() + "group auditors all auditor.example\nquorum witness.example\n")
	a, b := w.beside(t, true, s.by), w.beside(t, false, s.by)
	a.led()
	e := b.post()
	b.finally(s, e)
	b.until("well", func(s ledger.Status) bool {
		return s.Required && s.Behind == 0 && s.Since.IsZero() && s.Witnesses[0].State == ledger.Well && s.Witnesses[1].State == ledger.Waiting
	})
	stop := a.load(2)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var coming sync.WaitGroup
	over := make(chan struct{})
	coming.Go(func() { // the auditor comes to whichever process, for each checkpoint that ends with a publication
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
			}
			row := must(w.db.LastPublished(ctx, ledger.Offered, ev.Hash{}))
			last := must(w.db.LogRange(ctx, row.Size-1, row.Size))
			if len(last) == 1 && last[0].Stream == ev.VaultOf(origin) {
				r := []*replica{a, b}[n%2]
				if err := r.Cosign(ctx, row.Size, []byte(cosign(auditor.signer, append([]byte("old 0\n\n"), row.Note...)))); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2 {
		e := b.post()
		c, err := b.CompleteFinal(ctx, []ev.Stream{e.Stream}, e.Index)
		if err != nil {
			t.Fatal(err)
		}
		r := must(tlog.ParseReceipt(c.Heads))
		cp := must(tlog.OpenCheckpoint(r.Checkpoint(), s.trust.LogKeys()))
		if by := must(s.trust.Policy().Cosigned(r.Checkpoint())); cp.Size != r.Index()+1 || !by.Quorum || !by.Audited || c.Covers <= e.Index {
			t.Errorf("publication %d, covering %d entries, under %d: %+v", r.Index(), c.Covers, cp.Size, by)
		}
		b.finally(s, e)
	}
	close(over)
	coming.Wait()
	list := stop()
	b.check(list...)
	rows := must(w.db.AllPublished(ctx, -1, 1000))
	if !slices.ContainsFunc(rows, func(p ledger.Published) bool { return strings.Contains(string(p.Note), "auditor.example") }) {
		t.Error("nothing is audited")
	}
}

// What several bring at the same time for one published checkpoint, to whichever process, is all kept.
func TestBroughtTogether(t *testing.T) {
	w := newWorld(t).alone()
	policy, names := "", ""
	var auditors []*fake
	for i := range 6 {
		f := newFake(t, fmt.Sprintf("%c.auditor.example", 'a'+i))
		auditors, policy, names = append(auditors, f), policy+f.line(), names+" "+f.signer.Name()
	}
	s := w.watch(policy + "group auditors all" + names + "\nquorum none\n")
	a, b := w.beside(t, true, s.by), w.beside(t, false, s.by)
	a.led()
	a.post()
	eventually(t, "a checkpoint is published", func() bool { _, err := b.PublishedCheckpoint(t.Context(), 0); return err == nil })
	row := must(b.PublishedCheckpoint(t.Context(), 0))
	var all sync.WaitGroup
	for i, f := range auditors {
		all.Go(func() {
			if err := []*replica{a, b}[i%2].Cosign(t.Context(), row.Size, []byte(cosign(f.signer, append([]byte("old 0\n\n"), row.Note...)))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	now := must(b.PublishedCheckpoint(t.Context(), row.Size))
	if c := must(s.trust.Policy().Cosigned(now.Note)); len(c.By) != len(auditors) || now.Audited.IsZero() {
		t.Errorf("%d of %d are kept", len(c.By), len(auditors))
	}
}

// A vault in which nothing was signed yet can be opened again and again.
func TestNothingSigned(t *testing.T) {
	w := newPeople(t)
	w.db = must(sqldb.Create(t.Context(), w.path("records.db")))
	w.tree = must(embedded.Create(t.Context(), w.path("log.db"), embedded.Options{Logger: quiet()}))
	t.Cleanup(w.stop)
	a := w.beside(t, false)
	for range 2 {
		a.Close()
		a.reopen()
	}
	a.leads.Store(true)
	a.found()
}
