package evidence

import (
	"slices"
	"testing"
)

func (w *world) shredProposal(id ItemID, by string, c Cause) *Event {
	return w.on(id, by, ItemShredProposed, &ItemShredProposedDetails{c, SHA256([]byte("dry run"))}, func(e *Event) {
		if c == CauseOrder {
			e.Authority = &Authority{Basis: CourtOrder}
			noted("authority", ToInternal)(e)
		}
	})
}

func (w *world) cancelling(id ItemID, by string) *Event {
	return w.on(id, by, ItemShredCancelled, &ItemShredCancelledDetails{CauseError})
}

func (w *world) shredding(id ItemID, by string) *Event {
	d := &ItemShreddedDetails{Stores: []string{"records", "backups"}, Horizon: w.now.Add(30 * day)}
	for _, e := range w.state(id).Envelopes {
		d.Envelopes = append(d.Envelopes, e.Recipient)
	}
	return w.on(id, by, ItemShredded, d, func(e *Event) {
		if b := w.state(id).Bin; b != nil && b.Cause == CauseOrder {
			e.Authority = &Authority{Basis: CourtOrder}
		}
	})
}

// shred proposes, waits and shreds.
func (w *world) shred(id ItemID, c Cause) {
	w.t.Helper()
	w.do(w.shredProposal(id, "custodian", c))
	w.now = max(w.now, w.state(id).Bin.Ready)
	w.do(w.shredding(id, "custodian 2"))
}

func TestShredProposed(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.shredProposal(w.item("clinician", Clinical), "custodian 3", CauseDraft)
	}
	set := changed[*ItemShredProposedDetails]
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	as := func(c Cause) func(*world, *Event) {
		return set(func(w *world, d *ItemShredProposedDetails) { d.Cause = c })
	}
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")}, // nothing shreds by itself
		refusal{"no dry run", Invalid, ReasonDigest, set(func(w *world, d *ItemShredProposedDetails) { d.DryRun = Hash{} })},
		refusal{"another cause", Unknown, ReasonCode, as(CauseError)},
		refusal{"sealed", Conflict, ReasonSealed, func(w *world, e *Event) { w.seal(id(e)); w.again(e) }},
		refusal{"a consent form, which is never sealed", Conflict, ReasonNotDue, func(w *world, e *Event) { *e = *w.shredProposal(w.form, "custodian", CauseDraft) }},
		refusal{"the consent's time is over, which is another cause", Conflict, ReasonNotFrozen, func(w *world, e *Event) {
			w.now = w.facts.States[ConsentOf(w.con)].(*ConsentState).Until
			*e = *w.shredProposal(id(e), "custodian", CauseWithdrawal)
		}},
		refusal{"nothing withdrawn", Conflict, ReasonNotFrozen, as(CauseWithdrawal)},
		refusal{"not due", Conflict, ReasonNotDue, as(CauseDue)},
		refusal{"nothing says when it is due", Conflict, ReasonNotDue, func(w *world, e *Event) {
			w.now = w.now.Add(10000 * day)
			*e = *w.shredProposal(w.item("clinician", Clinical, onOrder), "custodian", CauseDue)
		}},
		refusal{"order without authority", Invalid, ReasonAuthority, func(w *world, e *Event) {
			noted("authority", ToInternal)(e)
			as(CauseOrder)(w, e)
		}},
		refusal{"order by consent", Invalid, ReasonAuthority, func(w *world, e *Event) {
			noted("authority", ToInternal)(e)
			e.Authority = &Authority{Basis: ByConsent}
			as(CauseOrder)(w, e)
		}},
		refusal{"order without a note", Invalid, ReasonNoteMissing, func(w *world, e *Event) {
			e.Authority = &Authority{Basis: CourtOrder}
			as(CauseOrder)(w, e)
		}},
		refusal{"held", Held, ReasonHeld, func(w *world, e *Event) { w.hold(id(e)); w.again(e) }},
		refusal{"held by one person's word", Held, ReasonHeld, func(w *world, e *Event) { w.placed(id(e)); w.again(e) }},
		refusal{"in the bin", Conflict, ReasonBinned, func(w *world, e *Event) {
			w.do(w.shredProposal(id(e), "custodian", CauseDraft))
			w.again(e)
		}},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(id(e), CauseDraft); w.again(e) }},
	)
	for name, c := range map[string]struct {
		cause Cause
		first func(*world, ItemID)
		wait  Time
	}{
		"draft":     {CauseDraft, func(*world, ItemID) {}, 14 * 86400e3},
		"withdrawn": {CauseWithdrawal, func(w *world, id ItemID) { w.seal(id); w.withdraw() }, 3 * 86400e3},
		"narrowed": {CauseWithdrawal, func(w *world, id ItemID) {
			w.do(w.narrowing("clinician", func(a *Answers) { a.Storage = No }))
		}, 3 * 86400e3},
		"order":            {CauseOrder, func(w *world, id ItemID) { w.seal(id) }, 14 * 86400e3},
		"due with consent": {CauseDue, func(w *world, id ItemID) { w.seal(id); w.now = w.consent().Until }, 14 * 86400e3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newConsented(t)
			id := w.item("clinician", Clinical)
			c.first(w, id)
			e := w.shredProposal(id, "custodian", c.cause)
			s := w.do(e).(*ItemState)
			if s.Bin.Ready != e.Time+c.wait || s.Bin.By != w.p("custodian").signer.ID {
				t.Errorf("the bin: %+v", s.Bin)
			}
			w.now = s.Bin.Ready - 1
			w.refuse(w.shredding(id, "custodian 2"), Held, ReasonWaiting)
			w.now++
			w.do(w.shredding(id, "custodian 2"))
		})
	}
}

