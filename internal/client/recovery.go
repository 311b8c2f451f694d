package client

import (
	"context"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// Recovery is a use of the recovery key, as one trustee states it (RULES §3.7). It counts once another one has stated the same
// within 14 days, and for 30 days from then, unless one of them ends it before.
type Recovery struct {
	Items []evidence.ItemID
	Cause evidence.Cause
}

// reasonRecoveryDiffers says that another trustee has stated another use, which nobody has confirmed yet.
const reasonRecoveryDiffers = "recovery_differs"

// StateRecovery signs vault.recovered: as the first, or as the second of two trustees, who confirms; confirmed tells which. Where another
// trustee waits for the confirmation of something else it refuses, unless this statement is to take that one's place.
func (c *Client) StateRecovery(ctx context.Context, r Recovery, instead bool) (receipt *Receipt, confirmed bool, err error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	items := slices.Compact(slices.Sorted(slices.Values(r.Items)))
	if len(items) == 0 {
		return nil, false, evidence.Refuse(evidence.Invalid, evidence.ReasonSize) // that would be EndRecovery
	}
	receipt, err = c.perform(ctx, []evidence.Stream{policy}, func(v *View) (act, error) {
		s, err := state[*evidence.PolicyState](v, policy)
		if err != nil {
			return act{}, err
		}
		now := s.At(v.Time)
		d := &evidence.VaultRecoveredDetails{Recovery: evidence.Fingerprint(nil, now.Recovery), Items: items, Cause: r.Cause}
		confirmed = s.Recovering.Waits(d, now.Rules, v.Time)
		if first := waiting(now, v.Time); first != nil && !confirmed && first.By != c.actor && !instead {
			return act{}, evidence.Refuse(evidence.Conflict, reasonRecoveryDiffers)
		}
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultRecovered, Change: r.Cause, Details: d}}, nil
	})
	return receipt, confirmed && err == nil, err
}

// waiting is what one trustee has stated, and a second one may confirm; nil is nothing.
func waiting(now *evidence.PolicyState, at evidence.Time) *evidence.RecoveryState {
	if first := now.Recovering; first != nil && first.Waits(&first.Stated, now.Rules, at) {
		return first
	}
	return nil
}

// EndRecovery signs vault.recovered, as one trustee alone: nothing is to be opened. What one stated waits no longer, what two stated holds no
// longer, and whoever fetches under it is served no longer. It returns the items that this is about; with none of them it signs nothing:
// Conflict "no_recovery".
func (c *Client) EndRecovery(ctx context.Context, cause evidence.Cause) (receipt *Receipt, items []evidence.ItemID, err error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	receipt, err = c.perform(ctx, []evidence.Stream{policy}, func(v *View) (act, error) {
		s, err := state[*evidence.PolicyState](v, policy)
		if err != nil {
			return act{}, err
		}
		now := s.At(v.Time)
		items = nil
		if first := waiting(now, v.Time); first != nil {
			items = append(items, first.Stated.Items...)
		}
		if use := now.Recoverable(v.Time); use != nil {
			items = append(items, use.Stated.Items...)
		}
		if len(items) == 0 {
			return act{}, evidence.Refuse(evidence.Conflict, evidence.ReasonNoRecovery)
		}
		slices.Sort(items)
		items = slices.Compact(items)
		d := &evidence.VaultRecoveredDetails{Recovery: evidence.Fingerprint(nil, now.Recovery), Items: []evidence.ItemID{}, Cause: cause}
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultRecovered, Change: cause, Details: d}}, nil
	})
	return receipt, items, err
}

// recoveries are the uses of the recovery key that the vault's own history tells, one for each item: confirmed by a second trustee, or
// stated by one alone, with the time when that was or will be over; and who ended one before.
func (v *View) recoveries() (list []Finding, _ error) {
	policy := evidence.PolicyOf(v.facts.Origin)
	var decisions evidence.Decisions
	var stated *evidence.RecoveryState // that waits
	var held, over, first int          // findings of what was confirmed last: list[held:over], of what waits: list[first:]
	end := func(findings []Finding, at evidence.Time) {
		for i := range findings {
			if until := &findings[i].Until; *until == 0 || at < *until {
				*until = at
			}
		}
	}
	for e, err := range v.Events(policy) {
		if err != nil {
			return nil, err
		}
		decisions.Add(e.Event, e.Leaf)
		d, ok := e.Details.(*evidence.VaultRecoveredDetails)
		if !ok {
			continue
		}
		inForce := decisions.Until(e.Time)
		rules := inForce[len(inForce)-1].Rules
		switch {
		case d.Ends():
			ended := slices.Concat(list[held:over], list[first:])
			end(list[held:over], e.Time)
			end(list[first:], e.Time)
			for _, f := range ended {
				if f.Until == 0 || e.Time < f.Until { // it was not over
					list = append(list, Finding{Kind: FoundRecoveryEnded, Item: f.Item, Actor: e.Actor.ID, Since: e.Time, Entry: e.Index, Why: string(d.Cause)})
				}
			}
			stated, held, over, first = nil, 0, 0, len(list)
		case stated.Waits(d, rules, e.Time):
			end(list[held:over], e.Time)
			stated, held, over, first = nil, first, len(list), len(list)
			for i := range list[held:over] {
				f := &list[held+i]
				f.Kind, f.Done, f.Until = FoundRecovered, e.Time, 0
				if rules >= 3 {
					f.Until = e.Time + evidence.RecoveryTime*1000
				}
			}
		default:
			end(list[first:], e.Time)
			stated, first = &evidence.RecoveryState{Stated: *d}, len(list)
			if rules >= 3 {
				stated.Until = e.Time + evidence.RecoveryWait*1000
			}
			for _, item := range d.Items {
				list = append(list, Finding{Kind: FoundRecovering, Item: item, Actor: e.Actor.ID, Since: e.Time, Entry: e.Index, Until: stated.Until, Why: string(d.Cause)})
			}
		}
	}
	return list, nil
}
