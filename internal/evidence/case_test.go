package evidence

import (
	"slices"
	"testing"
)

func (w *world) adding(by, name string, rights ...Right) *Event {
	return w.event(by, CaseOf(w.cas), CaseMemberAdded,
		&CaseMemberAddedDetails{Member{w.p(name).signer.ID, rights, 0}, EnvelopeRef{w.p(name).fingerprint(), w.unique()}})
}

func TestCaseOpened(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.cas = NewID[CaseID]()
		return w, w.opening()
	}
	set := changed[*CaseOpenedDetails]
	relabel := func(w *world, d *CaseOpenedDetails) {
		var names []string
		for name, p := range w.people {
			if slices.ContainsFunc(d.Members, func(m Member) bool { return m.Actor == p.signer.ID }) {
				names = append(names, name)
			}
		}
		d.LabelKey = w.label(d.Recovery, names...)
		sortCase(d)
	}
	check(t, base,
		refusal{"by a court", Forbidden, ReasonRole, by("court")},
		refusal{"a case by a survivor", Forbidden, ReasonRole, by("survivor")},
		refusal{"a complaint by a clinician", Forbidden, ReasonRole, set(func(w *world, d *CaseOpenedDetails) { d.Type = "complaint" })},
		refusal{"unknown type", Unknown, ReasonCode, set(func(w *world, d *CaseOpenedDetails) { d.Type = "matter" })},
		refusal{"one keyholder", Invalid, ReasonKeyholders, set(func(w *world, d *CaseOpenedDetails) { d.Keyring = d.Keyring[:1] })},
		refusal{"keyholder twice", Invalid, ReasonOrder, set(func(w *world, d *CaseOpenedDetails) { d.Keyring = []Keyholder{d.Keyring[0], d.Keyring[0]} })},
		refusal{"members unsorted", Invalid, ReasonOrder, set(func(w *world, d *CaseOpenedDetails) { slices.Reverse(d.Members) })},
		refusal{"unknown right", Unknown, ReasonCode, set(func(w *world, d *CaseOpenedDetails) { d.Members[0].Rights = []Right{"fly"} })},
		refusal{"right twice", Unknown, ReasonCode, set(func(w *world, d *CaseOpenedDetails) { d.Members[0].Rights = []Right{MayOpen, MayOpen} })},
		refusal{"other recovery", Invalid, ReasonRecovery, set(func(w *world, d *CaseOpenedDetails) {
			d.Recovery = w.unique()
			relabel(w, d)
		})},
		refusal{"no recovery", Invalid, ReasonDigest, set(func(w *world, d *CaseOpenedDetails) { d.Recovery = Hash{} })},
		refusal{"nobody manages", Invalid, ReasonNoManager, set(func(w *world, d *CaseOpenedDetails) {
			for i := range d.Members {
				d.Members[i].Rights = nil
			}
		})},
		refusal{"a clinician manages", Invalid, ReasonNoManager, set(func(w *world, d *CaseOpenedDetails) {
			for i, m := range d.Members {
				d.Members[i].Rights = nil
				if m.Actor == w.p("clinician").signer.ID {
					d.Members[i].Rights = []Right{MayManage}
				}
			}
		})},
		refusal{"membership over already", Invalid, ReasonWindow, set(func(w *world, d *CaseOpenedDetails) { d.Members[0].Until = w.now })},
		refusal{"keyholder not a member", Invalid, ReasonKeyring, set(func(w *world, d *CaseOpenedDetails) {
			d.Keyring = append(d.Keyring, w.holder("outsider"))
			sortCase(d)
		})},
		refusal{"unconfirmed fingerprint", Invalid, ReasonFingerprint, set(func(w *world, d *CaseOpenedDetails) { d.Keyring[0].Fingerprint = w.unique() })},
		refusal{"auditor as keyholder", Forbidden, ReasonKeyholderRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("auditor"))
			d.Keyring = append(d.Keyring, w.holder("auditor"))
			relabel(w, d)
		})},
		refusal{"court as member", Forbidden, ReasonMemberRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("court"))
			relabel(w, d)
		})},
		refusal{"administrator as member", Forbidden, ReasonMemberRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("administrator"))
			relabel(w, d)
		})},
		refusal{"member nobody knows", Conflict, ReasonMissingBasis, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, Member{Actor: NewID[ActorID]()})
			sortCase(d)
		})},
		refusal{"suspended member", Forbidden, ReasonActorInactive, after(func(w *world) { w.suspend("investigator", day) })},
		refusal{"label key without a member", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey = w.label(d.Recovery, "clinician") })},
		refusal{"label key for an outsider", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseOpenedDetails) {
			d.LabelKey.Envelopes = with(d.LabelKey.Envelopes, EnvelopeRef{w.p("outsider").fingerprint(), w.unique()}, byRecipient)
		})},
		refusal{"label key malformed", Invalid, ReasonKeys, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey.Recipient = "age1" })},
		refusal{"label envelope without digest", Invalid, ReasonDigest, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey.Envelopes[0].SHA256 = Hash{} })},
		refusal{"label envelopes repeat", Invalid, ReasonOrder, set(func(w *world, d *CaseOpenedDetails) { d.LabelKey.Envelopes[1] = d.LabelKey.Envelopes[0] })},
	)
	complaint := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		w.cas = NewID[CaseID]()
		e := w.opening()
		d := e.Details.(*CaseOpenedDetails)
		d.Type = "complaint"
		d.Members = []Member{w.member("survivor", MayDeposit), w.member("auditor", MayOpen), w.member("auditor 2", MayOpen)}
		d.Keyring = []Keyholder{w.holder("auditor"), w.holder("auditor 2")}
		relabel(w, d)
		by("survivor")(w, e)
		return w, e
	}
	check(t, complaint,
		refusal{"by an auditor", Forbidden, ReasonRole, by("auditor")},
		refusal{"custodian as keyholder", Forbidden, ReasonKeyholderRole, set(func(w *world, d *CaseOpenedDetails) {
			d.Members = append(d.Members, w.member("custodian"))
			d.Keyring = append(d.Keyring, w.holder("custodian"))
			relabel(w, d)
		})},
	)
}

