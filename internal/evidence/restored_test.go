package evidence

import (
	"slices"
	"testing"
)

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

// RULES §3.7: what passes in a restored vault takes nothing from anybody that cannot be given again, and gives nothing new.
func TestPassesWhileRestored(t *testing.T) {
	want := []Kind{ActorSuspended, ActorRevoked, ConsentNarrowed, ConsentWithdrawn, ConsentDelegationEnded, ItemOpened, ItemVerified, ItemExported,
		ItemEnvelopeRemoved, ItemBreakGlass, GrantRefused, GrantRevoked, GrantExpired, GrantRedeemed, GrantAcknowledged, VaultHeads, VaultConfirmed,
		VaultRestored, VaultIncident}
	for k, r := range rules {
		if r.reads != slices.Contains(want, k) {
			t.Errorf("%s passes: %v", k, r.reads)
		}
	}
}

// What was allowed before the backup was taken is judged by what is known after it: nothing is replayed.
func TestRestoredShredsNothing(t *testing.T) {
	w, id, g := newShared(t)
	w.do(w.shredProposal(id, "custodian", CauseOrder))
	w.do(w.restoring())
	w.now = w.state(id).Bin.Ready
	for _, e := range []*Event{
		w.shredding(id, "custodian 2"), w.cancelling(id, "custodian 2"), w.placing(id, "custodian"), w.retaining(id, "custodian", "x", w.now),
		w.approval(id, "custodian 2", g), w.amending(id, "clinician"), w.delegating("clinician", "advocate", "read"),
		w.closing("custodian"), w.recovering("trustee", id),
	} {
		w.refuse(e, Held, ReasonRestored)
	}
	w.refuse(w.open(id, "custodian"), Held, ReasonBinned)
	w.do(w.narrowing("clinician", noStorage))
	w.withdraw()
}
