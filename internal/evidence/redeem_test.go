package evidence

import (
	"slices"
	"testing"
)

func TestEnvelopeAdded(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.seal(id)
		g := w.granted(id, "court")
		w.do(w.open(id, "custodian"))
		return w, w.wrap(id, "custodian", g)
	}
	set := changed[*ItemEnvelopeAddedDetails]
	check(t, base,
		refusal{"never opened", Forbidden, ReasonNotOpened, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 3")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"other recipient", Invalid, ReasonFingerprint, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Envelope.Recipient = w.p("court 2").fingerprint() })},
		refusal{"no such grant", NotFound, ReasonGrant, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Grant = NewID[GrantID]() })},
		refusal{"no grant", Invalid, ReasonIdentifier, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Grant = "" })},
		refusal{"unknown cause", Unknown, ReasonCode, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Cause = CauseLoss })},
		refusal{"a copy for the court", Forbidden, ReasonNotSubject, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Cause, d.Grant = CauseCopy, "" })},
		refusal{"no digest", Invalid, ReasonDigest, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Envelope.SHA256 = Hash{} })},
		refusal{"rewrap for a court", Invalid, ReasonFingerprint, set(func(w *world, d *ItemEnvelopeAddedDetails) { d.Cause, d.Grant = CauseRewrap, "" })},
		refusal{"expired", Gone, ReasonGrantOver, after(func(w *world) { w.now = w.now.Add(8 * day) })},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"recipient suspended", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("court", day) })},
		refusal{"recipient's keys changed", Forbidden, ReasonRecipient, after(func(w *world) { w.rotate("custodian", "custodian 2", "court") })},
		refusal{"revoked", Gone, ReasonGrantOver, func(w *world, e *Event) {
			w.do(w.revoke(ItemID(e.Stream.ID), "custodian", e.Details.(*ItemEnvelopeAddedDetails).Grant))
			w.again(e)
		}},
		refusal{"twice", Conflict, ReasonEnvelopeExists, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"pending grant", Forbidden, ReasonGrantPending, func(w *world, e *Event) {
			p := w.proposal(ItemID(e.Stream.ID), "clinician", "court 2")
			w.do(p)
			*e = *w.wrap(ItemID(e.Stream.ID), "custodian", p.Details.(*GrantProposedDetails).ID)
		}},
	)
	t.Run("rewrap", func(t *testing.T) {
		w, e := base(t)
		w.do(w.ring("custodian", []string{"investigator"}))
		id := ItemID(e.Stream.ID)
		w.do(w.on(id, "custodian", ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p("investigator").fingerprint(), w.unique()}, CauseRewrap, ""}))
		w.do(w.adding("custodian", "investigator", MayOpen))
		w.do(w.open(id, "investigator"))
	})
}