func TestCaseMemberAdded(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.adding("custodian", "outsider", MayOpen)
	}
	set := changed[*CaseMemberAddedDetails]
	check(t, base,
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"over already", Invalid, ReasonWindow, set(func(w *world, d *CaseMemberAddedDetails) { d.Until = w.now })},
		refusal{"malformed actor", Invalid, ReasonIdentifier, set(func(w *world, d *CaseMemberAddedDetails) { d.Actor = "act-1" })},
		refusal{"other fingerprint", Invalid, ReasonFingerprint, set(func(w *world, d *CaseMemberAddedDetails) { d.Envelope.Recipient = w.unique() })},
		refusal{"a court", Forbidden, ReasonMemberRole, set(func(w *world, d *CaseMemberAddedDetails) {
			d.Actor, d.Envelope.Recipient = w.p("court").signer.ID, w.p("court").fingerprint()
		})},
		refusal{"unconfirmed", Forbidden, ReasonActorInactive, func(w *world, e *Event) {
			w.meet("new", Clinician, false)
			w.do(w.enrolment("administrator", "new"))
			e.Details.(*CaseMemberAddedDetails).Actor = w.p("new").signer.ID
			w.again(e)
		}},
	)
	t.Run("ends by itself", func(t *testing.T) {
		w, e := base(t)
		e.Details.(*CaseMemberAddedDetails).Until = w.now.Add(day)
		s := w.do(e).(*CaseState)
		id := w.p("outsider").signer.ID
		if !s.Can(id, MayOpen, w.now) || s.Can(id, MayManage, w.now) || s.Can(id, MayOpen, e.Time.Add(day)) {
			t.Error("the membership does not last exactly until its end")
		}
	})
	t.Run("again", func(t *testing.T) {
		w, e := base(t)
		w.do(e)
		s := w.do(w.adding("custodian", "outsider", MayDeposit)).(*CaseState)
		if len(s.Members) != 6 || len(s.LabelKey.Envelopes) != 7 || !s.Can(w.p("outsider").signer.ID, MayDeposit, w.now) || s.Can(w.p("outsider").signer.ID, MayOpen, w.now) {
			t.Errorf("a renewed membership does not replace the old one: %+v", s.Members)
		}
	})
}

func (w *world) removing(by, name string, stay ...string) *Event {
	return w.event(by, CaseOf(w.cas), CaseMemberRemoved,
		&CaseMemberRemovedDetails{w.p(name).signer.ID, CauseDeparture, w.label(w.theCase().Recovery, stay...)})
}

