package evidence

import (
	"slices"
	"testing"
	"time"
)

func TestConsentGiven(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		w.form = w.depositForm()
		return w, w.giving("clinician", everyAnswer)
	}
	set := changed[*ConsentGivenDetails]
	check(t, base,
		refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
		refusal{"by a foreign clinician", Forbidden, ReasonNotMember, func(w *world, e *Event) {
			w.enrol("clinician 2", Clinician, false)
			by("clinician 2")(w, e)
		}},
		refusal{"by a survivor who did not begin it", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			w.do(w.adding("custodian", "survivor"))
			by("survivor")(w, e)
		}},
		refusal{"version skipped", Conflict, ReasonConsentVersion, set(func(w *world, d *ConsentGivenDetails) { d.Version++ })},
		refusal{"version repeated", Conflict, ReasonConsentVersion, set(func(w *world, d *ConsentGivenDetails) { d.Version-- })},
		refusal{"version 0", Invalid, ReasonSize, set(func(w *world, d *ConsentGivenDetails) { d.Version = 0 })},
		refusal{"over already", Invalid, ReasonWindow, set(func(w *world, d *ConsentGivenDetails) { d.Until = w.now })},
		refusal{"ends before it begins", Invalid, ReasonWindow, set(func(w *world, d *ConsentGivenDetails) { d.Until = d.From })},
		refusal{"no end", Invalid, ReasonTime, set(func(w *world, d *ConsentGivenDetails) { d.Until = 0 })},
		refusal{"by nobody", Unknown, ReasonCode, set(func(w *world, d *ConsentGivenDetails) { d.By = "us" })},
		refusal{"answer of no list", Unknown, ReasonCode, set(func(w *world, d *ConsentGivenDetails) { d.Answers.Research = "maybe" })},
		refusal{"court answer of no list", Unknown, ReasonCode, set(func(w *world, d *ConsentGivenDetails) { d.Answers.Courts = []CourtAnswer{{"DE", "maybe", No, No}} })},
		refusal{"jurisdiction withheld", Invalid, ReasonCountry, set(func(w *world, d *ConsentGivenDetails) { d.Answers.Courts = []CourtAnswer{{Withheld, Yes, No, No}} })},
		refusal{"jurisdiction twice", Invalid, ReasonOrder, set(func(w *world, d *ConsentGivenDetails) {
			d.Answers.Courts = []CourtAnswer{{"DE", Yes, No, No}, {"DE", Yes, Yes, No}}
		})},
		refusal{"malformed form", Invalid, ReasonIdentifier, set(func(w *world, d *ConsentGivenDetails) { d.Form = "" })},
		refusal{"form not deposited", Conflict, ReasonMissingBasis, set(func(w *world, d *ConsentGivenDetails) { d.Form = NewID[ItemID]() })},
		refusal{"old form", Invalid, ReasonConsentForm, set(func(w *world, d *ConsentGivenDetails) {
			d.Form = w.facts.States[ConsentOf(w.con)].(*ConsentState).Form
		})},
		refusal{"form of the first version again", Invalid, ReasonConsentForm, func(w *world, e *Event) {
			first := w.facts.States[ConsentOf(w.con)].(*ConsentState).Form
			w.answer("clinician", everyAnswer)
			again := w.giving("clinician", everyAnswer)
			again.Details.(*ConsentGivenDetails).Form = first
			*e = *again
			w.again(e)
		}},
		refusal{"a photograph as form", Invalid, ReasonConsentForm, set(func(w *world, d *ConsentGivenDetails) { d.Form = w.item("clinician", Photograph) })},
		refusal{"withdrawn", Gone, ReasonConsentWithdrawn, after((*world).withdraw)},
		refusal{"another case", Invalid, ReasonCase, func(w *world, e *Event) {
			w.cas = NewID[CaseID]()
			w.do(w.opening())
			w.form = w.depositForm()
			e.Case, e.Details.(*ConsentGivenDetails).Form = w.cas, w.form
			w.again(e)
		}},
		refusal{"notes to the item", Invalid, ReasonNoteAudience, func(w *world, e *Event) { e.Notes = []Note{{"reason", ToItem, w.unique(), 512}} }},
	)
	t.Run("survivor's own", func(t *testing.T) {
		w := newCase(t)
		w.do(w.adding("custodian", "survivor", MayDeposit))
		w.con, w.form = NewID[ConsentID](), w.depositForm()
		proxy := w.giving("survivor", everyAnswer)
		proxy.Details.(*ConsentGivenDetails).By = "proxy"
		w.refuse(proxy, Forbidden, ReasonNotSubject)
		w.do(w.giving("survivor", everyAnswer))
		w.form = w.depositForm()
		w.refuse(w.giving("clinician", everyAnswer), Forbidden, ReasonNotSubject) // nobody else widens it
		w.do(w.giving("survivor", everyAnswer))
	})
	t.Run("closed case", func(t *testing.T) {
		w, e := base(t)
		w.close()
		w.again(e)
		w.refuse(e, Conflict, ReasonCaseClosed)
	})
}

