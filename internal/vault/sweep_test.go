package vault_test

import (
	"context"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/vault"
)

// failing refuses to commit what it is asked to refuse.
type failing struct {
	vault.Records
	refuse func(*ev.Event) error
}

func (r *failing) Commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	if err := r.refuse(c.Signed.Event()); err != nil {
		return ledger.Entry{}, err
	}
	return r.Records.Commit(ctx, c, judge)
}

// sweep must succeed.
func (w *world) sweep() {
	w.t.Helper()
	if err := w.Sweep(ctx()); err != nil {
		w.t.Fatal(err)
	}
}

// placeHold places one that is not confirmed, as if the signer's clock were off by so much.
func (w *world) placeHold(by string, c consented, off time.Duration) {
	w.t.Helper()
	real := w.drift.Load()
	w.pass(off)
	text := must(sealing.SealNote("why", c.item.key.Recipient()))
	d := &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder, Expires: ev.At(w.now().Add(time.Hour)), Review: ev.At(w.now().Add(time.Minute))}
	signed := w.sign(by, ev.ItemOf(c.item.id), ev.HoldPlaced, d, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "order", Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}}
	})
	w.drift.Store(real)
	w.submit(by, signed, "", ledger.Attachment{Kind: ledger.Note, Name: "order", Audience: ev.ToInternal, Body: text})
}

func (w *world) holdStatus(c consented) ev.HoldStatus {
	w.t.Helper()
	holds := w.itemState(c.item.id).Holds
	return holds[len(holds)-1].Status
}

// What a sweep could not do the next one does, and it keeps nothing else waiting.
func TestSweepAgain(t *testing.T) {
	w := newWorld(t)
	one, other := w.consented(), w.consented()
	w.placeHold("custodian", one, 0)
	w.placeHold("custodian", other, 0)
	var refuse error
	w.records = func(r vault.Records) vault.Records {
		return &failing{r, func(e *ev.Event) error {
			if e.Kind == ev.HoldLifted && e.Stream.ID == string(one.item.id) {
				return refuse
			}
			return nil
		}}
	}
	w.restart()
	w.pass(3 * time.Second)
	refuse = ev.Refuse(ev.Internal, "broken")
	refused(t, w.Sweep(ctx()), ev.Internal, "broken")
	if w.holdStatus(one) != ev.HoldUnconfirmed || w.holdStatus(other) != ev.HoldOver {
		t.Errorf("one hold stands in the way of another: %s, %s", w.holdStatus(one), w.holdStatus(other))
	}
	refuse = ev.Refuse(ev.Conflict, "position") // somebody acted at the same moment
	w.pass(time.Hour)
	w.sweep()
	refuse = nil
	w.pass(time.Hour)
	w.sweep()
	if w.holdStatus(one) != ev.HoldOver {
		t.Error("a hold that could not be ended was forgotten")
	}
}

// A signer's clock may be behind: what is signed after a sweep may have its moment before it.
func TestSweepLate(t *testing.T) {
	w := newWorld(t)
	c, passed := w.consented(), w.consented()
	w.pass(time.Hour)
	w.placeHold("custodian", passed, 0)
	w.pass(3 * time.Second)
	w.sweep()
	w.placeHold("custodian", c, -100*time.Second)
	w.sweep()
	if w.holdStatus(c) != ev.HoldOver {
		t.Error("a hold from a clock that is behind did not lapse")
	}
}

