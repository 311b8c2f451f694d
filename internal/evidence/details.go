package evidence

import "slices"

// Details are the fields of one kind (RULES §3.3 to §3.7). Every type here is what api/predicate.schema.json says, field by field.
type Details interface {
	// Check looks at the fields alone: codes, identifiers, bounds, order. What needs state is the rule's business.
	Check() error
}

// Keys are what an actor acts with: a P-256 signing key and an age hybrid recipient (FORMATS §4, §9). Possession is the base64 DER
// signature over the possession statement; founders, who sign the event itself, leave it and the invitation empty.
type Keys struct {
	Key        string `json:"key"`       // base64 SPKI DER
	Recipient  string `json:"recipient"` // age1pq1…; empty for keyless roles
	Possession string `json:"possession"`
	Invitation Hash   `json:"invitation"` // SHA-256 of the invitation's secret
}

type ActorEnrolledDetails struct {
	Keys
	Role          Role      `json:"role"`
	Organization  OrgID     `json:"organization,omitempty"`
	DocumentsOnly bool      `json:"documents_only"`
	Trustees      []ActorID `json:"trustees"`
}

type ActorKeyRotatedDetails struct {
	Keys
	Cause Cause `json:"cause"`
}

type ActorConfirmedDetails struct {
	Fingerprint Hash   `json:"fingerprint"`
	Method      Method `json:"method"`
}

type ActorSuspendedDetails struct {
	Cause Cause `json:"cause"`
	Until Time  `json:"until"`
}

type ActorRevokedDetails struct {
	Cause Cause `json:"cause"`
}

// Member of a case. Until is when the membership ends; absent means until removed.
type Member struct {
	Actor  ActorID `json:"actor"`
	Rights []Right `json:"rights"`
	Until  Time    `json:"until,omitempty"`
}

// Keyholder is an entry of the keyring: each item of the case gets an envelope for this fingerprint.
type Keyholder struct {
	Actor       ActorID `json:"actor"`
	Fingerprint Hash    `json:"fingerprint"`
}

// LabelKey is the case label key's public half and the envelopes that give its private half to the members (FORMATS §8).
type LabelKey struct {
	Recipient string        `json:"recipient"` // age1pq1…
	Envelopes []EnvelopeRef `json:"envelopes"` // sorted by recipient
}

type CaseOpenedDetails struct {
	Type     string      `json:"type"`    // "case" or "complaint"
	Members  []Member    `json:"members"` // sorted by actor
	Keyring  []Keyholder `json:"keyring"` // sorted by actor
	Recovery Hash        `json:"recovery"`
	LabelKey LabelKey    `json:"label_key"`
}

type CaseMemberAddedDetails struct {
	Member
	Envelope EnvelopeRef `json:"envelope"` // of the case label key
}

type CaseMemberRemovedDetails struct {
	Actor    ActorID  `json:"actor"`
	Cause    Cause    `json:"cause"`
	LabelKey LabelKey `json:"label_key"` // a new one, without an envelope for who left
}

type CaseKeyringChangedDetails struct {
	Added   []Keyholder `json:"added"`
	Removed []ActorID   `json:"removed"`
}

type CaseClosedDetails struct {
	Outcome string `json:"outcome"` // "decided", "discontinued", "transferred", "merged"
}

type CaseReopenedDetails struct {
	Cause Cause `json:"cause"`
}

// Answers are one subject's answers, each its own (RULES §4).
type Answers struct {
	Examination       Answer        `json:"examination"`
	Photographs       Answer        `json:"photographs"`
	Storage           Answer        `json:"storage"`
	PoliceInformation Answer        `json:"police_information"`
	PolicePhotographs Answer        `json:"police_photographs"`
	PolicePhysical    Answer        `json:"police_physical"`
	Courts            []CourtAnswer `json:"courts"` // sorted by jurisdiction
	Research          Answer        `json:"research"`
}

// CourtAnswer is what courts and the defence of one jurisdiction may receive.
type CourtAnswer struct {
	Jurisdiction string `json:"jurisdiction"` // ISO 3166-1 alpha-2, the home country included
	Information  Answer `json:"information"`
	Photographs  Answer `json:"photographs"`
	Physical     Answer `json:"physical"`
}

type ConsentGivenDetails struct {
	Version  int64   `json:"version"` // from 1
	Answers  Answers `json:"answers"`
	From     Time    `json:"from"`
	Until    Time    `json:"until"`
	By       string  `json:"by"`                // "self" or "proxy"
	AskFirst bool    `json:"ask_first"`         // the subject is asked before each share
	Form     ItemID  `json:"form"`              // the sealed consent form
	Subject  ActorID `json:"subject,omitempty"` // the survivor whose consent this is, once that one has keys
}