// In the bin nothing is released, and everything can be undone (RULES §8.4).
func TestBin(t *testing.T) {
	w, id, g := newShared(t)
	opened, redeemed := w.open(id, "custodian"), (*Event)(nil)
	w.do(opened)
	redeemed = w.redemption(id, "court", g)
	w.do(redeemed)
	pending := w.proposal(id, "clinician", "police")
	w.do(pending)
	w.do(w.shredProposal(id, "custodian 3", CauseOrder))
	w.refuse(w.open(id, "custodian"), Held, ReasonBinned)
	w.refuse(w.redemption(id, "court", g), Held, ReasonBinned)
	w.refuse(w.export(id, "court", g), Held, ReasonBinned)
	w.refuse(w.breaking(id, "custodian"), Held, ReasonBinned)
	w.refuse(w.approval(id, "custodian", pending.Details.(*GrantProposedDetails).ID), Held, ReasonBinned)
	w.refuse(w.amending(id, "clinician"), Held, ReasonBinned)
	for _, e := range []*Event{opened, redeemed} {
		refused(t, w.state(id).Release(w.facts, e, w.now), Held, ReasonBinned)
	}
	derived := w.deposit("clinician", Clinical, func(e *Event) {
		e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, id
	})
	w.refuse(derived, Held, ReasonBinned)
	w.do(w.verify(id, "vault", "ciphertext", Success))
	w.do(w.receipt(id, "court", g))
	w.refuse(w.on(id, "vault", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("court").fingerprint(), CauseExpiry, w.now.Add(day)}), Conflict, ReasonEnvelopeNeeded)
	before := w.state(id)
	w.do(w.cancelling(id, "custodian"))
	if s := w.state(id); s.Bin != nil || !slices.Equal(s.Envelopes, before.Envelopes) || s.Grant(g).Status != GrantActive {
		t.Errorf("after its return: %+v", s)
	}
	w.do(w.redemption(id, "court", g))
	w.again(derived)
	w.do(derived)
}

