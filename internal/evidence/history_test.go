package evidence

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Random histories by random people, some with forged parts: Apply never panics and never changes what it is given (world.try), and
// whatever it accepts keeps the promises of the rules. Together they must reach every kind, or they show nothing of it: the rarest is
// missed by one round in three, so there are more rounds while any is missing.
func TestRandomHistories(t *testing.T) {
	accepted := map[Kind]int{}
	for range 16 {
		randomHistories(t, accepted)
		if len(accepted) == len(rules) {
			return
		}
	}
	for k := range rules {
		if accepted[k] == 0 {
			t.Errorf("no history reached %s", k)
		}
	}
}

func randomHistories(t *testing.T, accepted map[Kind]int) {
	rapid.Check(t, func(rt *rapid.T) { randomHistory(rt, accepted) })
}

func randomHistory(rt *rapid.T, accepted map[Kind]int) *world {
	w, id, g := newShared(rt)
	h := &history{rt, w, []ItemID{id}, []GrantID{g}, accepted}
	if rapid.Bool().Draw(rt, "second item") { // a draft, and a grant whose envelope is not written yet
		draft := w.item("clinician", Photograph)
		h.items = append(h.items, draft)
		h.grants = append(h.grants, w.granted(id, "police"))
	}
	for range rapid.IntRange(20, 40).Draw(rt, "steps") {
		e := h.event()
		if rapid.IntRange(0, 9).Draw(rt, "forge") == 0 && !slices.Contains(w.log, e) {
			h.forge(e)
		}
		before := w.facts.States[e.Stream.Stream()]
		after, err := w.try(e)
		if err != nil {
			if KindOf(err) == Internal || ReasonOf(err) == "" {
				rt.Fatalf("%s: %v", e.Kind, err)
			}
			continue
		}
		h.promises(e, before, after)
		w.accept(e, after)
		if d, ok := e.Details.(*GrantProposedDetails); ok {
			h.grants = append(h.grants, d.ID)
		}
		if d, ok := e.Details.(*ItemDepositedDetails); ok && d.Class == Original {
			h.items = append(h.items, ItemID(e.Stream.ID))
		}
		if d, ok := e.Details.(*ActorKeyRotatedDetails); ok {
			for _, p := range w.people {
				if string(p.signer.ID) == e.Stream.ID {
					p.keys = d.Keys
				}
			}
		}
	}
	if err := w.checkVeils(); err != nil {
		rt.Fatal(err)
	}
	return w
}

type history struct {
	*rapid.T
	w      *world
	items  []ItemID
	grants []GrantID

	accepted map[Kind]int
}

func one[T any](h *history, label string, list ...T) T {
	return rapid.SampledFrom(list).Draw(h.T, label)
}

func (h *history) name() string {
	return one(h, "name", "clinician", "investigator", "custodian", "custodian 2", "custodian 3", "court", "court 2", "police", "survivor", "auditor", "administrator", "vault", "outsider", "trustee", "trustee 2", "advocate")
}

func (h *history) someAnswers() Answers {
	yn := func() Answer { return one(h, "answer", Yes, Yes, Yes, No, NotAsked) }
	return Answers{yn(), yn(), yn(), yn(), yn(), yn(), []CourtAnswer{{"DE", yn(), yn(), yn()}}, yn()}
}

