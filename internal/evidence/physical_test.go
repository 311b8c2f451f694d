package evidence

import "testing"

func (w *world) transferring(id ItemID, by string, class Role, to string) *Event {
	return w.on(id, by, ItemTransferred, &ItemTransferredDetails{class}, noted("transfer", ToInternal), func(e *Event) {
		e.Place = "DE"
		if to != "" {
			e.Counterparty = &Counterparty{Actor: w.p(to).signer.ID, Class: class, Fingerprint: w.p(to).fingerprint()}
		}
	})
}

func (w *world) receiving(id ItemID, by string, intact bool) *Event {
	return w.on(id, by, ItemReceived, &ItemReceivedDetails{intact}, noted("condition", ToInternal))
}

func TestItemTransferred(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.transferring(w.item("clinician", Physical), "clinician", Police, "police")
	}
	set := changed[*ItemTransferredDetails]
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by the police", Forbidden, ReasonRole, by("police")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"not physical", Invalid, ReasonNotPhysical, func(w *world, e *Event) {
			*e = *w.transferring(w.item("clinician", Clinical), "clinician", Police, "police")
		}},
		refusal{"without a note", Invalid, ReasonNoteMissing, func(w *world, e *Event) { e.Notes = nil }},
		refusal{"unknown class", Unknown, ReasonCode, set(func(w *world, d *ItemTransferredDetails) { d.Class = "king" })},
		refusal{"to an auditor", Forbidden, ReasonRecipientClass, set(func(w *world, d *ItemTransferredDetails) { d.Class = Auditor })},
		refusal{"to the vault", Forbidden, ReasonRecipientClass, set(func(w *world, d *ItemTransferredDetails) { d.Class = Vault })},
		refusal{"to another class than the receiver's", Invalid, ReasonRecipient, set(func(w *world, d *ItemTransferredDetails) { d.Class = Court })},
		refusal{"to a receiver of another class", Invalid, ReasonRecipient, func(w *world, e *Event) {
			e.Counterparty.Class, e.Details.(*ItemTransferredDetails).Class = "", Court
		}},
		refusal{"to oneself", Invalid, ReasonRecipient, func(w *world, e *Event) { *e = *w.transferring(id(e), "clinician", Clinician, "clinician") }},
		refusal{"to keys of nobody", Invalid, ReasonRecipient, func(w *world, e *Event) {
			e.Counterparty = &Counterparty{Fingerprint: w.p("police").fingerprint()}
			w.finish(e)
		}},
		refusal{"to other keys", Invalid, ReasonRecipient, func(w *world, e *Event) { e.Counterparty.Fingerprint = w.unique() }},
		refusal{"to who is suspended", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("police", day) })},
		refusal{"on its way", Conflict, ReasonTransit, func(w *world, e *Event) {
			w.do(w.transferring(id(e), "clinician", Custodian, "custodian"))
			w.again(e)
		}},
		refusal{"the subject said no", Forbidden, ReasonConsentAnswer, after(func(w *world) {
			w.do(w.narrowing("clinician", func(a *Answers) { a.PolicePhysical = No }))
		})},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
	t.Run("courts by country", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Physical)
		e := w.transferring(id, "clinician", Court, "")
		for _, place := range []string{"FR", Withheld, ""} {
			e.Place = place
			w.refuse(e, Forbidden, ReasonConsentAnswer)
		}
		e.Place = "DE"
		w.do(e)
	})
	t.Run("inside, without an answer", func(t *testing.T) {
		for _, name := range []string{"custodian", "investigator", "survivor"} {
			w := newConsented(t)
			w.answer("clinician", func() Answers { a := everyAnswer; a.PolicePhysical, a.Courts = No, nil; return a }())
			w.do(w.transferring(w.item("clinician", Physical), "clinician", w.p(name).signer.Role, name))
		}
	})
	t.Run("under a hold, as answered", func(t *testing.T) {
		w := newConsented(t)
		w.answer("clinician", func() Answers { a := everyAnswer; a.PolicePhysical = No; return a }())
		id := w.item("clinician", Physical)
		h := w.hold(id)
		w.withdraw()
		for class, reason := range map[Role]string{Police: ReasonConsentAnswer, Court: ""} {
			e := w.transferring(id, "clinician", class, "")
			under(h)(e)
			if reason == "" {
				w.do(e)
			} else {
				w.refuse(e, Forbidden, reason)
			}
			if class == Court {
				w.do(w.receiving(id, "custodian", true))
			}
		}
	})
	t.Run("a consent form is a way round no answer", func(t *testing.T) {
		w := newConsented(t)
		e := w.deposit("clinician", Physical)
		e.Details.(*ItemDepositedDetails).Class, e.Consent = ConsentForm, nil
		w.finish(e)
		w.do(e)
		w.refuse(w.transferring(id(e), "clinician", Police, "police"), Invalid, ReasonLegalBasis)
		w.do(w.transferring(id(e), "clinician", Custodian, "custodian"))
	})
	t.Run("on an order", func(t *testing.T) {
		w := newConsented(t)
		w.do(w.transferring(w.item("clinician", Physical, onOrder), "clinician", Police, "police"))
	})
}

func TestItemReceived(t *testing.T) {
	var sent Hash
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Physical)
		w.do(w.transferring(id, "clinician", Police, "police"))
		sent = w.state(id).Last.Leaf
		return w, w.receiving(id, "police", true)
	}
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by a court", Forbidden, ReasonNotMember, by("court")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"without a note", Invalid, ReasonNoteMissing, func(w *world, e *Event) { e.Notes = nil }},
		refusal{"from another", Invalid, ReasonRecipient, func(w *world, e *Event) {
			e.Counterparty = &Counterparty{Actor: w.p("custodian").signer.ID}
			w.finish(e)
		}},
		refusal{"of another transfer", Invalid, ReasonRecipient, func(w *world, e *Event) {
			e.Counterparty = &Counterparty{Actor: w.p("clinician").signer.ID, Receipt: w.unique()}
			w.finish(e)
		}},
		refusal{"twice", Conflict, ReasonNoTransit, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
	)
	w, e := base(t)
	e.Counterparty = &Counterparty{Actor: w.p("clinician").signer.ID, Receipt: sent}
	w.finish(e)
	s := w.do(e).(*ItemState)
	if s.Transit != nil || s.Keeper != w.p("police").signer.ID || s.KeeperClass != Police || s.SealBroken {
		t.Errorf("with the police: %+v", s)
	}
	w.do(w.transferring(id(e), "clinician", Custodian, ""))
	s = w.do(w.receiving(id(e), "custodian 3", false)).(*ItemState) // with the signed paper
	if s.Keeper != "" || s.KeeperClass != Custodian || !s.SealBroken {
		t.Errorf("back: %+v", s)
	}
	w.do(w.transferring(id(e), "clinician", Custodian, "custodian"))
	if s = w.do(w.receiving(id(e), "custodian", true)).(*ItemState); !s.SealBroken {
		t.Error("a broken seal was mended")
	}
	t.Run("what is on its way arrives", func(t *testing.T) { // in the freezer, in the bin, after the shred
		w, e := base(t)
		w.withdraw()
		w.shred(id(e), CauseWithdrawal)
		w.again(e)
		w.do(e)
	})
}