func (w *world) closing(by string) *Event {
	return w.event(by, CaseOf(w.cas), CaseClosed, &CaseClosedDetails{"decided"})
}

func (w *world) close() { w.do(w.closing("custodian")) }

func TestCaseClosedAndReopened(t *testing.T) {
	check(t, func(t testing.TB) (*world, *Event) { w := newCase(t); return w, w.closing("custodian") },
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"twice", Conflict, ReasonCaseClosed, after((*world).close)},
	)
	check(t, func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.close()
		return w, w.event("custodian", CaseOf(w.cas), CaseReopened, &CaseReopenedDetails{CauseNewFacts})
	},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"twice", Conflict, ReasonCaseOpen, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
	)
	w := newConsented(t)
	w.close()
	w.refuse(w.deposit("clinician", Clinical), Conflict, ReasonCaseClosed)
	w.withdraw() // what ends, ends in a closed case too
	w.do(w.event("custodian", CaseOf(w.cas), CaseReopened, &CaseReopenedDetails{CauseNewFacts}))
	w.do(w.deposit("clinician", Clinical, onOrder))
}

func TestConsentWithdrawn(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.event("clinician", ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"})
	}
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a foreign survivor", Forbidden, ReasonNotMember, by("survivor")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"twice", Gone, ReasonConsentWithdrawn, after((*world).withdraw)},
		refusal{"number", Invalid, ReasonText, changed(func(w *world, d *ConsentWithdrawnDetails) { d.Number = "12345678" })},
		refusal{"another case", Invalid, ReasonCase, func(w *world, e *Event) {
			w.cas = NewID[CaseID]()
			w.do(w.opening())
			e.Case = w.cas
			w.again(e)
		}},
	)
}

// RULES §4: which answer gates which content for which recipient. Every answer but the one in the row is no.
func TestConsentGates(t *testing.T) {
	no := Answers{Examination: No, Photographs: No, Storage: No, PoliceInformation: No, PolicePhotographs: No, PolicePhysical: No, Research: No}
	court := func(c CourtAnswer) func(*Answers) {
		c.Jurisdiction = "DE"
		return func(a *Answers) { a.Courts = []CourtAnswer{{"CH", Yes, Yes, Yes}, c} }
	}
	answers := map[string]func(*Answers){
		"nothing":            func(*Answers) {},
		"research":           func(a *Answers) { a.Research = Yes },
		"storage":            func(a *Answers) { a.Storage = Yes },
		"examination":        func(a *Answers) { a.Examination = Yes },
		"photographs":        func(a *Answers) { a.Photographs = Yes },
		"police_information": func(a *Answers) { a.PoliceInformation = Yes },
		"police_photographs": func(a *Answers) { a.PolicePhotographs = Yes },
		"police_physical":    func(a *Answers) { a.PolicePhysical = Yes },
		"court information":  court(CourtAnswer{Information: Yes, Photographs: No, Physical: NotAsked}),
		"court photographs":  court(CourtAnswer{Information: No, Photographs: Yes, Physical: No}),
		"court physical":     court(CourtAnswer{Information: No, Photographs: No, Physical: Yes}),
		"another court":      func(a *Answers) { a.Courts = []CourtAnswer{{"CH", Yes, Yes, Yes}} },
		"storage, examination": func(a *Answers) {
			a.Storage, a.Examination = Yes, Yes
		},
		"storage, photographs": func(a *Answers) {
			a.Storage, a.Photographs = Yes, Yes
		},
		"storage not asked": func(a *Answers) { a.Storage, a.Examination, a.Photographs = NotAsked, Yes, Yes },
	}
	keeps := map[Content][]string{
		Clinical:        {"storage, examination"},
		Photograph:      {"storage, photographs"},
		Testimony:       {"storage", "storage, examination", "storage, photographs"},
		Digital:         {"storage", "storage, examination", "storage, photographs"},
		Physical:        {"storage", "storage, examination", "storage, photographs"},
		IdentityContent: {"storage", "storage, examination", "storage, photographs"},
	}
	police := map[Content]string{Clinical: "police_information", Testimony: "police_information", Digital: "police_information",
		Photograph: "police_photographs", Physical: "police_physical", IdentityContent: "police_information"}
	courts := map[Content]string{Clinical: "court information", Testimony: "court information", Digital: "court information",
		Photograph: "court photographs", Physical: "court physical", IdentityContent: "court information"}
	const now = 1000
	for name, set := range answers {
		s := &ConsentState{Answers: no, From: now, Until: now + 1}
		set(&s.Answers)
		for _, content := range append(contents, "hearsay") {
			if got, want := s.Keeps(content, now) == nil, slices.Contains(keeps[content], name); got != want {
				t.Errorf("%s: keeping %s is %v", name, content, got)
			}
			for _, role := range roles {
				want := false
				switch role {
				case Police, Prosecutor:
					want = police[content] == name
				case Court, Defence:
					want = courts[content] == name
				}
				err := s.Shares(content, role, "DE", now)
				if (err == nil) != want {
					t.Errorf("%s: sharing %s with %s: %v", name, content, role, err)
				}
				if err != nil {
					refused(t, err, Forbidden, ReasonConsentAnswer)
				}
			}
		}
	}
	all := &ConsentState{Answers: everyAnswer, From: now, Until: now + 1}
	for _, content := range contents {
		for _, at := range []Time{now - 1, now + 1} {
			refused(t, all.Keeps(content, at), Gone, ReasonConsentExpired)
			refused(t, all.Shares(content, Court, "DE", at), Gone, ReasonConsentExpired)
		}
	}
	all.Withdrawn = now
	refused(t, all.Keeps(Clinical, now), Gone, ReasonConsentWithdrawn)
	refused(t, all.Shares(Clinical, Court, "DE", now), Gone, ReasonConsentWithdrawn)
}

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
		refusal{"unknown cause", Unknown, ReasonCode, changed(func(w *world, d *ItemEnvelopeRemovedDetails) { d.Cause = "" })},
	)
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

