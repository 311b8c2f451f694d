package evidence

// State is what a stream has become: *ActorState, *CaseState, *ConsentState, *ItemState, *PolicyState or *HeadsState. States are values in
// spirit: Apply never changes one, it returns a new one, so that a verifier may keep one for every event. They are stored as JSON.
type State interface {
	// Tip is the last event of the stream.
	Tip() Tip
}

// Tip is a stream's last event.
type Tip struct {
	Seq  int64 `json:"seq"`
	Leaf Hash  `json:"leaf"`
	Time Time  `json:"time"`
}

// Facts are the streams an event stands on: its own as it is before the event (if it exists) and those named in relied_on, each as it is
// at the named head.
type Facts struct {
	Origin   string
	States   map[Stream]State
	Founders []Founder
}

// Founder is one of those who enrol themselves: who, as what and with which key, as the trust file names them (FORMATS §10).
type Founder struct {
	Actor ActorID
	Role  Role
	Key   Hash // SHA-256 of the SPKI DER
}

// Status of an actor. A suspension ends by itself, without an event: whether signatures count is ActorState.Active's answer.
type Status string

const (
	StatusPending   Status = "pending"
	StatusActive    Status = "active"
	StatusSuspended Status = "suspended"
	StatusRevoked   Status = "revoked"
)

// ActorState is one entry of the directory.
type ActorState struct {
	Last          Tip       `json:"last"`
	ID            ActorID   `json:"id"`
	Role          Role      `json:"role"`
	Organization  OrgID     `json:"organization,omitempty"`
	Key           string    `json:"key"`       // base64 SPKI DER now in force
	Recipient     string    `json:"recipient"` // age recipient now in force, or ""
	Status        Status    `json:"status"`
	SuspendedTill Time      `json:"suspended_till,omitempty"`
	Founder       bool      `json:"founder,omitempty"`
	EnrolledBy    ActorID   `json:"enrolled_by,omitempty"` // who signed the enrolment or the last rotation: cannot confirm it
	EnrolledRole  Role      `json:"enrolled_role,omitempty"`
	EnrolledOrg   OrgID     `json:"enrolled_organization,omitempty"`
	ConfirmedBy   ActorID   `json:"confirmed_by,omitempty"`
	Introducers   []ActorID `json:"introducers,omitempty"` // everyone who ever enrolled, rotated or confirmed, sorted: required streams (FORMATS §11)
	DocumentsOnly bool      `json:"documents_only,omitempty"`
	Trustees      []ActorID `json:"trustees,omitempty"`
}

// CaseState is a case: members, keyring, label key.
type CaseState struct {
	Last     Tip         `json:"last"`
	ID       CaseID      `json:"id"`
	Type     string      `json:"type"`
	Open     bool        `json:"open"`
	Members  []Member    `json:"members"` // sorted by actor
	Keyring  []Keyholder `json:"keyring"` // sorted by actor
	Recovery Hash        `json:"recovery"`
	LabelKey LabelKey    `json:"label_key"`
}

// ConsentState is the current version of one subject's answers.
type ConsentState struct {
	Last      Tip       `json:"last"`
	ID        ConsentID `json:"id"`
	Case      CaseID    `json:"case"`
	Version   int64     `json:"version"`
	Answers   Answers   `json:"answers"`
	From      Time      `json:"from"`
	Until     Time      `json:"until"`
	By        string    `json:"by"`
	AskFirst  bool      `json:"ask_first"`
	Subject   ActorID   `json:"subject,omitempty"` // the survivor whose consent this is, if that one has keys of her own
	Own       bool      `json:"own,omitempty"`     // the survivor began it: nobody else gives a further version
	Form      ItemID    `json:"form"`
	Forms     []ItemID  `json:"forms"` // of every version so far, sorted: a form serves once
	Withdrawn Time      `json:"withdrawn,omitempty"`
	Answered  Time      `json:"answered,omitempty"` // since when these answers hold
	Guarded   bool      `json:"guarded,omitempty"`  // narrowed by subject or advocate: staff widen it only by two persons

	Advocates []Delegation `json:"advocates,omitempty"` // sorted by advocate
}

