package evidence

import "testing"

// opening with the recovery key names that key's envelope.
func (w *world) recover(id ItemID, by string) *Event {
	ref, _ := w.state(id).Envelope(Fingerprint(nil, recoveryRecipient))
	return w.on(id, by, ItemOpened, &ItemOpenedDetails{ref.SHA256}, func(e *Event) { e.Purpose = ForRecovery })
}

// The recovery key's envelope is given to a keyholder of the case for items that two trustees have stated, and to nobody else.
func TestRecovering(t *testing.T) {
	var id, other ItemID
	stated := func(t testing.TB) *world {
		w := newConsented(t)
		id, other = w.item("clinician", Clinical), w.item("clinician", Clinical)
		w.do(w.recovering("trustee", id))
		w.do(w.recovering("trustee 2", id))
		w.rotate("administrator", "custodian 2", "custodian")
		return w
	}
	base := func(t testing.TB) (*world, *Event) {
		w := stated(t)
		return w, w.recover(id, "custodian")
	}
	check(t, base,
		refusal{"no member", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"no right to open", Forbidden, ReasonRight, by("investigator")},
		refusal{"a trustee", Forbidden, ReasonRole, by("trustee")},
		refusal{"an item that nobody stated", Forbidden, ReasonNotRecovered, func(w *world, e *Event) { *e = *w.recover(other, "custodian") }},
		refusal{"another envelope", NotFound, ReasonEnvelope, changed(func(w *world, d *ItemOpenedDetails) { d.Envelope = w.state(id).Envelopes[0].SHA256 })},
		refusal{"for another purpose", NotFound, ReasonEnvelope, func(w *world, e *Event) { e.Purpose = ForInvestigation }},
		refusal{"another use since", Forbidden, ReasonNotRecovered, after(func(w *world) {
			w.do(w.recovering("trustee", other))
			w.do(w.recovering("trustee 2", other))
		})},
		refusal{"another recovery key since", Forbidden, ReasonNotRecovered, after(func(w *world) {
			s := *w.facts.States[PolicyOf(origin)].(*PolicyState)
			s.Recovery = w.p("clinician").keys.Recipient
			w.facts.States[PolicyOf(origin)] = &s
		})},
		refusal{"withdrawn", Held, ReasonFrozen, after(func(w *world) { w.withdraw() })},
		refusal{"under rules 2", NotFound, ReasonEnvelope, after(func(w *world) { w.underRules(2) })},
	)
	w := newConsented(t)
	id = w.item("clinician", Clinical)
	w.refuse(w.recover(id, "custodian"), Forbidden, ReasonNotRecovered)
	w.do(w.recovering("trustee", id))
	w.refuse(w.recover(id, "custodian"), Forbidden, ReasonNotRecovered)

	w, e := base(t)
	w.do(e)
	if err := w.state(id).Release(w.facts, e, w.now); err != nil {
		t.Errorf("what was stated is kept from the keyholder: %v", err)
	}
	w.do(w.event("custodian", CaseOf(w.cas), CaseKeyringChanged, &CaseKeyringChangedDetails{
		Added:   []Keyholder{{w.p("custodian").signer.ID, w.p("custodian").fingerprint()}},
		Removed: []ActorID{w.p("custodian").signer.ID},
	}))
	w.do(w.on(id, "custodian", ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p("custodian").fingerprint(), w.unique()}, CauseRewrap, ""}))
	w.do(w.open(id, "custodian")) // by the new keys

	w.do(w.recovering("trustee", other))
	w.do(w.recovering("trustee 2", other))
	refused(t, w.state(id).Release(w.facts, e, w.now), Forbidden, ReasonNotRecovered)

	// Under rules 2 the same statement opened nothing, and the vault's records say so.
	w = newConsented(t)
	id = w.item("clinician", Clinical)
	w.underRules(2)
	w.do(w.recovering("trustee", id))
	w.do(w.recovering("trustee 2", id))
	if w.facts.States[PolicyOf(origin)].(*PolicyState).Recovered != nil {
		t.Error("an older state would be made anew in another form")
	}
}

// While the vault's own new key waits for its confirmation it signs the heads, without which nobody could look at it, and nothing else.
func TestVaultKeyPending(t *testing.T) {
	w := newCase(t)
	heads := func() *Event {
		return w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()})
	}
	e := w.rotation("custodian", "vault")
	w.do(e)
	w.people["vault"].keys = e.Details.(*ActorKeyRotatedDetails).Keys
	w.underRules(2)
	w.refuse(heads(), Forbidden, ReasonSignerPending)
	w.underRules(RulesVersion)
	w.refuse(w.event("vault", PolicyOf(origin), VaultConfigured, w.configuration()), Forbidden, ReasonSignerPending)
	w.do(heads())
	w.refuse(w.confirmation("custodian", "vault"), Forbidden, ReasonSecondPerson)
	w.do(w.confirmation("custodian 2", "vault"))
	d := w.configuration()
	d.Version = "1.0.2"
	w.do(w.event("vault", PolicyOf(origin), VaultConfigured, d))
}
