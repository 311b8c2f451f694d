package client

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// itemNow is an item's state as somebody looks at it.
func itemNow(t *testing.T, p *person, id evidence.ItemID) (*evidence.ItemState, *View) {
	t.Helper()
	v := must(p.Look(t.Context(), evidence.ItemOf(id)))(t)
	return must(state[*evidence.ItemState](v, evidence.ItemOf(id)))(t), v
}

func (w *world) opens(p *person, item evidence.ItemID, hold evidence.HoldID) error {
	_, err := p.Open(w.Context(), Open{Item: item, Purpose: evidence.ForInvestigation, Hold: hold}, io.Discard)
	return err
}

// share seals an item and shares it with the court, to the end.
func (w *world) share(item evidence.ItemID, hold evidence.HoldID) (evidence.GrantID, error) {
	ctx := w.Context()
	now := evidence.At(w.custodian.clock.time())
	grant, _, err := w.custodian.Propose(ctx, Proposal{
		Item: item, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.Download, evidence.View}, Purpose: evidence.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(30 * 24 * time.Hour), Hold: hold,
	})
	if err != nil {
		return grant, err
	}
	if _, err := w.second.Approve(ctx, item, grant); err != nil {
		return grant, err
	}
	_, err = w.second.WriteEnvelope(ctx, item, grant, nil)
	return grant, err
}

func (w *world) redeems(item evidence.ItemID, grant evidence.GrantID) error {
	_, err := w.court.Redeem(w.Context(), Redemption{Item: item, Grant: grant, Action: evidence.Download}, io.Discard)
	return err
}

func TestNarrow(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	photo := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	_, err := w.clinician.Seal(ctx, photo, 0)
	check(t, err)
	grant, err := w.share(photo, "")
	check(t, err)
	check(t, w.redeems(photo, grant))

	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: consent})
	wantReason(t, err, evidence.ReasonWider) // it takes nothing away
	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: consent, No: func(a *evidence.Answers) { a.Research = evidence.Yes }})
	wantReason(t, err, evidence.ReasonWider)
	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: consent, No: func(a *evidence.Answers) { a.Courts[0].Photographs = evidence.No }, Reason: "asked for it"})
	check(t, err)
	if err := w.redeems(photo, grant); evidence.KindOf(err) == evidence.Internal || err == nil {
		t.Errorf("a share that the answers do not permit any more: %v", err)
	}
	check(t, w.opens(w.second, photo, ""))
	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: consent, No: func(a *evidence.Answers) { a.Photographs = evidence.No }})
	check(t, err)
	wantReason(t, w.opens(w.second, photo, ""), evidence.ReasonFrozen)
	v := must(w.second.Look(ctx, evidence.ConsentOf(consent)))(t)
	own := must(state[*evidence.ConsentState](v, evidence.ConsentOf(consent)))(t)
	if own.Version != 3 || own.Answers.Storage != evidence.Yes || own.Answers.Courts[0].Information != evidence.Yes {
		t.Errorf("%+v", own)
	}
}

