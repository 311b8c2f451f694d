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

// noted signs an event on an item with one internal note.
func (w *world) noted(by string, c consented, k ev.Kind, d ev.Details, name string) vault.Outcome {
	w.t.Helper()
	text := must(sealing.SealNote("why", c.item.key.Recipient()))
	note := ev.Note{Name: name, Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}
	return w.submit(by, w.sign(by, ev.ItemOf(c.item.id), k, d, func(e *ev.Event) { e.Notes = []ev.Note{note} }), "",
		ledger.Attachment{Kind: ledger.Note, Name: name, Audience: ev.ToInternal, Body: text})
}

func (w *world) withdraw(c consented) {
	w.t.Helper()
	w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"})
}

// join makes a person a member with these rights.
func (w *world) join(c consented, p *person, rights ...ev.Right) {
	w.t.Helper()
	label := must(sealing.WriteEnvelope(c.item.key, p.recipient()))
	w.submit("custodian", w.sign("custodian", ev.CaseOf(c.in), ev.CaseMemberAdded, &ev.CaseMemberAddedDetails{
		Member: ev.Member{Actor: p.id, Rights: rights}, Envelope: ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256(label)},
	}), "", ledger.Attachment{Kind: ledger.LabelEnvelope, Recipient: p.fingerprint(), Body: label})
}

// shred proposes and, after the wait, carries out.
func (w *world) shred(c consented) vault.Outcome {
	w.t.Helper()
	stream := ev.ItemOf(c.item.id)
	w.do("custodian", stream, ev.ItemShredProposed, &ev.ItemShredProposedDetails{Cause: ev.CauseWithdrawal, DryRun: ev.SHA256([]byte("list"))})
	w.pass(2 * time.Second)
	d := &ev.ItemShreddedDetails{Stores: []string{"records", "backups"}, Horizon: ev.At(w.now().Add(48 * time.Hour))}
	for _, e := range w.itemState(c.item.id).Envelopes {
		d.Envelopes = append(d.Envelopes, e.Recipient)
	}
	return w.do("second", stream, ev.ItemShredded, d)
}

// stored reports how many of the bytes that came with the item's events exist.
func (w *world) stored(id ev.ItemID) (n int) {
	w.t.Helper()
	for after := int64(0); ; {
		list := must(w.db.Attachments(ctx(), after, 100))
		for _, a := range list {
			after = a.Number
			if a.Stream == ev.ItemOf(id) && !a.Destroyed {
				n++
			}
		}
		if len(list) < 100 {
			return n
		}
	}
}

// After a shred nothing that came with the item's events exists, and who had it open is not served any more; what comes later stays.
func TestShred(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	opened := w.open("custodian", c.item.id)
	by := w.people["custodian"].caller()
	allServed(t, w.fetch(by, opened.LeafHash, c.item.id))
	_, err := w.try("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.ItemShredProposed,
		&ev.ItemShredProposedDetails{Cause: ev.CauseWithdrawal, DryRun: ev.SHA256([]byte("list"))}), "")
	refused(t, err, ev.Conflict, ev.ReasonNotFrozen)
	w.withdraw(c)
	allRefused(t, w.fetch(by, opened.LeafHash, c.item.id), ev.Held)
	if n := w.stored(c.item.id); n < 6 {
		t.Fatalf("%d attachments before", n)
	}
	w.shred(c)
	if n := w.stored(c.item.id); n != 0 {
		t.Errorf("%d attachments are left of a shredded item", n)
	}
	for _, err := range w.fetch(by, opened.LeafHash, c.item.id) {
		if err == nil {
			t.Error("a shredded item was served")
		}
	}
	list := must(w.Items(ctx(), by, c.in, "", 10))
	for _, l := range list {
		if l.Item.ID == c.item.id && (l.Label != nil || l.Item.Shredded == 0) {
			t.Error("the label of a shredded item is shown")
		}
	}
	if n := w.stored(c.form.id); n == 0 {
		t.Error("the form of the consent went with it")
	}
}