func TestVaultConfigured(t *testing.T) {
	policy := PolicyOf(origin)
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		d := w.configuration()
		d.Policy.BinWait++
		return w, w.event("administrator", policy, VaultConfigured, d)
	}
	set := changed[*VaultConfiguredDetails]
	check(t, base,
		refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
		refusal{"policy by the vault", Forbidden, ReasonPolicy, by("vault")},
		refusal{"rules of later", Unknown, ReasonRules, set(func(w *world, d *VaultConfiguredDetails) { d.Rules = 2 })},
		refusal{"rules 0", Invalid, ReasonSize, set(func(w *world, d *VaultConfiguredDetails) { d.Rules = 0 })},
		refusal{"no log key", Invalid, ReasonSize, set(func(w *world, d *VaultConfiguredDetails) { d.LogKeys = nil })},
		refusal{"log key", Invalid, ReasonKeys, set(func(w *world, d *VaultConfiguredDetails) { d.LogKeys = []string{"?"} })},
		refusal{"recovery", Invalid, ReasonKeys, set(func(w *world, d *VaultConfiguredDetails) { d.Recovery = "" })},
		refusal{"negative wait", Invalid, ReasonSize, set(func(w *world, d *VaultConfiguredDetails) { d.Policy.BinWait = -1 })},
		refusal{"wait of centuries", Invalid, ReasonSize, set(func(w *world, d *VaultConfiguredDetails) { d.Policy.ConfirmWait = MaxWait + 1 })},
		refusal{"build is no digest", Invalid, ReasonDigest, set(func(w *world, d *VaultConfiguredDetails) { d.Builds = []string{"x"} })},
		refusal{"witness text", Invalid, ReasonText, set(func(w *world, d *VaultConfiguredDetails) { d.Witness = "a\tb" })},
		refusal{"another origin", Invalid, ReasonStream, func(w *world, e *Event) { e.Stream.ID = "other.example" }},
	)
	t.Run("first by an administrator", func(t *testing.T) {
		w := newVault(t)
		delete(w.facts.States, policy)
		w.refuse(w.event("administrator", policy, VaultConfigured, w.configuration()), Forbidden, ReasonRole)
	})
	t.Run("upgrade by the vault", func(t *testing.T) {
		w := newCase(t)
		d := w.configuration()
		d.Version, d.Builds = "1.1.0", []string{freshHash("build").String()}
		if s := w.do(w.event("vault", policy, VaultConfigured, d)).(*PolicyState); s.Version != "1.1.0" || len(s.Builds) != 1 {
			t.Errorf("%+v", s)
		}
	})
	now := func(w *world, at Time) *PolicyState { return w.facts.States[policy].(*PolicyState).At(at) }
	for name, lower := range map[string]func(*VaultConfiguredDetails){
		"confirm wait":    func(d *VaultConfiguredDetails) { d.Policy.ConfirmWait-- },
		"bin wait":        func(d *VaultConfiguredDetails) { d.Policy.BinWait-- },
		"withdrawal wait": func(d *VaultConfiguredDetails) { d.Policy.WithdrawalWait-- },
		"decision time":   func(d *VaultConfiguredDetails) { d.Policy.DecisionTime++ },
		"review time":     func(d *VaultConfiguredDetails) { d.Policy.ReviewTime++ },
		"hold time":       func(d *VaultConfiguredDetails) { d.Policy.HoldTime-- },
		"backup horizon":  func(d *VaultConfiguredDetails) { d.Policy.BackupHorizon-- },
		"recovery":        func(d *VaultConfiguredDetails) { d.Recovery = fakeRecipient(freshHash("r")) },
		"log keys":        func(d *VaultConfiguredDetails) { d.LogKeys = append(d.LogKeys, "bG9o") },
		"witness":         func(d *VaultConfiguredDetails) { d.Witness = "quorum none\n" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newCase(t)
			d := w.configuration()
			lower(d)
			e := w.event("administrator", policy, VaultConfigured, d)
			w.do(e)
			before := now(w, w.now.Add(100*day))
			if before.Policy != w.configuration().Policy || before.Recovery != recoveryRecipient || len(before.LogKeys) != 1 || before.Witness != "" {
				t.Fatal("in force without a second person")
			}
			confirm := w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{w.facts.States[policy].Tip().Leaf})
			w.do(confirm)
			effective := confirm.Time.Add(7 * day)
			if now(w, effective-1).Policy != before.Policy || now(w, effective-1).Proposed == nil {
				t.Error("in force before the wait is over")
			}
			if s := now(w, effective); s.Policy != d.Policy || s.Recovery != d.Recovery || s.Witness != d.Witness || len(s.LogKeys) != len(d.LogKeys) || s.Proposed != nil {
				t.Error("not in force after the wait")
			}
			w.now = effective
			e = w.event("administrator", policy, VaultConfigured, d) // the same again changes nothing, so it lowers nothing
			if s := w.do(e).(*PolicyState); s.Proposed != nil || s.Policy != d.Policy {
				t.Error("the confirmed policy was not the one compared with")
			}
		})
	}
	if s := func() *PolicyState { w, e := base(t); return w.do(e).(*PolicyState) }(); s.Proposed != nil || s.Policy.BinWait != 14*86400+1 {
		t.Error("more protection is not in force at once")
	}
}

