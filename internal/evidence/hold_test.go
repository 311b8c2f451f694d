package evidence

import (
	"testing"
	"time"
)

func (w *world) placing(id ItemID, by string) *Event {
	return w.on(id, by, HoldPlaced, &HoldPlacedDetails{made[HoldID](w), CourtOrder, w.now.Add(100 * day), w.now.Add(50 * day), 0}, noted("order", ToInternal))
}

func (w *world) confirming(id ItemID, by string, h HoldID) *Event {
	return w.on(id, by, HoldConfirmed, &HoldConfirmedDetails{h})
}

func (w *world) lifting(id ItemID, by string, h HoldID) *Event {
	return w.on(id, by, HoldLifted, &HoldLiftedDetails{h, CauseOrder})
}

// placed places a hold that nobody has confirmed yet.
func (w *world) placed(id ItemID) HoldID {
	w.t.Helper()
	e := w.placing(id, "custodian")
	w.do(e)
	return e.Details.(*HoldPlacedDetails).Hold
}

// hold places and confirms a hold.
func (w *world) hold(id ItemID) HoldID {
	w.t.Helper()
	h := w.placed(id)
	w.do(w.confirming(id, "custodian 2", h))
	return h
}

// under names a hold as the ground of the act.
func under(h HoldID) func(*Event) {
	return func(e *Event) { e.Authority = &Authority{Basis: CourtOrder, Hold: h} }
}

func TestHoldPlaced(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.placing(w.item("clinician", Clinical), "custodian 3")
	}
	set := changed[*HoldPlacedDetails]
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"on consent", Invalid, ReasonAuthority, set(func(w *world, d *HoldPlacedDetails) { d.Basis = ByConsent })},
		refusal{"over already", Invalid, ReasonWindow, set(func(w *world, d *HoldPlacedDetails) { d.Expires, d.Review = w.now, w.now })},
		refusal{"review after the end", Invalid, ReasonWindow, set(func(w *world, d *HoldPlacedDetails) { d.Review = d.Expires + 1 })},
		refusal{"secret after the end", Invalid, ReasonWindow, set(func(w *world, d *HoldPlacedDetails) { d.SecretUntil = d.Expires + 1 })},
		refusal{"secret until now", Invalid, ReasonWindow, set(func(w *world, d *HoldPlacedDetails) { d.SecretUntil = w.now })},
		refusal{"secret for too long", Invalid, ReasonWindow, set(func(w *world, d *HoldPlacedDetails) {
			d.Expires, d.SecretUntil = w.now.Add(2*MaxSecret), w.now.Add(MaxSecret)+1
		})},
		refusal{"one more than there may be", Conflict, ReasonHolds, func(w *world, e *Event) {
			for range MaxHolds {
				w.placed(ItemID(e.Stream.ID))
			}
			w.again(e)
		}},
		refusal{"one more secret than there may be", Conflict, ReasonSecrets, func(w *world, e *Event) {
			for i := range MaxSecrets {
				w.placeSecret(ItemID(e.Stream.ID), "custodian", time.Duration(1+i%3)*day)
			}
			w.do(w.placing(ItemID(e.Stream.ID), "custodian")) // an open one is free
			e.Details.(*HoldPlacedDetails).SecretUntil = w.now.Add(day)
			w.again(e)
		}},
		refusal{"without the order", Invalid, ReasonNoteMissing, func(w *world, e *Event) { e.Notes = nil }},
		refusal{"order to those who hold the item", Invalid, ReasonNoteAudience, func(w *world, e *Event) { e.Notes[0].Audience = ToItem }},
		refusal{"same id again", Conflict, ReasonHold, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) {
			w.shred(ItemID(e.Stream.ID), CauseDraft)
			*e = *w.placing(ItemID(e.Stream.ID), "custodian 3")
		}},
	)
	w, e := base(t)
	w.withdraw()
	w.again(e)
	w.do(e) // a duty to keep is stated in the freezer above all
}