// A shredded item is gone with the event; what a crash, or a busy database, leaves of it beside the records is erased by the next sweep, of
// the same process or of the next.
func TestShredIsFinished(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		c := w.consented()
		w.withdraw(c)
		busy := newBusyRecords("erase_incomplete")
		w.records = func(r vault.Records) vault.Records { busy.Records = r; return busy }
		w.restart()
		busy.refuse.Store(1 << 30)
		w.shred(c)
		if n := w.stored(c.item.id); n != 0 {
			t.Errorf("%d attachments are left", n)
		}
		if restart {
			w.restart()
		}
		if err := w.Sweep(ctx()); ev.ReasonOf(err) != "erase_incomplete" {
			t.Errorf("while the database is busy: %v", err)
		}
		busy.refuse.Store(0)
		if err := w.Sweep(ctx()); err != nil {
			t.Fatal(err)
		}
		if _, ok := busy.erased.Load(ev.ItemOf(c.item.id)); !ok {
			t.Errorf("restarted %t: it was not erased", restart)
		}
	}
}

// Time alone ends a hold that nobody confirmed, and suspends who opened in an emergency and was not reviewed.
func TestMoments(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	duty := w.people["custodian"]
	w.join(c, duty, ev.MayManage, ev.OnDuty)
	ref, _ := w.itemState(c.item.id).Envelope(duty.fingerprint())
	o := w.noted("custodian", c, ev.ItemBreakGlass, &ev.ItemBreakGlassDetails{Code: "life", Envelope: ref.SHA256}, "reason")
	if o.Opening == nil || len(o.Opening.Envelope) == 0 {
		t.Fatal("an emergency opening gives nothing")
	}
	allServed(t, w.fetch(duty.caller(), o.LeafHash, c.item.id))
	w.noted("second", c, ev.HoldPlaced, &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder,
		Expires: ev.At(w.now().Add(time.Hour)), Review: ev.At(w.now().Add(time.Minute))}, "order")
	if err := w.Sweep(ctx()); err != nil {
		t.Fatal(err)
	}
	if s := w.itemState(c.item.id); s.Holds[0].Status != ev.HoldUnconfirmed || w.state(ev.ActorOf(duty.id)).(*ev.ActorState).SuspendedTill != 0 {
		t.Error("something ended before its time")
	}
	w.pass(3 * time.Second)
	if err := w.Sweep(ctx()); err != nil {
		t.Fatal(err)
	}
	if s := w.itemState(c.item.id); s.Holds[0].Status != ev.HoldOver {
		t.Error("an unconfirmed hold did not lapse")
	}
	if s := w.state(ev.ActorOf(duty.id)).(*ev.ActorState); s.SuspendedTill < ev.At(w.now().Add(6*24*time.Hour)) {
		t.Error("an unreviewed emergency opening has no consequence")
	}
	length := w.itemState(c.item.id).Last.Seq
	w.restart()
	if err := w.Sweep(ctx()); err != nil || w.itemState(c.item.id).Last.Seq != length {
		t.Errorf("a moment was acted on twice: %v", err)
	}
}

// A narrowing, or the end of a consent, takes the court's envelope away, and leaves another grant's alone.
func TestSharingEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, c consented){
		"narrowed": func(w *world, c consented) {
			own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
			answers := own.Answers
			answers.Courts = nil
			w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentNarrowed, &ev.ConsentNarrowedDetails{Version: 2, Answers: answers, Until: own.Until})
		},
		"over": func(w *world, c consented) { w.pass(1001 * time.Hour) },
	} {
		w := newWorld(t)
		c := w.consented()
		court := w.enrol("court", ev.Court)
		w.grant(c, "court", 2000*time.Hour)
		stream := ev.ItemOf(c.item.id)
		if err := w.Sweep(ctx()); err != nil || !w.envelope(stream, court.fingerprint()) {
			t.Fatalf("%s: the envelope went before: %v", name, err)
		}
		end(w, c)
		if err := w.Sweep(ctx()); err != nil {
			t.Fatal(err)
		}
		if w.envelope(stream, court.fingerprint()) {
			t.Errorf("%s: the court's envelope is left", name)
		}
		if !w.envelope(stream, w.people["clinician"].fingerprint()) {
			t.Errorf("%s: a keyholder's envelope went", name)
		}
	}
}

// A case is closed when nothing in it is open.
func TestCloseCase(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.enrol("court", ev.Court)
	w.grant(c, "court", time.Hour)
	closing := func() error {
		_, err := w.try("custodian", w.sign("custodian", ev.CaseOf(c.in), ev.CaseClosed, &ev.CaseClosedDetails{Outcome: "decided"}), "")
		return err
	}
	refused(t, closing(), ev.Conflict, "open_grant")
	w.pass(2 * time.Hour)
	if err := closing(); err != nil {
		t.Fatal(err)
	}
	_, err := w.tryDeposit(w.prepare(c.in, ev.Original, ev.ConsentRef{ID: c.consent, Version: 1}))
	refused(t, err, ev.Conflict, ev.ReasonCaseClosed)
}