// What was withdrawn is shredded by two persons after the wait, unless a hold keeps it; under the hold it is opened and shared.
func TestKeepAndShred(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	gone := w.deposit(w.clinician, in, consent, strings.NewReader("gone"))
	kept := w.deposit(w.clinician, in, consent, strings.NewReader("kept"))
	_, err := w.clinician.Seal(ctx, kept, 0)
	check(t, err)
	both := []evidence.ItemID{gone, kept}

	_, err = w.custodian.ProposeShred(ctx, gone, Shredding{Cause: evidence.CauseWithdrawal})
	wantReason(t, err, evidence.ReasonNotFrozen)
	_, err = w.custodian.ProposeShred(ctx, kept, Shredding{Cause: evidence.CauseDraft})
	wantReason(t, err, evidence.ReasonSealed)
	_, _, err = w.clinician.WithdrawConsent(ctx, consent, "")
	check(t, err)
	item, v := itemNow(t, w.custodian, kept)
	if by, ok, err := v.Decide(item); err != nil || !ok || by.Sub(v.Time) > 7*24*time.Hour || by.Sub(v.Time) < 6*24*time.Hour {
		t.Errorf("to be decided by %v: %v %v", by, ok, err)
	}

	hold := Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.CourtOrder, Expires: v.Time.Add(100 * 24 * time.Hour), Review: v.Time.Add(50 * 24 * time.Hour)}
	_, err = w.custodian.PlaceHold(ctx, kept, hold)
	wantReason(t, err, evidence.ReasonNoteMissing)
	hold.Order = "court of K., 7/27, code of procedure 94"
	_, err = w.custodian.PlaceHold(ctx, kept, hold)
	check(t, err)
	_, err = w.custodian.ConfirmHold(ctx, kept, hold.ID)
	wantReason(t, err, evidence.ReasonSecondPerson)
	wantReason(t, w.opens(w.investigator, kept, hold.ID), evidence.ReasonFrozen) // not confirmed
	_, err = w.second.ConfirmHold(ctx, kept, hold.ID)
	check(t, err)
	wantReason(t, w.opens(w.investigator, kept, ""), evidence.ReasonFrozen) // not named
	check(t, w.opens(w.investigator, kept, hold.ID))
	grant, err := w.share(kept, hold.ID)
	check(t, err)
	check(t, w.redeems(kept, grant))

	// A dry run names what it is about; the proposals that carry its digest are enough to make it again.
	v = must(w.custodian.Look(ctx, evidence.ItemOf(gone), evidence.ItemOf(kept)))(t)
	var run DryRun
	for _, id := range both {
		run = append(run, must(v.Line(id, evidence.CauseWithdrawal))(t))
	}
	slices.Reverse(run)
	again := DryRun{run[1], run[0]}
	if run.Digest() != again.Digest() || run[:1].Digest() == run.Digest() {
		t.Error("the digest is not that of the sorted list")
	}
	text := `[{"cause":"due","due":"2027-01-02T03:04:05.006Z","item":"itm-a"},{"cause":"order","item":"itm-b"}]`
	if got := (DryRun{{evidence.CauseOrder, 0, "itm-b"}, {evidence.CauseDue, evidence.At(time.Date(2027, 1, 2, 3, 4, 5, 6e6, time.UTC)), "itm-a"}}).Digest(); got != evidence.SHA256([]byte(text)) {
		t.Error("the list is not encoded as it is specified")
	}
	_, err = w.custodian.ProposeShred(ctx, kept, Shredding{Cause: evidence.CauseWithdrawal, Run: run})
	wantReason(t, err, evidence.ReasonHeld)
	run = run[:0]
	run = append(run, must(v.Line(gone, evidence.CauseWithdrawal))(t))
	_, err = w.custodian.ProposeShred(ctx, gone, Shredding{Cause: evidence.CauseWithdrawal, Run: run})
	check(t, err)
	_, v = itemNow(t, w.custodian, gone)
	if line := must(v.Line(gone, evidence.CauseWithdrawal))(t); line != run[0] {
		t.Errorf("in the bin the line is %+v, it was %+v", line, run[0])
	}
	_, err = w.custodian.CancelShred(ctx, gone, evidence.CauseError)
	wantReason(t, err, evidence.ReasonFrozen) // withdrawn, and no hold
	_, err = w.second.Shred(ctx, gone)
	wantReason(t, err, evidence.ReasonWaiting)
	clock.pass(73 * time.Hour)
	_, err = w.custodian.Shred(ctx, gone)
	wantReason(t, err, evidence.ReasonSecondPerson)
	r, err := w.second.Shred(ctx, gone)
	check(t, err)
	d := r.Event.Details.(*evidence.ItemShreddedDetails)
	if len(d.Envelopes) != 4 || d.Horizon.Sub(r.Event.Time) < 30*24*time.Hour {
		t.Errorf("%+v", d)
	}
	wantReason(t, w.opens(w.second, gone, ""), evidence.ReasonShredded)
	for _, l := range must(w.second.Items(ctx, in))(t) {
		if l.ID == gone && (l.Opened || l.Shredded == 0) || l.ID == kept && !l.Opened {
			t.Errorf("%s: label %q, shredded %v", l.ID, l.Label, l.Shredded)
		}
	}

	_, err = w.custodian.LiftHold(ctx, kept, hold.ID, evidence.CauseOrder)
	wantReason(t, err, evidence.ReasonSecondPerson)
	_, err = w.second.LiftHold(ctx, kept, hold.ID, evidence.CauseOrder)
	check(t, err)
	if err := w.redeems(kept, grant); err == nil {
		t.Error("a share under a hold outlived it")
	}
}

