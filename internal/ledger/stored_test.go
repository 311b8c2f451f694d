package ledger_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// lostAnswers stores each wave and says that it failed. After the first the ledger cannot even look, for as long as it is blind.
type lostAnswers struct {
	ledger.Records
	blind atomic.Bool
	once  sync.Once
}

func (r *lostAnswers) Include(ctx context.Context, size int64, checkpoint []byte, included []ledger.Inclusion) error {
	if err := r.Records.Include(ctx, size, checkpoint, included); err != nil {
		return err
	}
	r.once.Do(func() { r.blind.Store(true) })
	return errFault
}

func (r *lostAnswers) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	if r.blind.Load() {
		return ledger.Entry{}, errFault
	}
	return r.Records.Entry(ctx, leaf)
}

// A receipt can be read as soon as it is stored. Whoever has read it can follow its checkpoint, also while the ledger does not know yet
// that it is stored; and it knows as soon as it can look.
func TestStoredButReportedFailed(t *testing.T) {
	base := newWorld(t)
	base.check()
	base.stop()
	w := base.fork(t)
	before := w.recorded()
	records := &lostAnswers{}
	w.openWith(func(c *ledger.Config) { records.Records = c.Records; c.Records = records })
	signed := w.openCase("a")
	if _, err := w.accept(signed); err != nil {
		t.Fatal(err)
	}
	var e ledger.Entry
	for deadline := time.Now().Add(10 * time.Second); !e.Included() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		e = must(records.Records.Entry(t.Context(), signed.LeafHash()))
	}
	cp := must(tlog.OpenCheckpoint(must(tlog.ParseReceipt(e.Receipt)).Checkpoint(), w.keys()))
	if w.Size() >= cp.Size {
		t.Fatal("the ledger knows already")
	}
	proof, err := w.Consistency(t.Context(), before.Size, cp.Size)
	if err != nil || tlog.VerifyConsistency(before, cp, proof) != nil {
		t.Fatalf("a stored checkpoint cannot be followed: %v", err)
	}
	if _, err := w.Consistency(t.Context(), before.Size, cp.Size+1); ev.ReasonOf(err) != "log_size" {
		t.Errorf("beyond it: %v", err)
	}
	records.blind.Store(false)
	if _, _, err := w.Inclusion(t.Context(), signed.LeafHash(), cp.Size); err != nil {
		t.Fatalf("an inclusion under it: %v", err)
	}
	if got := w.await(signed.LeafHash()); string(got.Receipt) != string(e.Receipt) {
		t.Error("another receipt")
	}
	for deadline := time.Now().Add(10 * time.Second); w.Size() < cp.Size; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the ledger never learns that its wave is stored")
		}
	}
}
