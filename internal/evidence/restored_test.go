package evidence

import "testing"

func (w *world) restoring() *Event {
	return w.event("vault", PolicyOf(origin), VaultRestored, &VaultRestoredDetails{w.now.Add(-day), 7, 9})
}

func TestVaultRestored(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newCase(t)
		return w, w.restoring()
	}
	set := changed[*VaultRestoredDetails]
	check(t, base,
		refusal{"by an administrator", Forbidden, ReasonRole, by("administrator")},
		refusal{"smaller than the backup", Invalid, ReasonSize, set(func(w *world, d *VaultRestoredDetails) { d.After = 6 })},
		refusal{"from nothing", Invalid, ReasonSize, set(func(w *world, d *VaultRestoredDetails) { d.Before = 0 })},
		refusal{"from the future", Invalid, ReasonTimeOrder, set(func(w *world, d *VaultRestoredDetails) { d.Backup = w.now.Add(day) })},
	)
	t.Run("first", func(t *testing.T) {
		w := newVault(t)
		delete(w.facts.States, PolicyOf(origin))
		w.refuse(w.restoring(), Invalid, ReasonFirst)
	})
}

// A restored vault lets read, withdraw and end, and nothing else, until a custodian confirms exactly this restore.
func TestRestoredIsReadOnly(t *testing.T) {
	w, id, g := newShared(t)
	w.do(w.redemption(id, "court", g))
	w.do(w.restoring())
	leaf := w.facts.States[PolicyOf(origin)].Tip().Leaf

	w.refuse(w.deposit("clinician", Clinical), Held, ReasonRestored)
	w.refuse(w.proposal(id, "custodian", "police"), Held, ReasonRestored)
	w.refuse(w.wrap(id, "custodian", g), Held, ReasonRestored)
	w.refuse(w.adding("custodian", "outsider"), Held, ReasonRestored)
	w.refuse(w.rotation("administrator", "outsider"), Held, ReasonRestored)
	w.refuse(w.event("administrator", PolicyOf(origin), VaultConfigured, w.configuration()), Held, ReasonRestored)
	w.refuse(w.event("vault", PolicyOf(origin), VaultConfigured, w.configuration()), Held, ReasonRestored)

	w.do(w.open(id, "custodian"))
	w.do(w.verify(id, "vault", "ciphertext", Success))
	w.do(w.redemption(id, "court", g))
	w.do(w.receipt(id, "court", g))
	w.do(w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()}))
	w.do(w.event("administrator", ActorOf(w.p("outsider").signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture}))
	w.do(w.revoke(id, "custodian", g))

	w.refuse(w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{w.unique()}), NotFound, ReasonProposal)
	w.do(w.restoring()) // once more: only the newest counts
	w.refuse(w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{leaf}), NotFound, ReasonProposal)
	leaf = w.facts.States[PolicyOf(origin)].Tip().Leaf
	w.do(w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{leaf}))
	w.do(w.deposit("clinician", Clinical))
	w.refuse(w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{leaf}), NotFound, ReasonProposal)
}

// A configuration that waits for its confirmation goes on waiting.
func TestRestoredKeepsAProposal(t *testing.T) {
	policy := PolicyOf(origin)
	w := newCase(t)
	d := w.configuration()
	d.Policy.BinWait--
	w.do(w.event("administrator", policy, VaultConfigured, d))
	proposed := w.facts.States[policy].Tip().Leaf
	w.do(w.restoring())
	w.do(w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{w.facts.States[policy].Tip().Leaf}))
	w.do(w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{proposed}))
	if s := w.facts.States[policy].(*PolicyState); s.Effective == 0 {
		t.Error("the proposal was lost")
	}
}