func TestRetention(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item, _, err := w.investigator.Deposit(ctx, Deposit{Case: in, Class: evidence.Original, Content: evidence.Digital, Basis: evidence.CourtOrder,
		Authority: sampleGround, Label: "disk", Description: Description{Name: "disk.img", MediaType: "application/octet-stream"}, Body: strings.NewReader("x")})
	check(t, err)
	_, v := itemNow(t, w.custodian, item)
	_, err = v.Line(item, evidence.CauseDue)
	wantReason(t, err, evidence.ReasonNotDue)
	due := v.Time.Add(8 * 24 * time.Hour) // an earlier date would bind after the wait only
	_, err = w.custodian.SetRetention(ctx, item, "case_files", due, "")
	check(t, err)
	_, err = w.custodian.ProposeShred(ctx, item, Shredding{Cause: evidence.CauseDue})
	wantReason(t, err, evidence.ReasonNotDue)
	_, err = w.custodian.ProposeShred(ctx, item, Shredding{Cause: evidence.CauseOrder, Basis: evidence.CourtOrder})
	wantReason(t, err, evidence.ReasonNoteMissing)
	clock.pass(8*24*time.Hour + time.Minute)
	_, v = itemNow(t, w.custodian, item)
	run := DryRun{must(v.Line(item, evidence.CauseDue))(t)}
	if run[0].Due != due {
		t.Errorf("%+v", run)
	}
	_, err = w.custodian.ProposeShred(ctx, item, Shredding{Cause: evidence.CauseDue, Run: run})
	check(t, err)
	wantReason(t, w.opens(w.second, item, ""), evidence.ReasonBinned)
	_, err = w.second.CancelShred(ctx, item, evidence.CauseError)
	check(t, err)
	check(t, w.opens(w.second, item, ""))
	_, err = w.custodian.ProposeShred(ctx, item, Shredding{Cause: evidence.CauseOrder, Basis: evidence.CourtOrder, Order: "order 9/27"})
	check(t, err)
}

func TestDerive(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	source, _, err := w.clinician.Deposit(ctx, Deposit{Case: in, Class: evidence.Original, Content: evidence.Digital, Basis: evidence.StatutoryDuty,
		Authority: sampleGround, Label: "film", Description: Description{Name: "film.mp4", MediaType: "video/mp4"}, Body: strings.NewReader("film")})
	check(t, err)
	p := Derivation{
		Source: source, Form: evidence.Derived, Made: evidence.Tool{Name: "ffmpeg", Version: "8.0"}, Parameters: "-ss 3", Purpose: evidence.ForInvestigation,
		Label: "still", Description: Description{Name: "still.png", MediaType: "image/png"}, Body: strings.NewReader("film"), Size: 4,
	}
	_, _, err = w.investigator.Derive(ctx, p)
	wantReason(t, err, reasonSame)
	if state, _ := itemNow(t, w.second, source); len(state.Derivatives) > 0 {
		t.Errorf("%v", state.Derivatives)
	}
	p.Body, p.Size = strings.NewReader("picture"), 7
	made, link, err := w.investigator.Derive(ctx, p)
	check(t, err)
	p.Body = strings.NewReader("picture") // as after an interruption
	again, linked, err := w.investigator.Derive(ctx, p)
	check(t, err)
	if again.Item != made.Item || linked.Leaf != link.Leaf {
		t.Errorf("%+v, then %+v", made, again)
	}
	p.Form, p.Body, p.Size = evidence.Working, strings.NewReader("film"), 4
	_, _, err = w.investigator.Derive(ctx, p)
	check(t, err)

	item, _ := itemNow(t, w.second, made.Item)
	from, _ := itemNow(t, w.second, source)
	if item.Source != source || item.Basis != evidence.StatutoryDuty || item.Class != evidence.Derived || len(from.Derivatives) != 2 {
		t.Errorf("a %s item on %s from %s, which has %d", item.Class, item.Basis, item.Source, len(from.Derivatives))
	}
	a, err := w.second.enter(ctx, Open{Item: made.Item, Purpose: evidence.ForInvestigation})
	check(t, err)
	if text := must(w.second.itemNote(ctx, a, 0, "authority"))(t); text != sampleGround || a.description.DerivedFrom != source {
		t.Errorf("ground %q, from %s", text, a.description.DerivedFrom)
	}
	a, err = w.second.enter(ctx, Open{Item: source, Purpose: evidence.ForInvestigation})
	check(t, err)
	if text := must(w.second.itemNote(ctx, a, link.Event.Stream.Seq, "parameters"))(t); text != "-ss 3" {
		t.Errorf("parameters %q", text)
	}
	var still bytes.Buffer
	_, err = w.second.Open(ctx, Open{Item: made.Item, Purpose: evidence.ForInvestigation}, &still)
	if check(t, err); still.String() != "picture" {
		t.Errorf("%q", still.String())
	}
}

