package vault

import (
	"context"
	"maps"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// Shown is an event of a stream as the caller may see it. Where Withheld is set, that and the entry's place and leaf hash are all there is.
type Shown struct {
	ledger.Entry
	Withheld *Withheld
}

// Withheld proves that an event is in the log, and says until when it may not be shown.
type Withheld struct {
	Index      int64
	Checkpoint []byte // signed note
	Hashes     [][]byte
	Until      evidence.Time
}

// seenBy is an item as somebody may see it now. Secret holds are no secret to custodians of the case, who place, confirm and lift them, and
// must know why nothing is shredded, nor to auditors, from whom nobody's lines are hidden. Who was given something under such a hold acts on
// it and sees that one, with those that are shown no later; of the others no more than anybody.
func seenBy(by evidence.ActorID, role evidence.Role, item *evidence.ItemState, in *evidence.CaseState, now evidence.Time) *evidence.ItemState {
	switch role {
	case evidence.Auditor, evidence.Vault:
		return item
	case evidence.Custodian:
		if _, member := in.Member(by, now); member {
			return item
		}
	}
	return item.SeenWith(now, func(seen *evidence.ItemState) bool {
		for i := range item.Grants {
			g := &item.Grants[i]
			if g.Terms.Recipient.Actor == by && given(g) && !isGiven(item, seen, g) {
				return false
			}
		}
		handed := item.Transit != nil && item.Transit.To == by
		return (!handed || seen.Transit != nil && seen.Transit.To == by) && (item.Keeper != by || seen.Keeper == by)
	})
}

// given reports whether a grant gives its recipient something, or did. What was only proposed, refused, or ended unused never has.
func given(g *evidence.GrantState) bool {
	return g.Status == evidence.GrantActive || len(g.Redeemed) > 0
}

// isGiven reports whether a grant that gives something also does in what is seen of the item, with its envelope.
func isGiven(item, seen *evidence.ItemState, g *evidence.GrantState) bool {
	as := seen.Grant(g.Terms.ID)
	if as == nil || !given(as) {
		return false
	}
	_, there := item.Envelope(g.Terms.Recipient.Fingerprint)
	_, shown := seen.Envelope(g.Terms.Recipient.Fingerprint)
	return shown || !there
}

// seen is an item as the caller may see it now.
func (v *Vault) seen(ctx context.Context, by Caller, item *evidence.ItemState) (*evidence.ItemState, error) {
	now := v.now()
	if item.Seen(now) == item {
		return item, nil
	}
	in, err := state[*evidence.CaseState](ctx, v, evidence.CaseOf(item.Case))
	if err != nil {
		return nil, err
	}
	return seenBy(by.Actor, by.Role, item, in, now), nil
}

// withheld tells of which events of a stream something must be withheld from the caller now, and until when; nil if of none.
func (v *Vault) withheld(ctx context.Context, by Caller, s evidence.Stream) (func(seq int64) evidence.Time, error) {
	if s.Type != evidence.ItemStream {
		return nil, nil
	}
	item, err := state[*evidence.ItemState](ctx, v, s)
	if err != nil {
		return nil, err
	}
	seen, err := v.seen(ctx, by, item)
	if seen == item || err != nil {
		return nil, err
	}
	now := v.now()
	return func(seq int64) evidence.Time { return item.WithheldFrom(seen, seq, now) }, nil
}

// show is how the caller may see entries of a stream. A withheld one that is not in the log yet ends the list: nothing can be said of it.
func (v *Vault) show(ctx context.Context, by Caller, s evidence.Stream, entries []ledger.Entry) ([]Shown, error) {
	withheld, err := v.withheld(ctx, by, s) // as the item is after the entries
	if err != nil {
		return nil, err
	}
	list := make([]Shown, 0, len(entries))
	for _, entry := range entries {
		shown := Shown{Entry: entry}
		if withheld != nil {
			if until := withheld(entry.Seq); until != 0 {
				if !entry.Included() {
					break
				}
				if shown, err = withhold(entry, until); err != nil {
					return nil, err
				}
			}
		}
		list = append(list, shown)
	}
	return list, nil
}

// withhold is an included entry without anything that its event says: neither its statement nor its leaf, which holds key and signature.
func withhold(entry ledger.Entry, until evidence.Time) (Shown, error) {
	receipt, err := tlog.ParseReceipt(entry.Receipt)
	if err != nil {
		return Shown{}, evidence.Fail(evidence.Internal, "stored_receipt", err)
	}
	return Shown{
		Entry:    ledger.Entry{Stream: entry.Stream, Seq: entry.Seq, LeafHash: entry.LeafHash},
		Withheld: &Withheld{receipt.Index(), receipt.Checkpoint(), receipt.Proof(), until},
	}, nil
}

// isSecret reports whether an event must not be shown to the caller now, and nothing that it brought.
func (v *Vault) isSecret(ctx context.Context, by Caller, entry ledger.Entry) (bool, error) {
	withheld, err := v.withheld(ctx, by, entry.Stream)
	return withheld != nil && withheld(entry.Seq) != 0, err
}

// asSeen replaces the item that an event is about by what its signer may see of it, so that a refusal tells them nothing else; nil if there
// is no difference.
func asSeen(states map[evidence.Stream]evidence.State, e *evidence.Event, now evidence.Time) map[evidence.Stream]evidence.State {
	own := e.Stream.Stream()
	item, ok := states[own].(*evidence.ItemState)
	if !ok || item.Seen(now) == item {
		return nil
	}
	in, ok := states[evidence.CaseOf(item.Case)].(*evidence.CaseState)
	if !ok {
		return nil
	}
	seen := seenBy(e.Actor.ID, e.Actor.Role, item, in, now)
	if seen == item {
		return nil
	}
	states = maps.Clone(states)
	states[own] = seen
	return states
}

// unsaid replaces the refusal of what all that is shown to its signer permits: the reason would tell what is withheld.
func unsaid(refused error) error {
	if refused == nil || evidence.KindOf(refused) == evidence.Internal || evidence.ReasonOf(refused) == evidence.ReasonPosition {
		return refused
	}
	return evidence.Refuse(evidence.Held, "withheld")
}
