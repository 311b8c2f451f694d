package evidence

import (
	"cmp"
	"regexp"
)

func (f *File) check(largest int64) error {
	switch {
	case f.Size <= 0 || f.Size > largest:
		return errSize
	case f.SHA256.IsZero():
		return errDigest
	}
	return nil
}

var emptyFile = SHA256(nil) // also the RFC 6962 root of no blocks

func (d *ItemDepositedDetails) Check() error {
	fromSource := d.Class == Working || d.Class == Derived
	empty := d.Class == DescriptionOnly
	switch {
	case !known(classes, d.Class), !known(contents, d.Content), !known(bases, d.Basis):
		return errCode
	case !validRecipient(d.ItemRecipient):
		return errKeys
	case d.Source != "" && !ValidID(d.Source):
		return errIdentifier
	case fromSource != (d.Source != ""), (d.Class == Identity) != (d.Content == IdentityContent):
		return Refuse(Invalid, ReasonClass)
	case d.Evidence.Size < 0, d.Evidence.Size > MaxEvidence, (d.Evidence.Size == 0) != empty:
		return errSize
	case d.Evidence.SHA256.IsZero(), d.Evidence.Tree.IsZero(),
		(d.Evidence.SHA256 == emptyFile) != empty, (d.Evidence.Tree == emptyFile) != empty:
		return errDigest
	}
	return cmp.Or(d.Description.check(MaxDescription), d.Label.check(MaxLabel), checkEnvelopes(d.Envelopes))
}

func (d *ItemSealedDetails) Check() error {
	switch {
	case d.Exhibit < 1 || !count(d.Exhibit):
		return errSize
	case !ValidID(d.Root):
		return errIdentifier
	}
	return nil
}

func (d *ItemOpenedDetails) Check() error   { return checkDigest(d.Envelope) }
func (d *ItemVerifiedDetails) Check() error { return checkCode(d.Scope, "ciphertext", "content") }

func (d *ItemDerivedDetails) Check() error {
	switch {
	case !ValidID(d.Item):
		return errIdentifier
	case d.Form != Working && d.Form != Derived:
		return errCode
	case !printable(d.Tool.Name, 1, 64), !printable(d.Tool.Version, 1, 64), d.Tool.Build != "" && !validHex(d.Tool.Build):
		return errText
	}
	return nil
}

func (d *ItemAmendedDetails) Check() error {
	return cmp.Or(d.Description.check(MaxDescription), checkCause(d.Cause))
}

func (d *ItemTransferredDetails) Check() error {
	if !known(roles, d.Class) {
		return errCode
	}
	return nil
}

func (d *ItemReceivedDetails) Check() error { return nil }

var exportNonce = regexp.MustCompile(`^[a-z0-9]{32,64}$`)

func (d *ItemExportedDetails) Check() error {
	switch {
	case d.Grant != "" && !ValidID(d.Grant):
		return errIdentifier
	case !exportNonce.MatchString(d.Nonce):
		return errText
	}
	return cmp.Or(checkCode(d.Form, "package", "print", "copy"), checkDigest(d.Content))
}

func (d *ItemEnvelopeAddedDetails) Check() error {
	switch {
	case d.Cause != CauseGrant && d.Cause != CauseRewrap && d.Cause != CauseCopy:
		return errCode
	case (d.Cause == CauseGrant) != (d.Grant != ""), d.Grant != "" && !ValidID(d.Grant):
		return errIdentifier
	}
	return checkEnvelopes([]EnvelopeRef{d.Envelope})
}

func (d *ItemEnvelopeRemovedDetails) Check() error {
	return cmp.Or(checkDigest(d.Recipient), checkCause(d.Cause), checkTime(d.Horizon))
}

func (d *ItemBreakGlassDetails) Check() error {
	return cmp.Or(checkCode(d.Code, "life", "safety", "legal_deadline"), checkDigest(d.Envelope))
}

func (d *ItemBreakGlassReviewedDetails) Check() error { return checkDigest(d.Event) }

func (d *ItemShredProposedDetails) Check() error {
	return cmp.Or(checkCause(d.Cause), checkDigest(d.DryRun))
}

func (d *ItemShredCancelledDetails) Check() error { return checkCause(d.Cause) }

func (d *ItemShreddedDetails) Check() error {
	switch {
	case !ascending(d.Envelopes, Hash.Compare):
		return errOrder
	case !unique([]string{"records", "backups", "cold"}, d.Stores):
		return errCode
	}
	for _, h := range d.Envelopes {
		if h.IsZero() {
			return errDigest
		}
	}
	return checkTime(d.Horizon)
}

func (d *RetentionSetDetails) Check() error {
	if !token(d.Category, 1, 64) {
		return errText
	}
	return checkTime(d.Due)
}

func (d *HoldPlacedDetails) Check() error {
	switch {
	case !ValidID(d.Hold):
		return errIdentifier
	case !known(bases, d.Basis):
		return errCode
	case d.SecretUntil != 0 && !moment(d.SecretUntil):
		return errTime
	}
	return cmp.Or(checkTime(d.Expires), checkTime(d.Review))
}

func (d *HoldConfirmedDetails) Check() error { return checkHold(d.Hold) }
func (d *HoldLiftedDetails) Check() error    { return cmp.Or(checkHold(d.Hold), checkCause(d.Cause)) }