type ConsentNarrowedDetails struct {
	Version int64   `json:"version"`
	Answers Answers `json:"answers"`
	Until   Time    `json:"until"`
}

type ConsentWithdrawnDetails struct {
	Number string `json:"number"` // confirmation number: two groups of four digits, "1234-5678"
}

type ConsentDelegatedDetails struct {
	Advocate ActorID  `json:"advocate"`
	Rights   []string `json:"rights"` // of "read", "narrow", "withdraw", "approve"
	Until    Time     `json:"until"`
}

type ConsentDelegationEndedDetails struct {
	Advocate ActorID `json:"advocate"`
	Cause    Cause   `json:"cause"`
}

type ItemDepositedDetails struct {
	ItemRecipient string        `json:"item_recipient"` // age1pq1…
	Class         Class         `json:"class"`
	Content       Content       `json:"content"`
	Basis         Basis         `json:"basis"`
	Source        ItemID        `json:"source,omitempty"` // the item this one was made from
	Evidence      Evidence      `json:"evidence"`
	Description   File          `json:"description"`
	Label         File          `json:"label"`
	Envelopes     []EnvelopeRef `json:"envelopes"` // sorted by recipient
}

type ItemSealedDetails struct {
	Exhibit int64  `json:"exhibit"` // unique in the case, from 1
	Root    ItemID `json:"root"`    // the original this exhibit goes back to: itself, for an original
}

type ItemOpenedDetails struct {
	Envelope Hash `json:"envelope"` // digest of the envelope asked for
}

type ItemVerifiedDetails struct {
	Scope    string `json:"scope"`    // "ciphertext" or "content"
	Evidence Hash   `json:"evidence"` // digest found of the ciphertext file
}

type ItemDerivedDetails struct {
	Item ItemID `json:"item"` // the new one
	Form Class  `json:"form"` // "working" or "derived"
	Tool Tool   `json:"tool"`
}

type ItemAmendedDetails struct {
	Description File  `json:"description"`
	Cause       Cause `json:"cause"`
}

type ItemTransferredDetails struct {
	Class Role `json:"class"` // of the receiver
}

type ItemReceivedDetails struct {
	SealIntact bool `json:"seal_intact"`
}

type ItemExportedDetails struct {
	Form    string  `json:"form"` // "package", "print" or "copy"
	Grant   GrantID `json:"grant,omitempty"`
	Nonce   string  `json:"nonce"`   // 32 to 64 characters of [a-z0-9], chosen by who exports
	Content Hash    `json:"content"` // content digest (FORMATS §11)
}

type ItemEnvelopeAddedDetails struct {
	Envelope EnvelopeRef `json:"envelope"`
	Cause    Cause       `json:"cause"` // "grant", "rewrap" or "copy"
	Grant    GrantID     `json:"grant,omitempty"`
}

type ItemEnvelopeRemovedDetails struct {
	Recipient Hash  `json:"recipient"`
	Cause     Cause `json:"cause"`
	Horizon   Time  `json:"horizon"` // by when the last backup that holds it has expired
}

type ItemBreakGlassDetails struct {
	Code     string `json:"code"` // "life", "safety", "legal_deadline"
	Envelope Hash   `json:"envelope"`
}

type ItemBreakGlassReviewedDetails struct {
	Event     Hash `json:"event"` // leaf hash of the opening
	Justified bool `json:"justified"`
}

type ItemShredProposedDetails struct {
	Cause  Cause `json:"cause"`
	DryRun Hash  `json:"dry_run"` // digest of the list that was shown
}

type ItemShredCancelledDetails struct {
	Cause Cause `json:"cause"`
}

type ItemShreddedDetails struct {
	Envelopes []Hash   `json:"envelopes"` // fingerprints of every envelope destroyed, sorted
	Stores    []string `json:"stores"`    // of "records", "backups", "cold"
	Horizon   Time     `json:"horizon"`
}

type RetentionSetDetails struct {
	Category string `json:"category"`
	Due      Time   `json:"due"`
}

type HoldPlacedDetails struct {
	Hold        HoldID `json:"hold"`
	Basis       Basis  `json:"basis"`
	Expires     Time   `json:"expires"`
	Review      Time   `json:"review"`
	SecretUntil Time   `json:"secret_until,omitempty"`
}

type HoldConfirmedDetails struct {
	Hold HoldID `json:"hold"`
}

type HoldLiftedDetails struct {
	Hold  HoldID `json:"hold"`
	Cause Cause  `json:"cause"`
}

