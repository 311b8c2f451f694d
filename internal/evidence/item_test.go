package evidence

import (
	"slices"
	"testing"
	"time"
)

func TestItemDeposited(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.deposit("clinician", Clinical)
	}
	set := changed[*ItemDepositedDetails]
	said := func(change func(a *Answers)) func(w *world, e *Event) {
		return func(w *world, e *Event) {
			a := everyAnswer
			change(&a)
			w.answer("clinician", a)
			e.Consent = []ConsentRef{w.ref()}
			w.again(e)
		}
	}
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"not at seq 0", Invalid, ReasonFirst, func(w *world, e *Event) { e.Stream.Seq, e.Stream.Prev = 1, w.unique() }},
		refusal{"closed case", Conflict, ReasonCaseClosed, after((*world).close)},
		refusal{"no consent", Invalid, ReasonConsentMissing, func(w *world, e *Event) { e.Consent = nil }},
		refusal{"form on a consent", Invalid, ReasonConsentExcess, set(func(w *world, d *ItemDepositedDetails) { d.Class = ConsentForm })},
		refusal{"consent nobody knows", Conflict, ReasonMissingBasis, func(w *world, e *Event) {
			e.Consent[0].ID = NewID[ConsentID]()
			w.finish(e)
		}},
		refusal{"old version", Conflict, ReasonConsentVersion, func(w *world, e *Event) {
			w.answer("clinician", everyAnswer)
			w.again(e)
		}},
		refusal{"withdrawn", Gone, ReasonConsentWithdrawn, after((*world).withdraw)},
		refusal{"expired", Gone, ReasonConsentExpired, after(func(w *world) { w.now = w.now.Add(366 * day) })},
		refusal{"storage refused", Forbidden, ReasonConsentAnswer, said(func(a *Answers) { a.Storage = No })},
		refusal{"examination not asked", Forbidden, ReasonConsentAnswer, said(func(a *Answers) { a.Examination = NotAsked })},
		refusal{"consent of another case", Invalid, ReasonCase, func(w *world, e *Event) {
			w.cas = NewID[CaseID]()
			w.do(w.opening())
			*e = *w.deposit("clinician", Clinical)
		}},
		refusal{"order without authority", Invalid, ReasonAuthority, func(w *world, e *Event) {
			onOrder(e)
			e.Authority = nil
		}},
		refusal{"order on another basis", Invalid, ReasonAuthority, func(w *world, e *Event) {
			onOrder(e)
			e.Authority.Basis = Care
		}},
		refusal{"consent on another basis", Invalid, ReasonAuthority, func(w *world, e *Event) { e.Authority = &Authority{Basis: Care} }},
		refusal{"order without note", Invalid, ReasonNoteMissing, func(w *world, e *Event) {
			onOrder(e)
			e.Notes = nil
		}},
		refusal{"order and consent", Invalid, ReasonConsentExcess, func(w *world, e *Event) {
			onOrder(e)
			e.Consent = []ConsentRef{w.ref()}
		}},
		refusal{"envelope missing", Conflict, ReasonEnvelopes, set(func(w *world, d *ItemDepositedDetails) { d.Envelopes = d.Envelopes[1:] })},
		refusal{"envelope for an outsider", Conflict, ReasonEnvelopes, set(func(w *world, d *ItemDepositedDetails) {
			d.Envelopes = with(d.Envelopes, EnvelopeRef{w.p("outsider").fingerprint(), w.unique()}, byRecipient)
		})},
		refusal{"envelopes unsorted", Invalid, ReasonOrder, set(func(w *world, d *ItemDepositedDetails) { slices.Reverse(d.Envelopes) })},
		refusal{"envelopes of an older keyring", Conflict, ReasonEnvelopes, after(func(w *world) { w.do(w.ring("custodian", []string{"investigator"})) })},
		refusal{"unknown class", Unknown, ReasonCode, set(func(w *world, d *ItemDepositedDetails) { d.Class = "thing" })},
		refusal{"unknown content", Unknown, ReasonCode, set(func(w *world, d *ItemDepositedDetails) { d.Content = "thing" })},
		refusal{"unknown basis", Unknown, ReasonCode, set(func(w *world, d *ItemDepositedDetails) { d.Basis = "whim" })},
		refusal{"item recipient", Invalid, ReasonKeys, set(func(w *world, d *ItemDepositedDetails) { d.ItemRecipient = "age1pq1" })},
		refusal{"empty evidence", Invalid, ReasonSize, set(func(w *world, d *ItemDepositedDetails) { d.Evidence.Size = 0 })},
		refusal{"huge evidence", Invalid, ReasonSize, set(func(w *world, d *ItemDepositedDetails) { d.Evidence.Size = MaxEvidence + 1 })},
		refusal{"digest of nothing", Invalid, ReasonDigest, set(func(w *world, d *ItemDepositedDetails) { d.Evidence.SHA256 = emptyFile })},
		refusal{"no tree", Invalid, ReasonDigest, set(func(w *world, d *ItemDepositedDetails) { d.Evidence.Tree = Hash{} })},
		refusal{"no description", Invalid, ReasonSize, set(func(w *world, d *ItemDepositedDetails) { d.Description.Size = 0 })},
		refusal{"huge description", Invalid, ReasonSize, set(func(w *world, d *ItemDepositedDetails) { d.Description.Size = MaxDescription + 1 })},
		refusal{"label without digest", Invalid, ReasonDigest, set(func(w *world, d *ItemDepositedDetails) { d.Label.SHA256 = Hash{} })},
		refusal{"description only, with evidence", Invalid, ReasonSize, set(func(w *world, d *ItemDepositedDetails) { d.Class = DescriptionOnly })},
		refusal{"identity class, clinical content", Invalid, ReasonClass, set(func(w *world, d *ItemDepositedDetails) { d.Class = Identity })},
		refusal{"clinical class, identity content", Invalid, ReasonClass, set(func(w *world, d *ItemDepositedDetails) { d.Content = IdentityContent })},
		refusal{"original with a source", Invalid, ReasonClass, set(func(w *world, d *ItemDepositedDetails) { d.Source = w.form })},
		refusal{"derived without a source", Invalid, ReasonClass, set(func(w *world, d *ItemDepositedDetails) { d.Class = Derived })},
		refusal{"malformed source", Invalid, ReasonIdentifier, set(func(w *world, d *ItemDepositedDetails) { d.Class, d.Source = Derived, "itm-1" })},
		refusal{"source nobody knows", Conflict, ReasonMissingBasis, set(func(w *world, d *ItemDepositedDetails) { d.Class, d.Source = Derived, NewID[ItemID]() })},
		refusal{"source on another basis", Forbidden, ReasonSource, set(func(w *world, d *ItemDepositedDetails) {
			d.Class, d.Source = Derived, w.item("clinician", Clinical, onOrder)
		})},
		refusal{"source never opened", Forbidden, ReasonSource, set(func(w *world, d *ItemDepositedDetails) {
			d.Class, d.Source = Derived, w.item("investigator", Digital)
		})},
		refusal{"note to a recipient", Invalid, ReasonNoteAudience, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToRecipient, w.unique(), 512}} }},
	)
	for name, change := range map[string]func(*world, *Event){
		"on a court order": func(w *world, e *Event) { onOrder(e) },
		"description only": func(w *world, e *Event) {
			d := e.Details.(*ItemDepositedDetails)
			d.Class, d.Evidence = DescriptionOnly, Evidence{emptyFile, 0, emptyFile}
		},
		"derived": func(w *world, e *Event) {
			d := e.Details.(*ItemDepositedDetails)
			d.Class, d.Source = Derived, w.item("investigator", Digital)
			w.do(w.open(d.Source, "clinician"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, e := base(t)
			change(w, e)
			w.again(e)
			w.do(e)
		})
	}
	t.Run("all subjects must permit", func(t *testing.T) {
		w, e := base(t)
		first := w.con
		w.con, w.form = NewID[ConsentID](), w.depositForm()
		w.do(w.giving("clinician", everyAnswer))
		e.Consent = []ConsentRef{{first, 1}, {w.con, 1}}
		slices.SortFunc(e.Consent, func(a, b ConsentRef) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
		w.again(e)
		w.do(e)
		w.withdraw() // one of the two
		w.refuse(w.open(ItemID(e.Stream.ID), "custodian"), Held, ReasonFrozen)
	})
	t.Run("documents only", func(t *testing.T) {
		w := newConsented(t)
		w.meet("nurse", Clinician, false)
		e := w.enrolment("administrator", "nurse")
		e.Details.(*ActorEnrolledDetails).DocumentsOnly = true
		w.do(e)
		w.do(w.confirmation("custodian", "nurse"))
		w.do(w.adding("custodian", "nurse", MayDeposit))
		for _, c := range []struct {
			content Content
			form    string
			allowed bool
		}{
			{Clinical, "", false}, {Clinical, "clinical-record/1", false}, {Clinical, "acquisition/1", false}, {Clinical, "consent-form/1", false},
			{Clinical, "identity/1", false}, {Clinical, "clinical-record-facts/2", false}, {Clinical, factsForm, true},
			{Photograph, "", true}, {Photograph, "acquisition/1", true}, {Photograph, "consent-form/1", true}, {Photograph, "identity/1", true},
			{Photograph, factsForm, true}, {Photograph, "clinical-record/1", false}, {Photograph, "other/1", false},
		} {
			d := w.deposit("nurse", c.content)
			if c.form != "" {
				d.Object = &Object{Class: Original, Content: c.content, Form: c.form}
			}
			if c.allowed {
				w.do(d)
			} else {
				w.refuse(d, Forbidden, ReasonDocumentsOnly)
			}
		}
	})
}

func TestItemSealed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		return w, w.on(id, "clinician", ItemSealed, &ItemSealedDetails{7, id})
	}
	set := changed[*ItemSealedDetails]
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by another member", Forbidden, ReasonRole, by("investigator")},
		refusal{"exhibit 0", Invalid, ReasonSize, set(func(w *world, d *ItemSealedDetails) { d.Exhibit = 0 })},
		refusal{"malformed root", Invalid, ReasonIdentifier, set(func(w *world, d *ItemSealedDetails) { d.Root = "" })},
		refusal{"foreign root", Invalid, ReasonRoot, set(func(w *world, d *ItemSealedDetails) { d.Root = w.form })},
		refusal{"object with another exhibit", Invalid, ReasonObject, func(w *world, e *Event) { e.Object = &Object{Class: Original, Content: Clinical, Exhibit: 8} }},
		refusal{"twice", Conflict, ReasonSealed, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
	)
	t.Run("derivative", func(t *testing.T) {
		w := newConsented(t)
		root := w.item("clinician", Clinical)
		e := w.deposit("clinician", Clinical)
		d := e.Details.(*ItemDepositedDetails)
		d.Class, d.Source = Working, root
		w.again(e)
		w.do(e)
		id := ItemID(e.Stream.ID)
		seal := w.on(id, "clinician", ItemSealed, &ItemSealedDetails{2, root})
		w.refuse(seal, Conflict, ReasonNotSealed)
		w.seal(root)
		w.again(seal)
		w.do(seal)
		if w.state(id).Root != root {
			t.Error("the derivative does not go back to its original")
		}
	})
}

