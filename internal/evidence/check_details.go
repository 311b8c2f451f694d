package evidence

import (
	"cmp"
	"regexp"
	"strings"
)

// Short forms of the refusals that these checks share.
var (
	errCode       = Refuse(Unknown, ReasonCode)
	errIdentifier = Refuse(Invalid, ReasonIdentifier)
	errDigest     = Refuse(Invalid, ReasonDigest)
	errTime       = Refuse(Invalid, ReasonTime)
	errOrder      = Refuse(Invalid, ReasonOrder)
	errSize       = Refuse(Invalid, ReasonSize)
	errText       = Refuse(Invalid, ReasonText)
	errKeys       = Refuse(Invalid, ReasonKeys)
)

// Actors.

func (k *Keys) check() error {
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
	return d.Keys.check()
}

func (d *ActorKeyRotatedDetails) Check() error {
	switch {
	case !known(causes, d.Cause):
		return errCode
	case d.Possession == "":
		return Refuse(Invalid, ReasonPossession)
	}
	return d.Keys.check()
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

// Cases.

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

// Consent.

func (a *Answers) check() error {
	for _, v := range []Answer{a.Examination, a.Photographs, a.Storage, a.PoliceInformation, a.PolicePhotographs, a.PolicePhysical, a.Research} {
		if !known(answers, v) {
			return errCode
		}
	}
	if !ascending(a.Courts, func(a, b CourtAnswer) int { return strings.Compare(a.Jurisdiction, b.Jurisdiction) }) {
		return errOrder
	}
	for _, c := range a.Courts {
		switch {
		case !validCountry(c.Jurisdiction) || c.Jurisdiction == Withheld:
			return Refuse(Invalid, ReasonCountry)
		case !known(answers, c.Information), !known(answers, c.Photographs), !known(answers, c.Physical):
			return errCode
		}
	}
	return nil
}

func (d *ConsentGivenDetails) Check() error {
	switch {
	case !count(d.Version - 1):
		return errSize
	case !moment(d.From), !moment(d.Until):
		return errTime
	case d.From >= d.Until:
		return Refuse(Invalid, ReasonWindow)
	case d.By != "self" && d.By != "proxy":
		return errCode
	case !ValidID(d.Form):
		return errIdentifier
	}
	return d.Answers.check()
}

func (d *ConsentNarrowedDetails) Check() error {
	if !count(d.Version - 1) {
		return errSize
	}
	return cmp.Or(checkTime(d.Until), d.Answers.check())
}

var confirmationNumber = regexp.MustCompile(`^[0-9]{4}-[0-9]{4}$`)

func (d *ConsentWithdrawnDetails) Check() error {
	if !confirmationNumber.MatchString(d.Number) {
		return errText
	}
	return nil
}

func (d *ConsentDelegatedDetails) Check() error {
	switch {
	case !ValidID(d.Advocate):
		return errIdentifier
	case !unique([]string{"read", "narrow", "withdraw", "approve"}, d.Rights):
		return errCode
	}
	return checkTime(d.Until)
}

func (d *ConsentDelegationEndedDetails) Check() error {
	if !ValidID(d.Advocate) {
		return errIdentifier
	}
	return checkCause(d.Cause)
}

// Items.

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

// Grants.

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

// The vault.

// MaxWait bounds every waiting time of the policy, in seconds: ten years.
const MaxWait = 10 * 366 * 24 * 3600

func (p *VaultPolicy) check() error {
	for _, seconds := range []int64{p.ConfirmWait, p.DecisionTime, p.BinWait, p.WithdrawalWait, p.ReviewTime, p.HoldTime, p.BackupHorizon} {
		if seconds < 0 || seconds > MaxWait {
			return errSize
		}
	}
	return nil
}

func (d *VaultConfiguredDetails) Check() error {
	switch {
	case d.Rules < 1 || !count(d.Rules), len(d.LogKeys) == 0, len(d.LogKeys) > 16, len(d.Builds) > 64:
		return errSize
	case !validRecipient(d.Recovery):
		return errKeys
	case !printable(d.Version, 1, 64), !validWitness(d.Witness):
		return errText
	}
	for _, k := range d.LogKeys {
		if der, ok := decodeBase64(k); !ok || len(der) == 0 || len(der) > 2048 {
			return errKeys
		}
	}
	for _, b := range d.Builds {
		if !validHex(b) {
			return errDigest
		}
	}
	return d.Policy.check()
}

// validWitness accepts printable ASCII lines.
func validWitness(s string) bool {
	return printable(strings.ReplaceAll(s, "\n", " "), 0, 16<<10)
}

func (d *VaultConfirmedDetails) Check() error { return checkDigest(d.Event) }

func (d *VaultHeadsDetails) Check() error {
	switch {
	case !ascending(d.Void, cmp.Compare[int64]):
		return errOrder
	case d.Covers < 1, !count(d.Covers), d.Entries != d.Covers-int64(len(d.Void)),
		len(d.Void) > 0 && (d.Void[0] < 0 || d.Void[len(d.Void)-1] >= d.Covers):
		return Refuse(Invalid, ReasonCovers)
	}
	return checkDigest(d.Root)
}

func (d *VaultRecoveredDetails) Check() error {
	switch {
	case !ascending(d.Items, cmp.Compare[ItemID]):
		return errOrder
	case !allValid(d.Items):
		return errIdentifier
	}
	return cmp.Or(checkDigest(d.Recovery), checkCause(d.Cause))
}

func (d *VaultRestoredDetails) Check() error {
	if !count(d.Before) || !count(d.After) {
		return errSize
	}
	return checkTime(d.Backup)
}

func (d *VaultIncidentDetails) Check() error {
	switch {
	case d.Until != 0 && !moment(d.Until):
		return errTime
	case d.Until != 0 && d.Until < d.From:
		return Refuse(Invalid, ReasonWindow)
	}
	return cmp.Or(checkTime(d.From), checkCode(d.Code, "breach", "outage", "key_compromise", "witness_alarm", "data_damage"),
		checkCode(d.Scope, "vault", "organization", "case"))
}

func checkCause(c Cause) error {
	if !known(causes, c) {
		return errCode
	}
	return nil
}

func checkCode(code string, list ...string) error {
	if !known(list, code) {
		return errCode
	}
	return nil
}

func checkTime(t Time) error {
	if !moment(t) {
		return errTime
	}
	return nil
}

func checkDigest(h Hash) error {
	if h.IsZero() {
		return errDigest
	}
	return nil
}

func checkGrant(g GrantID) error {
	if !ValidID(g) {
		return errIdentifier
	}
	return nil
}

func checkHold(h HoldID) error {
	if !ValidID(h) {
		return errIdentifier
	}
	return nil
}

func allValid[T id](list []T) bool {
	for _, v := range list {
		if !ValidID(v) {
			return false
		}
	}
	return true
}
