package evidence

import (
	"testing"
)

func TestGrantProposed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.seal(id)
		return w, w.proposal(id, "clinician", "court")
	}
	set := changed[*GrantProposedDetails]
	to := func(name string) func(*world, *Event) {
		return set(func(w *world, d *GrantProposedDetails) {
			d.Recipient, d.RecipientClass = w.holder(name), w.p(name).signer.Role
		})
	}
	check(t, base,
		refusal{"by a member without a key", Forbidden, ReasonNotKeyholder, by("investigator")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"not sealed", Conflict, ReasonNotSealed, func(w *world, e *Event) { *e = *w.proposal(w.item("clinician", Clinical), "clinician", "court") }},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"same id again", Conflict, ReasonGrant, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"another item's terms", Invalid, ReasonTerms, set(func(w *world, d *GrantProposedDetails) { d.Item = w.form })},
		refusal{"over already", Invalid, ReasonWindow, set(func(w *world, d *GrantProposedDetails) { d.NotBefore, d.Expires = w.now-2, w.now-1 })},
		refusal{"ends before it begins", Invalid, ReasonWindow, set(func(w *world, d *GrantProposedDetails) { d.NotBefore = d.Expires })},
		refusal{"cooling off for ever", Invalid, ReasonWindow, set(func(w *world, d *GrantProposedDetails) { d.CoolingOff = d.Expires })},
		refusal{"no end", Invalid, ReasonTime, set(func(w *world, d *GrantProposedDetails) { d.Expires = 0 })},
		refusal{"no action", Invalid, ReasonOrder, set(func(w *world, d *GrantProposedDetails) { d.Actions = nil })},
		refusal{"actions unsorted", Invalid, ReasonOrder, set(func(w *world, d *GrantProposedDetails) { d.Actions = []Action{View, Download} })},
		refusal{"unknown action", Unknown, ReasonCode, set(func(w *world, d *GrantProposedDetails) { d.Actions = []Action{"print"} })},
		refusal{"unknown purpose", Unknown, ReasonCode, set(func(w *world, d *GrantProposedDetails) { d.Purpose = "" })},
		refusal{"unknown legal basis", Unknown, ReasonCode, set(func(w *world, d *GrantProposedDetails) { d.LegalBasis = "favour" })},
		refusal{"malformed id", Invalid, ReasonIdentifier, set(func(w *world, d *GrantProposedDetails) { d.ID = "gra-" })},
		refusal{"no fingerprint", Invalid, ReasonDigest, set(func(w *world, d *GrantProposedDetails) { d.Recipient.Fingerprint = Hash{} })},
		refusal{"jurisdiction", Invalid, ReasonCountry, set(func(w *world, d *GrantProposedDetails) { d.Jurisdiction = "Germany" })},
		refusal{"jurisdiction that was not asked", Forbidden, ReasonConsentAnswer, set(func(w *world, d *GrantProposedDetails) { d.Jurisdiction = "FR" })},
		refusal{"jurisdiction withheld", Forbidden, ReasonConsentAnswer, set(func(w *world, d *GrantProposedDetails) { d.Jurisdiction = Withheld })},
		refusal{"to a custodian", Forbidden, ReasonRecipientClass, to("outsider")},
		refusal{"to a survivor", Forbidden, ReasonRecipientClass, to("survivor")},
		refusal{"court called police", Forbidden, ReasonRecipient, set(func(w *world, d *GrantProposedDetails) { d.RecipientClass = Police })},
		refusal{"other fingerprint", Forbidden, ReasonRecipient, set(func(w *world, d *GrantProposedDetails) { d.Recipient.Fingerprint = w.unique() })},
		refusal{"recipient nobody knows", Conflict, ReasonMissingBasis, set(func(w *world, d *GrantProposedDetails) { d.Recipient.Actor = NewID[ActorID]() })},
		refusal{"unconfirmed recipient", Forbidden, ReasonActorInactive, after(func(w *world) { w.do(w.rotation("custodian", "court")) })},
		refusal{"no consent named", Conflict, ReasonConsentVersion, set(func(w *world, d *GrantProposedDetails) { d.Consent = nil })},
		refusal{"old consent", Conflict, ReasonConsentVersion, after(func(w *world) { w.answer("clinician", everyAnswer) })},
		refusal{"note to all", Invalid, ReasonNoteAudience, func(w *world, e *Event) { e.Notes = []Note{{"request", ToInternal, w.unique(), 512}} }},
		refusal{"other counterparty", Forbidden, ReasonRecipientClass, to("auditor")},
	)
	for _, name := range []string{"police", "prosecutor", "defence"} {
		t.Run(name, func(t *testing.T) {
			w, e := base(t)
			to(name)(w, e)
			w.do(e)
		})
	}
	t.Run("without consent", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical, onOrder)
		w.seal(id)
		e := w.proposal(id, "clinician", "court")
		e.Details.(*GrantProposedDetails).LegalBasis = "consent"
		w.refuse(e, Invalid, ReasonLegalBasis)
		e.Details.(*GrantProposedDetails).LegalBasis = "treaty"
		w.do(e)
	})
	t.Run("a consent form is a way round no answer", func(t *testing.T) {
		w := newConsented(t)
		id := w.depositForm()
		w.seal(id)
		for _, basis := range []string{"consent", "mla_request"} {
			e := w.proposal(id, "clinician", "court")
			e.Details.(*GrantProposedDetails).LegalBasis = basis
			w.refuse(e, Invalid, ReasonLegalBasis)
		}
	})
	t.Run("police photographs refused", func(t *testing.T) {
		w, _ := base(t)
		id := w.item("clinician", Photograph)
		w.seal(id)
		a := everyAnswer
		a.PolicePhotographs = No
		w.answer("clinician", a)
		w.refuse(w.proposal(id, "clinician", "police"), Forbidden, ReasonConsentAnswer)
		w.do(w.proposal(id, "clinician", "court"))
	})
}