func TestAmend(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	name := func(s string) func(*Description) {
		return func(d *Description) { d.Name, d.MediaType = s, "image/jpeg" }
	}
	_, err := w.investigator.Amend(ctx, Amendment{Item: item, Cause: evidence.CauseError, Change: name("a.jpg"), Purpose: evidence.ForDocumentation})
	wantReason(t, err, evidence.ReasonRole) // neither depositor nor custodian
	_, err = w.custodian.Amend(ctx, Amendment{Item: item, Cause: evidence.CauseError, Reason: "left, not right", Change: name("left.jpg"), Purpose: evidence.ForDocumentation})
	check(t, err)
	// The depositor has no key: the file tells size and digest.
	_, err = w.clinician.Amend(ctx, Amendment{Item: item, Cause: evidence.CauseNewFacts, Change: name("left arm.jpg"), Original: strings.NewReader("x")})
	check(t, err)
	list, access, err := w.second.Describe(ctx, Open{Item: item, Purpose: evidence.ForDocumentation})
	check(t, err)
	var names []string
	for i, v := range list {
		names = append(names, v.Description.Name)
		if v.Number != i+1 || v.Description.SHA256 != evidence.SHA256([]byte("x")) || v.Description.Size != 1 {
			t.Errorf("%+v", v)
		}
	}
	if got := strings.Join(names, ", "); got != "back.jpg, left.jpg, left arm.jpg" || access.Event.Kind != evidence.ItemOpened {
		t.Errorf("versions %s, %s", got, access.Event.Kind)
	}
	check(t, w.opens(w.second, item, "")) // the content is what the newest description says
}

func TestHandOver(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	kit, _, err := w.clinician.Deposit(ctx, Deposit{Case: in, Class: evidence.DescriptionOnly, Content: evidence.Physical, Basis: evidence.StatutoryDuty,
		Authority: sampleGround, Label: "kit", Description: Description{Name: "kit 4", MediaType: "text/plain"}})
	check(t, err)
	_, err = w.second.ReceiveItem(ctx, kit, true, "as sent", nil)
	wantReason(t, err, evidence.ReasonNoTransit)
	_, err = w.clinician.HandOverItem(ctx, HandOver{Item: kit, To: w.investigator.Actor()})
	wantReason(t, err, evidence.ReasonNoteMissing)
	_, err = w.clinician.HandOverItem(ctx, HandOver{Item: kit, To: w.investigator.Actor(), Note: "kit 4, seal 81"})
	check(t, err)
	_, err = w.clinician.HandOverItem(ctx, HandOver{Item: kit, Class: evidence.Police, Note: "kit 4"})
	wantReason(t, err, evidence.ReasonTransit)
	_, err = w.investigator.ReceiveItem(ctx, kit, false, "seal torn", nil)
	check(t, err)
	if item, _ := itemNow(t, w.second, kit); item.Keeper != w.investigator.Actor() || !item.SealBroken || item.Transit != nil {
		t.Errorf("kept by %s, seal broken %v, on its way %v", item.Keeper, item.SealBroken, item.Transit)
	}
	_, err = w.investigator.HandOverItem(ctx, HandOver{Item: kit, Class: evidence.Police, Place: "DE", Note: "kit 4"})
	check(t, err)
	_, err = w.custodian.ReceiveItem(ctx, kit, true, "signed paper of the police", nil) // on paper
	check(t, err)
	photo := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	_, err = w.clinician.HandOverItem(ctx, HandOver{Item: photo, Class: evidence.Police, Note: "print"})
	wantReason(t, err, evidence.ReasonNotPhysical)
}

