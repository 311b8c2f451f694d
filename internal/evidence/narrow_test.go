package evidence

import (
	"slices"
	"testing"
)

// narrowing is the next version of the consent with less in it.
func (w *world) narrowing(by string, change func(*Answers)) *Event {
	s := w.consent()
	a := s.Answers
	a.Courts = slices.Clone(a.Courts)
	change(&a)
	return w.event(by, ConsentOf(w.con), ConsentNarrowed, &ConsentNarrowedDetails{s.Version + 1, a, s.Until})
}

func noStorage(a *Answers) { a.Storage = No }

// naming is the next version of the consent, signed by the clinician over a form that somebody else deposited, which says whose it is.
func (w *world) naming(depositor, survivor string) *Event {
	w.t.Helper()
	w.form = w.formBy(depositor)
	e := w.giving("clinician", w.consent().Answers)
	e.Details.(*ConsentGivenDetails).Subject = w.p(survivor).signer.ID
	w.finish(e)
	return e
}

// newSubject is newConsented with a subject who has keys of her own, and a survivor of another case.
func newSubject(t tb) *world {
	w := newConsented(t)
	w.do(w.naming("investigator", "survivor"))
	w.enrol("stranger", Survivor, false)
	return w
}

func TestConsentNarrowed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newSubject(t)
		return w, w.narrowing("survivor", noStorage)
	}
	set := changed[*ConsentNarrowedDetails]
	check(t, base,
		refusal{"by a stranger", Forbidden, ReasonNotMember, by("stranger")},
		refusal{"by an advocate nobody asked", Forbidden, ReasonNotMember, by("advocate")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"version skipped", Conflict, ReasonConsentVersion, set(func(w *world, d *ConsentNarrowedDetails) { d.Version++ })},
		refusal{"version repeated", Conflict, ReasonConsentVersion, set(func(w *world, d *ConsentNarrowedDetails) { d.Version-- })},
		refusal{"takes nothing", Invalid, ReasonWider, set(func(w *world, d *ConsentNarrowedDetails) { d.Answers = everyAnswer })},
		refusal{"no becomes not asked", Invalid, ReasonWider, set(func(w *world, d *ConsentNarrowedDetails) {
			d.Answers = everyAnswer
			d.Answers.Research = NotAsked
		})},
		refusal{"research", Invalid, ReasonWider, set(func(w *world, d *ConsentNarrowedDetails) { d.Answers.Research = Yes })},
		refusal{"another country", Invalid, ReasonWider, set(func(w *world, d *ConsentNarrowedDetails) {
			d.Answers.Courts = append(d.Answers.Courts, CourtAnswer{"FR", Yes, No, No})
		})},
		refusal{"one country for another", Invalid, ReasonWider, set(func(w *world, d *ConsentNarrowedDetails) {
			d.Answers.Courts = []CourtAnswer{{"FR", Yes, Yes, Yes}}
		})},
		refusal{"longer", Invalid, ReasonWider, set(func(w *world, d *ConsentNarrowedDetails) { d.Until++ })},
		refusal{"over before it began", Invalid, ReasonWindow, set(func(w *world, d *ConsentNarrowedDetails) { d.Until = w.consent().From })},
		refusal{"over since yesterday", Invalid, ReasonWindow, set(func(w *world, d *ConsentNarrowedDetails) { d.Until = w.now - 1 })},
		refusal{"withdrawn", Gone, ReasonConsentWithdrawn, after((*world).withdraw)},
		refusal{"another case", Invalid, ReasonCase, func(w *world, e *Event) {
			w.cas = NewID[CaseID]()
			w.do(w.opening())
			e.Case = w.cas
			w.again(e)
		}},
	)
	t.Run("until now", func(t *testing.T) {
		w, e := base(t)
		d := e.Details.(*ConsentNarrowedDetails)
		d.Answers, d.Until = everyAnswer, e.Time
		s := w.do(e).(*ConsentState)
		refused(t, s.InForce(e.Time), Gone, ReasonConsentExpired)
	})
	t.Run("what has ended loses an answer", func(t *testing.T) {
		w, e := base(t)
		w.now = w.consent().Until.Add(day)
		w.again(e)
		w.do(e)
	})
	t.Run("closed case", func(t *testing.T) {
		w, e := base(t)
		w.close()
		w.again(e)
		w.do(e)
	})
}

// Every answer by itself: a yes that becomes no narrows, a no that becomes yes widens, whatever else becomes less.
func TestEveryAnswerNarrows(t *testing.T) {
	fields := func(a *Answers) []*Answer {
		c := &a.Courts[0]
		return []*Answer{&a.Examination, &a.Photographs, &a.Storage, &a.PoliceInformation, &a.PolicePhotographs, &a.PolicePhysical, &a.Research,
			&c.Information, &c.Photographs, &c.Physical}
	}
	all := func(v Answer) Answers {
		a := Answers{Courts: []CourtAnswer{{Jurisdiction: "DE"}}}
		for _, f := range fields(&a) {
			*f = v
		}
		return a
	}
	for i := range fields(&Answers{Courts: make([]CourtAnswer, 1)}) {
		less, more, yes, no := all(Yes), all(No), all(Yes), all(No)
		*fields(&less)[i], *fields(&more)[i] = No, Yes
		if !less.within(&yes) || yes.within(&less) {
			t.Errorf("answer %d: no is not less than yes", i)
		}
		if more.within(&no) || more.within(&less) || !no.within(&more) {
			t.Errorf("answer %d: yes is not more than no", i)
		}
		notAsked := all(No)
		*fields(&notAsked)[i] = NotAsked
		if !notAsked.within(&no) || !no.within(&notAsked) {
			t.Errorf("answer %d: not asked is not no", i)
		}
	}
	none := Answers{Examination: No}
	court := all(No)
	if !none.within(&court) || !court.within(&none) {
		t.Error("a country that was not asked is not one of all no")
	}
}