// Terms are what a grant permits (RULES §7). Approval signs their digest, for which the fields stand in the order of their JSON names.
type Terms struct {
	Actions        []Action     `json:"actions"`               // sorted
	Consent        []ConsentRef `json:"consent"`               // the consents that govern the item, in their current version, sorted by id
	CoolingOff     Time         `json:"cooling_off,omitempty"` // nothing is released before
	Expires        Time         `json:"expires"`
	ID             GrantID      `json:"id"`
	Item           ItemID       `json:"item"`
	Jurisdiction   string       `json:"jurisdiction"`
	LegalBasis     string       `json:"legal_basis"` // "treaty", "mla_request", "court_order", "consent", "statute"
	NotBefore      Time         `json:"not_before"`
	Onward         bool         `json:"onward"`
	Purpose        Purpose      `json:"purpose"`
	Recipient      Keyholder    `json:"recipient"`
	RecipientClass Role         `json:"recipient_class"`
}

type GrantProposedDetails struct {
	Terms
}

type GrantApprovedDetails struct {
	Grant GrantID `json:"grant"`
	Terms Hash    `json:"terms"` // SHA-256 of the JCS of the terms
}

type GrantRefusedDetails struct {
	Grant GrantID `json:"grant"`
}

type GrantRevokedDetails struct {
	Grant GrantID `json:"grant"`
	Cause Cause   `json:"cause"`
}

type GrantExpiredDetails struct {
	Grant GrantID `json:"grant"`
}

type GrantRedeemedDetails struct {
	Grant    GrantID `json:"grant"`
	Action   Action  `json:"action"`
	Envelope Hash    `json:"envelope"`
}

type GrantAcknowledgedDetails struct {
	Grant    GrantID `json:"grant"`
	Evidence Hash    `json:"evidence"` // digest found of the ciphertext file
	Equal    bool    `json:"equal"`    // ciphertext, and plaintext as the description says
	Verifier string  `json:"verifier"` // version of the program that compared
}

// VaultPolicy is what the vault lives by; every value is a default that only a confirmed vault.configured changes.
type VaultPolicy struct {
	TwoOrganizations bool  `json:"two_organizations"` // second persons must be of another organization
	ConfirmWait      int64 `json:"confirm_wait"`      // seconds from vault.confirmed to effect
	DecisionTime     int64 `json:"decision_time"`     // seconds to decide after a withdrawal
	BinWait          int64 `json:"bin_wait"`          // seconds from proposal to shred
	WithdrawalWait   int64 `json:"withdrawal_wait"`   // the same after a withdrawal
	ReviewTime       int64 `json:"review_time"`       // seconds to review a break-glass opening
	HoldTime         int64 `json:"hold_time"`         // seconds after which an unconfirmed hold lapses
	BackupHorizon    int64 `json:"backup_horizon"`    // seconds until a backup of envelopes has expired
}

type VaultConfiguredDetails struct {
	Rules    int64       `json:"rules"`    // rule version, from 1
	Recovery string      `json:"recovery"` // age1pq1…, the offline recipient on every keyring
	Policy   VaultPolicy `json:"policy"`
	LogKeys  []string    `json:"log_keys"` // base64 SPKI DER
	Witness  string      `json:"witness"`  // C2SP tlog-policy text, or ""
	Version  string      `json:"version"`
	Builds   []string    `json:"builds"` // digests of the programs in service
	// TimestampRoots are the SHA-256 of the trusted root certificates of time-stamp authorities, in DER, sorted.
	TimestampRoots []Hash `json:"timestamp_roots,omitempty"`
}

type VaultConfirmedDetails struct {
	Event Hash `json:"event"` // leaf hash of the vault.configured or vault.restored confirmed
}

type VaultHeadsDetails struct {
	Covers  int64   `json:"covers"`
	Entries int64   `json:"entries"`
	Void    []int64 `json:"void"` // ascending
	Root    Hash    `json:"root"`
}

type VaultRecoveredDetails struct {
	Recovery Hash     `json:"recovery"`
	Items    []ItemID `json:"items"` // ascending; empty: nothing is to be opened (any more)
	Cause    Cause    `json:"cause"`
}

// Ends reports whether a trustee states that nothing is to be opened: what was stated before is over.
func (d *VaultRecoveredDetails) Ends() bool { return len(d.Items) == 0 }

// SameUse reports whether two trustees state the same use of the recovery key: then the second confirms what the first stated.
func (d *VaultRecoveredDetails) SameUse(other *VaultRecoveredDetails) bool {
	return d.Recovery == other.Recovery && d.Cause == other.Cause && slices.Equal(d.Items, other.Items)
}

type VaultRestoredDetails struct {
	Backup Time  `json:"backup"` // when it was taken
	Before int64 `json:"before"` // log size in the backup
	After  int64 `json:"after"`  // log size found: what lies between was taken from the log itself
}

type VaultIncidentDetails struct {
	Code  string `json:"code"` // "breach", "outage", "key_compromise", "witness_alarm", "data_damage"
	From  Time   `json:"from"`
	Until Time   `json:"until,omitempty"`
	Scope string `json:"scope"` // "vault", "organization", "case"
}
