package evidence

import "cmp"

// Check looks at the outside of keys: their types, lengths and spellings. Reasons: "keys", "possession".
func (k *Keys) Check() error {
	signature, ok := decodeBase64(k.Possession)
	switch {
	case !validSPKI(k.Key), k.Recipient != "" && !validRecipient(k.Recipient):
		return errKeys
	case !ok || len(signature) > 72: // DER of two 32-byte integers
		return errKeys
	case (k.Possession == "") != k.Invitation.IsZero():
		return Refuse(Invalid, ReasonPossession)
	}
	return nil
}

func (d *ActorEnrolledDetails) Check() error {
	switch {
	case !known(roles, d.Role):
		return errCode
	case d.Role.Keyless() != (d.Recipient == ""):
		return errKeys
	case !validOrganization(d.Role, d.Organization):
		return Refuse(Invalid, ReasonOrganization)
	case d.DocumentsOnly && d.Role != Clinician, len(d.Trustees) > 0 && d.Role != Survivor:
		return Refuse(Invalid, ReasonFieldExcess)
	case !ascending(d.Trustees, cmp.Compare[ActorID]):
		return errOrder
	case !allValid(d.Trustees):
		return errIdentifier
	}
	return d.Keys.Check()
}

func (d *ActorKeyRotatedDetails) Check() error {
	switch {
	case !known(causes, d.Cause):
		return errCode
	case d.Possession == "":
		return Refuse(Invalid, ReasonPossession)
	}
	return d.Keys.Check()
}

func (d *ActorConfirmedDetails) Check() error {
	switch {
	case !known(methods, d.Method):
		return errCode
	case d.Fingerprint.IsZero():
		return errDigest
	}
	return nil
}

func (d *ActorSuspendedDetails) Check() error { return cmp.Or(checkCause(d.Cause), checkTime(d.Until)) }
func (d *ActorRevokedDetails) Check() error   { return checkCause(d.Cause) }