func TestHoldConfirmed(t *testing.T) {
	var h HoldID
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		h = w.placed(id)
		return w, w.confirming(id, "custodian 3", h)
	}
	item := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by who placed it", Forbidden, ReasonSecondPerson, by("custodian")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"no such hold", NotFound, ReasonHold, changed(func(w *world, d *HoldConfirmedDetails) { d.Hold = NewID[HoldID]() })},
		refusal{"twice", Conflict, ReasonApproved, func(w *world, e *Event) {
			w.do(w.confirming(item(e), "custodian 2", h))
			w.again(e)
		}},
		refusal{"lifted", Gone, ReasonHoldOver, func(w *world, e *Event) {
			w.do(w.lifting(item(e), "custodian 2", h))
			w.again(e)
		}},
		refusal{"lapsed", Gone, ReasonHoldOver, func(w *world, e *Event) {
			w.now = w.state(item(e)).Hold(h).Lapses
			w.again(e)
		}},
	)
	t.Run("at the last moment", func(t *testing.T) {
		w, e := base(t)
		w.now = w.state(item(e)).Hold(h).Lapses - 1
		w.again(e)
		w.do(e)
	})
	t.Run("another organization", func(t *testing.T) {
		w := newConsented(t)
		w.twoOrganizations()
		id := w.item("clinician", Clinical)
		h := w.placed(id)
		w.refuse(w.confirming(id, "colleague", h), Forbidden, ReasonTwoOrgs)
		w.do(w.confirming(id, "custodian 2", h))
		w.refuse(w.lifting(id, "colleague", h), Forbidden, ReasonTwoOrgs)
	})
}

// twoOrganizations lets the policy ask for two, and brings in a colleague of custodian.
func (w *world) twoOrganizations() {
	w.t.Helper()
	w.configure(func(d *VaultConfiguredDetails) { d.Policy.TwoOrganizations = true })
	w.meet("colleague", Custodian, false).signer.Organization = w.p("custodian").signer.Organization
	w.do(w.enrolment("administrator", "colleague"))
	w.do(w.confirmation("custodian", "colleague"))
	w.do(w.adding("custodian", "colleague", MayApprove))
}

func TestHoldLifted(t *testing.T) {
	var h HoldID
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		h = w.hold(id)
		return w, w.lifting(id, "custodian 2", h)
	}
	item := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by who placed it", Forbidden, ReasonSecondPerson, by("custodian")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by the vault, in force", Conflict, ReasonHoldRunning, by("vault")},
		refusal{"by the vault, a moment before the end", Conflict, ReasonHoldRunning, func(w *world, e *Event) {
			w.now = w.state(item(e)).Hold(h).Expires - 1
			by("vault")(w, e)
		}},
		refusal{"no such hold", NotFound, ReasonHold, changed(func(w *world, d *HoldLiftedDetails) { d.Hold = NewID[HoldID]() })},
		refusal{"twice", Gone, ReasonHoldOver, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			w.again(e)
		}},
	)
	t.Run("by the vault at its end", func(t *testing.T) {
		w, e := base(t)
		w.now = w.state(item(e)).Hold(h).Expires
		by("vault")(w, e)
		w.do(e)
	})
	t.Run("by the vault once it lapsed", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		h := w.placed(id)
		w.now = w.state(id).Hold(h).Lapses
		w.do(w.lifting(id, "vault", h))
	})
}

// To the millisecond: an unconfirmed hold blocks until it lapses, a confirmed one until it expires, a lifted one never.
func TestHoldMoments(t *testing.T) {
	const lapses, expires = 1000, 2000
	for _, c := range []struct {
		status            HoldStatus
		expires           Time
		now               Time
		blocks, confirmed bool
	}{
		{HoldUnconfirmed, expires, lapses - 1, true, false},
		{HoldUnconfirmed, expires, lapses, false, false},
		{HoldUnconfirmed, 500, 499, true, false},
		{HoldUnconfirmed, 500, 500, false, false}, // nothing outlives its end
		{HoldInForce, expires, lapses, true, true},
		{HoldInForce, expires, expires - 1, true, true},
		{HoldInForce, expires, expires, false, false},
		{HoldOver, expires, 1, false, false},
	} {
		h := HoldState{ID: "h", Status: c.status, Lapses: lapses, Expires: c.expires}
		if h.Blocks(c.now) != c.blocks || h.Confirmed(c.now) != c.confirmed {
			t.Errorf("%s at %d: blocks %v, confirmed %v", c.status, c.now, h.Blocks(c.now), h.Confirmed(c.now))
		}
		s := ItemState{Holds: []HoldState{{Status: HoldOver}, h}}
		if s.Held(c.now) != c.blocks || s.Hold("h") == nil || s.Hold("i") != nil {
			t.Errorf("an item with %+v is held: %v", h, s.Held(c.now))
		}
	}
}