func TestEmergency(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	original := random(3 << 20)
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(original))
	_, err := w.custodian.AddMember(ctx, in, evidence.Member{Actor: w.investigator.Actor(), Rights: []evidence.Right{evidence.MayDeposit, evidence.OnDuty}}, "")
	check(t, err)
	wantReason(t, w.opens(w.investigator, item, ""), evidence.ReasonRight)
	var got bytes.Buffer
	_, _, err = w.investigator.BreakGlass(ctx, Emergency{Item: item, Code: "life"}, &got)
	wantReason(t, err, evidence.ReasonNoteMissing)
	_, _, err = w.second.BreakGlass(ctx, Emergency{Item: item, Code: "life", Reason: "r"}, &got)
	wantReason(t, err, evidence.ReasonRight) // not on duty
	opened, review, err := w.investigator.BreakGlass(ctx, Emergency{Item: item, Code: "life", Reason: "the attacker is on the way"}, &got)
	check(t, err)
	if !bytes.Equal(got.Bytes(), original) || review.Sub(opened.Receipt.Event.Time) != 72*time.Hour {
		t.Errorf("%d bytes, review by %v", got.Len(), review)
	}
	event := opened.Receipt.Leaf
	_, err = w.investigator.ReviewEmergency(ctx, item, event, true, "none", nil)
	wantReason(t, err, evidence.ReasonRole)
	_, err = w.second.ReviewEmergency(ctx, item, event, true, "", nil)
	wantReason(t, err, evidence.ReasonNoteMissing)
	_, err = w.second.ReviewEmergency(ctx, item, opened.Ciphertext, true, "none", nil)
	wantReason(t, err, evidence.ReasonEmergency)
	_, err = w.second.ReviewEmergency(ctx, item, event, true, "none", nil)
	check(t, err)
	steps := must(w.second.History(ctx, evidence.ItemOf(item)))(t)
	i := slices.IndexFunc(steps, func(e Entry) bool { return e.Leaf == event })
	if why := must(w.second.InternalNote(ctx, in, steps[i], "reason"))(t); why != "the attacker is on the way" {
		t.Errorf("%q", why)
	}
}