// listed are records in which something happens, once, after the items of a case were read, as another request can do, or another process.
type listed struct {
	vault.Records
	then *func()
}

func (r listed) Items(ctx context.Context, c ev.CaseID, after ev.ItemID, limit int) ([]*ev.ItemState, error) {
	list, err := r.Records.Items(ctx, c, after, limit)
	if f := *r.then; f != nil {
		*r.then = nil
		f()
	}
	return list, err
}

// What is begun while a case is being closed keeps it open.
func TestCloseCaseMeanwhile(t *testing.T) {
	for reason, begin := range map[string]func(w *world, c consented){
		"open_grant": func(w *world, c consented) { w.grant(c, "court", time.Hour) },
		"open_review": func(w *world, c consented) {
			ref, _ := w.itemState(c.item.id).Envelope(w.people["custodian"].fingerprint())
			w.noted("custodian", c, ev.ItemBreakGlass, &ev.ItemBreakGlassDetails{Code: "life", Envelope: ref.SHA256}, "reason")
		},
	} {
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			var then func()
			w.records = func(r vault.Records) vault.Records { return listed{r, &then} }
			w.restart()
			c := w.consented()
			w.enrol("court", ev.Court)
			if reason == "open_review" {
				w.join(c, w.people["custodian"], ev.MayManage, ev.OnDuty)
			}
			closing := w.sign("custodian", ev.CaseOf(c.in), ev.CaseClosed, &ev.CaseClosedDetails{Outcome: "decided"})
			then = func() { begin(w, c) }
			_, err := w.try("custodian", closing, "")
			refused(t, err, ev.Conflict, reason)
			if then != nil || !w.state(ev.CaseOf(c.in)).(*ev.CaseState).Open {
				t.Error("the case is closed")
			}
		})
	}
}

// Who speaks for a subject sees what concerns that one and nothing else; an auditor sees every statement and no content.
func TestWhoIsConcerned(t *testing.T) {
	w := newWorld(t)
	c, other := w.consented(), w.consented()
	survivor, advocate, auditor := w.enrol("survivor", ev.Survivor), w.enrol("advocate", ev.Advocate), w.enrol("auditor", ev.Auditor)
	read := func(p *person, s ev.Stream) error {
		_, err := w.Stream(ctx(), p.caller(), s, -1, 10, false)
		return err
	}
	all := []ev.Stream{ev.CaseOf(c.in), ev.ConsentOf(c.consent), ev.ItemOf(c.item.id), ev.ItemOf(c.form.id)}
	for _, s := range all {
		hidden(t, read(survivor, s))
		hidden(t, read(advocate, s))
		if err := read(auditor, s); err != nil {
			t.Error(err)
		}
	}
	hidden(t, read(auditor, ev.ItemOf(ev.NewID[ev.ItemID]())))
	form := w.prepare(c.in, ev.ConsentForm)
	if _, err := w.tryDeposit(form); err != nil {
		t.Fatal(err)
	}
	w.join(c, w.enrol("investigator", ev.Investigator)) // a second person names her
	own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
	w.do("investigator", ev.ConsentOf(c.consent), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 2, Answers: own.Answers, From: own.From, Until: own.Until, By: "self", Form: form.id, Subject: survivor.id})
	for _, s := range append(all[:3:3], ev.ItemOf(form.id)) {
		if err := read(survivor, s); err != nil {
			t.Error(s.Type, err)
		}
		hidden(t, read(advocate, s))
	}
	for _, s := range []ev.Stream{ev.CaseOf(other.in), ev.ConsentOf(other.consent), ev.ItemOf(other.item.id)} {
		hidden(t, read(survivor, s))
	}
	mine := must(w.SpokenFor(ctx(), survivor.caller()))
	governed := must(w.Governed(ctx(), survivor.caller(), c.consent, "", 10))
	if len(mine) != 1 || mine[0].ID != c.consent || len(governed) != 3 { // the item and both forms
		t.Errorf("she sees %d consents and %d items", len(mine), len(governed))
	}
	_, err := w.Governed(ctx(), survivor.caller(), other.consent, "", 10)
	hidden(t, err)
	w.do("survivor", ev.ConsentOf(c.consent), ev.ConsentDelegated, &ev.ConsentDelegatedDetails{Advocate: advocate.id, Rights: []string{"withdraw"}, Until: ev.At(w.now().Add(time.Hour))})
	if err := read(advocate, all[1]); err != nil {
		t.Error(err)
	}
	hidden(t, read(advocate, all[2])) // not the right to read
	w.do("survivor", ev.ConsentOf(c.consent), ev.ConsentDelegated, &ev.ConsentDelegatedDetails{Advocate: advocate.id, Rights: []string{"read"}, Until: ev.At(w.now().Add(time.Hour))})
	if err := read(advocate, all[2]); err != nil {
		t.Error(err)
	}
	w.pass(2 * time.Hour)
	hidden(t, read(advocate, all[2]))
	if list := must(w.SpokenFor(ctx(), advocate.caller())); len(list) != 0 {
		t.Error("a delegation that is over is listed")
	}
	if list := must(w.AllItems(ctx(), "", 100)); len(list) != 5 || list[0].Label != nil {
		t.Errorf("an auditor is shown %d items", len(list))
	}
	_, err = w.try("auditor", w.sign("auditor", ev.ItemOf(c.item.id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(nil)}, func(e *ev.Event) { e.Purpose = ev.ForAudit }), "")
	refused(t, err, ev.Forbidden, ev.ReasonNotMember)
}