// When the vault itself has something to do: exactly the moment at which Blocks turns, a review is overdue, a consent ends.
func TestMoments(t *testing.T) {
	item := &ItemState{Holds: []HoldState{{Status: HoldUnconfirmed, Lapses: 5, Expires: 9}, {Status: HoldUnconfirmed, Lapses: 5, Expires: 4},
		{Status: HoldInForce, Lapses: 5, Expires: 8}, {Status: HoldOver, Lapses: 5, Expires: 7}},
		Emergencies: []EmergencyState{{Due: 11}, {Due: 12, ReviewedBy: "somebody"}}}
	got := Moments(item)
	want := []Time{5, 4, 8, 11}
	if len(got) != len(want) {
		t.Fatalf("moments %v, want %v", got, want)
	}
	for i, at := range want {
		if got[i] != at {
			t.Errorf("moments %v, want %v", got, want)
		}
		if i < 3 && (!item.Holds[i].Blocks(at-1) || item.Holds[i].Blocks(at)) {
			t.Errorf("the hold does not turn at %d", at)
		}
	}
	if got := Moments(&ConsentState{Until: 3}); len(got) != 1 || got[0] != 3 {
		t.Errorf("a consent's moments: %v", got)
	}
	if got := Moments(&ConsentState{Until: 3, Withdrawn: 2}); len(got) != 0 {
		t.Errorf("a withdrawn consent's moments: %v", got)
	}
}

// RULES §4.4: an act that names a confirmed hold passes the freeze, and nothing else does: no unconfirmed one, no lapsed, lifted or foreign one.
func TestUnderHold(t *testing.T) {
	begin := func(t testing.TB) (*world, ItemID) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.seal(id)
		return w, id
	}
	opening := func(w *world, id ItemID, h HoldID) *Event {
		e := w.open(id, "custodian")
		under(h)(e)
		w.finish(e)
		return e
	}
	w, id := begin(t)
	h := w.placed(id)
	w.withdraw()
	w.refuse(opening(w, id, h), Held, ReasonFrozen) // one person's word
	w.do(w.confirming(id, "custodian 2", h))
	w.refuse(w.open(id, "custodian"), Held, ReasonFrozen) // a hold that is not named
	opened := opening(w, id, h)
	w.do(opened)
	w.refuse(opening(w, id, NewID[HoldID]()), NotFound, ReasonHold)
	release := func(now Time) error { return w.state(id).Release(w.facts, opened, now) }
	expires := w.state(id).Hold(h).Expires
	if err := release(expires - 1); err != nil {
		t.Fatal(err)
	}
	refused(t, release(expires), Held, ReasonFrozen)
	other := w.item("clinician", Clinical, onOrder)
	w.refuse(opening(w, other, h), NotFound, ReasonHold) // of another item
	w.do(w.lifting(id, "custodian 3", h))
	refused(t, release(w.now), Held, ReasonFrozen)
	w.refuse(opening(w, id, h), Held, ReasonFrozen)
}

