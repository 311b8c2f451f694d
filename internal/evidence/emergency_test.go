package evidence

import "testing"

func (w *world) breaking(id ItemID, by string) *Event {
	e, _ := w.state(id).Envelope(w.p(by).fingerprint())
	digest := e.SHA256
	if digest.IsZero() {
		digest = w.unique()
	}
	return w.on(id, by, ItemBreakGlass, &ItemBreakGlassDetails{"life", digest}, noted("reason", ToInternal))
}

func (w *world) review(id ItemID, by string, opening Hash, justified bool) *Event {
	return w.on(id, by, ItemBreakGlassReviewed, &ItemBreakGlassReviewedDetails{opening, justified}, noted("measures", ToInternal))
}

// breakGlass is an emergency opening by a custodian on duty who may not open.
func (w *world) breakGlass(id ItemID) *Event {
	w.t.Helper()
	w.do(w.adding("custodian", "custodian 3", OnDuty))
	e := w.breaking(id, "custodian 3")
	w.do(e)
	return e
}

func TestBreakGlass(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.adding("custodian", "custodian 3", OnDuty))
		return w, w.breaking(id, "custodian 3")
	}
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	set := changed[*ItemBreakGlassDetails]
	check(t, base,
		refusal{"not on duty", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"on duty without a key", Forbidden, ReasonNotKeyholder, func(w *world, e *Event) {
			w.do(w.adding("custodian", "investigator", OnDuty))
			by("investigator")(w, e)
		}},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"by a survivor", Forbidden, ReasonRole, by("survivor")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"no reason", Invalid, ReasonNoteMissing, func(w *world, e *Event) { e.Notes = nil }},
		refusal{"unknown code", Unknown, ReasonCode, set(func(w *world, d *ItemBreakGlassDetails) { d.Code = "curiosity" })},
		refusal{"another purpose", Invalid, ReasonPurpose, func(w *world, e *Event) { e.Purpose = ForAudit }},
		refusal{"somebody else's envelope", NotFound, ReasonEnvelope, set(func(w *world, d *ItemBreakGlassDetails) { d.Envelope = w.unique() })},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)}, // nothing but the right is waived
		refusal{"damaged", Held, ReasonDamaged, func(w *world, e *Event) { w.do(w.verify(id(e), "vault", "ciphertext", Failure)); w.again(e) }},
		refusal{"in the bin", Held, ReasonBinned, func(w *world, e *Event) { w.do(w.shredProposal(id(e), "custodian", CauseDraft)); w.again(e) }},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
	w, e := base(t)
	e.Purpose = ForEmergency
	s := w.do(e).(*ItemState)
	if m := s.Emergencies[0]; m.By != e.Actor.ID || m.Due != e.Time+3*86400e3 || m.Event != s.Last.Leaf || m.ReviewedBy != "" {
		t.Errorf("the emergency: %+v", m)
	}
	release := func(now Time) error { return w.state(id(e)).Release(w.facts, e, now) }
	if err := release(w.now); err != nil {
		t.Fatal(err)
	}
	refused(t, release(w.consent().Until), Held, ReasonFrozen)
	w.refuse(w.wrapFor(id(e), "custodian 3"), Forbidden, ReasonRight) // an emergency lets read, not pass on
	w.do(w.adding("custodian", "custodian 3"))
	refused(t, release(w.now), Forbidden, ReasonRight) // off duty
}

// wrapFor hands the item key on within the keyring.
func (w *world) wrapFor(id ItemID, by string) *Event {
	return w.on(id, by, ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p("outsider").fingerprint(), w.unique()}, CauseRewrap, ""})
}

func TestBreakGlassReviewed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.breakGlass(id)
		return w, w.review(id, "auditor", w.state(id).Last.Leaf, true)
	}
	check(t, base,
		refusal{"by who opened", Forbidden, ReasonSecondPerson, by("custodian 3")},
		refusal{"by a foreign custodian", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"no measures", Invalid, ReasonNoteMissing, func(w *world, e *Event) { e.Notes = nil }},
		refusal{"another event", NotFound, ReasonEmergency, changed(func(w *world, d *ItemBreakGlassReviewedDetails) { d.Event = w.unique() })},
		refusal{"no event", Invalid, ReasonDigest, changed(func(w *world, d *ItemBreakGlassReviewedDetails) { d.Event = Hash{} })},
		refusal{"twice", Conflict, ReasonApproved, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			by("custodian")(w, e)
		}},
	)
	w, e := base(t)
	w.withdraw()
	w.now = w.now.Add(30 * day) // late is better than never
	by("custodian 2")(w, e)
	if m := w.do(e).(*ItemState).Emergencies[0]; m.ReviewedBy != w.p("custodian 2").signer.ID || !m.Justified {
		t.Errorf("the review: %+v", m)
	}
}

// The vault stops who owes a review, and nobody for another reason.
func TestSuspendedByTheVault(t *testing.T) {
	w := newCase(t)
	suspend := func(c Cause) *Event {
		return w.event("vault", ActorOf(w.p("clinician").signer.ID), ActorSuspended, &ActorSuspendedDetails{c, w.now.Add(day)})
	}
	w.refuse(suspend(CauseMisconduct), Forbidden, ReasonRole)
	w.do(suspend(CauseOverdue))
	refused(t, w.facts.States[ActorOf(w.p("clinician").signer.ID)].(*ActorState).Inactive(w.now), Forbidden, ReasonSignerSuspended)
}
