package evidence

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Random histories by random people, some with forged parts: Apply never panics and never changes what it is given (world.try), and
// whatever it accepts keeps the promises of the rules. Together they must reach nearly every kind, or they show nothing.
func TestRandomHistories(t *testing.T) {
	accepted := map[Kind]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w, id, g := newShared(rt)
		h := &history{rt, w, []ItemID{id}, []GrantID{g}}
		if rapid.Bool().Draw(rt, "second item") { // a draft, and a grant whose envelope is not written yet
			draft := w.item("clinician", Photograph)
			h.items = append(h.items, draft)
			h.grants = append(h.grants, w.granted(id, "police"))
		}
		for range rapid.IntRange(20, 40).Draw(rt, "steps") {
			e := h.event()
			if rapid.IntRange(0, 9).Draw(rt, "forge") == 0 {
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
			accepted[e.Kind]++
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
	})
	if len(accepted) < len(rules)-6 {
		t.Errorf("the histories reached only %v", accepted)
	}
}

type history struct {
	*rapid.T
	w      *world
	items  []ItemID
	grants []GrantID
}

func one[T any](h *history, label string, list ...T) T {
	return rapid.SampledFrom(list).Draw(h.T, label)
}

func (h *history) name() string {
	return one(h, "name", "clinician", "investigator", "custodian", "custodian 2", "custodian 3", "court", "court 2", "police", "survivor", "auditor", "administrator", "vault", "outsider", "trustee")
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
	switch rapid.Uint64().Draw(h.T, "act") * 0x9e3779b97f4a7c15 >> 32 % 28 { // mixed, because rapid prefers small numbers

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
		e := w.deposit(one(h, "depositor", "clinician", "investigator", who), Testimony)
		e.Details.(*ItemDepositedDetails).Class, e.Consent = ConsentForm, nil
		w.finish(e)
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
		return w.proposal(id, keyholder, one(h, "to", "court", "court 2", "police", "defence"))
	case 17, 18:
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
		h.maybe(w.redemption(id, recipient, g))
		return one(h, "access", w.redemption(id, recipient, g), w.receipt(id, recipient, g), w.export(id, recipient, g))
	case 23:
		return w.on(id, custodian, ItemEnvelopeRemoved, &ItemEnvelopeRemovedDetails{w.p(target).fingerprint(), CauseDeparture, w.now.Add(day)})
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
	d := w.configuration()
	d.Policy.BinWait += one(h, "wait", int64(-1), 0, 1)
	if s := w.facts.States[PolicyOf(origin)].(*PolicyState); s.Proposed != nil {
		return w.event(custodian, PolicyOf(origin), VaultConfirmed, &VaultConfirmedDetails{s.ProposedLeaf})
	}
	return w.event("administrator", PolicyOf(origin), VaultConfigured, d)
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

// promises are what holds for every accepted event.
func (h *history) promises(e *Event, before, after State) {
	must := func(ok bool, what string) {
		h.Helper()
		if !ok {
			h.Fatalf("%s by %s: %s", e.Kind, e.Actor.Role, what)
		}
	}
	seq := int64(0)
	if before != nil {
		seq = before.Tip().Seq + 1
		must(e.Stream.Prev == before.Tip().Leaf && e.Time >= before.Tip().Time, "the chain broke")
	}
	must(after.Tip().Seq == seq && after.Tip().Time == e.Time && !after.Tip().Leaf.IsZero(), "the tip is not the event")
	switch s := after.(type) {
	case *ActorState:
		if (s.Status == StatusActive || s.Status == StatusSuspended) && !s.Founder {
			must(s.ConfirmedBy != "" && s.ConfirmedBy != s.EnrolledBy && s.ConfirmedBy != s.ID && s.EnrolledBy != s.ID, "one person made an actor")
		}
		if b, ok := before.(*ActorState); ok {
			must(b.Status != StatusRevoked, "a revoked actor changed")
			must(s.Role == b.Role && s.ID == b.ID && s.Organization == b.Organization, "an actor became another")
		}
	case *CaseState:
		must(len(s.Keyring) >= 2 && s.OnKeyring(s.Recovery), "fewer than two keyholders")
		must(slices.IsSortedFunc(s.Members, func(a, b Member) int { return cmpString(a.Actor, b.Actor) }), "members out of order")
	case *ConsentState:
		if b, ok := before.(*ConsentState); ok {
			must(b.Withdrawn == 0, "a withdrawn consent changed")
			must(s.Version >= b.Version && s.Subject == b.Subject && s.Case == b.Case, "a consent became another")
		}
	case *ItemState:
		h.itemPromises(e, before, s, must)
	}
}

func (h *history) itemPromises(e *Event, before State, s *ItemState, must func(bool, string)) {
	c := h.w.theCase()
	must(slices.ContainsFunc(s.Envelopes, func(e EnvelopeRef) bool { return c.OnKeyring(e.Recipient) }) || before != nil, "nobody can open it")
	must(slices.IsSortedFunc(s.Envelopes, byRecipient), "envelopes out of order")
	frozen := s.Frozen(h.w.facts, e.Time) != nil
	if frozen {
		must(slices.Contains([]Kind{ItemVerified, ItemEnvelopeRemoved, GrantRefused, GrantRevoked, GrantExpired, GrantAcknowledged}, e.Kind), "passed while frozen")
	}
	if b, ok := before.(*ItemState); ok {
		must(s.Evidence == b.Evidence && s.Depositor == b.Depositor && s.Case == b.Case && s.ItemRecipient == b.ItemRecipient && s.Basis == b.Basis, "evidence was replaced")
		must(s.Sealed || !b.Sealed, "a seal was broken")
		must(len(s.Grants) >= len(b.Grants) && len(s.OpenedBy) >= len(b.OpenedBy), "history was lost")
		for i, g := range b.Grants {
			must(s.Grants[i].Terms.Digest() == g.Terms.Digest(), "terms changed")
			if g.Status != GrantPending && g.Status != GrantActive {
				must(s.Grants[i].Status == g.Status, "a grant came back")
			}
		}
	}
	for i := range s.Grants {
		g := &s.Grants[i]
		if g.Status == GrantActive {
			must(g.Custodian != "" && g.Custodian != g.ProposedBy && slices.Contains(g.ApprovedBy, g.Custodian), "one person shared an item")
		}
		must(len(g.Redeemed) == 0 || g.Custodian != "", "redeemed without approval")
	}
	for _, env := range s.Envelopes {
		granted := slices.ContainsFunc(s.Grants, func(g GrantState) bool {
			return g.Terms.Recipient.Fingerprint == env.Recipient && g.Status == GrantActive
		})
		known := granted || c.OnKeyring(env.Recipient)
		if b, ok := before.(*ItemState); ok && !known {
			_, known = b.Envelope(env.Recipient) // of a former keyholder, until removed
		}
		must(known, "an envelope for nobody")
	}
	if e.Kind == GrantRedeemed {
		g := s.Grant(e.Details.(*GrantRedeemedDetails).Grant)
		must(e.Time >= g.Terms.NotBefore && e.Time < g.Terms.Expires && g.Status == GrantActive && g.Terms.Recipient.Actor == e.Actor.ID, "redeemed outside the terms")
	}
}
