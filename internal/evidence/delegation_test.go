package evidence

import (
	"slices"
	"testing"
)

func (w *world) delegating(by, to string, rights ...string) *Event {
	return w.event(by, ConsentOf(w.con), ConsentDelegated, &ConsentDelegatedDetails{w.p(to).signer.ID, rights, w.now.Add(100 * day)})
}

func (w *world) undelegating(by, whose string) *Event {
	return w.event(by, ConsentOf(w.con), ConsentDelegationEnded, &ConsentDelegationEndedDetails{w.p(whose).signer.ID, CauseRequest})
}

// onBehalf says for whom the act is.
func (w *world) onBehalf(e *Event, whose string) *Event {
	e.Actor.OnBehalfOf = w.p(whose).signer.ID
	w.finish(e)
	return e
}

func elsewhere(w *world, e *Event) {
	w.cas = NewID[CaseID]()
	w.do(w.opening())
	e.Case = w.cas
	w.again(e)
}

func TestConsentDelegated(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newSubject(t)
		return w, w.delegating("survivor", "advocate", "read", "narrow")
	}
	set := changed[*ConsentDelegatedDetails]
	check(t, base,
		refusal{"by a stranger", Forbidden, ReasonNotSubject, by("stranger")},
		refusal{"by staff, although she has keys", Forbidden, ReasonNotSubject, by("clinician")},
		refusal{"by a custodian, although she has keys", Forbidden, ReasonNotSubject, by("custodian")},
		refusal{"by an investigator", Forbidden, ReasonRole, by("investigator")},
		refusal{"by the advocate", Forbidden, ReasonRole, by("advocate")},
		refusal{"to a custodian", Invalid, ReasonAdvocate, set(func(w *world, d *ConsentDelegatedDetails) { d.Advocate = w.p("custodian").signer.ID })},
		refusal{"to a survivor", Invalid, ReasonAdvocate, set(func(w *world, d *ConsentDelegatedDetails) { d.Advocate = w.p("stranger").signer.ID })},
		refusal{"to nobody", Conflict, ReasonMissingBasis, set(func(w *world, d *ConsentDelegatedDetails) { d.Advocate = NewID[ActorID]() })},
		refusal{"to who is suspended", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("advocate", day) })},
		refusal{"over already", Invalid, ReasonWindow, set(func(w *world, d *ConsentDelegatedDetails) { d.Until = w.now })},
		refusal{"no right", Unknown, ReasonCode, set(func(w *world, d *ConsentDelegatedDetails) { d.Rights = nil })},
		refusal{"unknown right", Unknown, ReasonCode, set(func(w *world, d *ConsentDelegatedDetails) { d.Rights = []string{"open"} })},
		refusal{"another case", Invalid, ReasonCase, elsewhere},
	)
	staff := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.delegating("clinician", "advocate", "read")
	}
	check(t, staff,
		refusal{"by a foreign custodian", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a survivor who is not named", Forbidden, ReasonNotSubject, by("survivor")},
	)
	t.Run("once more", func(t *testing.T) {
		w, e := base(t)
		w.do(e)
		s := w.do(w.delegating("survivor", "advocate", "withdraw")).(*ConsentState)
		if id := w.p("advocate").signer.ID; len(s.Advocates) != 1 || s.Speaks(id, "narrow", w.now) || !s.Speaks(id, "withdraw", w.now) {
			t.Errorf("advocates: %+v", s.Advocates)
		}
	})
}

func TestDelegationEnded(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newSubject(t)
		w.do(w.delegating("survivor", "advocate", "read"))
		return w, w.undelegating("survivor", "advocate")
	}
	check(t, base,
		refusal{"by a stranger", Forbidden, ReasonNotSubject, by("stranger")},
		refusal{"by a foreign custodian", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"another advocate", NotFound, ReasonAdvocate, changed(func(w *world, d *ConsentDelegationEndedDetails) { d.Advocate = NewID[ActorID]() })},
		refusal{"by another advocate", Forbidden, ReasonNotSubject, func(w *world, e *Event) {
			w.enrol("advocate 2", Advocate, false)
			by("advocate 2")(w, e)
		}},
		refusal{"twice", NotFound, ReasonAdvocate, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"another case", Invalid, ReasonCase, elsewhere},
	)
	for _, name := range []string{"advocate", "custodian"} {
		w, e := base(t)
		by(name)(w, e)
		w.do(e)
	}
}