// One form serves one consent: else a colleague's form would let one person widen another consent.
func TestFormServesOneConsent(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
	_, err := w.try("clinician", w.sign("clinician", ev.ConsentOf(ev.NewID[ev.ConsentID]()), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 1, Answers: own.Answers, From: own.From, Until: own.Until, By: "self", Form: c.form.id}, func(e *ev.Event) { e.Case = c.in }), "")
	refused(t, err, ev.Conflict, "form_taken")
}

// Who is to receive a physical item can read what the signature for it stands on, and who has it goes on reading; nobody else outside.
func TestHandOver(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	police, other := w.enrol("police", ev.Police), w.enrol("other", ev.Police)
	w.join(c, w.people["second"], ev.MayManage)
	own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
	form := w.prepare(c.in, ev.ConsentForm)
	if _, err := w.tryDeposit(form); err != nil {
		t.Fatal(err)
	}
	answers := own.Answers
	answers.PolicePhysical = ev.Yes
	w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 2, Answers: answers, From: own.From, Until: own.Until, By: "self", Form: form.id})
	c.item = w.prepare(c.in, ev.DescriptionOnly, ev.ConsentRef{ID: c.consent, Version: 2})
	c.item.details.Content, c.item.details.Evidence, c.item.upload = ev.Physical, ev.Evidence{SHA256: ev.SHA256(nil), Tree: ev.SHA256(nil)}, ""
	if _, err := w.tryDeposit(c.item); err != nil {
		t.Fatal(err)
	}
	streams := []ev.Stream{ev.ItemOf(c.item.id), ev.CaseOf(c.in), ev.ConsentOf(c.consent), ev.ItemOf(form.id)}
	sees := func(p *person, want bool) {
		t.Helper()
		for _, s := range streams {
			if _, err := w.Stream(ctx(), p.caller(), s, -1, 10, false); (err == nil) != want {
				t.Errorf("%s: %v, want %t", s.Type, err, want)
			}
		}
	}
	sees(police, false)
	text := must(sealing.SealNote("kit 7", c.item.key.Recipient()))
	note := ev.Note{Name: "transfer", Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}
	w.submit("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.ItemTransferred, &ev.ItemTransferredDetails{Class: ev.Police}, func(e *ev.Event) {
		e.Notes, e.Place = []ev.Note{note}, "NL"
		e.Counterparty = &ev.Counterparty{Actor: police.id, Fingerprint: police.fingerprint(), Class: ev.Police}
	}), "", ledger.Attachment{Kind: ledger.Note, Name: "transfer", Audience: ev.ToInternal, Body: text})
	sees(police, true)
	sees(other, false)
	hidden(t, errorOf(w.Stream(ctx(), police.caller(), ev.ItemOf(c.form.id+"x"), -1, 10, false)))
	w.submit("police", w.sign("police", ev.ItemOf(c.item.id), ev.ItemReceived, &ev.ItemReceivedDetails{SealIntact: true}, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "condition", Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}}
	}), "", ledger.Attachment{Kind: ledger.Note, Name: "condition", Audience: ev.ToInternal, Body: text})
	sees(police, true)
	sees(other, false)
}

