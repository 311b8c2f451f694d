package evidence

// How long statements of trustees hold, in seconds (RULES §3.7).
const (
	RecoveryWait = 14 * 24 * 3600 // what one has stated waits for a second one
	RecoveryTime = 30 * 24 * 3600 // what two have stated is opened with the recovery key
)

// Recoverable is what the recovery key opens at now: what two trustees have stated of the present one, as long as that holds. nil is nothing.
func (s *PolicyState) Recoverable(now Time) *RecoveryUse {
	use := s.Recovered
	if use == nil || now >= use.Until || use.Stated.Recovery != Fingerprint(nil, s.At(now).Recovery) {
		return nil
	}
	return use
}

// Waits reports whether a second trustee who states use at now confirms it. rules are those in force; under earlier versions it waited for
// ever.
func (r *RecoveryState) Waits(use *VaultRecoveredDetails, rules int64, now Time) bool {
	return r != nil && r.Stated.SameUse(use) && (rules < 3 || now < r.Until)
}

// vaultRecovered ②: a use of the recovery key. One trustee states which items and why, another one the same; every use stands in the
// policy stream for all to see, and only what two stated is opened with it (recovering), for a time. One alone ends that, and takes back what
// waits, by stating that nothing is to be opened.
func vaultRecovered(a *act) (State, error) {
	d := a.Details.(*VaultRecoveredDetails)
	lasting := a.policy.Rules < 3 // what waited did so until it was replaced, and opened nothing
	switch {
	case d.Recovery != Fingerprint(nil, a.policy.Recovery):
		return nil, Refuse(Invalid, ReasonRecovery)
	case d.Ends() && lasting:
		return nil, errSize
	}
	s := *a.policy
	s.Last = a.tip
	if d.Ends() {
		first := s.Recovering
		if s.Recoverable(a.Time) == nil && (first == nil || !first.Waits(&first.Stated, s.Rules, a.Time)) {
			return nil, Refuse(Conflict, ReasonNoRecovery) // each end is a barrier: nobody makes them of nothing
		}
		s.Recovering, s.Recovered = nil, nil
		return &s, nil
	}
	first := s.Recovering
	if !first.Waits(d, a.policy.Rules, a.Time) {
		s.Recovering = &RecoveryState{By: a.Actor.ID, Organization: a.Actor.Organization, Stated: *d}
		if !lasting {
			s.Recovering.Fingerprint, s.Recovering.Until = a.signer.Fingerprint(), a.after(RecoveryWait)
		}
		return &s, nil
	}
	if err := a.second(first.By, first.Organization); err != nil {
		return nil, err
	}
	s.Recovering = nil
	if !lasting {
		by, err := a.active(first.By)
		if err == nil && by.Fingerprint() != first.Fingerprint { // who has those keys now?
			err = Refuse(Forbidden, ReasonActorInactive)
		}
		if err != nil {
			return nil, err
		}
		s.Recovered = &RecoveryUse{first.Stated, a.after(RecoveryTime)}
	}
	return &s, nil
}
