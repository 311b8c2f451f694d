package evidence

import (
	"slices"
	"testing"
)

// copying is the subject's own envelope.
func (w *world) copying(id ItemID, by, whose string) *Event {
	return w.on(id, by, ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p(whose).fingerprint(), w.unique()}, CauseCopy, ""},
		func(e *Event) { e.Counterparty = &Counterparty{Actor: w.p(whose).signer.ID} })
}

func (w *world) ownOpening(id ItemID, by string) *Event {
	e := w.open(id, by)
	e.Purpose = ForSubjectAccess
	return e
}

func TestOwnCopy(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newSubject(t)
		id := w.item("clinician", Clinical)
		w.do(w.open(id, "custodian"))
		return w, w.copying(id, "custodian", "survivor")
	}
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"for a stranger", Forbidden, ReasonNotSubject, func(w *world, e *Event) { *e = *w.copying(id(e), "custodian", "stranger") }},
		refusal{"for nobody", Forbidden, ReasonNotSubject, func(w *world, e *Event) { e.Counterparty = nil; w.finish(e) }},
		refusal{"for other keys", Invalid, ReasonFingerprint, changed(func(w *world, d *ItemEnvelopeAddedDetails) { d.Envelope.Recipient = w.p("stranger").fingerprint() })},
		refusal{"suspended", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("survivor", day) })},
		refusal{"by herself", Forbidden, ReasonRole, by("survivor")},
		refusal{"by who never opened it", Forbidden, ReasonNotOpened, by("custodian 2")},
		refusal{"of a form that no consent is named for", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			w.do(w.open(w.form, "custodian"))
			*e = *w.copying(w.form, "custodian", "survivor")
		}},
		refusal{"of what is on an order", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			other := w.item("clinician", Clinical, onOrder)
			w.do(w.open(other, "custodian"))
			*e = *w.copying(other, "custodian", "survivor")
		}},
		refusal{"of what is about two", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			other := w.aboutTwo(Clinical)
			w.do(w.open(other, "custodian"))
			*e = *w.copying(other, "custodian", "survivor")
		}},
		refusal{"frozen", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"in the bin", Held, ReasonBinned, func(w *world, e *Event) { w.do(w.shredProposal(id(e), "custodian", CauseDraft)); w.again(e) }},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
}

// The form is hers, too: the act names the consent that was given with it.
func TestOwnForm(t *testing.T) {
	naming := func(ref ConsentRef) func(*Event) { return func(e *Event) { e.Consent = []ConsentRef{ref} } }
	w := newSubject(t)
	w.do(w.open(w.form, "custodian"))
	copying := func(whose string, ref ConsentRef) *Event {
		e := w.copying(w.form, "custodian", whose)
		naming(ref)(e)
		w.finish(e)
		return e
	}
	own := w.ref()
	w.refuse(copying("stranger", own), Forbidden, ReasonNotSubject)
	old := own
	old.Version++
	w.refuse(copying("survivor", old), Conflict, ReasonConsentVersion)
	form := w.form
	w.underRules(1)
	w.refuse(copying("survivor", own), Conflict, ReasonConsentVersion)
	w.underRules(RulesVersion)
	w.aboutTwo(Clinical)
	for id := range w.facts.States {
		if other, ok := w.facts.States[id].(*ConsentState); ok && other.ID != own.ID {
			w.refuse(copying("survivor", ConsentRef{other.ID, other.Version}), Invalid, ReasonConsentForm)
		}
	}
	w.form = form
	w.do(copying("survivor", own))
	opening := func(by string) *Event {
		e := w.ownOpening(form, by)
		naming(own)(e)
		w.finish(e)
		return e
	}
	w.refuse(w.ownOpening(form, "survivor"), Forbidden, ReasonNotSubject)
	w.refuse(opening("stranger"), Forbidden, ReasonNotSubject)
	e := opening("survivor")
	w.do(e)
	w.withdraw()
	if err := w.state(form).Release(w.facts, e, w.now); err != nil {
		t.Errorf("what she had agreed to is kept from her: %v", err)
	}
	before := w.p("survivor").fingerprint()
	w.rotate("custodian", "custodian 2", "survivor")
	removal := func() *Event {
		e := w.on(form, "vault", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{before, CauseReplacement, w.now.Add(30 * day)})
		e.Counterparty = &Counterparty{Actor: w.p("survivor").signer.ID}
		naming(w.ref())(e)
		w.finish(e)
		return e
	}
	w.do(removal())
	if _, left := w.state(form).Envelope(before); left {
		t.Error("the keys of a lost card still open the form")
	}
}

