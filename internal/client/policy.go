package client

import (
	"context"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// Policy is what the vault lives by, as its verified history says (RULES §3.7).
type Policy struct {
	Time    evidence.Time // of the look, by the vault's clock
	Now     *evidence.PolicyState
	Waiting *Waiting // nil if no configuration waits
}

// Waiting is a configuration that is not in force yet.
type Waiting struct {
	Event     evidence.Hash // leaf hash of vault.configured
	By        evidence.ActorID
	Details   evidence.VaultConfiguredDetails
	Effective evidence.Time // 0 until a custodian has confirmed it
}

// Reasons of this package about configurations.
const (
	reasonPolicyMoved = "policy_moved" // what was looked at is not what is there now
	reasonUnchanged   = "policy_unchanged"
)

// Policy returns what is in force and what waits.
func (c *Client) Policy(ctx context.Context) (Policy, error) {
	v, err := c.Look(ctx, evidence.PolicyOf(c.trust.Vault()))
	if err != nil {
		return Policy{}, err
	}
	return policyOf(v)
}

func policyOf(v *View) (Policy, error) {
	s, err := v.policy()
	if err != nil {
		return Policy{}, err
	}
	p := Policy{Time: v.Time, Now: s}
	if s.Proposed != nil {
		p.Waiting = &Waiting{s.ProposedLeaf, s.ProposedBy, *s.Proposed, s.Effective}
	}
	return p, nil
}

// Configuration is what is in force, as vault.configured states it: what an administrator changes is changed in it.
func (p Policy) Configuration() evidence.VaultConfiguredDetails {
	s := p.Now
	return evidence.VaultConfiguredDetails{Rules: s.Rules, Recovery: s.Recovery, Policy: s.Policy, LogKeys: s.LogKeys, Witness: s.Witness,
		Version: s.Version, Builds: s.Builds, TimestampRoots: s.TimestampRoots}
}

// same reports whether people would be shown the same: versions and builds are the vault's to name.
func (p Policy) same(q Policy) bool {
	a, b := p.Configuration(), q.Configuration()
	if a.Rules != b.Rules || a.Recovery != b.Recovery || a.Policy != b.Policy || !sameLog(a, b) {
		return false
	}
	if p.Waiting == nil || q.Waiting == nil {
		return p.Waiting == q.Waiting
	}
	return p.Waiting.Event == q.Waiting.Event && p.Waiting.Effective == q.Waiting.Effective
}

// sameLog reports whether two configurations name the same keys of the log, witnesses and time-stamp authorities.
func sameLog(a, b evidence.VaultConfiguredDetails) bool {
	return a.Witness == b.Witness && slices.Equal(a.LogKeys, b.LogKeys) && slices.Equal(a.TimestampRoots, b.TimestampRoots)
}

// Configure signs vault.configured: limits, recovery recipient, version of the rules, and what the log stands on, as to says, the rest as it is. A change waits for a
// custodian (PolicyState.Waits) and takes the place of what waits; what changes nothing takes that back. seen is what was decided on: if
// something else is there by now nothing is signed and the refusal is Conflict "policy_moved".
func (c *Client) Configure(ctx context.Context, seen Policy, to evidence.VaultConfiguredDetails) (*Receipt, error) {
	if err := sealing.CheckRecipient(to.Recovery); err != nil {
		return nil, evidence.Fail(evidence.Invalid, evidence.ReasonKeys, err)
	}
	policy := evidence.PolicyOf(c.trust.Vault())
	return c.perform(ctx, []evidence.Stream{policy}, func(v *View) (act, error) {
		now, err := policyOf(v)
		if err != nil {
			return act{}, err
		}
		if !now.same(seen) {
			return act{}, evidence.Refuse(evidence.Conflict, reasonPolicyMoved)
		}
		d := now.Configuration()
		if d.Policy == to.Policy && d.Recovery == to.Recovery && d.Rules == to.Rules && sameLog(d, to) && now.Waiting == nil {
			return act{}, evidence.Refuse(evidence.Invalid, reasonUnchanged)
		}
		d.Policy, d.Recovery, d.Rules = to.Policy, to.Recovery, to.Rules
		d.LogKeys, d.Witness, d.TimestampRoots = to.LogKeys, to.Witness, to.TimestampRoots
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultConfigured, Details: &d}}, nil
	})
}

// ConfirmConfiguration signs, as a custodian, that exactly this configuration is to take effect after the wait now in force; the moment is
// returned. It fails with a refusal of kind NotFound if that one is not the one that waits.
func (c *Client) ConfirmConfiguration(ctx context.Context, event evidence.Hash) (*Receipt, evidence.Time, error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	var wait time.Duration
	r, err := c.perform(ctx, []evidence.Stream{policy}, func(v *View) (act, error) {
		now, err := policyOf(v)
		if err == nil && (now.Waiting == nil || now.Waiting.Event != event) {
			err = evidence.Refuse(evidence.NotFound, evidence.ReasonProposal)
		}
		if err != nil {
			return act{}, err
		}
		wait = time.Duration(now.Now.Policy.ConfirmWait) * time.Second
		return act{stream: policy, event: &evidence.Event{Kind: evidence.VaultConfirmed, Details: &evidence.VaultConfirmedDetails{Event: event}}}, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return r, r.Event.Time.Add(wait), nil
}