func TestItemOpened(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.open(w.item("clinician", Clinical), "custodian")
	}
	item := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a member without the right", Forbidden, ReasonRight, by("custodian 3")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"without a key", Forbidden, ReasonNotKeyholder, func(w *world, e *Event) {
			w.do(w.adding("custodian", "outsider", MayOpen))
			by("outsider")(w, e)
		}},
		refusal{"somebody else's envelope", NotFound, ReasonEnvelope, by("clinician")},
		refusal{"no envelope", Invalid, ReasonDigest, changed(func(w *world, d *ItemOpenedDetails) { d.Envelope = Hash{} })},
		refusal{"envelope that is none", NotFound, ReasonEnvelope, changed(func(w *world, d *ItemOpenedDetails) { d.Envelope = w.unique() })},
		refusal{"new keys, old envelope", NotFound, ReasonEnvelope, after(func(w *world) { w.rotate("administrator", "custodian 2", "custodian") })},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"expired", Held, ReasonFrozen, after(func(w *world) { w.now = w.now.Add(366 * day) })},
		refusal{"narrowed", Held, ReasonFrozen, after(func(w *world) {
			a := everyAnswer
			a.Examination = No
			w.answer("clinician", a)
		})},
		refusal{"damaged", Held, ReasonDamaged, func(w *world, e *Event) {
			w.do(w.verify(item(e), "vault", "ciphertext", Failure))
			w.again(e)
		}},
		refusal{"membership over", Forbidden, ReasonNotMember, func(w *world, e *Event) {
			m := w.adding("custodian", "custodian 2", MayOpen)
			m.Details.(*CaseMemberAddedDetails).Until = w.now.Add(time.Minute)
			w.do(m)
			*e = *w.open(item(e), "custodian 2")
			w.now = w.now.Add(time.Minute)
			w.again(e)
		}},
	)
	t.Run("another basis never freezes", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical, onOrder)
		w.withdraw()
		w.do(w.open(id, "custodian"))
	})
}