func TestShredCancelled(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.shredProposal(id, "custodian", CauseDraft))
		return w, w.cancelling(id, "custodian 3")
	}
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"twice", Conflict, ReasonNotBinned, func(w *world, e *Event) {
			w.do(w.cancelling(id(e), "custodian"))
			w.again(e)
		}},
		refusal{"withdrawn", Held, ReasonFrozen, after((*world).withdraw)},
		refusal{"withdrawn, the hold has lapsed", Held, ReasonFrozen, func(w *world, e *Event) {
			w.withdraw()
			h := w.placed(id(e))
			w.now = w.state(id(e)).Hold(h).Lapses
			w.again(e)
		}},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) {
			w.now = w.state(id(e)).Bin.Ready
			w.do(w.shredding(id(e), "custodian 2"))
			w.again(e)
		}},
	)
	t.Run("withdrawn, but held", func(t *testing.T) {
		w, e := base(t)
		w.withdraw()
		w.hold(id(e))
		w.again(e)
		w.do(e)
		w.refuse(w.open(id(e), "custodian"), Held, ReasonFrozen) // it stays in the freezer
	})
}

func TestItemShredded(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.shredProposal(id, "custodian", CauseDraft))
		w.now = w.state(id).Bin.Ready
		return w, w.shredding(id, "custodian 2")
	}
	set := changed[*ItemShreddedDetails]
	id := func(e *Event) ItemID { return ItemID(e.Stream.ID) }
	check(t, base,
		refusal{"by who proposed it", Forbidden, ReasonSecondPerson, by("custodian")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"a moment too early", Held, ReasonWaiting, func(w *world, e *Event) {
			w.now = w.state(id(e)).Bin.Ready - 1
			w.again(e)
		}},
		refusal{"not in the bin", Conflict, ReasonNotBinned, func(w *world, e *Event) {
			w.do(w.cancelling(id(e), "custodian 3"))
			w.again(e)
		}},
		refusal{"the wait begins anew", Held, ReasonWaiting, func(w *world, e *Event) {
			w.do(w.cancelling(id(e), "custodian 3"))
			w.do(w.shredProposal(id(e), "custodian", CauseDraft))
			w.again(e)
		}},
		refusal{"held", Held, ReasonHeld, func(w *world, e *Event) { w.hold(id(e)); w.again(e) }},
		refusal{"an envelope is not named", Conflict, ReasonEnvelopeList, set(func(w *world, d *ItemShreddedDetails) { d.Envelopes = d.Envelopes[1:] })},
		refusal{"an envelope that is none", Conflict, ReasonEnvelopeList, set(func(w *world, d *ItemShreddedDetails) {
			d.Envelopes[0] = freshHash("x")
			slices.SortFunc(d.Envelopes, Hash.Compare)
		})},
		refusal{"envelopes unsorted", Invalid, ReasonOrder, set(func(w *world, d *ItemShreddedDetails) { slices.Reverse(d.Envelopes) })},
		refusal{"not from the backups", Invalid, ReasonStores, set(func(w *world, d *ItemShreddedDetails) { d.Stores = []string{"records", "cold"} })},
		refusal{"not from the records", Invalid, ReasonStores, set(func(w *world, d *ItemShreddedDetails) { d.Stores = []string{"backups"} })},
		refusal{"horizon before the backups end", Invalid, ReasonStores, set(func(w *world, d *ItemShreddedDetails) { d.Horizon = w.now.Add(30*day) - 1 })},
		refusal{"twice", Gone, ReasonShredded, func(w *world, e *Event) {
			first := *e
			w.do(&first)
			by("custodian 3")(w, e)
		}},
	)
	t.Run("another organization", func(t *testing.T) {
		w := newConsented(t)
		w.twoOrganizations()
		id := w.item("clinician", Clinical)
		w.do(w.shredProposal(id, "custodian", CauseDraft))
		w.now = w.state(id).Bin.Ready
		w.refuse(w.shredding(id, "colleague"), Forbidden, ReasonTwoOrgs)
	})
	// The cause is judged again: what is no longer true shreds nothing.
	t.Run("sealed meanwhile", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.shredProposal(id, "custodian", CauseDraft))
		w.refuse(w.on(id, "custodian", ItemSealed, &ItemSealedDetails{1, id}), Held, ReasonBinned)
	})
	t.Run("consent renewed meanwhile", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.narrowing("clinician", func(a *Answers) { a.Storage = No }))
		w.do(w.shredProposal(id, "custodian", CauseWithdrawal))
		w.answer("clinician", everyAnswer)
		w.now = w.state(id).Bin.Ready
		w.refuse(w.shredding(id, "custodian 2"), Conflict, ReasonNotFrozen)
		w.do(w.cancelling(id, "custodian 2"))
		w.do(w.open(id, "custodian"))
	})
	t.Run("kept longer meanwhile", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical, onOrder)
		w.do(w.retaining(id, "custodian", "case_file", w.now.Add(20*day)))
		w.now = w.now.Add(20 * day)
		w.do(w.shredProposal(id, "custodian", CauseDue))
		w.do(w.retaining(id, "custodian 3", "medical_record", w.now.Add(99*day)))
		w.now = w.state(id).Bin.Ready
		w.refuse(w.shredding(id, "custodian 2"), Conflict, ReasonNotDue)
	})
	t.Run("no order any more", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.shredProposal(id, "custodian", CauseOrder))
		w.now = w.state(id).Bin.Ready
		e := w.shredding(id, "custodian 2")
		e.Authority = nil
		w.refuse(e, Invalid, ReasonAuthority)
		e.Authority = &Authority{Basis: StatutoryDuty}
		w.do(e)
	})
}