// A hold stands in for a consent that has ended, never for an answer, never for who wanted to be asked, and never under terms that name
// consent as their ground.
func TestSharingUnderHold(t *testing.T) {
	begin := func(t testing.TB, a Answers, set ...func(*ConsentGivenDetails)) (*world, ItemID, HoldID) {
		w := newConsented(t)
		w.answer("clinician", a, set...)
		id := w.item("clinician", Clinical)
		w.seal(id)
		w.do(w.open(id, "custodian"))
		return w, id, w.hold(id)
	}
	propose := func(w *world, id ItemID, h HoldID, to, basis string) *Event {
		e := w.proposal(id, "clinician", to)
		e.Details.(*GrantProposedDetails).LegalBasis = basis
		under(h)(e)
		w.finish(e)
		return e
	}
	share := func(w *world, id ItemID, h HoldID, basis string) GrantID {
		e := propose(w, id, h, "court", basis)
		w.do(e)
		g := e.Details.(*GrantProposedDetails).ID
		w.do(w.approval(id, "custodian", g))
		w.do(w.wrap(id, "custodian", g))
		return g
	}
	t.Run("withdrawn", func(t *testing.T) {
		w, id, h := begin(t, everyAnswer)
		w.withdraw()
		w.refuse(propose(w, id, h, "court", "consent"), Held, ReasonFrozen)
		w.refuse(w.proposal(id, "clinician", "court"), Held, ReasonFrozen)
		g := share(w, id, h, "court_order")
		redeemed := w.redemption(id, "court", g)
		w.do(redeemed)
		w.do(w.export(id, "court", g))
		court := w.p("court").fingerprint()
		expires := w.state(id).Hold(h).Expires
		if !w.state(id).Needs(w.facts, court, w.now) {
			t.Error("the court's envelope is not needed")
		}
		w.do(w.lifting(id, "custodian 2", h))
		refused(t, w.state(id).Release(w.facts, redeemed, w.now), Held, ReasonFrozen)
		w.refuse(w.redemption(id, "court", g), Held, ReasonFrozen)
		if w.state(id).Needs(w.facts, court, w.now) || expires < w.now {
			t.Error("the court's envelope is still needed")
		}
	})
	t.Run("before the withdrawal", func(t *testing.T) { // what was shared on another ground goes on, what was shared on consent does not
		w, id, h := begin(t, everyAnswer)
		order, consent := share(w, id, h, "court_order"), GrantID("")
		e := propose(w, id, h, "court", "consent")
		w.do(e)
		consent = e.Details.(*GrantProposedDetails).ID
		w.do(w.approval(id, "custodian", consent))
		w.do(w.redemption(id, "court", consent))
		w.withdraw()
		w.refuse(w.redemption(id, "court", consent), Held, ReasonFrozen)
		w.do(w.redemption(id, "court", order))
	})
	t.Run("an unconfirmed hold carries nothing later", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.seal(id)
		w.do(w.open(id, "custodian"))
		h := w.placed(id)
		g := share(w, id, h, "court_order")
		w.do(w.confirming(id, "custodian 2", h))
		w.withdraw()
		w.refuse(w.redemption(id, "court", g), Held, ReasonFrozen)
	})
	t.Run("no stays no", func(t *testing.T) {
		a := everyAnswer
		a.PoliceInformation = No
		w, id, h := begin(t, a)
		w.refuse(propose(w, id, h, "police", "court_order"), Forbidden, ReasonConsentAnswer)
		w.withdraw()
		w.refuse(propose(w, id, h, "police", "court_order"), Forbidden, ReasonConsentAnswer)
		w.refuse(func() *Event {
			e := propose(w, id, h, "court", "court_order")
			e.Details.(*GrantProposedDetails).Jurisdiction = "FR"
			return e
		}(), Forbidden, ReasonConsentAnswer)
	})
	t.Run("no said later", func(t *testing.T) {
		w, id, h := begin(t, everyAnswer)
		g := share(w, id, h, "court_order")
		w.do(w.narrowing("clinician", func(a *Answers) { a.Courts = nil }))
		w.refuse(w.redemption(id, "court", g), Forbidden, ReasonConsentAnswer)
		if w.state(id).Needs(w.facts, w.p("court").fingerprint(), w.now) {
			t.Error("the envelope of a refused share is needed")
		}
	})
	t.Run("ask first stays", func(t *testing.T) {
		w, id, h := begin(t, everyAnswer, func(d *ConsentGivenDetails) { d.AskFirst = true })
		w.withdraw()
		e := propose(w, id, h, "court", "court_order")
		w.do(e)
		g := e.Details.(*GrantProposedDetails).ID
		w.do(w.approval(id, "custodian", g))
		w.refuse(w.wrap(id, "custodian", g), Forbidden, ReasonGrantPending)
	})
	t.Run("another hold in the redemption", func(t *testing.T) { // the grant's own ground counts, not one named when redeeming
		w, id, h := begin(t, everyAnswer)
		g := w.granted(id, "court")
		w.do(w.wrap(id, "custodian", g))
		w.withdraw()
		e := w.redemption(id, "court", g)
		under(h)(e)
		w.refuse(e, Held, ReasonFrozen)
	})
	t.Run("in the bin", func(t *testing.T) {
		w, id, _ := begin(t, everyAnswer)
		w.do(w.lifting(id, "custodian 2", w.state(id).Holds[0].ID))
		w.withdraw()
		w.do(w.shredProposal(id, "custodian", CauseWithdrawal))
		h := w.hold(id)
		w.refuse(propose(w, id, h, "court", "court_order"), Held, ReasonBinned)
		w.do(w.cancelling(id, "custodian 3"))
		w.do(propose(w, id, h, "court", "court_order"))
	})
}

