package evidence

import (
	"slices"
	"testing"
)

// A founder may enrol as a vault once more; only the one that began the policy ever acts as this vault.
func TestSecondVault(t *testing.T) {
	w, id, g := newShared(t)
	w.enrol("vault 2", Vault, true)
	w.now = w.now.Add(30 * day)
	for _, e := range []*Event{
		w.event("vault 2", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()}),
		w.event("vault 2", PolicyOf(origin), VaultConfigured, w.configuration()),
		w.verify(id, "vault 2", "ciphertext", Success),
		w.on(id, "vault 2", GrantExpired, &GrantExpiredDetails{g}),
		w.on(id, "vault 2", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("court").fingerprint(), CauseExpiry, w.now.Add(day)}),
	} {
		w.refuse(e, Forbidden, ReasonOtherVaultKey)
	}
	d := w.configuration()
	d.Version = "1.0.1"
	w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
	w.do(w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()}))
}

func (w *world) recovering(by string, items ...ItemID) *Event {
	slices.Sort(items)
	return w.event(by, PolicyOf(origin), VaultRecovered, &VaultRecoveredDetails{Fingerprint(nil, recoveryRecipient), items, CauseLoss})
}

// Pitfall 24: two trustees state the same use of the recovery key; one of them, or two different statements, are not a recovery.
func TestVaultRecovered(t *testing.T) {
	waits := func(w *world) *RecoveryState { return w.facts.States[PolicyOf(origin)].(*PolicyState).Recovering }
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		w.do(w.recovering("trustee", w.form))
		return w, w.recovering("trustee 2", w.form)
	}
	set := changed[*VaultRecoveredDetails]
	check(t, base,
		refusal{"the same trustee twice", Forbidden, ReasonSecondPerson, by("trustee")},
		refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"another key", Invalid, ReasonRecovery, set(func(w *world, d *VaultRecoveredDetails) { d.Recovery = w.unique() })},
		refusal{"unknown cause", Unknown, ReasonCode, set(func(w *world, d *VaultRecoveredDetails) { d.Cause = "whim" })},
		refusal{"restored", Held, ReasonRestored, after(func(w *world) { w.do(w.restoring()) })},
	)
	w, e := base(t)
	if w.do(e); waits(w) != nil {
		t.Error("two trustees are not enough")
	}
	if w.do(w.recovering("trustee 2", w.form)); waits(w) == nil {
		t.Error("a new use needs no second trustee")
	}
	if w.do(w.recovering("trustee", w.form, w.item("clinician", Clinical))); waits(w) == nil || len(waits(w).Stated.Items) != 2 {
		t.Fatal("another statement confirmed the first")
	}
	w.refuse(w.recovering("trustee", waits(w).Stated.Items...), Forbidden, ReasonSecondPerson)
	w.do(w.recovering("trustee 2", waits(w).Stated.Items...))
	if waits(w) != nil {
		t.Error("not recovered")
	}
	t.Run("another organization", func(t *testing.T) {
		w := newConsented(t)
		w.twoOrganizations()
		w.p("trustee 2").signer.Organization = w.p("trustee").signer.Organization
		w.meet("trustee 3", Trustee, false).signer.Organization = w.p("trustee").signer.Organization
		w.do(w.enrolment("custodian", "trustee 3"))
		w.do(w.confirmation("custodian 2", "trustee 3"))
		w.do(w.recovering("trustee", w.form))
		w.refuse(w.recovering("trustee 3", w.form), Forbidden, ReasonTwoOrgs)
	})
}

