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

// initiated reports whether secret holds on an item are no secret to somebody: custodians of the case place, confirm and lift them, and
// must know why nothing is shredded; nobody's lines are hidden from auditors; and who was given something under such a hold acts on it.
func initiated(by evidence.ActorID, role evidence.Role, item *evidence.ItemState, in *evidence.CaseState, now evidence.Time) bool {
	switch role {
	case evidence.Auditor, evidence.Vault:
		return true
	case evidence.Custodian:
		_, member := in.Member(by, now)
		return member
	}
	seen := item.Seen(now)
	for _, g := range item.Grants {
		if g.Terms.Recipient.Actor == by && seen.Grant(g.Terms.ID) == nil {
			return true
		}
	}
	handed := item.Transit != nil && item.Transit.To == by && (seen.Transit == nil || seen.Transit.To != by)
	return handed || item.Keeper == by && seen.Keeper != by
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
	if initiated(by.Actor, by.Role, item, in, now) {
		return item, nil
	}
	return item.Seen(now), nil
}

// secrets returns the item if some of its events must not be shown to the caller now, else nil.
func (v *Vault) secrets(ctx context.Context, by Caller, s evidence.Stream) (*evidence.ItemState, error) {
	if s.Type != evidence.ItemStream {
		return nil, nil
	}
	item, err := state[*evidence.ItemState](ctx, v, s)
	if err != nil {
		return nil, err
	}
	if seen, err := v.seen(ctx, by, item); seen == item || err != nil {
		return nil, err
	}
	return item, nil
}

// show is how the caller may see entries of a stream. A withheld one that is not in the log yet ends the list: nothing can be said of it.
func (v *Vault) show(ctx context.Context, by Caller, s evidence.Stream, entries []ledger.Entry) ([]Shown, error) {
	item, err := v.secrets(ctx, by, s) // as it is after the entries
	if err != nil {
		return nil, err
	}
	list := make([]Shown, 0, len(entries))
	for _, entry := range entries {
		shown := Shown{Entry: entry}
		if item != nil {
			if until := item.Withheld(entry.Seq, v.now()); until != 0 {
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
	item, err := v.secrets(ctx, by, entry.Stream)
	return item != nil && item.Withheld(entry.Seq, v.now()) != 0, err
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
	if !ok || initiated(e.Actor.ID, e.Actor.Role, item, in, now) {
		return nil
	}
	states = maps.Clone(states)
	states[own] = item.Seen(now)
	return states
}