// Nothing brings a shredded item back: no kind but the end of what had begun, no release on the strength of what was allowed before, no
// derivative of what was remembered.
func TestAfterTheShred(t *testing.T) {
	w, id, g := newShared(t)
	opened, redeemed := w.open(id, "custodian"), (*Event)(nil)
	w.do(opened)
	redeemed = w.redemption(id, "court", g)
	w.do(redeemed)
	glass := w.breakGlass(id)
	pending := w.proposal(id, "clinician", "police")
	w.do(pending)
	h := w.placed(id)
	w.do(w.lifting(id, "custodian 2", h))
	w.shred(id, CauseOrder)
	s := w.state(id)
	if len(s.Envelopes) != 0 || s.Bin != nil || s.Shredded == 0 {
		t.Fatalf("after the shred: %+v", s)
	}
	for _, g := range s.Grants {
		if g.Status != GrantEnded {
			t.Errorf("grant %s is %s", g.Terms.ID, g.Status)
		}
	}
	for _, e := range []*Event{opened, redeemed, glass} {
		refused(t, s.Release(w.facts, e, w.now), Gone, ReasonShredded)
	}
	for _, e := range []*Event{
		w.open(id, "custodian"), w.breaking(id, "custodian"), w.redemption(id, "court", g), w.export(id, "custodian", ""),
		w.approval(id, "custodian", pending.Details.(*GrantProposedDetails).ID), w.revoke(id, "custodian", g), w.expire(id, g),
		w.on(id, "custodian", ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p("custodian").fingerprint(), w.unique()}, CauseRewrap, ""}),
		w.on(id, "custodian", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("custodian").fingerprint(), CauseLoss, w.now}),
		w.verify(id, "vault", "ciphertext", Success), w.amending(id, "clinician"), w.cancelling(id, "custodian"), w.shredding(id, "custodian"),
		w.placing(id, "custodian"), w.confirming(id, "custodian", h), w.lifting(id, "custodian", h), w.retaining(id, "custodian", "x", w.now),
		w.proposal(id, "clinician", "court"),
	} {
		w.refuse(e, Gone, ReasonShredded)
	}
	w.refuse(w.deposit("custodian", Clinical, func(e *Event) {
		e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, id
	}), Forbidden, ReasonRight)
	w.refuse(w.deposit("clinician", Clinical, func(e *Event) {
		e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, id
	}), Gone, ReasonShredded)
	w.do(w.receipt(id, "court", g))
	w.do(w.review(id, "custodian", w.state(id).Emergencies[0].Event, false))
	if s := w.state(id); len(s.Envelopes) != 0 || s.Shredded == 0 {
		t.Error("something came back")
	}
}

// A wait that would end after the last moment that can be written ends there.
func TestWaitsEnd(t *testing.T) {
	a := &act{Event: &Event{Time: lastMoment - 5}}
	if got := a.after(MaxWait); got != lastMoment {
		t.Errorf("a wait ends at %v", got)
	}
	if got := (&act{Event: &Event{Time: 5}}).after(2); got != 2005 {
		t.Errorf("a wait of two seconds ends at %d", got)
	}
}
