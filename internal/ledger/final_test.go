package ledger_test

import (
	"bytes"
	"context"
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

// Where the trust file names nobody, nothing is published and every receipt is final as it is.
func TestNobodyIsAsked(t *testing.T) {
	w := newWorld(t)
	e := w.put(w.openCase("a"))
	if final := must(w.Final(t.Context(), e.LeafHash)); !bytes.Equal(final, e.Receipt) {
		t.Error("the final receipt is another than the stored one")
	}
	if final := must(w.FinalCheckpoint(t.Context())); !bytes.Equal(final, w.Checkpoint()) {
		t.Error("the final checkpoint is another than the newest")
	}
	c := must(w.CompleteFinal(t.Context(), []ev.Stream{e.Stream}, e.Index))
	w.checkComplete(c, must(w.db.Events(t.Context(), 0, 1<<20)))
	if s := w.Witnessed(); s.Required || s.Size != 0 || s.Behind != 0 || len(s.Witnesses) != 0 || s.Alarmed() {
		t.Errorf("status is %+v", s)
	}
	if rows := must(w.db.AllPublished(t.Context(), -1, 10)); len(rows) != 0 {
		t.Errorf("%d checkpoints were published", len(rows))
	}
	if _, err := w.PublishedCheckpoint(t.Context(), 0); ev.KindOf(err) != ev.NotFound {
		t.Errorf("a published checkpoint: %v", err)
	}
	if err := w.Cosign(t.Context(), 1, []byte("— a AAAA\n")); ev.KindOf(err) != ev.NotFound {
		t.Errorf("cosigning: %v", err)
	}
}

// Auditors come by themselves. Lines of others are not kept, and those that were kept stay.
func TestAuditors(t *testing.T) {
	w := newWorld(t)
	witness, auditor, stranger := newFake(t, "witness.example"), newFake(t, "auditor.example"), newFake(t, "stranger.example")
	auditor.answer = func(http.ResponseWriter, []byte) { t.Error("an auditor is asked") }
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + auditor.line() + "group auditors all auditor.example\nquorum witness.example\n")
	w.stop()
	w.openWith(s.by)
	e := w.put(w.openCase("a"))
	w.finally(s, e)
	w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })

	row := must(w.PublishedCheckpoint(t.Context(), 0))
	request := append([]byte("old 0\n\n"), row.Note...)
	refused := func(name string, size int64, lines string, kind ev.ErrorKind, reason string) {
		t.Helper()
		if err := w.Cosign(t.Context(), size, []byte(lines)); ev.KindOf(err) != kind || ev.ReasonOf(err) != reason {
			t.Errorf("%s: %v", name, err)
		}
		if now := must(w.PublishedCheckpoint(t.Context(), row.Size)); !bytes.Equal(now.Note, row.Note) {
			t.Errorf("%s was kept", name)
		}
	}
	good := cosign(auditor.signer, request)
	refused("a stranger's", row.Size, cosign(stranger.signer, request), ev.Invalid, "cosignature")
	refused("garbage", row.Size, "garbage\n", ev.Invalid, "cosignature")
	refused("nothing", row.Size, "", ev.Invalid, "cosignature")
	refused("cut off", row.Size, strings.TrimSuffix(good, "\n"), ev.Invalid, "cosignature")
	refused("another checkpoint's", row.Size, cosign(auditor.signer, []byte("old 0\n\nvault.example\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n")), ev.Invalid, "cosignature")
	refused("of no published checkpoint", row.Size+1, good, ev.NotFound, "checkpoint")
	w.drift.Store(-int64(time.Hour))
	refused("ahead of our clock", row.Size, good, ev.Invalid, "cosignature_time")
	w.drift.Store(0)

	brief, cancel := context.WithTimeout(t.Context(), 2*time.Second) // nobody waits longer for an auditor
	defer cancel()
	heads := must(w.CompleteFinal(brief, []ev.Stream{e.Stream}, e.Index))
	right := must(tlog.ParseReceipt(heads.Heads))
	if c := must(s.trust.Policy().Cosigned(right.Checkpoint())); c.Audited || !c.Quorum || brief.Err() == nil {
		t.Errorf("before the auditor came: %+v, %v", c, brief.Err())
	}
	if cp := must(tlog.OpenCheckpoint(right.Checkpoint(), s.trust.LogKeys())); cp.Size != right.Index()+1 || cp.Size != row.Size {
		t.Errorf("publication %d under a log of %d entries; published is %d", right.Index(), cp.Size, row.Size)
	}
	for range 2 {
		if err := w.Cosign(t.Context(), row.Size, []byte(cosign(auditor.signer, request))); err != nil {
			t.Fatal(err)
		}
	}
	now := must(w.PublishedCheckpoint(t.Context(), row.Size))
	if c := must(s.trust.Policy().Cosigned(now.Note)); !c.Audited || !c.Quorum || len(c.By) != 2 || now.Audited != ledger.PolicyID(s.trust) {
		t.Errorf("after the auditor came: %+v", c)
	}
	if p := w.Witnessed().Witnesses[1]; !p.Auditor || p.State != ledger.Well || p.Size != row.Size {
		t.Errorf("the auditor's status is %+v", p)
	}

	// A later checkpoint is final without the auditor. The publication's receipt is given under the state right after it, with the auditor's word.
	w.finally(s, w.put(w.openCase("b")))
	audited := must(tlog.ParseReceipt(must(w.Final(t.Context(), ev.Hash(tlog.LeafHash(right.Leaf()))))))
	if c := must(s.trust.Policy().Cosigned(audited.Checkpoint())); !c.Audited {
		t.Error("the publication's final receipt is not under the audited checkpoint")
	}
	// An old checkpoint takes an auditor's line at any time.
	w.stop()
	w.openWith(s.by)
	if err := w.Cosign(t.Context(), row.Size, []byte(cosign(auditor.signer, request))); err != nil {
		t.Error(err)
	}
}