// aboutTwo is an item on the consent and another one; the world goes on with the first.
func (w *world) aboutTwo(content Content) ItemID {
	w.t.Helper()
	first, form := w.ref(), w.form
	w.con, w.form = made[ConsentID](w), w.depositForm()
	w.do(w.giving("clinician", everyAnswer))
	second := w.ref()
	id := w.item("clinician", content, func(e *Event) {
		e.Consent = []ConsentRef{first, second}
		slices.SortFunc(e.Consent, func(a, b ConsentRef) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	})
	w.con, w.form = first.ID, form
	return id
}

// The subject opens her own copy whatever became of the rest, until it is shredded, and nobody else does.
func TestOwnOpening(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newSubject(t)
		id := w.item("clinician", Clinical)
		w.do(w.open(id, "custodian"))
		w.do(w.copying(id, "custodian", "survivor"))
		return w, w.ownOpening(id, "survivor")
	}
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by a stranger", Forbidden, ReasonNotSubject, by("stranger")},
		refusal{"by a stranger who is a member and on duty", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			w.do(w.adding("custodian", "stranger", allRights...))
			by("stranger")(w, e)
		}},
		refusal{"by her advocate", Forbidden, ReasonRole, func(w *world, e *Event) {
			w.do(w.delegating("survivor", "advocate", "read"))
			by("advocate")(w, e)
		}},
		refusal{"for another purpose", Invalid, ReasonPurpose, func(w *world, e *Event) { e.Purpose = ForInvestigation }},
		refusal{"a keyholder's envelope", NotFound, ReasonEnvelope, changed(func(w *world, d *ItemOpenedDetails) {
			env, _ := w.state(w.lastItem()).Envelope(w.p("custodian").fingerprint())
			d.Envelope = env.SHA256
		})},
		refusal{"with new keys", NotFound, ReasonEnvelope, after(func(w *world) { w.rotate("custodian", "custodian 2", "survivor") })},
		refusal{"suspended", Forbidden, ReasonSignerSuspended, after(func(w *world) { w.suspend("survivor", day) })},
		refusal{"damaged", Held, ReasonDamaged, func(w *world, e *Event) { w.do(w.verify(id(e), "vault", "ciphertext", Failure)); w.again(e) }},
		refusal{"without a copy", NotFound, ReasonEnvelope, func(w *world, e *Event) { *e = *w.ownOpening(w.item("clinician", Clinical), "survivor") }},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
	w, e := base(t)
	w.do(e)
	w.withdraw()
	w.refuse(w.open(id(e), "custodian"), Held, ReasonFrozen)
	w.do(w.ownOpening(id(e), "survivor"))
	w.do(w.shredProposal(id(e), "custodian", CauseWithdrawal))
	w.do(w.ownOpening(id(e), "survivor"))
	release := func() error { return w.state(id(e)).Release(w.facts, e, w.now) }
	if err := release(); err != nil {
		t.Fatal(err)
	}
	w.now = w.state(id(e)).Bin.Ready
	w.do(w.shredding(id(e), "custodian 2"))
	refused(t, release(), Gone, ReasonShredded)
}

// lastItem is the newest item of the log that is no form.
func (w *world) lastItem() ItemID {
	for _, e := range slices.Backward(w.log) {
		if d, ok := e.Details.(*ItemDepositedDetails); ok && d.Class != ConsentForm {
			return ItemID(e.Stream.ID)
		}
	}
	return ""
}

// Nobody takes the subject's own copy away; it goes with the item.
func TestOwnCopyStays(t *testing.T) {
	w := newSubject(t)
	id := w.item("clinician", Clinical)
	w.do(w.open(id, "custodian"))
	w.do(w.copying(id, "custodian", "survivor"))
	removal := func(by string) *Event {
		return w.on(id, by, ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("survivor").fingerprint(), CauseError, w.now.Add(30 * day)})
	}
	for _, by := range []string{"custodian", "clinician", "vault"} {
		w.refuse(removal(by), Conflict, ReasonEnvelopeNeeded)
	}
	w.withdraw()
	w.refuse(removal("vault"), Conflict, ReasonEnvelopeNeeded)
	w.shred(id, CauseWithdrawal)
	if _, ok := w.state(id).Envelope(w.p("survivor").fingerprint()); ok {
		t.Error("her copy outlived the item")
	}
}

// Whom staff had named to speak for her before she had keys does not go on to.
func TestAdvocateOfStaffEnds(t *testing.T) {
	w := newConsented(t)
	w.do(w.event("clinician", ConsentOf(w.con), ConsentDelegated, &ConsentDelegatedDetails{w.p("advocate").signer.ID, []string{"approve"}, w.now.Add(day)}))
	w.form = w.depositForm()
	e := w.giving("investigator", everyAnswer)
	e.Details.(*ConsentGivenDetails).Subject = w.p("survivor").signer.ID
	w.finish(e)
	if s := w.do(e).(*ConsentState); len(s.Advocates) != 0 || s.Subject == "" {
		t.Errorf("%+v", s)
	}
}
