package client

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/ceremony"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// loses gives somebody who lost everything new keys and an empty folder: rotated by one, confirmed by another.
func (w *world) loses(p, by, confirmer *person) *person {
	w.Helper()
	ctx := w.Context()
	q := w.connect(w.newPerson("again-" + string(p.Actor())))
	secret, digest, err := by.Invite(ctx, Offer{Rotation: p.Actor()})
	check(w, err)
	fingerprint := must(q.AnswerInvitation(ctx, secret))(w)
	_, err = by.Admit(ctx, digest, evidence.CauseLoss)
	check(w, err)
	_, err = confirmer.Confirm(ctx, Confirmation{Actor: p.Actor(), Typed: tlog.SixGroups(fingerprint), Method: evidence.InPerson})
	check(w, err)
	return q
}

// The drill: everybody who holds keys of a case loses them. Two trustees state what is to be recovered, three shares of five open it, and the
// case goes on with the new keys. Without the statement, with fewer shares or a wrong one, nothing opens.
func TestRecoveryDrill(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	helper := w.enrol("helper", evidence.Custodian, w.admin, w.custodian) // holds no key of the case
	one, two := w.enrol("trustee", evidence.Trustee, w.custodian, w.second), w.enrol("trustee 2", evidence.Trustee, w.custodian, w.second)
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("what must not be lost"))
	left := w.deposit(w.clinician, in, consent, strings.NewReader("not stated"))

	custodian := w.loses(w.custodian, w.admin, helper)
	second := w.loses(w.second, w.admin, helper)
	investigator := w.loses(w.investigator, w.admin, helper)
	var got bytes.Buffer
	for _, p := range []*person{custodian, second, investigator} {
		_, err := p.Open(ctx, Open{Item: item, Purpose: evidence.ForInvestigation}, &got)
		wantReason(t, err, evidence.ReasonEnvelope)
	}

	// Too few, or a wrong one, is no key. That one is named.
	record := ceremony.Record{Recipient: w.record.Recipient}
	_, err := ceremony.Combine(record, w.shares[:2])
	if want := (ceremony.TooFew{Have: 2, Needed: 3}); !errors.Is(err, want) {
		t.Fatal(err)
	}
	foreign, strangers, err := ceremony.Make(5, 3, "2027-03-15")
	check(t, err)
	_, err = ceremony.Combine(record, []ceremony.Share{w.shares[0], w.shares[1], strangers[4]})
	if !errors.Is(err, ceremony.WrongShare{Number: 5}) {
		t.Fatal(err)
	}
	other, err := ceremony.Combine(foreign, strangers[1:4])
	check(t, err)
	key, err := ceremony.Combine(record, []ceremony.Share{w.shares[4], w.shares[0], w.shares[2]})
	check(t, err)

	// The key alone opens nothing: the vault gives its envelope out only for what two trustees have stated.
	_, err = custodian.RecoverCase(ctx, in, other)
	wantReason(t, err, reasonOtherRecovery)
	unstated := func() {
		t.Helper()
		_, err := custodian.RecoverCase(ctx, in, key)
		wantReason(t, err, evidence.ReasonNotRecovered)
	}
	unstated()
	renewed := []evidence.ActorID{custodian.Actor(), second.Actor(), investigator.Actor()}
	_, err = custodian.ChangeKeyring(ctx, in, renewed, renewed) // which needs no recovery key
	check(t, err)
	unstated()
	_, err = custodian.Recover(ctx, item, key, "")
	wantReason(t, err, evidence.ReasonNotRecovered)
	r := must(custodian.Recoverable(ctx, in))(t)
	if len(r.Stated) != 0 || len(r.Unstated) != 3 || r.Recipient != w.record.Recipient {
		t.Fatalf("%+v", r)
	}
	use := Recovery{Items: []evidence.ItemID{item}, Cause: evidence.CauseLoss}
	_, _, err = one.StateRecovery(ctx, use, false)
	check(t, err)
	_, err = custodian.Recover(ctx, item, key, "")
	wantReason(t, err, evidence.ReasonNotRecovered)
	unstated()
	_, confirmed, err := two.StateRecovery(ctx, use, false)
	if check(t, err); !confirmed {
		t.Fatal("two trustees are not enough")
	}
	if n := must(custodian.RecoverCase(ctx, in, key))(t); n != 3 {
		t.Errorf("%d members got the label key", n)
	}
	if n := must(custodian.RecoverCase(ctx, in, key))(t); n != 0 {
		t.Errorf("%d members got it again", n)
	}
	if r := must(custodian.Recoverable(ctx, in))(t); !slices.Equal(r.Stated, use.Items) || len(r.Unstated) != 2 || r.Cause != evidence.CauseLoss {
		t.Fatalf("%+v", r)
	}
	// One trustee takes it back half-way: nothing opens with it any more, until two have stated it anew.
	_, ended, err := one.EndRecovery(ctx, evidence.CauseError)
	if check(t, err); !slices.Equal(ended, use.Items) {
		t.Errorf("ended: %v", ended)
	}
	_, err = custodian.Recover(ctx, item, key, "")
	wantReason(t, err, evidence.ReasonNotRecovered)
	if r := must(custodian.Recoverable(ctx, in))(t); len(r.Stated) != 0 || r.Until != 0 {
		t.Errorf("%+v", r)
	}
	for i, p := range []*person{two, one} {
		if _, confirmed, err := p.StateRecovery(ctx, use, false); err != nil || confirmed != (i == 1) {
			t.Fatal(confirmed, err)
		}
	}
	_, err = custodian.Recover(ctx, item, other, "")
	wantReason(t, err, reasonOtherRecovery)
	_, err = w.clinician.Recover(ctx, item, key, "") // no keyholder, with right shares in hand
	wantReason(t, err, evidence.ReasonRight)
	receipts := must(custodian.Recover(ctx, item, key, "all keyholders lost their keys in the fire"))(t)
	if len(receipts) != 4 || receipts[0].Event.Kind != evidence.ItemOpened || receipts[0].Event.Purpose != evidence.ForRecovery {
		t.Fatalf("%d receipts", len(receipts))
	}
	_, err = custodian.Recover(ctx, left, key, "")
	wantReason(t, err, evidence.ReasonNotRecovered)

	// Everybody opens it with the new keys, labels included.
	for _, p := range []*person{custodian, second, investigator} {
		got.Reset()
		_, err := p.Open(ctx, Open{Item: item, Purpose: evidence.ForInvestigation}, &got)
		if check(t, err); got.String() != "what must not be lost" {
			t.Fatalf("%q", &got)
		}
	}
	if list := must(second.Items(ctx, in))(t); !slices.ContainsFunc(list, func(l Listed) bool { return l.ID == item && l.Label == "Photograph of the back" }) {
		t.Errorf("%+v", list)
	}
	_, err = custodian.Recover(ctx, item, key, "")
	wantReason(t, err, reasonNotNeeded)

	// It stands in the log for auditors to see.
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, helper)
	found := must(auditor.Audit(ctx, 0, nil))(t).Findings
	if !slices.ContainsFunc(found, func(f Finding) bool { return f.Kind == FoundRecovered && f.Item == item }) {
		t.Errorf("%+v", found)
	}
}