// An advocate speaks for exactly the rights given, to the moment of the end, and never after it.
func TestAdvocateSpeaks(t *testing.T) {
	const until = 1000
	s := &ConsentState{Subject: "s", Advocates: []Delegation{{"a", []string{"narrow"}, until}, {"b", []string{"read"}, until}}}
	for _, c := range []struct {
		id    ActorID
		right string
		now   Time
		want  bool
	}{
		{"a", "narrow", until - 1, true}, {"a", "narrow", until, false}, {"a", "", until - 1, true}, {"a", "", until, false},
		{"a", "withdraw", 1, false}, {"b", "narrow", 1, false}, {"c", "", 1, false}, {"s", "withdraw", until, true}, {"", "", 1, false},
	} {
		if got := s.Speaks(c.id, c.right, c.now); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if (&ConsentState{}).Speaks("", "", 1) {
		t.Error("nobody speaks for nobody")
	}

	narrow := func(w *world) *Event { return w.onBehalf(w.narrowing("advocate", noStorage), "survivor") }
	withdraw := func(w *world) *Event {
		return w.onBehalf(w.event("advocate", ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"}), "survivor")
	}
	w := newSubject(t)
	w.refuse(narrow(w), Forbidden, ReasonDelegation)
	w.do(w.delegating("survivor", "advocate", "read", "withdraw"))
	w.refuse(narrow(w), Forbidden, ReasonDelegation) // not this right
	w.do(w.adding("custodian", "advocate"))
	w.refuse(narrow(w), Forbidden, ReasonDelegation) // who says for whom does not act as a member
	w.refuse(w.onBehalf(w.narrowing("advocate", noStorage), "stranger"), Forbidden, ReasonDelegation)
	w.refuse(w.onBehalf(w.narrowing("custodian", noStorage), "survivor"), Forbidden, ReasonDelegation)
	late := w.fork(t)
	late.now = late.consent().Advocates[0].Until
	late.refuse(withdraw(late), Forbidden, ReasonDelegation)
	late.now--
	late.do(withdraw(late))
	ended := w.fork(t)
	ended.do(ended.undelegating("custodian", "advocate"))
	ended.refuse(withdraw(ended), Forbidden, ReasonDelegation)
	w.do(withdraw(w))
}

// Whoever approves for a subject approves for that one only: not for another subject of the same item, not for one who asks later.
func TestAdvocateApproves(t *testing.T) {
	ask := func(d *ConsentGivenDetails) { d.AskFirst = true }
	// An item about two, both of whom want to be asked; the first is the survivor, the second the stranger.
	begin := func(t testing.TB) (*world, ItemID, GrantID, ConsentID) {
		w := newSubject(t)
		first := w.con
		e := w.naming("investigator", "survivor")
		ask(e.Details.(*ConsentGivenDetails))
		w.do(e)
		w.con, w.form = made[ConsentID](w), w.depositForm()
		e = w.giving("clinician", everyAnswer)
		ask(e.Details.(*ConsentGivenDetails))
		e.Details.(*ConsentGivenDetails).Subject = w.p("stranger").signer.ID
		w.finish(e)
		w.do(e)
		second := w.con
		refs := []ConsentRef{{first, 3}, {second, 1}}
		slices.SortFunc(refs, func(a, b ConsentRef) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
		id := w.item("clinician", Clinical, func(e *Event) { e.Consent = refs })
		w.seal(id)
		p := w.proposal(id, "clinician", "court")
		w.do(p)
		g := p.Details.(*GrantProposedDetails).ID
		w.do(w.approval(id, "custodian", g))
		w.con = first
		w.do(w.delegating("survivor", "advocate", "approve"))
		return w, id, g, second
	}
	active := func(w *world, id ItemID, g GrantID) bool { return w.state(id).Grant(g).Status == GrantActive }
	t.Run("for one of two", func(t *testing.T) {
		w, id, g, second := begin(t)
		w.refuse(w.onBehalf(w.approval(id, "advocate", g), "stranger"), Forbidden, ReasonDelegation)
		w.do(w.approval(id, "advocate", g))
		w.refuse(w.approval(id, "advocate", g), Conflict, ReasonApproved)
		if active(w, id, g) {
			t.Fatal("active although one of two was not asked")
		}
		first := w.con
		w.con = second
		w.do(w.delegating("stranger", "advocate", "approve")) // an approval given before is not one for her
		w.con = first
		w.do(w.open(id, "custodian"))
		w.refuse(w.wrap(id, "custodian", g), Forbidden, ReasonGrantPending)
		w.do(w.onBehalf(w.approval(id, "advocate", g), "stranger"))
		if s := w.state(id).Grant(g); !active(w, id, g) || len(s.ApprovedBy) != 2 || len(s.Agreed) != 2 {
			t.Errorf("the grant: %+v", s)
		}
	})
	t.Run("only for whom it is said", func(t *testing.T) {
		w, id, g, second := begin(t)
		first := w.con
		w.con = second
		w.do(w.delegating("stranger", "advocate", "read"))
		w.con = first
		w.refuse(w.onBehalf(w.approval(id, "advocate", g), "stranger"), Forbidden, ReasonNotSubject) // read is not approve
		w.do(w.onBehalf(w.approval(id, "advocate", g), "survivor"))
		if active(w, id, g) {
			t.Error("active although one of two was not asked")
		}
	})
	t.Run("what was agreed stays agreed", func(t *testing.T) {
		w, id, g, _ := begin(t)
		w.do(w.approval(id, "advocate", g))
		w.do(w.undelegating("survivor", "advocate"))
		w.refuse(w.approval(id, "advocate", g), Forbidden, ReasonNotSubject)
		w.do(w.approval(id, "stranger", g))
		if !active(w, id, g) {
			t.Error("not active although both were asked")
		}
	})
	t.Run("refused for her", func(t *testing.T) {
		w, id, g, _ := begin(t)
		w.do(w.refusal(id, "advocate", g))
	})
	t.Run("after the end", func(t *testing.T) {
		w, id, g, _ := begin(t)
		w.now = w.consent().Advocates[0].Until
		w.refuse(w.approval(id, "advocate", g), Forbidden, ReasonNotSubject)
		w.refuse(w.refusal(id, "advocate", g), Forbidden, ReasonNotSubject)
	})
}
