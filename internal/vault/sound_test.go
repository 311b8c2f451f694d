package vault_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// olderRecords show the newest checkpoint of an earlier moment.
type olderRecords struct {
	vault.Records
	shown *atomic.Pointer[[]byte]
}

func (r olderRecords) Checkpoint(ctx context.Context) ([]byte, error) {
	if note := r.shown.Load(); note != nil {
		return *note, nil
	}
	return r.Records.Checkpoint(ctx)
}

// Records that went back may lack a revocation: as long as they are not the newest nothing is released, whatever was before, and no event is
// accepted.
func TestNothingFromOlderRecords(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	earlier := must(w.db.Checkpoint(ctx()))
	var shown atomic.Pointer[[]byte]
	w.records = func(r vault.Records) vault.Records { return olderRecords{r, &shown} }
	w.restart()
	o := w.open("custodian", c.item.id)
	by := w.people["custodian"].caller()
	allServed(t, w.fetch(by, o.LeafHash, c.item.id))

	sound := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); (w.ledger.Sound() == nil) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it never was: sound %t", want)
			}
		}
	}
	shown.Store(&earlier)
	sound(false)
	allRefused(t, w.fetch(by, o.LeafHash, c.item.id), ev.Internal)
	_, err := w.Vault.Open(ctx(), by, o.LeafHash)
	refused(t, err, ev.Internal, "log")
	refused(t, w.StillAllowed(ctx(), by, o.LeafHash), ev.Internal, "log")
	if again, err := w.Outcome(ctx(), by, o.LeafHash); err != nil || again.Opening != nil || again.Receipt == nil {
		t.Errorf("its outcome: %t, %v", again.Opening != nil, err)
	}
	another := w.signOpen("custodian", c.item.id)
	_, err = w.try("custodian", another, "")
	refused(t, err, ev.Internal, "log")
	if _, err := w.db.Entry(ctx(), another.LeafHash()); ev.KindOf(err) != ev.NotFound {
		t.Errorf("what was refused: %v", err)
	}
	shown.Store(nil)
	sound(true)
	allServed(t, w.fetch(by, o.LeafHash, c.item.id))
	w.submit("custodian", another, "")
}