// The recovery key's envelope of a case's label key is given out for a case of which two trustees have named an item, as long as that holds, to
// a keyholder who manages it; and nobody's envelope to anybody else. A dishonest client that asks for more gets nothing.
func TestRecoverLabelKey(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	helper := w.enrol("helper", evidence.Custodian, w.admin, w.custodian)
	one, two := w.enrol("trustee", evidence.Trustee, w.custodian, w.second), w.enrol("trustee 2", evidence.Trustee, w.custodian, w.second)
	in, beside := w.openCase(), w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	w.deposit(w.clinician, beside, w.consent(beside), strings.NewReader("y"))
	custodian := w.loses(w.custodian, w.admin, helper)
	key := must(ceremony.Combine(ceremony.Record{Recipient: w.record.Recipient}, w.shares[:3]))(t)
	ask := func(p *person, of evidence.CaseID) error {
		t.Helper()
		v, own, err := lookAt[*evidence.CaseState](ctx, p.Client, evidence.CaseOf(of))
		check(t, err)
		_, err = p.recoverLabelKey(ctx, v, own, key)
		return err
	}
	state := func() {
		t.Helper()
		for _, p := range []*person{one, two} {
			_, _, err := p.StateRecovery(ctx, Recovery{Items: []evidence.ItemID{item}, Cause: evidence.CauseLoss}, false)
			check(t, err)
		}
	}
	wantReason(t, ask(custodian, in), evidence.ReasonNotRecovered)
	state()
	wantReason(t, ask(custodian, beside), evidence.ReasonNotRecovered)
	check(t, ask(custodian, in))
	check(t, ask(w.second, in))
	for _, p := range []*person{w.investigator, w.clinician} { // a keyholder who does not manage, a member who holds no key
		wantReason(t, ask(p, in), "not_found")
	}
	_, _, err := two.EndRecovery(ctx, evidence.CauseError)
	check(t, err)
	wantReason(t, ask(custodian, in), evidence.ReasonNotRecovered)

	v, own, err := lookAt[*evidence.CaseState](ctx, custodian.Client, evidence.CaseOf(in))
	check(t, err)
	for _, ref := range own.LabelKey.Envelopes {
		if ref.Recipient == own.Recovery {
			continue
		}
		leaf, _ := v.Leaf(evidence.CaseOf(in), 0)
		_, err := custodian.attachment(ctx, leaf, ref.SHA256, nil, evidence.MaxEnvelope)
		wantReason(t, err, "not_found")
	}
	state()
	_, err = custodian.RecoverCase(ctx, beside, key)
	wantReason(t, err, evidence.ReasonNotRecovered)
	if n := must(custodian.RecoverCase(ctx, in, key))(t); n != 1 {
		t.Errorf("%d members got the label key", n)
	}
}

