package client

import (
	"context"

	"strongroom.example/strongroom/internal/evidence"
)

// Restored is the restore of the vault from a backup that waits for a custodian (RULES §3, vault.restored).
type Restored struct {
	Event   evidence.Hash // leaf hash of vault.restored
	Logged  evidence.Time
	Details evidence.VaultRestoredDetails
}

// Restored returns the restore that waits for its confirmation; a refusal of kind NotFound if none does.
func (c *Client) Restored(ctx context.Context) (Restored, error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	v, err := c.Look(ctx, policy)
	if err != nil {
		return Restored{}, err
	}
	waiting, err := restored(v, policy)
	if err != nil {
		return Restored{}, err
	}
	for e, err := range v.Events(policy) {
		if err != nil {
			return Restored{}, err
		}
		if d, ok := e.Details.(*evidence.VaultRestoredDetails); ok && e.Leaf == waiting {
			return Restored{waiting, e.Time, *d}, nil
		}
	}
	return Restored{}, evidence.Refuse(evidence.NotFound, evidence.ReasonProposal)
}

// ConfirmRestore signs that the vault goes on from exactly this restore. It fails with a refusal of kind NotFound if that one is not the
// one that waits.
func (c *Client) ConfirmRestore(ctx context.Context, event evidence.Hash) (*Receipt, error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	return c.perform(ctx, []evidence.Stream{policy}, func(v *View) (act, error) {
		waiting, err := restored(v, policy)
		if err == nil && waiting != event {
			err = evidence.Refuse(evidence.NotFound, evidence.ReasonProposal)
		}
		if err != nil {
			return act{}, err
		}
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultConfirmed, Details: &evidence.VaultConfirmedDetails{Event: event}}}, nil
	})
}

func restored(v *View, policy evidence.Stream) (evidence.Hash, error) {
	s, err := state[*evidence.PolicyState](v, policy)
	if err == nil && s.Restored.IsZero() {
		err = evidence.Refuse(evidence.NotFound, evidence.ReasonProposal)
	}
	if err != nil {
		return evidence.Hash{}, err
	}
	return s.Restored, nil
}

// ReportIncident signs vault.incident: what went wrong with the vault, when, and how far it reaches. It stands in every package of that
// time (RULES §3.7).
func (c *Client) ReportIncident(ctx context.Context, d evidence.VaultIncidentDetails) (*Receipt, error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	return c.perform(ctx, []evidence.Stream{policy}, func(*View) (act, error) {
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultIncident, Details: &d}}, nil
	})
}
