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