func TestVaultIncident(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.event("auditor", PolicyOf(origin), VaultIncident, &VaultIncidentDetails{"breach", w.now.Add(-day), w.now, "vault"})
	}
	set := changed[*VaultIncidentDetails]
	check(t, base,
		refusal{"by a custodian", Forbidden, ReasonRole, by("custodian")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"begins in the future", Invalid, ReasonTimeOrder, set(func(w *world, d *VaultIncidentDetails) { d.From, d.Until = w.now+1, 0 })},
		refusal{"ends in the future", Invalid, ReasonTimeOrder, set(func(w *world, d *VaultIncidentDetails) { d.Until = w.now + 1 })},
		refusal{"ends before it begins", Invalid, ReasonWindow, set(func(w *world, d *VaultIncidentDetails) { d.Until = d.From - 1 })},
		refusal{"unknown code", Unknown, ReasonCode, set(func(w *world, d *VaultIncidentDetails) { d.Code = "rumour" })},
	)
	w, e := base(t)
	by("administrator")(w, e)
	e.Details.(*VaultIncidentDetails).Until = 0 // it goes on
	w.do(e)
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
		refusal{"rules of later", Unknown, ReasonRules, set(func(w *world, d *VaultConfiguredDetails) { d.Rules = RulesVersion + 1 })},
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
	t.Run("upgrade while something waits", func(t *testing.T) {
		w := newCase(t)
		lower, upgraded := w.configuration(), w.configuration()
		lower.Policy.BinWait--
		w.do(w.event("administrator", policy, VaultConfigured, lower))
		leaf := w.facts.States[policy].Tip().Leaf
		upgraded.Version = "1.1.0"
		w.do(w.event("vault", policy, VaultConfigured, upgraded))
		confirm := w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{leaf})
		s := w.do(confirm).(*PolicyState).At(confirm.Time.Add(7 * day))
		if s.Version != "1.1.0" || s.Policy != lower.Policy || lower.Version != "1.0.0" {
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
	t.Run("under rules 1", func(t *testing.T) { // more protection is in force at once, and so is the newer version only by two
		w := newCase(t)
		now := func() *PolicyState { return w.facts.States[policy].(*PolicyState).At(w.now) }
		w.underRules(1)
		d := w.configuration()
		d.Rules, d.Policy.BinWait = 1, d.Policy.BinWait+1
		if w.do(w.event("administrator", policy, VaultConfigured, d)); now().Proposed != nil || now().Policy != d.Policy {
			t.Error("more protection is not in force at once")
		}
		newest := *d
		newest.Rules = RulesVersion
		w.do(w.event("administrator", policy, VaultConfigured, &newest))
		if now().Rules != 1 || now().Proposed == nil {
			t.Error("one administrator has changed the rules")
		}
		w.do(w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{w.facts.States[policy].Tip().Leaf}))
		if w.now = now().Effective; now().Rules != RulesVersion {
			t.Errorf("rules %d after the wait", now().Rules)
		}
	})
	t.Run("to two organizations, by one", func(t *testing.T) {
		w := newCase(t)
		w.meet("colleague", Custodian, false).signer.Organization = w.p("administrator").signer.Organization
		w.do(w.enrolment("administrator", "colleague"))
		w.do(w.confirmation("custodian", "colleague"))
		w.underRules(1)
		d := w.configuration()
		d.Policy.TwoOrganizations = true
		s := w.do(w.event("administrator", policy, VaultConfigured, d)).(*PolicyState)
		w.refuse(w.event("colleague", policy, VaultConfirmed, &VaultConfirmedDetails{s.Last.Leaf}), Forbidden, ReasonTwoOrgs)
	})
}

// No administrator changes the rules alone, not even towards what sounds like more protection: a wait of ten years keeps what was withdrawn
// from being shredded, and a vault of one organization has nobody left to take back that two are needed.
func TestNobodyChangesTheRulesAlone(t *testing.T) {
	policy := PolicyOf(origin)
	for name, change := range map[string]func(*VaultPolicy){
		"withdrawal wait":   func(p *VaultPolicy) { p.WithdrawalWait = MaxWait },
		"bin wait":          func(p *VaultPolicy) { p.BinWait = MaxWait },
		"confirm wait":      func(p *VaultPolicy) { p.ConfirmWait = MaxWait },
		"two organizations": func(p *VaultPolicy) { p.TwoOrganizations = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newCase(t)
			d := w.configuration()
			change(&d.Policy)
			s := w.do(w.event("administrator", policy, VaultConfigured, d)).(*PolicyState)
			if s.At(w.now.Add(100*day)).Policy != w.configuration().Policy {
				t.Error("one administrator has changed it")
			}
		})
	}
	t.Run("two organizations, by one", func(t *testing.T) { // where there is one only, nobody could ever confirm anything again
		w := newCase(t)
		w.meet("colleague", Custodian, false).signer.Organization = w.p("administrator").signer.Organization
		w.do(w.enrolment("administrator", "colleague"))
		w.do(w.confirmation("custodian", "colleague"))
		d := w.configuration()
		d.Policy.TwoOrganizations = true
		s := w.do(w.event("administrator", policy, VaultConfigured, d)).(*PolicyState)
		w.refuse(w.event("colleague", policy, VaultConfirmed, &VaultConfirmedDetails{s.Last.Leaf}), Forbidden, ReasonTwoOrgs)
		w.do(w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{s.Last.Leaf}))
	})
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