// Keys that are nobody's any more lose their envelopes, though keyring, recipient or subject once needed them: the event names whose they were.
func TestIdleKeys(t *testing.T) {
	remove := func(w *world, id ItemID, whose string, recipient Hash) *Event {
		e := w.on(id, "vault", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{recipient, CauseReplacement, w.now.Add(30 * day)})
		if whose != "" {
			e.Counterparty = &Counterparty{Actor: w.p(whose).signer.ID}
			w.finish(e)
		}
		return e
	}
	for name, begin := range map[string]func(t *testing.T) (w *world, id ItemID, whose string, end func()){
		"a keyholder's new keys": func(t *testing.T) (*world, ItemID, string, func()) {
			w := newConsented(t)
			return w, w.item("investigator", Clinical), "clinician", func() { w.rotate("administrator", "custodian", "clinician") }
		},
		"a keyholder revoked": func(t *testing.T) (*world, ItemID, string, func()) {
			w := newConsented(t)
			return w, w.item("investigator", Clinical), "clinician", func() { w.revokeActor("clinician") }
		},
		"a recipient's new keys": func(t *testing.T) (*world, ItemID, string, func()) {
			w := newConsented(t)
			id := w.item("investigator", Clinical)
			w.seal(id)
			w.do(w.open(id, "custodian"))
			w.do(w.wrap(id, "custodian", w.granted(id, "court")))
			return w, id, "court", func() { w.rotate("custodian", "custodian 2", "court") }
		},
		"a recipient revoked": func(t *testing.T) (*world, ItemID, string, func()) {
			w := newConsented(t)
			id := w.item("investigator", Clinical)
			w.seal(id)
			w.do(w.open(id, "custodian"))
			w.do(w.wrap(id, "custodian", w.granted(id, "court")))
			return w, id, "court", func() { w.revokeActor("court") }
		},
		"a subject's new keys": func(t *testing.T) (*world, ItemID, string, func()) {
			w := newSubject(t)
			id := w.item("clinician", Clinical)
			w.do(w.open(id, "custodian"))
			w.do(w.copying(id, "custodian", "survivor"))
			return w, id, "survivor", func() { w.rotate("custodian", "custodian 2", "survivor") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, id, whose, end := begin(t)
			old := w.p(whose).fingerprint()
			w.refuse(remove(w, id, whose, old), Conflict, ReasonEnvelopeNeeded)
			end()
			w.refuse(remove(w, id, "", old), Conflict, ReasonEnvelopeNeeded) // without saying whose
			w.refuse(remove(w, id, "custodian", old), Conflict, ReasonEnvelopeNeeded)
			w.refuse(remove(w, id, whose, w.p("custodian").fingerprint()), Conflict, ReasonEnvelopeNeeded)
			w.do(remove(w, id, whose, old))
			if _, left := w.state(id).Envelope(old); left || slices.Contains(w.state(id).Copies, old) {
				t.Error("the envelope is left")
			}
		})
	}
	t.Run("a recipient's, under rules 1", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("investigator", Clinical)
		w.seal(id)
		w.do(w.open(id, "custodian"))
		w.do(w.wrap(id, "custodian", w.granted(id, "court")))
		w.revokeActor("court")
		w.underRules(1)
		w.refuse(remove(w, id, "court", w.p("court").fingerprint()), Conflict, ReasonEnvelopeNeeded)
	})
	t.Run("the last one", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("investigator", Clinical)
		for _, name := range []string{"clinician", "custodian", "custodian 2", "custodian 3"} {
			left := len(w.state(id).Envelopes)
			w.revokeActor(name)
			e := remove(w, id, name, w.p(name).fingerprint())
			if left == 2 { // its own and recovery's
				w.refuse(e, Conflict, ReasonEnvelopeNeeded)
				return
			}
			w.do(e)
		}
		t.Error("the item has no keyholder left")
	})
}

func TestEnvelopeRemoved(t *testing.T) {
	remove := func(w *world, id ItemID, by, whose string) *Event {
		return w.on(id, by, ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p(whose).fingerprint(), CauseDeparture, w.now.Add(30 * day)})
	}
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("investigator", Clinical)
		w.do(w.ring("custodian", nil, "clinician"))
		return w, remove(w, id, "custodian 3", "clinician")
	}
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a member without a key", Forbidden, ReasonNotKeyholder, by("investigator")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"a keyholder's", Conflict, ReasonEnvelopeNeeded, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Recipient = w.p("custodian").fingerprint() })},
		refusal{"recovery's", Conflict, ReasonEnvelopeNeeded, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Recipient = w.theCase().Recovery })},
		refusal{"none there", NotFound, ReasonEnvelope, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Recipient = w.unique() })},
		refusal{"no horizon", Invalid, ReasonTime, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Horizon = 0 })},
		refusal{"backups last longer", Invalid, ReasonStores, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Horizon-- })},
		refusal{"unknown cause", Unknown, ReasonCode, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Cause = "" })},
	)
	t.Run("under rules 1 any horizon was stated", func(t *testing.T) {
		w, e := base(t)
		w.underRules(1)
		e.Details.(*ItemEnvelopeRemovedDetails).Horizon = w.now
		w.do(e)
	})
	t.Run("last of the keyring", func(t *testing.T) {
		w := newConsented(t)
		w.do(w.adding("custodian", "outsider", MayOpen, MayManage))
		id := w.item("clinician", Clinical)
		w.do(w.ring("custodian", []string{"outsider", "investigator"}, "clinician", "custodian", "custodian 2", "custodian 3"))
		w.refuse(remove(w, id, "outsider", "clinician"), Conflict, ReasonEnvelopeNeeded)
	})
	t.Run("a grant's", func(t *testing.T) {
		w, id, _ := newShared(t)
		w.refuse(remove(w, id, "vault", "court"), Conflict, ReasonEnvelopeNeeded)
		w.withdraw()
		w.do(remove(w, id, "vault", "court")) // withdrawal ends what it gave
	})
}