// event is an event that may well be valid: by a likely signer, at the end of its stream, on the present state.
func (h *history) event() *Event {
	w := h.w
	w.now = w.now.Add(time.Duration(one(h, "hours", 0, 0, 0, 0, 1, 30, 200)) * time.Hour)
	id, g, who := one(h, "item", h.items...), one(h, "grant", h.grants...), h.name()
	if w.state(id).Grant(g) == nil {
		for _, other := range h.items {
			if w.state(other).Grant(g) != nil {
				id = other
			}
		}
	}
	keyholder := one(h, "keyholder", "clinician", "custodian", "custodian 2", who)
	custodian := one(h, "custodian", "custodian", "custodian 2", "custodian 3", who)
	recipient := one(h, "recipient", "court", "court", who)
	target := h.name()
	switch h.chance(44) {
	case 0:
		return w.rotation(one(h, "by", "administrator", "custodian", who), target)
	case 1, 2:
		return w.confirmation(custodian, target)
	case 3:
		return w.event(custodian, ActorOf(w.p(target).signer.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(time.Hour)})
	case 4:
		if one(h, "really", false, false, true) {
			return w.event(custodian, ActorOf(w.p(target).signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture})
		}
		return w.adding("custodian", target, allRights...)
	case 5:
		return w.adding(custodian, target, MayOpen, one(h, "right", MayApprove, MayManage, MayDeposit))
	case 6:
		var stay []string
		for name, p := range w.people {
			s, ok := w.facts.States[ActorOf(p.signer.ID)].(*ActorState)
			if _, member := w.theCase().Member(p.signer.ID, w.now); ok && member && name != target && s.Active(w.now) {
				stay = append(stay, name)
			}
		}
		slices.Sort(stay)
		return w.removing(custodian, target, stay...)
	case 7:
		return w.ring("custodian", []string{target}, one(h, "off", "clinician", "custodian 2", "custodian 3", target))
	case 8:
		return w.ring("custodian", nil, target)
	case 9:
		e := w.aForm(one(h, "depositor", "clinician", "investigator", who))
		if h.maybe(e) {
			w.form = ItemID(e.Stream.ID)
		}
		return w.giving(one(h, "giver", "clinician", "investigator", who), h.someAnswers())
	case 10:
		return w.event(who, ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"})
	case 11:
		e := w.deposit(one(h, "depositor", "clinician", "investigator", who), one(h, "content", contents...))
		if one(h, "order", false, true) {
			onOrder(e)
			w.finish(e)
		}
		return e
	case 12:
		for _, draft := range h.items {
			if !w.state(draft).Sealed {
				id = draft
			}
		}
		return w.on(id, custodian, ItemSealed, &ItemSealedDetails{int64(len(h.items)), id})
	case 13, 14:
		return w.open(id, keyholder)
	case 15:
		return w.verify(id, one(h, "verifier", "vault", "auditor", keyholder), one(h, "scope", "ciphertext", "content"), one(h, "outcome", Success, Success, Failure))
	case 16:
		e := w.proposal(id, keyholder, one(h, "to", "court", "court 2", "police", "defence"))
		if h.chance(2) == 0 && h.maybe(e) {
			h.grants = append(h.grants, e.Details.(*GrantProposedDetails).ID)
			return w.approval(id, "custodian 2", e.Details.(*GrantProposedDetails).ID)
		}
		return e
	case 17:
		if e := w.proposal(id, keyholder, "court"); h.maybe(e) {
			g = e.Details.(*GrantProposedDetails).ID
			h.grants = append(h.grants, g)
			return w.refusal(id, custodian, g)
		}
	case 18:
		id, g = h.find(GrantPending, id, g)
		if w.state(id).Grant(g) != nil && one(h, "approve", true, true, false) {
			return w.approval(id, custodian, g)
		}
		return w.refusal(id, custodian, g)
	case 19:
		return w.revoke(id, keyholder, g)
	case 20:
		return w.expire(id, g)
	case 21:
		if id, g = h.find(GrantActive, id, g); w.state(id).Grant(g) != nil {
			h.maybe(w.open(id, keyholder))
			return w.wrap(id, keyholder, g)
		}
		return w.on(id, custodian, ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{EnvelopeRef{w.p(target).fingerprint(), w.unique()}, CauseRewrap, ""})
	case 22:
		for _, i := range h.items {
			for _, grant := range w.state(i).Grants {
				if _, has := w.state(i).Envelope(grant.Terms.Recipient.Fingerprint); grant.Status == GrantActive && has {
					id, g = i, grant.Terms.ID
				}
			}
		}
		h.maybe(w.redemption(id, recipient, g))
		return one(h, "access", w.redemption(id, recipient, g), w.receipt(id, recipient, g), w.export(id, recipient, g))
	case 23:
		if target != custodian && h.maybe(w.ring(custodian, nil, "investigator")) {
			target = "investigator"
		}
		return w.on(id, custodian, ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p(target).fingerprint(), CauseDeparture, w.now.Add(30 * day)})
	case 24:
		here := w.cas
		defer func() { w.cas = here }()
		w.cas = made[CaseID](w)
		return w.opening()
	case 25:
		return w.event("vault", VaultOf(origin), VaultHeads, &VaultHeadsDetails{int64(len(w.log)), int64(len(w.log)), nil, w.unique()})
	case 26:
		w.meet("new", Clinician, false)
		return w.enrolment(one(h, "by", "administrator", who), "new")
	}
	if rapid.Bool().Draw(h.T, "keeping") {
		return h.keeping(id, keyholder, custodian)
	}
	d := w.configuration()
	d.Policy.BinWait += one(h, "wait", int64(-1), 0, 1)
	if s := w.facts.States[PolicyOf(origin)].(*PolicyState); s.Proposed != nil {
		return w.event(custodian, PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{s.ProposedLeaf})
	}
	return w.event("administrator", PolicyOf(origin), VaultConfigured, d)
}

