package vault_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

// busyRecords do not erase: the first answers of Destroy are refusals, after or without effect.
type busyRecords struct {
	vault.Records
	refuse *atomic.Int32
	reason *atomic.Value
}

func (r busyRecords) Destroy(ctx context.Context, s ev.Stream, k ledger.AttachmentKind, recipient ev.Hash) error {
	if r.refuse.Add(-1) < 0 {
		return r.Records.Destroy(ctx, s, k, recipient)
	}
	reason := r.reason.Load().(string)
	if reason == "erase_incomplete" {
		if err := r.Records.Destroy(ctx, s, k, recipient); err != nil {
			return err
		}
	}
	return ev.Refuse(ev.Internal, reason)
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
				busy := busyRecords{refuse: new(atomic.Int32), reason: new(atomic.Value)}
				busy.reason.Store(reason)
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
				if reason == "killed" {
					busy.refuse.Store(1 << 30)
				} else if reason != "" {
					busy.refuse.Store(1)
				}
				end(w, c, id)
				if reason == "killed" {
					if !w.envelope(stream, court.fingerprint()) {
						t.Fatal("destroyed all the same")
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

// An envelope that was left behind by a crash is destroyed before another comes for the same recipient.
func TestLeftoverBeforeNew(t *testing.T) {
	w := newWorld(t)
	busy := busyRecords{refuse: new(atomic.Int32), reason: new(atomic.Value)}
	busy.reason.Store("records_busy")
	w.records = func(r vault.Records) vault.Records { busy.Records = r; return busy }
	w.restart()
	c := w.consented()
	court := w.enrol("court", ev.Court)
	id := w.grant(c, "court", time.Hour)
	old := must(w.db.Envelope(ctx(), ev.ItemOf(c.item.id), court.fingerprint()))
	busy.refuse.Store(1)
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	w.restart()
	id = w.grant(c, "court", time.Hour)
	if _, err := w.db.StreamAttachment(ctx(), ev.ItemOf(c.item.id), old.SHA256); ev.KindOf(err) != ev.Gone {
		t.Errorf("the old envelope: %v", err)
	}
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
