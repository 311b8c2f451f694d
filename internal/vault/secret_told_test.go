package vault_test

import (
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
)

// terms are what a grant of the item would say.
func (w *world) terms(c consented, to, basis string) ev.Terms {
	p := w.people[to]
	version := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState).Version
	return ev.Terms{
		ID: ev.NewID[ev.GrantID](), Item: c.item.id, Recipient: ev.Keyholder{Actor: p.id, Fingerprint: p.fingerprint()}, RecipientClass: p.role,
		Actions: []ev.Action{ev.Download, ev.View}, Purpose: ev.ForAdjudication, Jurisdiction: "FR", LegalBasis: basis,
		NotBefore: ev.At(w.now().Add(-time.Second)), Expires: ev.At(w.now().Add(50 * time.Hour)), Consent: []ev.ConsentRef{{ID: c.consent, Version: version}},
	}
}

// unseen counts what is withheld from somebody of the events from first on.
func (w *world) unseen(name string, s ev.Stream, first int64) (n int) {
	w.t.Helper()
	for _, shown := range must(w.Stream(ctx(), w.people[name].caller(), s, first-1, 100, false)) {
		if shown.Withheld != nil {
			n++
		}
	}
	return n
}

// Where only what is withheld stands in the way, the refusal does not say what it is.
func TestSecretHoldUnsaid(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	stream := ev.ItemOf(c.item.id)
	h := w.place(c)
	clinicians := w.open("clinician", c.item.id).LeafHash // as ever, and released

	// An envelope that came under the hold.
	w.share(c, "ordering court", "court_order", h.ground())
	ordinary := w.terms(c, "ordering court", "treaty")
	w.do("clinician", stream, ev.GrantProposed, &ev.GrantProposedDetails{Terms: ordinary})
	w.do("second", stream, ev.GrantApproved, &ev.GrantApprovedDetails{Grant: ordinary.ID, Terms: w.itemState(c.item.id).Grant(ordinary.ID).Terms.Digest()})
	adding := func(by string) error {
		body := must(sealing.WriteEnvelope(c.item.key, w.people["ordering court"].recipient()))
		ref := ev.EnvelopeRef{Recipient: ordinary.Recipient.Fingerprint, SHA256: ev.SHA256(body)}
		_, err := w.try(by, w.sign(by, stream, ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseGrant, Grant: ordinary.ID}), "",
			ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
		return err
	}
	refused(t, adding("clinician"), ev.Held, "withheld")
	refused(t, adding("custodian"), ev.Conflict, ev.ReasonEnvelopeExists)

	// A comparison that failed under the hold.
	w.submit("custodian", w.sign("custodian", stream, ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "content", Evidence: w.itemState(c.item.id).Evidence.SHA256},
		func(e *ev.Event) { e.Result, e.Authority = &ev.Result{Outcome: ev.Failure}, h.ground() }), "")
	opening := func(by string) error {
		own, _ := w.itemState(c.item.id).Envelope(w.people[by].fingerprint())
		_, err := w.try(by, w.sign(by, stream, ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: own.SHA256}, func(e *ev.Event) { e.Purpose = ev.ForInvestigation }), "")
		return err
	}
	refused(t, opening("clinician"), ev.Held, "withheld")
	refused(t, opening("custodian"), ev.Held, ev.ReasonDamaged)
	_, err := w.Open(ctx(), w.people["clinician"].caller(), clinicians)
	refused(t, err, ev.Held, "withheld")
	_, err = w.Evidence(ctx(), w.people["clinician"].caller(), clinicians, nil)
	refused(t, err, ev.Held, "withheld")

	w.pass(secret)
	refused(t, opening("clinician"), ev.Held, ev.ReasonDamaged)
	_, err = w.Open(ctx(), w.people["clinician"].caller(), clinicians)
	refused(t, err, ev.Held, ev.ReasonDamaged)
}

// Who was given the item under one secret hold is shown that one, not another that is secret for longer or was placed later.
func TestSecretHoldOther(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	stream := ev.ItemOf(c.item.id)
	first := w.place(c)
	grant := w.share(c, "ordering court", "court_order", first.ground())
	other := w.place(c)
	if n := w.unseen("ordering court", stream, first.first); n != 2 {
		t.Errorf("%d events are withheld, want the other hold's 2", n)
	}
	for _, s := range must(w.Stream(ctx(), w.people["ordering court"].caller(), stream, other.first-1, 100, false)) {
		if s.Withheld == nil || s.Receipt != nil || s.Leaf.Extra != nil {
			t.Errorf("event %d of the other hold is shown", s.Seq)
		}
	}
	w.redeem("ordering court", c, grant)
	hidden(t, func() error {
		_, err := w.CaseAttachment(ctx(), w.people["ordering court"].caller(), w.eventOf(c.item.id, other.first), other.order)
		return err
	}())
	for name, want := range map[string]int{"custodian": 0, "auditor": 0, "court": 2 + 4 + 2 + 1, "clinician": 2 + 4 + 2 + 1} {
		if n := w.unseen(name, stream, first.first); n != want {
			t.Errorf("%d events are withheld from %s, want %d", n, name, want)
		}
	}
}

// A proposal under a secret hold gives nothing, and shows nothing: neither while it waits nor once it is refused.
func TestSecretHoldProposed(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	stream := ev.ItemOf(c.item.id)
	h := w.place(c)
	check := func(want int) {
		t.Helper()
		if n := w.unseen("court", stream, h.first); n != want { // it has an ordinary grant of the item
			t.Errorf("%d events are withheld, want %d", n, want)
		}
	}
	check(2)
	terms := w.terms(c, "court", "court_order")
	w.do("custodian", stream, ev.GrantProposed, &ev.GrantProposedDetails{Terms: terms}, func(e *ev.Event) { e.Authority = h.ground() })
	check(3)
	text := must(sealing.SealNote("no", c.item.key.Recipient()))
	w.submit("second", w.sign("second", stream, ev.GrantRefused, &ev.GrantRefusedDetails{Grant: terms.ID}, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "reason", Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}}
	}), "", ledger.Attachment{Kind: ledger.Note, Name: "reason", Audience: ev.ToInternal, Body: text})
	check(4)
	again := w.terms(c, "court", "court_order")
	w.do("custodian", stream, ev.GrantProposed, &ev.GrantProposedDetails{Terms: again}, func(e *ev.Event) { e.Authority = h.ground() })
	w.do("second", stream, ev.GrantApproved, &ev.GrantApprovedDetails{Grant: again.ID, Terms: w.itemState(c.item.id).Grant(again.ID).Terms.Digest()})
	check(0)
}