// proposed is a sealed item with a pending grant to the court, proposed by a custodian.
func proposed(t testing.TB) (*world, ItemID, GrantID) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	w.seal(id)
	e := w.proposal(id, "custodian", "court")
	w.do(e)
	return w, id, e.Details.(*GrantProposedDetails).ID
}

func TestGrantApproved(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := proposed(t)
		return w, w.approval(id, "custodian 2", g)
	}
	set := changed[*GrantApprovedDetails]
	check(t, base,
		refusal{"by the proposer", Forbidden, ReasonSecondPerson, by("custodian")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 3")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by the court itself", Forbidden, ReasonRole, by("court")},
		refusal{"by a foreign survivor", Forbidden, ReasonNotSubject, by("survivor")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"no such grant", NotFound, ReasonGrant, set(func(w *world, d *GrantApprovedDetails) { d.Grant = NewID[GrantID]() })},
		refusal{"malformed grant", Invalid, ReasonIdentifier, set(func(w *world, d *GrantApprovedDetails) { d.Grant = "" })},
		refusal{"other terms", Conflict, ReasonTerms, set(func(w *world, d *GrantApprovedDetails) { d.Terms = w.unique() })},
		refusal{"expired", Gone, ReasonGrantOver, after(func(w *world) { w.now = w.now.Add(8 * day) })},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"twice", Conflict, ReasonNotPending, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"refused before", Conflict, ReasonNotPending, func(w *world, e *Event) {
			w.do(w.refusal(ItemID(e.Stream.ID), "custodian 2", e.Details.(*GrantApprovedDetails).Grant))
			w.again(e)
		}},
		refusal{"recipient's keys changed", Forbidden, ReasonRecipient, after(func(w *world) { w.rotate("custodian", "custodian 2", "court") })},
		refusal{"recipient suspended", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("court", day) })},
		refusal{"consent narrowed", Forbidden, ReasonConsentAnswer, after(func(w *world) {
			a := everyAnswer
			a.Courts = nil
			w.answer("clinician", a)
		})},
		refusal{"other counterparty", Invalid, ReasonRecipient, func(w *world, e *Event) {
			e.Counterparty = &Counterparty{Actor: w.p("court 2").signer.ID}
			w.finish(e)
		}},
	)
}

