package evidence

import (
	"slices"
	"testing"
)

// RULES §3.3 to §3.7, column "Signer": for every kind in service an event that is valid when the first of these roles signs it, and all
// roles that may sign it. Everybody else is refused, however many rights and keys they hold.
func TestWhoMayNot(t *testing.T) {
	m := []Role{Clinician, Investigator, Custodian, Auditor, Survivor, Advocate} // who can be a member
	k := []Role{Custodian, Clinician, Investigator, Auditor}                     // who can be a keyholder
	co := []Role{Court}                                                          // only the one to whom it was granted
	var id ItemID
	var g GrantID
	for kind, row := range map[Kind]struct {
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
		ConsentGiven: {[]Role{Clinician, Investigator}, func(w *world) *Event {
			w.form = w.depositForm()
			return w.giving("clinician", everyAnswer)
		}},
		ConsentWithdrawn: {m, func(w *world) *Event {
			return w.event("clinician", ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"})
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
			return w.on(id, "custodian", ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p("clinician").fingerprint(), CauseDeparture, w.now.Add(day)})
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
		VaultRestored: {[]Role{Vault}, (*world).restoring},
		VaultConfirmed: {[]Role{Custodian}, func(w *world) *Event {
			d := w.configuration()
			d.Policy.BinWait--
			w.do(w.event("administrator", PolicyOf(origin), VaultConfigured, d))
			return w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{w.facts.States[PolicyOf(origin)].Tip().Leaf})
		}},
	} {
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
	if len(rules) != 29 {
		t.Errorf("%d kinds are in service, the table has 29", len(rules))
	}
}

func pending(id *ItemID, decide func(w *world, id ItemID, by string, g GrantID) *Event) func(w *world) *Event {
	return func(w *world) *Event {
		e := w.proposal(*id, "clinician", "police")
		w.do(e)
		return decide(w, *id, "custodian", e.Details.(*GrantProposedDetails).ID)
	}
}

// A kind has rules or says that it has none; what has rules knows its signers.
func TestEveryKindIsDecided(t *testing.T) {
	for k := range kinds {
		r, ok := rules[k]
		if ok && (len(r.signers) == 0 || r.apply == nil) {
			t.Errorf("%s has half a rule", k)
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