// A grant that a hold carries is needed exactly as long as both last.
func TestNeedsMoments(t *testing.T) {
	consent := &ConsentState{Last: Tip{}, ID: "c", Answers: everyAnswer, From: 1, Until: 100}
	f := Facts{States: map[Stream]State{ConsentOf("c"): consent}}
	fingerprint := freshHash("court")
	s := &ItemState{Content: Clinical, Consent: []ConsentID{"c"}, Holds: []HoldState{{ID: "h", Status: HoldInForce, Expires: 200}},
		Grants: []GrantState{{Status: GrantActive, Hold: "h", Terms: Terms{LegalBasis: "treaty", RecipientClass: Court, Jurisdiction: "DE", Expires: 300, Recipient: Keyholder{Fingerprint: fingerprint}}}}}
	for _, c := range []struct {
		now    Time
		change func(*ItemState)
		want   bool
	}{
		{50, func(*ItemState) {}, true},
		{100, func(*ItemState) {}, true}, // consent is over, the hold carries it
		{199, func(*ItemState) {}, true},
		{200, func(*ItemState) {}, false},
		{99, func(s *ItemState) { s.Grants[0].Hold = "" }, true},
		{100, func(s *ItemState) { s.Grants[0].Hold = "" }, false},
		{100, func(s *ItemState) { s.Grants[0].Terms.LegalBasis = "consent" }, false},
		{99, func(s *ItemState) { s.Grants[0].Terms.Expires = 99 }, false},
		{98, func(s *ItemState) { s.Grants[0].Terms.Expires = 99 }, true},
		{50, func(s *ItemState) { s.Grants[0].Status = GrantPending }, false},
		{50, func(s *ItemState) { s.Grants[0].Terms.Jurisdiction = "FR" }, false},
	} {
		own := *s
		own.Grants = []GrantState{s.Grants[0]}
		c.change(&own)
		if got := own.Needs(f, fingerprint, c.now); got != c.want {
			t.Errorf("at %d with %+v: needed is %v", c.now, own.Grants[0], got)
		}
		if own.Needs(f, freshHash("another"), c.now) {
			t.Error("needed for nobody")
		}
	}
	consent.Answers.Storage = No // may be shared, but is not kept
	if s.Grants[0].Hold = ""; s.Needs(f, fingerprint, 50) {
		t.Error("the envelope of a frozen item is needed")
	}
}

// A hold beats a shredding that has begun, from the moment it is placed (RULES §8.2).
func TestHoldStopsShredding(t *testing.T) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	w.do(w.shredProposal(id, "custodian", CauseDraft))
	w.now = w.state(id).Bin.Ready
	h := w.placed(id)
	w.refuse(w.shredding(id, "custodian 2"), Held, ReasonHeld)
	w.now = w.state(id).Hold(h).Lapses - 1
	w.refuse(w.shredding(id, "custodian 2"), Held, ReasonHeld)
	w.now++
	w.do(w.shredding(id, "custodian 2"))
}