// A subject who wants to be asked before each share is waited for.
func TestAskFirst(t *testing.T) {
	ask := func(d *ConsentGivenDetails) { d.AskFirst = true }
	begin := func(t testing.TB) (*world, ItemID, GrantID) {
		w := newCase(t)
		w.do(w.adding("custodian", "survivor", MayDeposit))
		w.con, w.form = NewID[ConsentID](), w.depositForm()
		e := w.giving("survivor", everyAnswer)
		ask(e.Details.(*ConsentGivenDetails))
		w.do(e)
		id := w.item("clinician", Clinical)
		w.seal(id)
		p := w.proposal(id, "clinician", "court")
		w.do(p)
		return w, id, p.Details.(*GrantProposedDetails).ID
	}
	for _, order := range [][]string{{"survivor", "custodian"}, {"custodian", "survivor"}} {
		w, id, g := begin(t)
		w.do(w.approval(id, order[0], g))
		if w.state(id).Grant(g).Status != GrantPending {
			t.Fatalf("active after %s alone", order[0])
		}
		w.refuse(w.approval(id, order[0], g), Conflict, ReasonApproved)
		if order[0] == "custodian" {
			w.refuse(w.approval(id, "custodian 2", g), Conflict, ReasonApproved)
			w.do(w.open(id, "custodian"))
			w.refuse(w.wrap(id, "custodian", g), Forbidden, ReasonGrantPending)
		}
		w.do(w.approval(id, order[1], g))
		if w.state(id).Grant(g).Status != GrantActive {
			t.Fatalf("not active after %v", order)
		}
	}
	t.Run("refused by the subject", func(t *testing.T) {
		w, id, g := begin(t)
		w.do(w.refusal(id, "survivor", g))
	})
	t.Run("revoked by the subject", func(t *testing.T) {
		w, id, g := begin(t)
		w.do(w.approval(id, "survivor", g))
		w.do(w.approval(id, "custodian", g))
		w.do(w.revoke(id, "survivor", g))
	})
	t.Run("nobody to ask", func(t *testing.T) { // consent on paper: the wait lasts until the subject can sign
		w := newConsented(t)
		w.answer("clinician", everyAnswer, ask)
		id := w.item("clinician", Clinical)
		w.seal(id)
		g := w.granted(id, "court")
		if w.state(id).Grant(g).Status != GrantPending {
			t.Error("active although nobody was asked")
		}
	})
	t.Run("asked for later", func(t *testing.T) {
		w, id, g := newShared(t)
		w.answer("clinician", everyAnswer, ask)
		w.refuse(w.redemption(id, "court", g), Forbidden, ReasonAskFirst)
	})
}

func TestGrantRefused(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := proposed(t)
		return w, w.refusal(id, "custodian 2", g)
	}
	check(t, base,
		refusal{"by the proposer", Forbidden, ReasonSecondPerson, by("custodian")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 3")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"no reason", Invalid, ReasonNoteMissing, func(w *world, e *Event) { e.Notes = nil }},
		refusal{"reason to the recipient", Invalid, ReasonNoteAudience, func(w *world, e *Event) { e.Notes[0].Audience = ToRecipient }},
		refusal{"no such grant", NotFound, ReasonGrant, changed(func(w *world, d *GrantRefusedDetails) { d.Grant = NewID[GrantID]() })},
		refusal{"approved before", Conflict, ReasonNotPending, func(w *world, e *Event) {
			w.do(w.approval(ItemID(e.Stream.ID), "custodian 2", e.Details.(*GrantRefusedDetails).Grant))
			w.again(e)
		}},
	)
	w, e := base(t)
	w.withdraw()
	w.again(e)
	w.do(e) // a refusal passes in the freezer
}

func TestGrantRevoked(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := newShared(t)
		return w, w.revoke(id, "clinician", g) // who proposed it
	}
	check(t, base,
		refusal{"by a foreign custodian", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by an investigator", Forbidden, ReasonRole, by("investigator")},
		refusal{"by a foreign survivor", Forbidden, ReasonNotSubject, by("survivor")},
		refusal{"by the court", Forbidden, ReasonRole, by("court")},
		refusal{"twice", Gone, ReasonGrantOver, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"no such grant", NotFound, ReasonGrant, changed(func(w *world, d *GrantRevokedDetails) { d.Grant = NewID[GrantID]() })},
	)
	t.Run("in the freezer", func(t *testing.T) {
		w, e := base(t)
		w.withdraw()
		by("custodian 3")(w, e)
		w.do(e)
	})
	t.Run("another grant keeps the envelope", func(t *testing.T) {
		w, id, g := newShared(t)
		second := w.granted(id, "court")
		w.do(w.revoke(id, "custodian", g))
		if _, ok := w.state(id).Envelope(w.p("court").fingerprint()); !ok {
			t.Error("the envelope of the second grant is gone")
		}
		w.do(w.redemption(id, "court", second))
	})
}

func TestGrantExpired(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w, id, g := newShared(t)
		w.now = w.state(id).Grant(g).Terms.Expires
		return w, w.expire(id, g)
	}
	check(t, base,
		refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
		refusal{"too early", Conflict, ReasonGrantRunning, func(w *world, e *Event) { e.Time-- }},
		refusal{"twice", Gone, ReasonGrantOver, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"no such grant", NotFound, ReasonGrant, changed(func(w *world, d *GrantExpiredDetails) { d.Grant = NewID[GrantID]() })},
	)
	w, e := base(t)
	w.withdraw()
	w.again(e)
	s := w.do(e).(*ItemState)
	if _, ok := s.Envelope(w.p("court").fingerprint()); ok || s.Grants[0].Status != GrantOver {
		t.Error("the grant is not over")
	}
}