// ItemState is an item and the grants on it.
type ItemState struct {
	Last          Tip           `json:"last"`
	ID            ItemID        `json:"id"`
	Case          CaseID        `json:"case"`
	Depositor     ActorID       `json:"depositor"`
	Deposited     Time          `json:"deposited,omitempty"`
	ItemRecipient string        `json:"item_recipient"`
	Class         Class         `json:"class"`
	Content       Content       `json:"content"`
	Basis         Basis         `json:"basis"`
	Source        ItemID        `json:"source,omitempty"`
	Consent       []ConsentID   `json:"consent,omitempty"` // every consent that governs the item, sorted
	Evidence      Evidence      `json:"evidence"`
	Description   File          `json:"description"` // the newest version
	Label         File          `json:"label"`
	Envelopes     []EnvelopeRef `json:"envelopes"`        // those that exist, sorted by recipient
	Copies        []Hash        `json:"copies,omitempty"` // fingerprints of the subject's own copy, sorted: nobody takes it away
	Confirmed     bool          `json:"confirmed"`        // a keyholder other than the depositor opened and verified it
	Exhibit       int64         `json:"exhibit,omitempty"`
	Sealed        bool          `json:"sealed"`
	Root          ItemID        `json:"root,omitempty"` // the original a sealed item goes back to
	Damaged       bool          `json:"damaged,omitempty"`
	DamagedScope  string        `json:"damaged_scope,omitempty"` // of the verification that failed
	Compared      Time          `json:"compared,omitempty"`      // when the vault itself last found the file as it was deposited
	OpenedBy      []ActorID     `json:"opened_by,omitempty"`     // sorted
	Grants        []GrantState  `json:"grants,omitempty"`        // in order of proposal
	Derivatives   []ItemID      `json:"derivatives,omitempty"`   // linked by item.derived, sorted

	Emergencies []EmergencyState `json:"emergencies,omitempty"` // in order
	Transit     *TransitState    `json:"transit,omitempty"`     // of a physical item that was handed over
	Keeper      ActorID          `json:"keeper,omitempty"`      // who has the physical item, if that is somebody with an account
	KeeperClass Role             `json:"keeper_class,omitempty"`
	SealBroken  bool             `json:"seal_broken,omitempty"` // some receiver found the seal broken

	Retention []RetentionState `json:"retention,omitempty"` // sorted by category
	Holds     []HoldState      `json:"holds,omitempty"`     // in order
	Bin       *BinState        `json:"bin,omitempty"`
	Shredded  Time             `json:"shredded,omitempty"`
	ShredSeq  int64            `json:"shred_seq,omitempty"` // of item.shredded: what earlier events brought is erased

	Veils  []Veil `json:"veils,omitempty"`  // one for each hold that is secret; sorted by Until, of the same date by their placing
	Passed bool   `json:"passed,omitempty"` // of some event nothing but its place is known
}

// GrantStatus is what has been decided; expiry binds by time, without an event.
type GrantStatus string

const (
	GrantPending GrantStatus = "pending"
	GrantActive  GrantStatus = "active"
	GrantDenied  GrantStatus = "refused"
	GrantEnded   GrantStatus = "revoked"
	GrantOver    GrantStatus = "expired"
)