// A narrowing takes at once: what is not kept freezes, a share that is not permitted gives nothing, and its envelope may go.
func TestNarrowingTakes(t *testing.T) {
	w, id, g := newShared(t)
	redeemed := w.redemption(id, "court", g)
	w.do(redeemed)
	w.do(w.narrowing("clinician", func(a *Answers) { a.Courts[0].Information = No }))
	refused(t, w.state(id).Release(w.facts, redeemed, w.now), Forbidden, ReasonConsentAnswer)
	w.refuse(w.redemption(id, "court", g), Forbidden, ReasonConsentAnswer)
	w.do(w.open(id, "custodian"))
	w.do(w.on(id, "vault", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("court").fingerprint(), CauseWithdrawal, w.now.Add(30 * day)}))
	w.do(w.narrowing("clinician", noStorage))
	w.refuse(w.open(id, "custodian"), Held, ReasonFrozen)
}

// RULES §4.2: after a narrowing by the subject, and where she has keys, staff widen only by two persons; what she began is only hers.
func TestWidening(t *testing.T) {
	widen := func(w *world, signer, depositor string) *Event {
		w.form = w.formBy(depositor)
		return w.giving(signer, everyAnswer)
	}
	t.Run("narrowed by staff", func(t *testing.T) {
		w := newConsented(t)
		w.do(w.narrowing("clinician", noStorage))
		w.do(widen(w, "clinician", "clinician"))
	})
	t.Run("narrowed by the advocate", func(t *testing.T) {
		w := newConsented(t)
		w.do(w.delegating("clinician", "advocate", "narrow"))
		w.do(w.narrowing("advocate", noStorage))
		w.refuse(widen(w, "clinician", "clinician"), Forbidden, ReasonSecondPerson)
		w.do(widen(w, "clinician", "investigator"))
		w.refuse(widen(w, "clinician", "clinician"), Forbidden, ReasonSecondPerson) // and for ever
	})
	t.Run("the subject has keys", func(t *testing.T) {
		w := newSubject(t)
		w.refuse(widen(w, "clinician", "clinician"), Forbidden, ReasonSecondPerson)
		w.do(widen(w, "investigator", "clinician"))
		w.do(widen(w, "survivor", "clinician")) // no member, but it is hers
		if s := w.consent(); s.Guarded || s.Own || s.Subject != w.p("survivor").signer.ID {
			t.Errorf("the consent: %+v", s)
		}
		w.refuse(widen(w, "clinician", "clinician"), Forbidden, ReasonSecondPerson)
		stranger := widen(w, "stranger", "clinician")
		w.refuse(stranger, Forbidden, ReasonNotMember)
		w.do(w.adding("custodian", "stranger", MayDeposit))
		w.again(stranger)
		w.refuse(stranger, Forbidden, ReasonNotSubject)
	})
	t.Run("the subject said how", func(t *testing.T) {
		w := newSubject(t)
		proxy := widen(w, "survivor", "clinician")
		proxy.Details.(*ConsentGivenDetails).By = "proxy"
		w.refuse(proxy, Forbidden, ReasonNotSubject)
	})
}

// Who is named as the subject of a consent that exists gains power over its items: two persons name her, once, and she is a survivor
// with keys in force.
func TestNamingTheSubject(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.naming("investigator", "survivor")
	}
	set := changed[*ConsentGivenDetails]
	check(t, base,
		refusal{"one person alone", Forbidden, ReasonSecondPerson, func(w *world, e *Event) { *e = *w.naming("clinician", "survivor") }},
		refusal{"not a survivor", Forbidden, ReasonNotSubject, set(func(w *world, d *ConsentGivenDetails) { d.Subject = w.p("advocate").signer.ID })},
		refusal{"nobody", Conflict, ReasonMissingBasis, set(func(w *world, d *ConsentGivenDetails) { d.Subject = NewID[ActorID]() })},
		refusal{"malformed", Invalid, ReasonIdentifier, set(func(w *world, d *ConsentGivenDetails) { d.Subject = "act-1" })},
		refusal{"suspended", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("survivor", day) })},
		refusal{"another one later", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			w.do(e)
			w.enrol("stranger", Survivor, false)
			*e = *w.naming("investigator", "stranger")
		}},
	)
	t.Run("at the beginning", func(t *testing.T) { // nothing relies on it yet
		w := newConsented(t)
		w.con, w.form = made[ConsentID](w), w.depositForm()
		e := w.giving("clinician", everyAnswer)
		e.Details.(*ConsentGivenDetails).Subject = w.p("survivor").signer.ID
		w.finish(e)
		if s := w.do(e).(*ConsentState); s.Subject != w.p("survivor").signer.ID || s.Own {
			t.Errorf("the consent: %+v", s)
		}
	})
	t.Run("hers from the beginning", func(t *testing.T) {
		w := newConsented(t)
		w.do(w.adding("custodian", "survivor", MayDeposit))
		w.con, w.form = made[ConsentID](w), w.depositForm()
		w.do(w.giving("survivor", everyAnswer))
		w.form = w.formBy("investigator")
		w.refuse(w.giving("clinician", everyAnswer), Forbidden, ReasonNotSubject)
	})
}