func TestVaultConfirmed(t *testing.T) {
	policy := PolicyOf(origin)
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		d := w.configuration()
		d.Policy.BinWait--
		w.do(w.event("administrator", policy, VaultConfigured, d))
		return w, w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{w.facts.States[policy].Tip().Leaf})
	}
	check(t, base,
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"another event", NotFound, ReasonProposal, changed(func(w *world, d *VaultConfirmedDetails) { d.Event = w.unique() })},
		refusal{"no event", Invalid, ReasonDigest, changed(func(w *world, d *VaultConfirmedDetails) { d.Event = Hash{} })},
		refusal{"twice", Conflict, ReasonApproved, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			by("custodian 2")(w, e)
		}},
		refusal{"superseded", NotFound, ReasonProposal, after(func(w *world) {
			w.do(w.event("administrator", policy, VaultConfigured, w.configuration()))
		})},
	)
}

func TestVaultHeads(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newVault(t)
		w.do(w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()}))
		return w, w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{9, 7, []int64{5, 8}, w.unique()})
	}
	set := changed[*VaultHeadsDetails]
	check(t, base,
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"does not grow", Conflict, ReasonCovers, set(func(w *world, d *VaultHeadsDetails) { d.Covers, d.Entries, d.Void = 4, 4, nil })},
		refusal{"loses entries", Conflict, ReasonCovers, set(func(w *world, d *VaultHeadsDetails) { d.Covers, d.Entries, d.Void = 5, 3, []int64{1, 2} })},
		refusal{"does not add up", Invalid, ReasonCovers, set(func(w *world, d *VaultHeadsDetails) { d.Entries++ })},
		refusal{"void outside", Invalid, ReasonCovers, set(func(w *world, d *VaultHeadsDetails) { d.Void[1] = 9 })},
		refusal{"void unsorted", Invalid, ReasonOrder, set(func(w *world, d *VaultHeadsDetails) { slices.Reverse(d.Void) })},
		refusal{"no root", Invalid, ReasonDigest, set(func(w *world, d *VaultHeadsDetails) { d.Root = Hash{} })},
	)
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