func TestItemVerified(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.open(id, "custodian"))
		return w, w.verify(id, "custodian", "content", Success)
	}
	check(t, base,
		refusal{"never opened", Forbidden, ReasonNotOpened, by("custodian 2")},
		refusal{"content by the vault", Forbidden, ReasonNotMember, by("vault")},
		refusal{"content by an auditor", Forbidden, ReasonNotMember, by("auditor")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a member without a key", Forbidden, ReasonNotKeyholder, by("investigator")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"no result", Invalid, ReasonFieldMissing, func(w *world, e *Event) { e.Result = nil }},
		refusal{"unknown scope", Unknown, ReasonCode, changed(func(w *world, d *ItemVerifiedDetails) { d.Scope = "soul" })},
		refusal{"success over another digest", Invalid, ReasonResult, changed(func(w *world, d *ItemVerifiedDetails) { d.Evidence = w.unique() })},
		refusal{"failure over the same digest", Invalid, ReasonResult, func(w *world, e *Event) {
			e.Details.(*ItemVerifiedDetails).Scope, e.Result = "ciphertext", &Result{Outcome: Failure}
		}},
	)
	w, e := base(t)
	id := ItemID(e.Stream.ID)
	w.do(w.open(id, "clinician"))
	if w.do(w.verify(id, "clinician", "content", Success)); w.state(id).Confirmed {
		t.Error("the depositor confirmed the own item")
	}
	w.withdraw() // integrity is looked after in the freezer, too
	w.do(w.verify(id, "auditor", "ciphertext", Success))
	if w.state(id).Confirmed {
		t.Error("a look at the ciphertext confirmed the item")
	}
	if w.do(w.verify(id, "custodian", "content", Success)); !w.state(id).Confirmed {
		t.Error("a second keyholder did not confirm the item")
	}
	for _, step := range []struct {
		by, scope string
		outcome   Outcome
		damaged   bool
	}{
		{"vault", "ciphertext", Failure, true}, {"vault", "ciphertext", Success, false},
		{"custodian", "content", Failure, true}, {"vault", "ciphertext", Success, true}, {"vault", "ciphertext", Failure, true},
		{"vault", "ciphertext", Success, true}, {"custodian", "content", Success, false},
	} {
		if w.do(w.verify(id, step.by, step.scope, step.outcome)); w.state(id).Damaged != step.damaged {
			t.Errorf("after %+v damaged is %v", step, !step.damaged)
		}
	}
}

// Content that was found to differ can be compared again by a keyholder, and is opened for nothing else; a damaged file is not served at all.
func TestDamagedContentIsComparedAgain(t *testing.T) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	forVerification := func() *Event {
		e := w.open(id, "custodian")
		e.Purpose = ForVerification
		return e
	}
	w.do(w.open(id, "custodian"))
	w.do(w.verify(id, "custodian", "content", Failure))
	w.refuse(w.open(id, "custodian"), Held, ReasonDamaged)
	w.do(forVerification())
	w.do(w.verify(id, "custodian", "content", Success))
	w.do(w.open(id, "custodian"))
	w.do(w.verify(id, "vault", "ciphertext", Failure))
	w.refuse(forVerification(), Held, ReasonDamaged)
}