// chance is a number below n, mixed, because rapid prefers small numbers.
func (h *history) chance(n uint64) uint64 {
	return rapid.Uint64().Draw(h.T, "chance") * 0x9e3779b97f4a7c15 >> 32 % n
}

// keeping is an event of the rarer kinds, about what becomes of items and who speaks for whom.
func (h *history) keeping(id ItemID, keyholder, custodian string) *Event {
	w, other := h.w, one(h, "second", "custodian 2", "custodian 3", custodian)
	draw := func(list ...string) string { return one(h, "by", append(list, h.name())...) }
	switch h.chance(18) {
	case 0:
		h.maybe(w.closing("custodian"))
		return w.event("custodian", CaseOf(w.cas), CaseReopened, &CaseReopenedDetails{CauseNewFacts})
	case 1, 2:
		a := h.someAnswers()
		e := w.narrowing(draw("clinician", "survivor", "advocate"), func(own *Answers) {
			if h.chance(2) == 0 {
				*own = a // most are wider
			} else {
				own.Courts = nil
			}
		})
		if h.chance(3) == 0 {
			e.Details.(*ConsentNarrowedDetails).Until -= Time(rapid.Int64Range(-1, 1e9).Draw(h.T, "earlier"))
		}
		return e
	case 3:
		form := w.aForm("investigator")
		if !h.maybe(form) {
			return form
		}
		w.form = ItemID(form.Stream.ID)
		e := w.giving("clinician", everyAnswer)
		e.Details.(*ConsentGivenDetails).Subject = w.p(one(h, "subject", "survivor", "advocate")).signer.ID
		w.finish(e)
		return e
	case 4:
		h.maybe(w.delegating(draw("survivor", "clinician"), "advocate", one(h, "right", "read", "narrow", "approve", "withdraw")))
		return w.undelegating(draw("survivor", "custodian", "advocate"), "advocate")
	case 5:
		return w.delegating(draw("survivor", "clinician"), "advocate", "narrow", "approve")
	case 6:
		h.maybe(w.open(id, "clinician"))
		e := w.deposit("clinician", Clinical, func(e *Event) {
			e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, id
			e.Consent = nil
			for _, c := range w.state(id).Consent {
				e.Consent = append(e.Consent, ConsentRef{c, w.facts.States[ConsentOf(c)].(*ConsentState).Version})
			}
			if w.state(id).Basis != ByConsent {
				onOrder(e)
			}
		})
		h.maybe(e)
		return w.on(id, "clinician", ItemDerived, &ItemDerivedDetails{ItemID(e.Stream.ID), Derived, Tool{"t", "1", ""}})
	case 7:
		return w.amending(id, draw("clinician", "custodian"))
	case 8:
		e := w.deposit("clinician", Physical)
		if !h.maybe(e) {
			return e
		}
		kit := ItemID(e.Stream.ID)
		h.items = append(h.items, kit)
		h.maybe(w.transferring(kit, "clinician", one(h, "class", Police, Court, Custodian, Auditor), ""))
		return w.receiving(kit, draw("clinician", "police"), h.chance(2) == 0)
	case 9:
		h.maybe(w.adding("custodian", keyholder, OnDuty, MayOpen))
		e := w.breaking(id, keyholder)
		if !h.maybe(e) {
			return e
		}
		return w.review(id, draw("auditor", "custodian 2"), w.state(id).Last.Leaf, true)
	case 10:
		return w.retaining(id, custodian, one(h, "category", "case_file", "medical_record"), w.now.Add(time.Duration(h.chance(100))*day))
	case 11, 12:
		e := w.placing(id, custodian)
		if h.chance(2) == 0 {
			e.Details.(*HoldPlacedDetails).SecretUntil = w.now.Add(time.Duration(1+h.chance(20)) * day)
		}
		h.maybe(e)
		if hold := holdNamed(e.Details); w.state(id).Hold(hold) != nil && h.chance(3) > 0 {
			return w.confirming(id, other, hold)
		}
		return e
	case 13:
		for _, hold := range w.state(id).Holds {
			if hold.Status != HoldOver {
				return w.lifting(id, draw("vault", other), hold.ID)
			}
		}
		return w.placing(id, custodian)
	case 14:
		for _, hold := range w.state(id).Holds {
			e := w.open(id, keyholder)
			under(hold.ID)(e)
			w.finish(e)
			return e
		}
		return w.recovering(draw("trustee", "trustee 2"), id)
	case 15, 16:
		if w.state(id).Bin == nil {
			h.maybe(w.shredProposal(id, custodian, one(h, "cause", CauseOrder, CauseDraft, CauseWithdrawal, CauseDue)))
		}
		if b := w.state(id).Bin; b != nil {
			if h.chance(4) == 0 {
				return w.cancelling(id, custodian)
			}
			w.now = max(w.now, b.Ready-Time(h.chance(2)))
			if h.chance(4) == 0 {
				h.maybe(w.placing(id, custodian))
			}
		}
		return w.shredding(id, other)
	}
	if h.chance(2) == 0 {
		return w.event(draw("auditor"), PolicyOf(origin), VaultIncident, &VaultIncidentDetails{"outage", w.now.Add(-day), w.now, "vault"})
	}
	h.maybe(w.restoring())
	return w.event("custodian", PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{w.facts.States[PolicyOf(origin)].Tip().Leaf})
}

