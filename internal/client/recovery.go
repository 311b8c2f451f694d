package client

import (
	"context"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// Recovery is a use of the recovery key, as one trustee states it (RULES §3.7). It counts once another one has stated the same.
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
	receipt, err = c.perform(ctx, []evidence.Stream{policy}, func(v *View) (act, error) {
		s, err := state[*evidence.PolicyState](v, policy)
		if err != nil {
			return act{}, err
		}
		d := &evidence.VaultRecoveredDetails{Recovery: evidence.Fingerprint(nil, s.At(v.Time).Recovery), Items: items, Cause: r.Cause}
		confirmed = s.Recovering != nil && s.Recovering.Stated.SameUse(d)
		if s.Recovering != nil && !confirmed && s.Recovering.By != c.actor && !instead {
			return act{}, evidence.Refuse(evidence.Conflict, reasonRecoveryDiffers)
		}
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultRecovered, Change: r.Cause, Details: d}}, nil
	})
	return receipt, confirmed && err == nil, err
}

// recoveries are the uses of the recovery key that the vault's own history tells, one for each item: confirmed by a second trustee, or
// stated by one alone.
func (v *View) recoveries() (list []Finding, _ error) {
	policy := evidence.PolicyOf(v.facts.Origin)
	var stated *evidence.VaultRecoveredDetails // that waits
	first := 0                                 // its first finding
	for e, err := range v.Events(policy) {
		if err != nil {
			return nil, err
		}
		d, ok := e.Details.(*evidence.VaultRecoveredDetails)
		if !ok {
			continue
		}
		if stated != nil && stated.SameUse(d) {
			for i := range list[first:] {
				list[first+i].Kind, list[first+i].Done = FoundRecovered, e.Time
			}
			stated = nil
			continue
		}
		stated, first = d, len(list)
		for _, item := range d.Items {
			list = append(list, Finding{Kind: FoundRecovering, Item: item, Actor: e.Actor.ID, Since: e.Time, Entry: e.Index, Why: string(d.Cause)})
		}
	}
	return list, nil
}