// While events come without a pause, each final proof of completeness stands under the state right after its publication; and an auditor who
// comes to each such state gives its word for it.
func TestBusyVault(t *testing.T) {
	w := newWorld(t)
	witness, auditor := newFake(t, "witness.example"), newFake(t, "auditor.example")
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + auditor.line() + "group auditors all auditor.example\nquorum witness.example\n")
	w.stop()
	w.openWith(s.by)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var others sync.WaitGroup
	over := make(chan struct{})
	every := func(f func()) {
		others.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					f()
				}
			}
		})
	}
	first := w.put(w.openCase("a"))
	every(func() { w.put(w.openCase("b")) })
	every(func() { // people look, and want publications, all the time
		if _, err := w.Complete(ctx, []ev.Stream{first.Stream}, w.Size()-1); err != nil {
			t.Error(err)
		}
	})
	looking, enough := context.WithCancel(ctx)
	every(func() { // and final proofs
		if _, err := w.CompleteFinal(looking, []ev.Stream{first.Stream}, w.Size()-1); err != nil && looking.Err() == nil {
			t.Error(err)
		}
	})
	every(func() { // it signs what ends with a publication
		time.Sleep(100 * time.Millisecond)
		state := ev.VaultOf(origin)
		row := must(w.PublishedCheckpoint(ctx, 0))
		last := must(w.db.LogRange(ctx, row.Size-1, row.Size))
		if len(last) == 1 && last[0].Stream == state {
			if err := w.Cosign(ctx, row.Size, []byte(cosign(auditor.signer, append([]byte("old 0\n\n"), row.Note...)))); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		e := w.put(w.openCase("c"))
		c, err := w.CompleteFinal(ctx, []ev.Stream{e.Stream}, e.Index)
		if err != nil {
			t.Fatal(err)
		}
		r := must(tlog.ParseReceipt(c.Heads))
		cp := must(tlog.OpenCheckpoint(r.Checkpoint(), s.trust.LogKeys()))
		if by := must(s.trust.Policy().Cosigned(r.Checkpoint())); cp.Size != r.Index()+1 || !by.Quorum || !by.Audited || c.Covers <= e.Index {
			t.Errorf("publication %d, covering %d entries, under %d: %+v", r.Index(), c.Covers, cp.Size, by)
		}
	}
	close(over)
	enough()
	others.Wait()
}

// followed tells when a publication is looked up, which who wants a final proof under it does.
type followed struct {
	ledger.Records
	begun chan struct{}
}

func (f followed) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	if ctx.Value(f.begun) != nil {
		f.begun <- struct{}{}
	}
	return f.Records.Entry(ctx, leaf)
}

// sulking is a witness that answers nobody until it is told to.
func sulking(t *testing.T) (witness *fake, sulks *atomic.Bool) {
	witness, sulks = newFake(t, "witness.example"), new(atomic.Bool)
	sulks.Store(true)
	witness.answer = func(w http.ResponseWriter, request []byte) {
		if sulks.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(cosign(witness.signer, request)))
	}
	return witness, sulks
}

