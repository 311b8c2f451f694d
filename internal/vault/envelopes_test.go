package vault_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// busyRecords do not erase: the first answers of Destroy are refusals, after or without effect.
type busyRecords struct {
	vault.Records
	refuse *atomic.Int32
	reason *atomic.Value
	erased *sync.Map // streams for which Destroy has worked
}

func newBusyRecords(reason string) busyRecords {
	r := busyRecords{refuse: new(atomic.Int32), reason: new(atomic.Value), erased: new(sync.Map)}
	r.reason.Store(reason)
	return r
}

func (r busyRecords) Destroy(ctx context.Context, s ev.Stream) error {
	refused := r.refuse.Add(-1) >= 0
	if !refused || r.reason.Load() == "erase_incomplete" {
		if err := r.Records.Destroy(ctx, s); err != nil {
			return err
		}
	}
	if refused {
		return ev.Refuse(ev.Internal, r.reason.Load().(string))
	}
	r.erased.Store(s, true)
	return nil
}

// The court's envelope goes with the grant, whatever stands in the way: the accepted event is never failed by it, and the sweep, also
// that of the next process, finishes it. A later envelope of the same court stays.
func TestEnvelopesGo(t *testing.T) {
	for name, end := range map[string]func(w *world, c consented, id ev.GrantID){
		"revoked": func(w *world, c consented, id ev.GrantID) {
			w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
		},
		"expired": func(w *world, c consented, id ev.GrantID) {
			w.pass(2 * time.Hour)
			if err := w.Sweep(ctx()); err != nil && ev.KindOf(err) != ev.Internal {
				w.t.Fatal(err)
			}
		},
		"withdrawn": func(w *world, c consented, id ev.GrantID) {
			w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"})
		},
	} {
		for _, reason := range []string{"", "erase_incomplete", "records_busy", "killed"} {
			if name != "revoked" && (reason == "erase_incomplete" || reason == "records_busy") {
				continue // the cleaning is the same
			}
			t.Run(name+" "+reason, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				busy := newBusyRecords(reason)
				w.records = func(r vault.Records) vault.Records { busy.Records = r; return busy }
				w.restart()
				if err := w.Sweep(ctx()); err != nil {
					t.Fatal(err)
				}
				c := w.consented()
				court := w.enrol("court", ev.Court)
				id := w.grant(c, "court", time.Hour)
				stream := ev.ItemOf(c.item.id)
				if !w.envelope(stream, court.fingerprint()) {
					t.Fatal("no envelope to begin with")
				}
				busy.erased.Clear()
				if reason == "killed" {
					busy.refuse.Store(1 << 30)
				} else if reason != "" {
					busy.refuse.Store(1)
				}
				end(w, c, id)
				if reason == "killed" {
					if name != "withdrawn" && w.envelope(stream, court.fingerprint()) {
						t.Error("the envelope did not go with the event")
					}
					busy.refuse.Store(0)
					w.restart() // what the process remembered is gone
				}
				for range 2 {
					if err := w.Sweep(ctx()); err != nil {
						t.Fatal(err)
					}
				}
				if _, ok := w.itemState(c.item.id).Envelope(court.fingerprint()); ok || w.envelope(stream, court.fingerprint()) {
					t.Error("the court's envelope is still there")
				}
				if _, ok := busy.erased.Load(stream); !ok {
					t.Error("what the engine keeps of it was not erased")
				}
				if !w.envelope(stream, w.people["clinician"].fingerprint()) {
					t.Error("a keyholder's envelope is gone")
				}
				if name == "withdrawn" {
					return
				}
				id = w.grant(c, "court", time.Hour)
				if err := w.Sweep(ctx()); err != nil {
					t.Fatal(err)
				}
				if w.redeem("court", c, id).Opening == nil {
					t.Error("a second grant to the same court opens nothing")
				}
			})
		}
	}
}

// An envelope goes with the event that takes it away, whatever comes after: a process that stops there leaves nothing that could be taken for
// the next one of the same recipient, and nothing that takes that one away.
func TestGoneBeforeNew(t *testing.T) {
	w := newWorld(t)
	busy := newBusyRecords("records_busy")
	w.records = func(r vault.Records) vault.Records { busy.Records = r; return busy }
	w.restart()
	c := w.consented()
	court := w.enrol("court", ev.Court)
	id := w.grant(c, "court", time.Hour)
	old := must(w.db.Envelope(ctx(), ev.ItemOf(c.item.id), court.fingerprint()))
	busy.refuse.Store(1 << 30)
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	w.restart()
	id = w.grant(c, "court", time.Hour)
	if _, err := w.db.StreamAttachment(ctx(), ev.ItemOf(c.item.id), old.SHA256); ev.KindOf(err) != ev.Gone {
		t.Errorf("the old envelope: %v", err)
	}
	busy.refuse.Store(0)
	w.sweep()
	if w.redeem("court", c, id).Opening == nil {
		t.Error("the new envelope is gone")
	}
}

// The vault's clock steps back after a grant was seen to be over: the vault's own events still follow those before.
func TestClockStepsBack(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.enrol("court", ev.Court)
	id := w.grant(c, "court", time.Hour)
	w.pass(2 * time.Hour)
	w.open("custodian", c.item.id)
	w.pass(-30 * time.Minute)
	if err := w.Sweep(ctx()); err != nil {
		t.Fatal(err)
	}
	if s := w.itemState(c.item.id).Grant(id).Status; s != ev.GrantOver {
		t.Errorf("the grant is %s", s)
	}
}