// The survivor who opens an own copy gets what belongs to the item, and no note that was written to a court.
func TestOwnCopyWithoutNotes(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	survivor, court := w.enrol("survivor", ev.Survivor), w.enrol("court", ev.Court)
	form := w.prepare(c.in, ev.ConsentForm)
	if _, err := w.tryDeposit(form); err != nil {
		t.Fatal(err)
	}
	w.join(c, w.enrol("investigator", ev.Investigator))
	own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
	w.do("investigator", ev.ConsentOf(c.consent), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 2, Answers: own.Answers, From: own.From, Until: own.Until, By: "self", Form: form.id, Subject: survivor.id})
	terms := ev.Terms{
		ID: ev.NewID[ev.GrantID](), Item: c.item.id, Recipient: ev.Keyholder{Actor: court.id, Fingerprint: court.fingerprint()}, RecipientClass: court.role,
		Actions: []ev.Action{ev.View}, Purpose: ev.ForAdjudication, Jurisdiction: "FR", LegalBasis: "consent",
		NotBefore: ev.At(w.now().Add(-time.Second)), Expires: ev.At(w.now().Add(time.Hour)), Consent: []ev.ConsentRef{{ID: c.consent, Version: 2}},
	}
	text := must(sealing.SealNote("request 12", court.recipient(), w.people["custodian"].recipient()))
	digest := ev.SHA256(text)
	proposed := w.submit("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.GrantProposed, &ev.GrantProposedDetails{Terms: terms}, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "reason", Audience: ev.ToRecipient, SHA256: digest, Size: int64(len(text))}}
	}), "", ledger.Attachment{Kind: ledger.Note, Name: "reason", Audience: ev.ToRecipient, Body: text})

	opened := w.open("custodian", c.item.id)
	if _, err := w.Attachment(ctx(), w.people["custodian"].caller(), opened.LeafHash, proposed.LeafHash, digest); err != nil {
		t.Errorf("a keyholder does not get the note: %v", err)
	}
	body := must(sealing.WriteEnvelope(c.item.key, survivor.recipient()))
	ref := ev.EnvelopeRef{Recipient: survivor.fingerprint(), SHA256: ev.SHA256(body)}
	w.submit("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseCopy}, func(e *ev.Event) {
		e.Counterparty = &ev.Counterparty{Actor: survivor.id, Fingerprint: survivor.fingerprint(), Class: ev.Survivor}
	}), "", ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
	mine := w.do("survivor", ev.ItemOf(c.item.id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ref.SHA256}, func(e *ev.Event) { e.Purpose = ev.ForSubjectAccess })
	by := survivor.caller()
	hidden(t, errorOf(w.Attachment(ctx(), by, mine.LeafHash, proposed.LeafHash, digest)))
	deposited := must(w.Stream(ctx(), by, ev.ItemOf(c.item.id), -1, 1, false))[0]
	for _, want := range []ev.Hash{c.item.details.Description.SHA256, c.item.notes[0].SHA256} {
		if _, err := w.Attachment(ctx(), by, mine.LeafHash, deposited.LeafHash, want); err != nil {
			t.Error(err)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// manySpoken is asked for whom an actor speaks, and begins with many for whom it does not any more.
type manySpoken struct{ vault.Records }

func (r manySpoken) SpokenFor(c context.Context, actor ev.ActorID, after ev.ConsentID, limit int) ([]*ev.ConsentState, error) {
	if after == "" {
		old := make([]*ev.ConsentState, limit)
		for i := range old {
			old[i] = &ev.ConsentState{ID: "0"}
		}
		return old, nil
	}
	return r.Records.SpokenFor(c, actor, "", limit)
}

// However many an advocate once spoke for, the one for whom the advocate speaks now is found.
func TestSpeaksForMany(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	advocate := w.enrol("advocate", ev.Advocate)
	w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentDelegated, &ev.ConsentDelegatedDetails{Advocate: advocate.id, Rights: []string{"read"}, Until: ev.At(w.now().Add(time.Hour))})
	w.records = func(r vault.Records) vault.Records { return manySpoken{r} }
	w.restart()
	if list := must(w.SpokenFor(ctx(), advocate.caller())); len(list) != 1 || list[0].ID != c.consent {
		t.Errorf("%d consents", len(list))
	}
	if _, err := w.Stream(ctx(), advocate.caller(), ev.ItemOf(c.item.id), -1, 10, false); err != nil {
		t.Error(err)
	}
}