func TestGrantRedeemed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := newShared(t)
		return w, w.redemption(id, "court", g)
	}
	set := changed[*GrantRedeemedDetails]
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	grant := func(e *Event) GrantID { return e.Details.(*GrantRedeemedDetails).Grant }
	check(t, base,
		refusal{"by another court", Forbidden, ReasonRecipient, by("court 2")},
		refusal{"by the police", Forbidden, ReasonRecipient, by("police")},
		refusal{"by a keyholder", Forbidden, ReasonRole, by("custodian")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"no such grant", NotFound, ReasonGrant, set(func(w *world, d *GrantRedeemedDetails) { d.Grant = NewID[GrantID]() })},
		refusal{"unknown action", Unknown, ReasonCode, set(func(w *world, d *GrantRedeemedDetails) { d.Action = "print" })},
		refusal{"other envelope", NotFound, ReasonEnvelope, set(func(w *world, d *GrantRedeemedDetails) { d.Envelope = w.unique() })},
		refusal{"other purpose", Invalid, ReasonTerms, func(w *world, e *Event) { e.Purpose = ForCare }},
		refusal{"at its end", Gone, ReasonGrantOver, after(func(w *world) { w.now = w.now.Add(7 * day) })},
		refusal{"revoked", Gone, ReasonGrantOver, func(w *world, e *Event) {
			w.do(w.revoke(id(e), "custodian", grant(e)))
			w.again(e)
		}},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"consent without courts", Forbidden, ReasonConsentAnswer, after(func(w *world) {
			a := everyAnswer
			a.Courts = []CourtAnswer{{"DE", NotAsked, Yes, Yes}}
			w.answer("clinician", a)
		})},
		refusal{"consent narrowed after signing", Conflict, ReasonStaleBasis, func(w *world, e *Event) { w.withdraw() }},
		refusal{"damaged", Held, ReasonDamaged, func(w *world, e *Event) {
			w.do(w.verify(id(e), "vault", "ciphertext", Failure))
			w.again(e)
		}},
		refusal{"new keys", Forbidden, ReasonRecipient, after(func(w *world) { w.rotate("custodian", "custodian 2", "court") })},
		refusal{"suspended", Forbidden, ReasonSignerSuspended, after(func(w *world) { w.suspend("court", day) })},
	)
	special := func(t *testing.T, change func(*Terms)) (*world, ItemID, GrantID) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.seal(id)
		e := w.proposal(id, "clinician", "court")
		change(&e.Details.(*GrantProposedDetails).Terms)
		w.do(e)
		g := e.Details.(*GrantProposedDetails).ID
		w.refuse(w.redemption(id, "court", g), Forbidden, ReasonGrantPending)
		w.do(w.approval(id, "custodian", g))
		w.refuse(w.redemption(id, "court", g), NotFound, ReasonEnvelope)
		w.do(w.open(id, "custodian"))
		w.do(w.wrap(id, "custodian", g))
		return w, id, g
	}
	t.Run("action", func(t *testing.T) {
		w, id, g := special(t, func(t *Terms) { t.Actions = []Action{View} })
		e := w.redemption(id, "court", g)
		e.Details.(*GrantRedeemedDetails).Action = Download
		w.refuse(e, Forbidden, ReasonAction)
		w.do(w.redemption(id, "court", g))
		w.refuse(w.export(id, "court", g), Forbidden, ReasonAction)
	})
	for name, change := range map[string]func(*Terms, Time){
		"not before":  func(t *Terms, at Time) { t.NotBefore = at },
		"cooling off": func(t *Terms, at Time) { t.CoolingOff = at },
	} {
		t.Run(name, func(t *testing.T) {
			var at Time
			w := newConsented(t)
			id := w.item("clinician", Clinical)
			w.seal(id)
			e := w.proposal(id, "clinician", "court")
			at = w.now.Add(day)
			change(&e.Details.(*GrantProposedDetails).Terms, at)
			w.do(e)
			g := e.Details.(*GrantProposedDetails).ID
			w.do(w.approval(id, "custodian", g))
			w.do(w.open(id, "custodian"))
			w.do(w.wrap(id, "custodian", g))
			w.now = at - 1
			w.refuse(w.redemption(id, "court", g), Forbidden, ReasonNotYet)
			w.now = at
			w.do(w.redemption(id, "court", g))
		})
	}
}

