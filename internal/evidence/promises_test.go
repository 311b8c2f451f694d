package evidence

import (
	"slices"
)

// promises are what holds for every accepted event.
func (h *history) promises(e *Event, before, after State) {
	h.accepted[e.Kind]++
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
			must(b.Withdrawn == 0 || s.Withdrawn == b.Withdrawn && s.Version == b.Version, "a withdrawn consent changed")
			must(s.Version >= b.Version && (s.Subject == b.Subject || b.Subject == "" && e.Kind == ConsentGiven) && s.Case == b.Case, "a consent became another")
			must(e.Kind == ConsentGiven || s.Answers.within(&b.Answers) && s.Until <= b.Until && s.From == b.From && s.AskFirst == b.AskFirst, "a consent was widened")
			must(!b.Guarded || e.Kind != ConsentGiven || e.Actor.Role == Survivor || h.w.state(s.Form).Depositor != e.Actor.ID, "one person widened what was narrowed")
			if e.Actor.Role == Advocate {
				_, member := h.w.theCase().Member(e.Actor.ID, e.Time)
				must(member || b.Delegated(e.Actor.ID, "", e.Time), "an advocate acts for nobody")
			}
		}
	case *ItemState:
		h.itemPromises(e, before, s, must)
	}
}

func (h *history) itemPromises(e *Event, before State, s *ItemState, must func(bool, string)) {
	c := h.w.theCase()
	must(slices.ContainsFunc(s.Envelopes, func(e EnvelopeRef) bool { return c.OnKeyring(e.Recipient) }) || before != nil, "nobody can open it")
	must(slices.IsSortedFunc(s.Envelopes, byRecipient), "envelopes out of order")
	if b, ok := before.(*ItemState); ok {
		h.fatePromises(e, b, s, must)
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
		known := granted || c.OnKeyring(env.Recipient) || e.Kind == ItemEnvelopeAdded && e.Details.(*ItemEnvelopeAddedDetails).Cause == CauseCopy
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

// fatePromises are what holds for whatever happens to an item that is frozen, held, in the bin or shredded.
func (h *history) fatePromises(e *Event, b, s *ItemState, must func(bool, string)) {
	passes := []Kind{ItemVerified, ItemReceived, ItemEnvelopeRemoved, ItemBreakGlassReviewed, ItemShredProposed, ItemShredCancelled, ItemShredded,
		RetentionSet, HoldPlaced, HoldConfirmed, HoldLifted, GrantRefused, GrantRevoked, GrantExpired, GrantAcknowledged}
	own := e.Kind == ItemOpened && e.Actor.Role == Survivor
	if !slices.Contains(passes, e.Kind) && !own {
		must(b.Bin == nil, "passed in the bin")
		hold := HoldID("")
		if g := b.Grant(GrantNamed(e.Details)); g != nil {
			hold = g.Hold
		} else if e.Authority != nil {
			hold = e.Authority.Hold
		}
		carried := b.Hold(hold) != nil && b.Hold(hold).Status == HoldInForce && e.Time < b.Hold(hold).Expires
		must(carried || b.Frozen(h.w.facts, e.Time) == nil, "passed while frozen")
	}
	must(len(s.Holds) >= len(b.Holds) && len(s.Emergencies) >= len(b.Emergencies), "history was lost")
	for _, hold := range s.Holds {
		must(hold.Status != HoldInForce || hold.ConfirmedBy != "" && hold.ConfirmedBy != hold.PlacedBy, "one person confirmed a hold")
		if old := b.Hold(hold.ID); old != nil {
			must(old.Status != HoldOver || hold.Status == HoldOver, "a hold came back")
			must(hold.Status != HoldOver || old.Status == HoldOver || e.Actor.ID != old.PlacedBy, "who placed a hold lifted it")
		}
	}
	for _, m := range s.Emergencies {
		must(m.ReviewedBy != m.By, "who opened in an emergency reviewed it")
	}
	if e.Kind == ItemShredded {
		must(b.Bin != nil && b.Bin.By != e.Actor.ID, "one person shredded an item")
		must(e.Time >= b.Bin.Ready && e.Time-b.Bin.Since >= 3*86400e3, "shredded before the wait was over")
		for _, hold := range b.Holds {
			must(!hold.Blocks(e.Time), "shredded against a hold")
		}
		must(s.Shredded == e.Time && s.Bin == nil, "not shredded")
		for _, old := range h.w.log { // no right that was given before outlives it
			if old.Stream.ID == string(s.ID) && (old.Kind == ItemOpened || old.Kind == ItemBreakGlass || old.Kind == GrantRedeemed) {
				must(s.Release(h.w.facts, old, e.Time) != nil, "released after the shred")
			}
		}
	} else {
		must(s.Shredded == b.Shredded, "a shred was undone, or was none")
	}
	if b.Shredded != 0 {
		must(slices.Contains([]Kind{ItemReceived, ItemBreakGlassReviewed, GrantAcknowledged}, e.Kind), "passed after the shred")
	}
	if s.Shredded != 0 {
		must(len(s.Envelopes) == 0 && s.Bin == nil, "an envelope came back")
		must(!slices.ContainsFunc(s.Grants, func(g GrantState) bool { return g.Status == GrantActive || g.Status == GrantPending }), "a grant came back")
	}
}