// The person concerned sees what there is, opens a copy, also after withdrawing, and lets an advocate act.
func TestOwnCopyAndAdvocate(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	photo := w.deposit(w.clinician, in, consent, strings.NewReader("her photograph"))
	_, err := w.custodian.CopyForSubject(ctx, photo, nil)
	wantReason(t, err, evidence.ReasonNotSubject)
	if state, _ := itemNow(t, w.custodian, photo); len(state.OpenedBy) > 0 {
		t.Error("it was opened for nothing")
	}

	survivor := w.enrol("survivor", evidence.Survivor, w.custodian, w.second)
	advocate := w.enrol("advocate", evidence.Advocate, w.custodian, w.second)
	if own := must(survivor.OwnConsents(ctx))(t); len(own) != 0 {
		t.Errorf("%+v", own)
	}
	now := time.Now()
	// Who has keys is spoken for by two persons: one deposits the form, the other records the answers.
	form, _, err := w.investigator.Deposit(ctx, Deposit{Case: in, Class: evidence.ConsentForm, Content: evidence.Testimony, Basis: evidence.ByConsent,
		Label: "Consent form", Description: Description{Name: "form 2.txt", MediaType: "text/plain"}, Body: strings.NewReader("I agree again.")})
	check(t, err)
	_, _, _, err = w.clinician.GiveConsent(ctx, Consent{Consent: consent, Case: in, By: "self", Subject: survivor.Actor(), AskFirst: true,
		From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(24 * time.Hour)),
		Answers: evidence.Answers{Examination: evidence.Yes, Photographs: evidence.Yes, Storage: evidence.Yes,
			Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Photographs: evidence.Yes}}}, FormItem: form})
	check(t, err)
	own := must(survivor.OwnItems(ctx, consent))(t)
	if !slices.ContainsFunc(own, func(l Listed) bool { return l.ID == photo && !l.Opened }) {
		t.Errorf("%d items", len(own))
	}
	access := Open{Item: photo, Purpose: evidence.ForSubjectAccess, Copy: true}
	_, err = survivor.Open(ctx, access, io.Discard)
	wantReason(t, err, evidence.ReasonEnvelope)
	_, err = w.custodian.CopyForSubject(ctx, photo, nil)
	check(t, err)
	_, err = w.custodian.CopyForSubject(ctx, photo, nil)
	wantReason(t, err, evidence.ReasonEnvelopeExists)
	_, err = survivor.Open(ctx, Open{Item: photo, Purpose: evidence.ForCare}, io.Discard)
	wantReason(t, err, evidence.ReasonPurpose)
	var got bytes.Buffer
	_, err = survivor.Open(ctx, access, &got)
	if check(t, err); got.String() != "her photograph" {
		t.Errorf("%q", got.String())
	}
	got.Reset()
	must(w.custodian.CopyForSubject(ctx, form, nil))(t)
	_, err = survivor.Open(ctx, Open{Item: form, Purpose: evidence.ForSubjectAccess}, &got)
	if check(t, err); got.String() != "I agree again." { // what she agreed to
		t.Errorf("%q", got.String())
	}

	_, err = survivor.Delegate(ctx, consent, evidence.Delegation{Advocate: w.second.Actor(), Rights: []string{"read"}, Until: evidence.At(now.Add(time.Hour))})
	wantReason(t, err, evidence.ReasonAdvocate)
	may := evidence.Delegation{Advocate: advocate.Actor(), Rights: []string{"read", "approve"}, Until: evidence.At(now.Add(time.Hour))}
	_, err = survivor.Delegate(ctx, consent, may)
	check(t, err)
	if list := must(advocate.OwnConsents(ctx))(t); len(list) != 1 || list[0].Consent.ID != string(consent) {
		t.Errorf("%+v", list)
	}
	_, err = w.clinician.Seal(ctx, photo, 0)
	check(t, err)
	grant, err := w.share(photo, "")
	wantReason(t, err, evidence.ReasonGrantPending) // the person is asked first
	r, err := advocate.Approve(ctx, photo, grant)
	check(t, err)
	if r.Event.Actor.OnBehalfOf != survivor.Actor() {
		t.Errorf("on behalf of %q", r.Event.Actor.OnBehalfOf)
	}
	_, err = w.second.WriteEnvelope(ctx, photo, grant, nil)
	check(t, err)
	check(t, w.redeems(photo, grant))
	_, _, err = advocate.WithdrawConsent(ctx, consent, "")
	if evidence.KindOf(err) == evidence.Internal || err == nil {
		t.Errorf("without the right: %v", err)
	}
	may.Rights = []string{"withdraw"}
	_, err = survivor.Delegate(ctx, consent, may)
	check(t, err)
	_, r, err = advocate.WithdrawConsent(ctx, consent, "")
	check(t, err)
	if r.Event.Actor.OnBehalfOf != survivor.Actor() {
		t.Errorf("on behalf of %q", r.Event.Actor.OnBehalfOf)
	}
	_, err = advocate.EndDelegation(ctx, consent, advocate.Actor(), evidence.CauseDeparture)
	check(t, err)
	if list := must(advocate.OwnConsents(ctx))(t); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	wantReason(t, w.opens(w.second, photo, ""), evidence.ReasonFrozen)
	_, err = survivor.Open(ctx, access, io.Discard) // her own copy stays hers
	check(t, err)
}

func TestCloseAndIncident(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	_, err := w.custodian.CloseCase(ctx, in, "decided")
	check(t, err)
	_, _, err = w.clinician.Deposit(ctx, w.photo(in, consent, strings.NewReader("late")))
	wantReason(t, err, evidence.ReasonCaseClosed)
	_, err = w.custodian.CloseCase(ctx, in, "decided")
	wantReason(t, err, evidence.ReasonCaseClosed)
	_, err = w.custodian.ReopenCase(ctx, in, evidence.CauseNewFacts)
	check(t, err)
	w.deposit(w.clinician, in, consent, strings.NewReader("now"))
	hour := evidence.At(time.Now().Add(-time.Hour))
	_, err = w.custodian.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", From: hour, Scope: "vault"})
	wantReason(t, err, evidence.ReasonRole)
	_, err = w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", From: hour, Scope: "vault"})
	check(t, err)

	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	if all := must(auditor.AllItems(ctx))(t); len(all) != 2 {
		t.Errorf("%d items", len(all))
	}
	if _, err := w.custodian.AllItems(ctx); evidence.ReasonOf(err) != evidence.ReasonRole {
		t.Errorf("by a custodian: %v", err)
	}
}