// However long somebody waits for a final proof, others get theirs under publications that nobody offers meanwhile. What is offered next is
// what is waited for; and when the witness is back, the proof comes.
func TestNobodyWaitsForFinality(t *testing.T) {
	w := newWorld(t)
	witness, down := sulking(t)
	s := w.watch(witness.line() + "quorum witness.example\n")
	w.stop()
	begun := make(chan struct{}, 100)
	w.openWith(func(c *ledger.Config) {
		s.by(c)
		c.Records = followed{c.Records, begun}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var sizes []int64 // of the log right after each publication
	publication := func(e ledger.Entry) {
		c := must(w.Complete(ctx, []ev.Stream{e.Stream}, e.Index))
		sizes = append(sizes, must(tlog.ParseReceipt(c.Heads)).Index()+1)
	}
	e := w.put(w.openCase("a"))
	publication(e)
	final := make(chan ledger.Completeness, 3)
	for range cap(final) {
		go func() {
			c, err := w.CompleteFinal(context.WithValue(ctx, begun, true), []ev.Stream{e.Stream}, e.Index)
			if err != nil {
				t.Error(err)
			}
			final <- c
		}()
		<-begun
	}
	for range 8 {
		publication(w.put(w.openCase("b")))
	}
	offered := 0
	for _, size := range sizes {
		if _, err := w.PublishedCheckpoint(ctx, size); err == nil {
			offered++
		}
	}
	if offered >= len(sizes)-1 {
		t.Error("each publication waited until the one before it was offered")
	}
	down.Store(false)
	for range cap(final) {
		c := <-final
		if t.Failed() {
			return
		}
		if _, err := w.PublishedCheckpoint(ctx, sizes[0]); err != nil {
			t.Errorf("what was waited for: %v", err)
		}
		r := must(tlog.ParseReceipt(c.Heads))
		cp := must(tlog.OpenCheckpoint(r.Checkpoint(), s.trust.LogKeys()))
		if by := must(s.trust.Policy().Cosigned(r.Checkpoint())); cp.Size != r.Index()+1 || !by.Quorum || c.Covers <= e.Index {
			t.Errorf("publication %d, covering %d entries, under %d: %+v", r.Index(), c.Covers, cp.Size, by)
		}
	}
}

// A publication whose state was passed by before the witnesses signed it gives way to a later one. That takes the time that witnesses are
// given, and that one who failed is left alone, so only STRONGROOM_LONG=1 sees it.
func TestPassedBy(t *testing.T) {
	if os.Getenv("STRONGROOM_LONG") != "1" {
		t.Skip("STRONGROOM_LONG is not set")
	}
	w := newWorld(t)
	witness, sulks := sulking(t)
	s := w.watch(witness.line() + "quorum witness.example\n")
	w.stop()
	w.openWith(s.by)
	e := w.put(w.openCase("a"))
	brief, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := w.CompleteFinal(brief, []ev.Stream{e.Stream}, e.Index); ev.KindOf(err) != ev.Pending {
		t.Fatalf("final without a witness: %v", err)
	}
	publication := func() ledger.Completeness { return must(w.Complete(t.Context(), []ev.Stream{e.Stream}, e.Index)) }
	early := must(tlog.ParseReceipt(publication().Heads)).Index()
	done := make(chan ledger.Completeness, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		c, err := w.CompleteFinal(ctx, []ev.Stream{e.Stream}, e.Index)
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	for must(w.PublishedCheckpoint(t.Context(), 0)).Size <= early+1 { // it is given up, for something larger
		w.put(w.openCase("b"))
		time.Sleep(100 * time.Millisecond)
	}
	sulks.Store(false)
	r := must(tlog.ParseReceipt((<-done).Heads))
	if cp := must(tlog.OpenCheckpoint(r.Checkpoint(), s.trust.LogKeys())); cp.Size != r.Index()+1 || r.Index() <= early {
		t.Errorf("publication %d, after %d, under %d", r.Index(), early, cp.Size)
	}
}

// A checkpoint that was final under one policy is not so under another, until those it names have confirmed it too.
func TestAnotherPolicy(t *testing.T) {
	w := newWorld(t)
	one, two := newFake(t, "one.example"), newFake(t, "two.example")
	for _, f := range []*fake{one, two} {
		f.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(f.signer, request))) }
	}
	before := w.watch(one.line() + "quorum one.example\n")
	w.stop()
	w.openWith(before.by)
	e := w.put(w.openCase("a"))
	first := textOf(w.finally(before, e).Checkpoint())
	w.finally(before, w.put(w.openCase("b")))
	w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })
	w.stop()
	after := w.watch(two.line() + "quorum two.example\n")
	w.openWith(after.by)
	w.finally(after, e) // nothing has happened since: it is the newest one that is asked for again
	later := w.put(w.openCase("b"))
	w.finally(after, later)
	w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })
	w.stop()
	// Where the trust file knows of the earlier policy, the event keeps the word of its time; what that policy did not cover has the later one's.
	both := w.watch(two.line()+"quorum two.example\n", func(p *tlog.TrustParts) {
		p.EarlierPolicies = []tlog.EarlierPolicy{{Policy: one.line() + "quorum one.example\n", Until: time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)}}
	})
	w.openWith(both.by)
	state := func(e ledger.Entry) []byte {
		return textOf(must(tlog.ParseReceipt(must(w.Final(t.Context(), e.LeafHash)))).Checkpoint())
	}
	if !bytes.Equal(state(e), first) || bytes.Equal(state(later), first) {
		t.Errorf("under the earlier policy it was\n%s\nnow\n%s\nand what came later\n%s", first, state(e), state(later))
	}
	w.stop()
	w.openWith(before.by)
	w.finally(before, e)
}
