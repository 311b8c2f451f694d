package evidence

import "cmp"

func (m *Member) check() error {
	switch {
	case !ValidID(m.Actor):
		return errIdentifier
	case !unique(rights, m.Rights):
		return errCode
	case m.Until != 0 && !moment(m.Until):
		return errTime
	}
	return nil
}

func checkKeyring(list []Keyholder) error {
	if !ascending(list, func(a, b Keyholder) int { return cmp.Compare(a.Actor, b.Actor) }) {
		return errOrder
	}
	for _, k := range list {
		if !ValidID(k.Actor) {
			return errIdentifier
		}
		if k.Fingerprint.IsZero() {
			return errDigest
		}
	}
	return nil
}

func (l *LabelKey) check() error {
	if !validRecipient(l.Recipient) {
		return errKeys
	}
	return checkEnvelopes(l.Envelopes)
}

func checkEnvelopes(list []EnvelopeRef) error {
	if !ascending(list, func(a, b EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) }) {
		return errOrder
	}
	for _, e := range list {
		if e.Recipient.IsZero() || e.SHA256.IsZero() {
			return errDigest
		}
	}
	return nil
}

func (d *CaseOpenedDetails) Check() error {
	switch {
	case d.Type != "case" && d.Type != "complaint":
		return errCode
	case !ascending(d.Members, func(a, b Member) int { return cmp.Compare(a.Actor, b.Actor) }):
		return errOrder
	case d.Recovery.IsZero():
		return errDigest
	case len(d.Keyring) < 2:
		return Refuse(Invalid, ReasonKeyholders)
	}
	for _, m := range d.Members {
		if err := m.check(); err != nil {
			return err
		}
	}
	return cmp.Or(checkKeyring(d.Keyring), d.LabelKey.check())
}

func (d *CaseMemberAddedDetails) Check() error {
	return cmp.Or(d.Member.check(), checkEnvelopes([]EnvelopeRef{d.Envelope}))
}

func (d *CaseMemberRemovedDetails) Check() error {
	if !ValidID(d.Actor) {
		return errIdentifier
	}
	return cmp.Or(checkCause(d.Cause), d.LabelKey.check())
}

func (d *CaseKeyringChangedDetails) Check() error {
	switch {
	case !ascending(d.Removed, cmp.Compare[ActorID]):
		return errOrder
	case !allValid(d.Removed):
		return errIdentifier
	}
	return checkKeyring(d.Added)
}

func (d *CaseClosedDetails) Check() error {
	return checkCode(d.Outcome, "decided", "discontinued", "transferred", "merged")
}

func (d *CaseReopenedDetails) Check() error { return checkCause(d.Cause) }