func TestGrantAcknowledged(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := newShared(t)
		w.do(w.redemption(id, "court", g))
		return w, w.receipt(id, "court", g)
	}
	set := changed[*GrantAcknowledgedDetails]
	check(t, base,
		refusal{"by another court", Forbidden, ReasonRecipient, by("court 2")},
		refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
		refusal{"equal over another digest", Invalid, ReasonEqual, set(func(w *world, d *GrantAcknowledgedDetails) { d.Evidence = w.unique() })},
		refusal{"no verifier", Invalid, ReasonText, set(func(w *world, d *GrantAcknowledgedDetails) { d.Verifier = "" })},
		refusal{"no such grant", NotFound, ReasonGrant, set(func(w *world, d *GrantAcknowledgedDetails) { d.Grant = NewID[GrantID]() })},
		refusal{"twice", Conflict, ReasonAcknowledged, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"never redeemed", Forbidden, ReasonNotRedeemed, func(w *world, e *Event) {
			p := w.proposal(ItemID(e.Stream.ID), "clinician", "court")
			w.do(p)
			e.Details.(*GrantAcknowledgedDetails).Grant = p.Details.(*GrantProposedDetails).ID
			w.again(e)
		}},
	)
	w, e := base(t)
	id, g := ItemID(e.Stream.ID), e.Details.(*GrantAcknowledgedDetails).Grant
	e.Details.(*GrantAcknowledgedDetails).Equal, e.Details.(*GrantAcknowledgedDetails).Evidence = false, w.unique()
	if w.do(e); !w.state(id).Grant(g).Unequal {
		t.Error("a difference raises no alarm")
	}
	w.withdraw() // a receipt passes in the freezer
	if w.do(w.receipt(id, "court", g)); w.state(id).Grant(g).Unequal {
		t.Error("a second look does not settle the alarm")
	}
}

func TestItemExported(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := newShared(t)
		w.do(w.redemption(id, "court", g))
		return w, w.export(id, "court", g)
	}
	set := changed[*ItemExportedDetails]
	check(t, base,
		refusal{"by another court", Forbidden, ReasonRecipient, by("court 2")},
		refusal{"without a grant", NotFound, ReasonGrant, set(func(w *world, d *ItemExportedDetails) { d.Grant = "" })},
		refusal{"no such grant", NotFound, ReasonGrant, set(func(w *world, d *ItemExportedDetails) { d.Grant = NewID[GrantID]() })},
		refusal{"malformed grant", Invalid, ReasonIdentifier, set(func(w *world, d *ItemExportedDetails) { d.Grant = "gra" })},
		refusal{"short nonce", Invalid, ReasonText, set(func(w *world, d *ItemExportedDetails) { d.Nonce = "abc" })},
		refusal{"unknown form", Unknown, ReasonCode, set(func(w *world, d *ItemExportedDetails) { d.Form = "film" })},
		refusal{"no content digest", Invalid, ReasonDigest, set(func(w *world, d *ItemExportedDetails) { d.Content = Hash{} })},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"expired", Gone, ReasonGrantOver, after(func(w *world) { w.now = w.now.Add(7 * day) })},
		refusal{"by a keyholder who never opened it", Forbidden, ReasonNotOpened, by("custodian 2")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"never redeemed", Forbidden, ReasonNotRedeemed, func(w *world, e *Event) {
			id := ItemID(e.Stream.ID)
			*e = *w.export(id, "court", w.granted(id, "court"))
		}},
	)
	w, id, _ := newShared(t)
	w.do(w.export(id, "custodian", "")) // a keyholder's own
}