// find prefers a grant of that status without an envelope.
func (h *history) find(status GrantStatus, id ItemID, g GrantID) (ItemID, GrantID) {
	for _, i := range h.items {
		for _, grant := range h.w.state(i).Grants {
			if _, has := h.w.state(i).Envelope(grant.Terms.Recipient.Fingerprint); grant.Status == status && !has {
				id, g = i, grant.Terms.ID
			}
		}
	}
	return id, g
}

// maybe applies an event that the next one builds upon.
func (h *history) maybe(e *Event) bool {
	before := h.w.facts.States[e.Stream.Stream()]
	after, err := h.w.try(e)
	if err == nil {
		h.promises(e, before, after)
		h.w.accept(e, after)
	}
	return err == nil
}

// forge spoils one part of an event.
func (h *history) forge(e *Event) {
	switch rapid.IntRange(0, 9).Draw(h.T, "part") {
	case 0:
		e.Actor = h.w.p(h.name()).signer
	case 1:
		e.Actor.OnBehalfOf = h.w.p(h.name()).signer.ID
	case 2:
		e.Time += Time(rapid.IntRange(-1e7, 1e7).Draw(h.T, "drift"))
	case 3:
		e.Stream.Seq += int64(rapid.IntRange(-2, 2).Draw(h.T, "seq"))
	case 4:
		e.ReliedOn = e.ReliedOn[:len(e.ReliedOn)/2]
	case 5:
		e.Subject = nil
	case 6:
		e.Kind = one(h, "kind", ItemOpened, GrantApproved, VaultHeads, RetentionSet, "item.melted")
	case 7:
		d, err := NewDetails(e.Kind)
		if err == nil {
			e.Details = d
		}
	case 8:
		e.Case = one(h, "case", "", made[CaseID](h.w))
	case 9:
		e.Actor = h.w.p(h.name()).signer
		h.w.finish(e)
	}
}
