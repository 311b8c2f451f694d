package evidence

import "slices"

// At returns the rule book in force at t: a confirmed proposal takes effect by time, without an event.
func (s *PolicyState) At(t Time) *PolicyState {
	if s.Proposed == nil || s.Effective == 0 || t < s.Effective {
		return s
	}
	now := *s
	now.adopt(s.Proposed)
	return &now
}

func (s *PolicyState) adopt(d *VaultConfiguredDetails) {
	s.Rules, s.Recovery, s.Policy, s.LogKeys, s.Witness, s.Version, s.Builds = d.Rules, d.Recovery, d.Policy, d.LogKeys, d.Witness, d.Version, d.Builds
	s.TimestampRoots = d.TimestampRoots
	s.Proposed, s.ProposedLeaf, s.ProposedBy, s.ProposedOrg, s.Effective = nil, Hash{}, "", "", 0
}

// RulesVersion is the newest version of the rules that this program knows. A vault lives by the version that its policy names; what was
// signed under an earlier one is judged by that. Version 2: nobody changes the policy alone, and auditors manage complaints. Version 3: the
// recovery key opens what two trustees have stated, for a time, and nothing else; the vault's next key signs heads while it waits to be confirmed.
const RulesVersion = 3

// Waits reports whether a configuration counts only after a custodian has confirmed it and the wait has passed: whatever changes what people
// may rely on. A longer wait, too, takes something: ten years in the bin, and nothing that was withdrawn is shredded. Under rules 1 only what
// takes protection from someone waits: another recovery recipient, other log keys, witnesses or rules, one organization instead of two, a
// shorter wait, or any other limit within which others may act.
func (s *PolicyState) Waits(d *VaultConfiguredDetails) bool {
	p, q := s.Policy, d.Policy
	return d.Recovery != s.Recovery || d.Witness != s.Witness || !slices.Equal(d.LogKeys, s.LogKeys) || d.Rules != s.Rules ||
		!slices.Equal(d.TimestampRoots, s.TimestampRoots) ||
		s.Rules >= 2 && p != q ||
		p.TwoOrganizations && !q.TwoOrganizations ||
		q.ConfirmWait < p.ConfirmWait || q.BinWait < p.BinWait || q.WithdrawalWait < p.WithdrawalWait ||
		q.DecisionTime != p.DecisionTime || q.ReviewTime != p.ReviewTime || q.HoldTime != p.HoldTime || q.BackupHorizon != p.BackupHorizon
}

// vaultConfigured: by the vault at init, which is the vault from then on, later by an administrator; the vault itself may only name its new
// version and builds. A change waits for vault.confirmed (Waits). What changes nothing is in force at once; either takes the place of a
// waiting proposal.
func vaultConfigured(a *act) (State, error) {
	d := a.Details.(*VaultConfiguredDetails)
	if d.Rules > RulesVersion {
		return nil, Refuse(Unknown, ReasonRules)
	}
	if a.own == nil {
		if a.Actor.Role != Vault {
			return nil, Refuse(Forbidden, ReasonRole)
		}
		s := &PolicyState{Last: a.tip, Vault: a.Actor.ID}
		s.adopt(d)
		return s, nil
	}
	s := *a.policy
	s.Last = a.tip
	switch {
	case d.Rules < s.Rules:
		return nil, Refuse(Invalid, ReasonPolicy)
	case a.Actor.Role == Vault && (s.Waits(d) || d.Policy != s.Policy):
		return nil, Refuse(Forbidden, ReasonPolicy)
	}
	s.configure(a.Event, a.tip.Leaf)
	return &s, nil
}

// configure makes of s, in force at e's time, what a lawful vault.configured makes of it.
func (s *PolicyState) configure(e *Event, leaf Hash) {
	d := e.Details.(*VaultConfiguredDetails)
	switch {
	case e.Actor.Role == Vault:
		s.Version, s.Builds = d.Version, d.Builds
		if s.Proposed != nil { // what waits brings no older program back
			proposed := *s.Proposed
			proposed.Version, proposed.Builds = d.Version, d.Builds
			s.Proposed = &proposed
		}
	case s.Waits(d):
		s.Proposed, s.ProposedLeaf, s.ProposedBy, s.ProposedOrg, s.Effective = d, leaf, e.Actor.ID, e.Actor.Organization, 0
	default:
		s.adopt(d)
	}
}

// confirm is that of a lawful vault.confirmed of what waits: it counts after the wait now in force.
func (s *PolicyState) confirm(e *Event) {
	s.Effective = min(e.Time+Time(s.Policy.ConfirmWait)*1000, lastMoment)
}

// vaultConfirmed ②: a custodian who saw the dry run. It takes effect after the wait now in force; a restored vault is in service again at
// once.
func vaultConfirmed(a *act) (State, error) {
	d := a.Details.(*VaultConfirmedDetails)
	s := *a.policy
	switch {
	case !s.Restored.IsZero() && d.Event == s.Restored:
		s.Last, s.Restored = a.tip, Hash{}
		return &s, nil
	case s.Proposed == nil || s.ProposedLeaf != d.Event:
		return nil, Refuse(NotFound, ReasonProposal)
	case s.Effective != 0:
		return nil, Refuse(Conflict, ReasonApproved)
	}
	if err := a.second(s.ProposedBy, s.ProposedOrg); err != nil {
		return nil, err
	}
	if max(s.Rules, s.Proposed.Rules) >= 2 && s.Proposed.Policy.TwoOrganizations && a.Actor.Organization == s.ProposedOrg {
		return nil, Refuse(Forbidden, ReasonTwoOrgs) // or there may be nobody who can ever confirm anything again, its end included
	}
	s.Last = a.tip
	s.confirm(a.Event)
	return &s, nil
}

// vaultRestored: the vault goes on from a backup. From here on it only lets read, withdraw and end, until a custodian has confirmed it. A
// log is never put back to what it was: it has at least the size it had in the backup.
func vaultRestored(a *act) (State, error) {
	d := a.Details.(*VaultRestoredDetails)
	switch {
	case d.Before < 1 || d.After < d.Before:
		return nil, errSize
	case d.Backup > a.Time:
		return nil, Refuse(Invalid, ReasonTimeOrder)
	}
	s := *a.policy
	s.Last, s.Restored = a.tip, a.tip.Leaf
	return &s, nil
}

// vaultIncident: by an administrator or an auditor; it stands in every package.
func vaultIncident(a *act) (State, error) {
	d := a.Details.(*VaultIncidentDetails)
	if d.From > a.Time || d.Until > a.Time {
		return nil, Refuse(Invalid, ReasonTimeOrder)
	}
	s := *a.policy
	s.Last = a.tip
	return &s, nil
}

// vaultHeads: each publication covers more of the log than the one before.
func vaultHeads(a *act) (State, error) {
	d := a.Details.(*VaultHeadsDetails)
	if own, ok := a.own.(*HeadsState); ok && (d.Covers <= own.Covers || d.Entries < own.Entries) {
		return nil, Refuse(Conflict, ReasonCovers)
	}
	return &HeadsState{Last: a.tip, Covers: d.Covers, Entries: d.Entries, Root: d.Root}, nil
}
