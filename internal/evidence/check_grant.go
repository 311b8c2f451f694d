package evidence

import "cmp"

func (t *Terms) Check() error {
	switch {
	case !ValidID(t.ID), !ValidID(t.Item), !ValidID(t.Recipient.Actor):
		return errIdentifier
	case t.Recipient.Fingerprint.IsZero():
		return errDigest
	case !known(roles, t.RecipientClass), !known(purposes, t.Purpose), !unique(actions, t.Actions):
		return errCode
	case !t.RecipientClass.External():
		return Refuse(Forbidden, ReasonRecipientClass)
	case len(t.Actions) == 0, !ascending(t.Actions, cmp.Compare[Action]):
		return errOrder
	case !validCountry(t.Jurisdiction):
		return Refuse(Invalid, ReasonCountry)
	case !moment(t.NotBefore), !moment(t.Expires), t.CoolingOff != 0 && !moment(t.CoolingOff):
		return errTime
	case t.NotBefore >= t.Expires, t.CoolingOff >= t.Expires:
		return Refuse(Invalid, ReasonWindow)
	}
	return cmp.Or(checkCode(t.LegalBasis, "treaty", "mla_request", "court_order", "consent", "statute"), checkConsents(t.Consent))
}

func (d *GrantApprovedDetails) Check() error {
	return cmp.Or(checkGrant(d.Grant), checkDigest(d.Terms))
}

func (d *GrantRefusedDetails) Check() error { return checkGrant(d.Grant) }
func (d *GrantRevokedDetails) Check() error { return cmp.Or(checkGrant(d.Grant), checkCause(d.Cause)) }
func (d *GrantExpiredDetails) Check() error { return checkGrant(d.Grant) }

func (d *GrantRedeemedDetails) Check() error {
	if !known(actions, d.Action) {
		return errCode
	}
	return cmp.Or(checkGrant(d.Grant), checkDigest(d.Envelope))
}

func (d *GrantAcknowledgedDetails) Check() error {
	if !printable(d.Verifier, 1, 64) {
		return errText
	}
	return cmp.Or(checkGrant(d.Grant), checkDigest(d.Evidence))
}
