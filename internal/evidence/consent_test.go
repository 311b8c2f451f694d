package evidence

import (
	"slices"
	"testing"
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