// Who opened in an emergency is suspended until somebody has reviewed it, whatever became of the item.
func TestSuspendedUntilReviewed(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	duty := w.enrol("duty", ev.Custodian)
	w.join(c, duty, ev.OnDuty)
	keyring := ev.Keyholder{Actor: duty.id, Fingerprint: duty.fingerprint()}
	w.do("custodian", ev.CaseOf(c.in), ev.CaseKeyringChanged, &ev.CaseKeyringChangedDetails{Added: []ev.Keyholder{keyring}})
	w.open("custodian", c.item.id)
	body := must(sealing.WriteEnvelope(c.item.key, duty.recipient()))
	ref := ev.EnvelopeRef{Recipient: duty.fingerprint(), SHA256: ev.SHA256(body)}
	w.submit("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseRewrap}), "",
		ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
	o := w.noted("duty", c, ev.ItemBreakGlass, &ev.ItemBreakGlassDetails{Code: "life", Envelope: ref.SHA256}, "reason")
	w.withdraw(c)
	w.shred(c)
	suspended := func() bool {
		return w.state(ev.ActorOf(duty.id)).(*ev.ActorState).SuspendedTill > ev.At(w.now())
	}
	for week := range 4 {
		w.sweep()
		if !suspended() {
			t.Errorf("week %d: nobody reviewed it, and nothing happened", week)
		}
		w.pass(8 * 24 * time.Hour)
		if suspended() {
			t.Errorf("week %d: the suspension does not end", week)
		}
	}
	w.noted("second", c, ev.ItemBreakGlassReviewed, &ev.ItemBreakGlassReviewedDetails{Event: o.LeafHash, Justified: true}, "measures")
	w.sweep()
	if suspended() {
		t.Error("suspended after the review")
	}
}

// Only the process that has the lease sweeps, until it stops renewing it.
func TestSweepLease(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.placeHold("custodian", c, 0)
	w.pass(3 * time.Second)
	lease := func(holder string) bool {
		return must(w.db.Lease(ctx(), "sweep", holder, w.now(), time.Minute))
	}
	if !lease("another") {
		t.Fatal("nobody sweeps, and the lease is taken")
	}
	sweepFor := func(most time.Duration) (swept bool) {
		short, stop := context.WithTimeout(ctx(), most)
		defer stop()
		go func() {
			for short.Err() == nil && w.holdStatus(c) != ev.HoldOver {
				time.Sleep(10 * time.Millisecond)
			}
			stop()
		}()
		w.SweepEvery(short, 20*time.Second)
		return w.holdStatus(c) == ev.HoldOver
	}
	if sweepFor(300 * time.Millisecond) {
		t.Error("swept while another process does")
	}
	w.pass(time.Minute)
	if !sweepFor(time.Minute) {
		t.Error("nobody sweeps once the other process is gone")
	}
}

// A process whose clock is not that of the records ends nothing, and leaves the sweep to another, until it is.
func TestSweepWrongClock(t *testing.T) {
	w := newPostgresWorld(t)
	c := w.consented()
	court := w.enrol("court", ev.Court)
	id := w.grant(c, "court", time.Hour)
	sweep := func(long time.Duration) (swept, mine bool) {
		running, stop := context.WithCancel(ctx())
		before, ended := w.Swept(), make(chan struct{})
		go func() {
			w.SweepEvery(running, time.Minute)
			close(ended)
		}()
		for began := time.Now(); time.Since(began) < long && w.Swept() == before; {
			time.Sleep(10 * time.Millisecond)
		}
		mine = must(w.db.Leases(ctx(), vault.SweepWork))[0].Running
		stop()
		<-ended
		return w.Swept() != before, mine
	}
	for _, off := range []time.Duration{48 * time.Hour, -48 * time.Hour, ev.Clock + time.Second, -ev.Clock - time.Second} {
		must(w.db.Lease(ctx(), vault.SweepWork, w.config.Process, w.now(), time.Minute)) // from when it was right
		w.pass(off)
		if swept, mine := sweep(500 * time.Millisecond); swept || mine {
			t.Errorf("the clock is %s ahead: swept %t, has the lease %t", off, swept, mine)
		}
		w.pass(-off)
	}
	w.pass(time.Minute)
	if swept, mine := sweep(time.Minute); !swept || !mine {
		t.Error("nobody sweeps")
	}
	if w.itemState(c.item.id).Grant(id).Status != ev.GrantActive || !w.envelope(ev.ItemOf(c.item.id), court.fingerprint()) {
		t.Error("the grant is over, or its envelope gone")
	}
}

// Who leaves the keyring, is revoked or gets other keys loses the envelopes of the case's items: the sweep takes them away, also after a
// restart, and leaves everybody else's.
func TestKeysEnd(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	item, in := ev.ItemOf(c.item.id), ev.CaseOf(c.in)
	join := func(p *person) {
		t.Helper()
		w.do("custodian", in, ev.CaseKeyringChanged, &ev.CaseKeyringChangedDetails{Added: []ev.Keyholder{{Actor: p.id, Fingerprint: p.fingerprint()}}})
		w.open("custodian", c.item.id)
	}
	wrap := func(p *person) {
		t.Helper()
		body := must(sealing.WriteEnvelope(c.item.key, p.recipient()))
		ref := ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256(body)}
		w.submit("custodian", w.sign("custodian", item, ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseRewrap}), "",
			ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
	}
	left := func(who string, p *person, want bool) {
		t.Helper()
		_, named := w.itemState(c.item.id).Envelope(p.fingerprint())
		if stored := w.envelope(item, p.fingerprint()); stored != want || named != want {
			t.Errorf("%s: stored %t, named %t, want %t", who, stored, named, want)
		}
	}
	second, clinician, custodian := w.people["second"], w.people["clinician"], w.people["custodian"]
	join(second)
	wrap(second)
	w.sweep()
	left("a present keyholder", second, true)
	w.do("custodian", in, ev.CaseKeyringChanged, &ev.CaseKeyringChangedDetails{Removed: []ev.ActorID{second.id}})
	w.sweep()
	left("who left the keyring", second, false)
	w.do("administrator", ev.ActorOf(clinician.id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseCompromise})
	w.restart() // what a crash left undone
	w.sweep()
	left("who was revoked", clinician, false)
	left("the last keyholder", custodian, true)
	if !w.envelope(item, ev.Fingerprint(nil, w.recovery.Recipient())) {
		t.Error("recovery lost its envelope")
	}
	court := w.enrol("court", ev.Court)
	w.grant(c, "court", time.Hour)
	left("the recipient of a share", court, true)
	w.do("administrator", ev.ActorOf(court.id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseCompromise})
	w.sweep()
	left("the recipient, revoked", court, false)
	join(second)
	old := w.rotate("custodian", "administrator", "second")
	w.sweep()
	left("the last keyholder's earlier keys", &old, true) // until somebody else has an envelope
	w.restart()
	w.sweep()
	wrap(second)
	w.sweep()
	left("the last keyholder's earlier keys, once there is another", &old, false)
	left("the other", second, true)
}