// The recovery key changes, then everybody who holds keys of a case loses them: what was deposited opens again with the new one. The case's
// titles do not, and that is said.
func TestRecoverAfterNewRecoveryKey(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	enrolled := func(name string, role evidence.Role, by, confirmer *person) *person {
		p := w.enrol(name, role, by, confirmer)
		w.setClock(p, clock)
		return p
	}
	helper := enrolled("helper", evidence.Custodian, w.admin, w.custodian)
	one, two := enrolled("trustee", evidence.Trustee, w.custodian, w.second), enrolled("trustee 2", evidence.Trustee, w.custodian, w.second)
	in := w.openCase()
	begin := evidence.At(time.Now())
	consent, _, _, err := w.clinician.GiveConsent(ctx, Consent{Case: in, By: "self", From: begin, Until: begin.Add(30 * 24 * time.Hour),
		Answers: evidence.Answers{Storage: evidence.Yes, Photographs: evidence.Yes},
		Form:    Deposit{Label: "Consent form", Description: Description{Name: "form.txt", MediaType: "text/plain"}, Body: strings.NewReader("I agree.")}})
	check(t, err)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("what must not be lost"))
	key := must(sealing.NewIdentity())(t)
	seen := must(w.admin.Policy(ctx))(t)
	to := seen.Configuration()
	to.Recovery = key.Recipient()
	must(w.admin.Configure(ctx, seen, to))(t)
	_, _, err = w.second.ConfirmConfiguration(ctx, must(w.second.Policy(ctx))(t).Waiting.Event)
	check(t, err)
	clock.pass(7 * 24 * time.Hour)
	must(w.second.ChangeKeyring(ctx, in, nil, nil))(t)
	must(w.second.Rewrap(ctx, item))(t)

	custodian := w.loses(w.custodian, w.admin, helper)
	w.setClock(custodian, clock)
	w.setClock(w.loses(w.second, w.admin, helper), clock)
	for _, p := range []*person{one, two} {
		_, _, err := p.StateRecovery(ctx, Recovery{Items: []evidence.ItemID{item}, Cause: evidence.CauseLoss}, false)
		check(t, err)
	}
	for range 2 { // repeated, it says the same and signs nothing
		_, err = custodian.RecoverCase(ctx, in, key)
		wantReason(t, err, reasonLabelKey)
	}
	must(custodian.Recover(ctx, item, key, ""))(t)
	var got bytes.Buffer
	if _, err = custodian.Open(ctx, Open{Item: item, Purpose: evidence.ForInvestigation}, &got); err != nil || got.String() != "what must not be lost" {
		t.Errorf("%q, %v", got.String(), err)
	}
}