// GrantState is a grant with the acts on it.
type GrantState struct {
	Terms        Terms       `json:"terms"`
	Status       GrantStatus `json:"status"`
	ProposedBy   ActorID     `json:"proposed_by"`
	Organization OrgID       `json:"organization,omitempty"` // the proposer's
	ApprovedBy   []ActorID   `json:"approved_by,omitempty"`
	Custodian    ActorID     `json:"custodian,omitempty"` // the one of ApprovedBy who is the second person; others speak for subjects
	Agreed       []ConsentID `json:"agreed,omitempty"`    // consents whose subject agreed, in person or by an advocate, sorted
	Hold         HoldID      `json:"hold,omitempty"`      // the confirmed hold it stands on where consent has ended
	Redeemed     []Hash      `json:"redeemed,omitempty"`  // leaf hashes
	Acknowledged bool        `json:"acknowledged,omitempty"`
	Unequal      bool        `json:"unequal,omitempty"` // the newest acknowledgement found other bytes: an alarm
}

// PolicyState is the vault's own rule book. What is in force at a moment is At's answer.
type PolicyState struct {
	Last     Tip         `json:"last"`
	Vault    ActorID     `json:"vault,omitempty"` // who began the stream: the one actor that acts as this vault
	Rules    int64       `json:"rules"`
	Recovery string      `json:"recovery"`
	Policy   VaultPolicy `json:"policy"`
	LogKeys  []string    `json:"log_keys"`
	Witness  string      `json:"witness"`
	Version  string      `json:"version"`
	Builds   []string    `json:"builds"`

	TimestampRoots []Hash `json:"timestamp_roots,omitempty"`
	// Proposed is a configuration that waits for its confirmation.
	Proposed     *VaultConfiguredDetails `json:"proposed,omitempty"`
	ProposedLeaf Hash                    `json:"proposed_leaf,omitzero"`
	ProposedBy   ActorID                 `json:"proposed_by,omitempty"`
	ProposedOrg  OrgID                   `json:"proposed_organization,omitempty"`
	Effective    Time                    `json:"effective,omitempty"` // when a confirmed proposal takes effect; set by vault.confirmed
	Restored     Hash                    `json:"restored,omitzero"`   // the vault.restored that waits for its confirmation
	Recovering   *RecoveryState          `json:"recovering,omitempty"`
	Recovered    *RecoveryUse            `json:"recovered,omitempty"` // the newest use that two trustees stated: what the recovery key may open
}

// RecoveryState is the use of the recovery key that one trustee has stated and a second one has not yet.
type RecoveryState struct {
	By           ActorID               `json:"by"`
	Organization OrgID                 `json:"organization,omitempty"`
	Stated       VaultRecoveredDetails `json:"stated"`
	// Since version 3 of the rules: the keys that the trustee had, and until when a second one may state the same.
	Fingerprint Hash `json:"fingerprint,omitzero"`
	Until       Time `json:"until,omitempty"`
}

// RecoveryUse is what two trustees have stated, and until when the recovery key opens it.
type RecoveryUse struct {
	Stated VaultRecoveredDetails `json:"stated"`
	Until  Time                  `json:"until"`
}

// HeadsState is the newest publication of the heads map.
type HeadsState struct {
	Last    Tip   `json:"last"`
	Covers  int64 `json:"covers"`
	Entries int64 `json:"entries"`
	Root    Hash  `json:"root"`
}

func (s *ActorState) Tip() Tip   { return s.Last }
func (s *CaseState) Tip() Tip    { return s.Last }
func (s *ConsentState) Tip() Tip { return s.Last }
func (s *ItemState) Tip() Tip    { return s.Last }
func (s *PolicyState) Tip() Tip  { return s.Last }
func (s *HeadsState) Tip() Tip   { return s.Last }

// NewState returns an empty state for a stream type, to be filled from JSON.
func NewState(t StreamType) (State, error) {
	switch t {
	case ActorStream:
		return &ActorState{}, nil
	case CaseStream:
		return &CaseState{}, nil
	case ConsentStream:
		return &ConsentState{}, nil
	case ItemStream:
		return &ItemState{}, nil
	case PolicyStream:
		return &PolicyState{}, nil
	case VaultStream:
		return &HeadsState{}, nil
	}
	return nil, Refuse(Unknown, ReasonStream)
}
