package evidence

import (
	"slices"
	"testing"
)

// RULES §3.3 to §3.7, column "Signer": for every kind an event that is valid when the first of these roles signs it, and all
// roles that may sign it. Everybody else is refused, however many rights and keys they hold.
func TestWhoMayNot(t *testing.T) {
	m := []Role{Clinician, Investigator, Custodian, Auditor, Survivor, Advocate} // who can be a member
	k := []Role{Custodian, Clinician, Investigator, Auditor}                     // who can be a keyholder
	co := []Role{Court}                                                          // only the one to whom it was granted
	var id ItemID
	var g GrantID
	table := map[Kind]struct {
		may   []Role
		event func(w *world) *Event
	}{
		ActorEnrolled:   {[]Role{Administrator}, func(w *world) *Event { w.meet("new", Clinician, false); return w.enrolment("administrator", "new") }},
		ActorKeyRotated: {[]Role{Administrator, Custodian}, func(w *world) *Event { return w.rotation("administrator", "outsider") }},
		ActorConfirmed: {[]Role{Custodian}, func(w *world) *Event {
			w.meet("new", Clinician, false)
			w.do(w.enrolment("administrator", "new"))
			return w.confirmation("custodian", "new")
		}},
		ActorSuspended: {[]Role{Administrator, Custodian}, func(w *world) *Event {
			return w.event("administrator", ActorOf(w.p("outsider").signer.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(day)})
		}},
		ActorRevoked: {[]Role{Administrator, Custodian}, func(w *world) *Event {
			return w.event("administrator", ActorOf(w.p("outsider").signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture})
		}},
		CaseOpened: {[]Role{Clinician, Investigator, Custodian}, func(w *world) *Event {
			w.cas = made[CaseID](w)
			return w.opening()
		}},
		CaseMemberAdded: {[]Role{Custodian}, func(w *world) *Event { return w.adding("custodian", "outsider") }},
		CaseMemberRemoved: {[]Role{Custodian}, func(w *world) *Event {
			w.do(w.adding("custodian", "outsider"))
			return w.removing("custodian", "outsider", "clinician", "investigator", "custodian", "custodian 2", "custodian 3", "auditor", "survivor", "advocate")
		}},
		CaseKeyringChanged: {[]Role{Custodian}, func(w *world) *Event { return w.ring("custodian", nil, "clinician") }},
		CaseClosed:         {[]Role{Custodian}, func(w *world) *Event { return w.closing("custodian") }},
		CaseReopened: {[]Role{Custodian}, func(w *world) *Event {
			w.close()
			return w.event("custodian", CaseOf(w.cas), CaseReopened, &CaseReopenedDetails{CauseNewFacts})
		}},
		ConsentGiven: {[]Role{Clinician, Investigator}, func(w *world) *Event {
			w.form = w.depositForm()
			return w.giving("clinician", everyAnswer)
		}},
		ConsentWithdrawn: {m, func(w *world) *Event {
			return w.event("clinician", ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"})
		}},
		ConsentNarrowed:  {m, func(w *world) *Event { return w.narrowing("clinician", noStorage) }},
		ConsentDelegated: {[]Role{Clinician, Custodian}, func(w *world) *Event { return w.delegating("clinician", "advocate", "read") }},
		ConsentDelegationEnded: {[]Role{Custodian, Advocate}, func(w *world) *Event {
			w.do(w.delegating("clinician", "advocate", "read"))
			return w.undelegating("custodian", "advocate")
		}},
		ItemDeposited: {m, func(w *world) *Event { return w.deposit("clinician", Clinical) }},
		ItemSealed: {[]Role{Clinician, Custodian}, func(w *world) *Event {
			id := w.item("clinician", Clinical)
			return w.on(id, "clinician", ItemSealed, &ItemSealedDetails{2, id})
		}},
		ItemOpened:        {k, func(w *world) *Event { return w.open(id, "custodian") }},
		ItemVerified:      {append(k, Vault), func(w *world) *Event { return w.verify(id, "vault", "ciphertext", Success) }},
		ItemExported:      {append(k, Court), func(w *world) *Event { w.do(w.redemption(id, "court", g)); return w.export(id, "court", g) }},
		ItemEnvelopeAdded: {k, func(w *world) *Event { return w.wrap(id, "custodian", w.granted(id, "police")) }},
		ItemEnvelopeRemoved: {append(k, Vault), func(w *world) *Event {
			w.do(w.ring("custodian", nil, "clinician"))
			return w.on(id, "custodian", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("clinician").fingerprint(), CauseDeparture, w.now.Add(30 * day)})
		}},
		ItemDerived: {k, func(w *world) *Event {
			made := w.item("clinician", Clinical, func(e *Event) {
				e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Working, id
			})
			w.do(w.open(id, "clinician"))
			return w.on(id, "clinician", ItemDerived, &ItemDerivedDetails{made, Working, Tool{"t", "1", ""}})
		}},
		ItemAmended: {[]Role{Clinician, Custodian}, func(w *world) *Event { return w.amending(id, "clinician") }},
		ItemTransferred: {m, func(w *world) *Event {
			return w.transferring(w.item("clinician", Physical), "clinician", Police, "")
		}},
		ItemReceived: {m, func(w *world) *Event {
			id := w.item("clinician", Physical)
			w.do(w.transferring(id, "clinician", Police, ""))
			return w.receiving(id, "clinician", true)
		}},
		ItemBreakGlass: {k, func(w *world) *Event { return w.breaking(id, "clinician") }},
		ItemBreakGlassReviewed: {[]Role{Custodian, Auditor}, func(w *world) *Event {
			w.do(w.breaking(id, "clinician"))
			return w.review(id, "custodian", w.state(id).Last.Leaf, true)
		}},
		ItemShredProposed: {[]Role{Custodian}, func(w *world) *Event { return w.shredProposal(id, "custodian", CauseOrder) }},
		ItemShredCancelled: {[]Role{Custodian}, func(w *world) *Event {
			w.do(w.shredProposal(id, "custodian", CauseOrder))
			return w.cancelling(id, "custodian")
		}},
		ItemShredded: {[]Role{Custodian}, func(w *world) *Event {
			w.do(w.shredProposal(id, "custodian", CauseOrder))
			w.now = w.state(id).Bin.Ready
			return w.shredding(id, "custodian 2")
		}},
		RetentionSet:  {[]Role{Custodian}, func(w *world) *Event { return w.retaining(id, "custodian", "case_file", w.now.Add(day)) }},
		HoldPlaced:    {[]Role{Custodian}, func(w *world) *Event { return w.placing(id, "custodian") }},
		HoldConfirmed: {[]Role{Custodian}, func(w *world) *Event { return w.confirming(id, "custodian 2", w.placed(id)) }},
		HoldLifted: {[]Role{Custodian, Vault}, func(w *world) *Event {
			h := w.placed(id)
			return w.lifting(id, "custodian 2", h)
		}},
		GrantProposed:     {k, func(w *world) *Event { return w.proposal(id, "custodian", "police") }},
		GrantApproved:     {[]Role{Custodian}, pending(&id, (*world).approval)},
		GrantRefused:      {[]Role{Custodian}, pending(&id, (*world).refusal)},
		GrantRevoked:      {[]Role{Custodian, Clinician}, func(w *world) *Event { return w.revoke(id, "custodian", g) }}, // the clinician proposed it
		GrantExpired:      {[]Role{Vault}, func(w *world) *Event { w.now = w.now.Add(30 * day); return w.expire(id, g) }},
		GrantRedeemed:     {co, func(w *world) *Event { return w.redemption(id, "court", g) }},
		GrantAcknowledged: {co, func(w *world) *Event { w.do(w.redemption(id, "court", g)); return w.receipt(id, "court", g) }},
		VaultHeads: {[]Role{Vault}, func(w *world) *Event {
			return w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{4, 4, nil, w.unique()})
		}},
		VaultConfigured: {[]Role{Administrator, Vault}, func(w *world) *Event {
			return w.event("administrator", PolicyOf(origin), VaultConfigured, w.configuration())
		}},
		VaultRestored:  {[]Role{Vault}, (*world).restoring},
		VaultRecovered: {[]Role{Trustee}, func(w *world) *Event { return w.recovering("trustee", id) }},
		VaultIncident: {[]Role{Administrator, Auditor}, func(w *world) *Event {
			return w.event("auditor", PolicyOf(origin), VaultIncident, &VaultIncidentDetails{"outage", w.now.Add(-day), 0, "vault"})
		}},
		VaultConfirmed: {[]Role{Custodian}, func(w *world) *Event {
			d := w.configuration()
			d.Policy.BinWait--
			w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
			return w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{w.facts.States[PolicyOf(origin)].Tip().Leaf})
		}},
	}
	for kind, row := range table {
		t.Run(string(kind), func(t *testing.T) {
			w, item, grant := newShared(t)
			id, g = item, grant
			for _, name := range []string{"clinician", "investigator", "auditor", "survivor", "advocate"} {
				w.do(w.adding("custodian", name, allRights...))
			}
			w.do(w.ring("custodian", []string{"investigator"}))
			e := row.event(w)
			for _, role := range roles {
				if slices.Contains(row.may, role) {
					continue
				}
				foreign := *e
				for name, p := range w.people {
					if p.signer.Role == role && name != "outsider" && name != "new" {
						foreign.Actor = p.signer
					}
				}
				w.finish(&foreign)
				if _, err := w.try(&foreign); KindOf(err) != Forbidden {
					t.Errorf("signed by %s: %v", role, err)
				}
			}
			w.finish(e)
			w.do(e)
		})
	}
	for k := range rules {
		if table[k].event == nil {
			t.Errorf("%s is not in the table", k)
		}
	}
}

func pending(id *ItemID, decide func(w *world, id ItemID, by string, g GrantID) *Event) func(w *world) *Event {
	return func(w *world) *Event {
		e := w.proposal(*id, "clinician", "police")
		w.do(e)
		return decide(w, *id, "custodian", e.Details.(*GrantProposedDetails).ID)
	}
}

// Every kind has rules, and every rule a kind.
func TestEveryKindIsDecided(t *testing.T) {
	for k := range kinds {
		if r := rules[k]; len(r.signers) == 0 || r.apply == nil {
			t.Errorf("%s has half a rule, or none", k)
		}
		if !k.Known() {
			t.Errorf("%s is not known", k)
		}
	}
	for k := range rules {
		if !k.Known() {
			t.Errorf("%s has rules and no details", k)
		}
	}
}