func TestCaseMemberRemoved(t *testing.T) {
	stay := []string{"clinician", "custodian", "custodian 2", "custodian 3"}
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.removing("custodian", "investigator", stay...)
	}
	set := changed[*CaseMemberRemovedDetails]
	check(t, base,
		refusal{"by another member", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"not a member", Invalid, ReasonNotMember, set(func(w *world, d *CaseMemberRemovedDetails) { d.Actor = w.p("outsider").signer.ID })},
		refusal{"malformed", Invalid, ReasonIdentifier, set(func(w *world, d *CaseMemberRemovedDetails) { d.Actor = "" })},
		refusal{"keyholder", Conflict, ReasonStillKeyholder, set(func(w *world, d *CaseMemberRemovedDetails) { d.Actor = w.p("clinician").signer.ID })},
		refusal{"label key for who left", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseMemberRemovedDetails) {
			d.LabelKey = w.label(w.theCase().Recovery, append(stay, "investigator")...)
		})},
		refusal{"label key not for all", Invalid, ReasonLabelEnvelopes, set(func(w *world, d *CaseMemberRemovedDetails) {
			d.LabelKey = w.label(w.theCase().Recovery, stay[1:]...)
		})},
		refusal{"old label key", Invalid, ReasonSameKey, set(func(w *world, d *CaseMemberRemovedDetails) { d.LabelKey.Recipient = w.theCase().LabelKey.Recipient })},
		refusal{"last manager", Invalid, ReasonNoManager, func(w *world, e *Event) {
			w.do(w.ring("custodian", nil, "custodian"))
			*e = *w.removing("custodian", "custodian", "clinician", "investigator", "custodian 2", "custodian 3")
		}},
	)
	t.Run("oneself", func(t *testing.T) {
		w := newCase(t)
		s := w.do(w.removing("investigator", "investigator", stay...)).(*CaseState)
		if _, ok := s.Member(w.p("investigator").signer.ID, w.now); ok {
			t.Error("still a member")
		}
		w.refuse(w.deposit("investigator", Digital), Invalid, ReasonConsentMissing)
	})
	t.Run("suspended members get no key", func(t *testing.T) {
		w := newCase(t)
		w.suspend("clinician", day)
		w.refuse(w.removing("custodian", "investigator", stay...), Invalid, ReasonLabelEnvelopes)
		w.do(w.removing("custodian", "investigator", stay[1:]...))
	})
}

func (w *world) ring(by string, added []string, removed ...string) *Event {
	d := &CaseKeyringChangedDetails{}
	for _, n := range added {
		d.Added = append(d.Added, w.holder(n))
	}
	for _, n := range removed {
		d.Removed = append(d.Removed, w.p(n).signer.ID)
	}
	slices.SortFunc(d.Added, func(a, b Keyholder) int { return cmpString(a.Actor, b.Actor) })
	slices.Sort(d.Removed)
	return w.event(by, CaseOf(w.cas), CaseKeyringChanged, d)
}

func cmpString(a, b ActorID) int {
	if a < b {
		return -1
	}
	return 1
}

func TestCaseKeyringChanged(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.ring("custodian", []string{"investigator"}, "clinician")
	}
	set := changed[*CaseKeyringChangedDetails]
	check(t, base,
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"without the right", Forbidden, ReasonRight, by("custodian 2")},
		refusal{"manager without a key", Forbidden, ReasonNotKeyholder, func(w *world, e *Event) {
			w.do(w.adding("custodian", "outsider", MayManage))
			by("outsider")(w, e)
		}},
		refusal{"nothing", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added, d.Removed = nil, nil })},
		refusal{"removed who is not on it", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Removed[0] = w.p("outsider").signer.ID })},
		refusal{"added who is on it", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0] = w.holder("custodian 2") })},
		refusal{"added who is no member", Invalid, ReasonKeyring, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0] = w.holder("outsider") })},
		refusal{"other fingerprint", Invalid, ReasonFingerprint, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0].Fingerprint = w.unique() })},
		refusal{"no fingerprint", Invalid, ReasonDigest, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0].Fingerprint = Hash{} })},
		refusal{"malformed", Invalid, ReasonIdentifier, set(func(w *world, d *CaseKeyringChangedDetails) { d.Added[0].Actor = "" })},
		refusal{"removed malformed", Invalid, ReasonIdentifier, set(func(w *world, d *CaseKeyringChangedDetails) { d.Removed[0] = "" })},
		refusal{"removed twice", Invalid, ReasonOrder, set(func(w *world, d *CaseKeyringChangedDetails) { d.Removed = append(d.Removed, d.Removed[0]) })},
		refusal{"an auditor", Forbidden, ReasonKeyholderRole, func(w *world, e *Event) {
			w.do(w.adding("custodian", "auditor"))
			e.Details.(*CaseKeyringChangedDetails).Added[0] = w.holder("auditor")
			w.again(e)
		}},
		refusal{"one remains", Invalid, ReasonKeyholders, func(w *world, e *Event) {
			*e = *w.ring("custodian", nil, "clinician", "custodian 2", "custodian 3")
		}},
	)
	t.Run("rotated key", func(t *testing.T) {
		w := newCase(t)
		w.rotate("administrator", "custodian", "clinician")
		s := w.do(w.ring("custodian", []string{"clinician"}, "clinician")).(*CaseState)
		if !s.OnKeyring(w.p("clinician").fingerprint()) || len(s.Keyring) != 4 {
			t.Errorf("keyring: %+v", s.Keyring)
		}
	})
	t.Run("recovery follows the vault's", func(t *testing.T) {
		w := newCase(t)
		d := w.configuration()
		d.Recovery = fakeRecipient(w.unique())
		w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
		w.do(w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{w.facts.States[PolicyOf(origin)].Tip().Leaf}))
		w.refuse(w.ring("custodian", nil), Invalid, ReasonKeyring)
		w.now = w.now.Add(7 * day)
		s := w.do(w.ring("custodian", nil)).(*CaseState)
		if s.Recovery != Fingerprint(nil, d.Recovery) {
			t.Error("recovery did not follow")
		}
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
