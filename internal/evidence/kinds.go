package evidence

import "reflect"

// Kind names an event in the past tense (RULES §3).
type Kind string

const (
	ActorEnrolled   Kind = "actor.enrolled"
	ActorKeyRotated Kind = "actor.key_rotated"
	ActorConfirmed  Kind = "actor.confirmed"
	ActorSuspended  Kind = "actor.suspended"
	ActorRevoked    Kind = "actor.revoked"

	CaseOpened         Kind = "case.opened"
	CaseMemberAdded    Kind = "case.member_added"
	CaseMemberRemoved  Kind = "case.member_removed"
	CaseKeyringChanged Kind = "case.keyring_changed"
	CaseClosed         Kind = "case.closed"
	CaseReopened       Kind = "case.reopened"

	ConsentGiven           Kind = "consent.given"
	ConsentNarrowed        Kind = "consent.narrowed"
	ConsentWithdrawn       Kind = "consent.withdrawn"
	ConsentDelegated       Kind = "consent.delegated"
	ConsentDelegationEnded Kind = "consent.delegation_ended"

	ItemDeposited          Kind = "item.deposited"
	ItemSealed             Kind = "item.sealed"
	ItemOpened             Kind = "item.opened"
	ItemVerified           Kind = "item.verified"
	ItemDerived            Kind = "item.derived"
	ItemAmended            Kind = "item.amended"
	ItemTransferred        Kind = "item.transferred"
	ItemReceived           Kind = "item.received"
	ItemExported           Kind = "item.exported"
	ItemEnvelopeAdded      Kind = "item.envelope_added"
	ItemEnvelopeRemoved    Kind = "item.envelope_removed"
	ItemBreakGlass         Kind = "item.break_glass"
	ItemBreakGlassReviewed Kind = "item.break_glass_reviewed"
	ItemShredProposed      Kind = "item.shred_proposed"
	ItemShredCancelled     Kind = "item.shred_cancelled"
	ItemShredded           Kind = "item.shredded"
	RetentionSet           Kind = "retention.set"
	HoldPlaced             Kind = "hold.placed"
	HoldConfirmed          Kind = "hold.confirmed"
	HoldLifted             Kind = "hold.lifted"
	GrantProposed          Kind = "grant.proposed"
	GrantApproved          Kind = "grant.approved"
	GrantRefused           Kind = "grant.refused"
	GrantRevoked           Kind = "grant.revoked"
	GrantExpired           Kind = "grant.expired"
	GrantRedeemed          Kind = "grant.redeemed"
	GrantAcknowledged      Kind = "grant.acknowledged"

	VaultHeads      Kind = "vault.heads"
	VaultConfigured Kind = "vault.configured"
	VaultConfirmed  Kind = "vault.confirmed"
	VaultRecovered  Kind = "vault.recovered"
	VaultRestored   Kind = "vault.restored"
	VaultIncident   Kind = "vault.incident"
)

// kind is what can be said of a kind without looking at an event.
type kind struct {
	stream    StreamType
	details   func() Details
	barrier   bool       // ‡: effective at commit, proved by log order (RULES §3.2, rule 5)
	place     place      // where in its stream the kind may stand
	audiences []Audience // who may be addressed by its notes (FORMATS §3)
}

func (k kind) holds(d Details) bool {
	return reflect.TypeOf(d) == reflect.TypeOf(k.details()) && !reflect.ValueOf(d).IsNil()
}

// place says where in its stream a kind may stand.
type place int

const (
	follows  place = iota // never first
	opens                 // only first
	anywhere              // first or later
)

// Audiences of notes. Actor, policy and vault streams belong to no case, so there is no key to which their notes could be encrypted.
var (
	noNotes   []Audience
	internal  = []Audience{ToInternal}
	ofItem    = []Audience{ToItem, ToInternal}
	recipient = []Audience{ToRecipient}
)

var kinds = map[Kind]kind{
	ActorEnrolled:   {ActorStream, func() Details { return &ActorEnrolledDetails{} }, false, opens, noNotes},
	ActorKeyRotated: {ActorStream, func() Details { return &ActorKeyRotatedDetails{} }, true, follows, noNotes},
	ActorConfirmed:  {ActorStream, func() Details { return &ActorConfirmedDetails{} }, false, follows, noNotes},
	ActorSuspended:  {ActorStream, func() Details { return &ActorSuspendedDetails{} }, true, follows, noNotes},
	ActorRevoked:    {ActorStream, func() Details { return &ActorRevokedDetails{} }, true, follows, noNotes},

	CaseOpened:         {CaseStream, func() Details { return &CaseOpenedDetails{} }, false, opens, internal},
	CaseMemberAdded:    {CaseStream, func() Details { return &CaseMemberAddedDetails{} }, false, follows, internal},
	CaseMemberRemoved:  {CaseStream, func() Details { return &CaseMemberRemovedDetails{} }, true, follows, internal},
	CaseKeyringChanged: {CaseStream, func() Details { return &CaseKeyringChangedDetails{} }, true, follows, internal},
	CaseClosed:         {CaseStream, func() Details { return &CaseClosedDetails{} }, false, follows, internal},
	CaseReopened:       {CaseStream, func() Details { return &CaseReopenedDetails{} }, false, follows, internal},

	ConsentGiven:           {ConsentStream, func() Details { return &ConsentGivenDetails{} }, true, anywhere, internal},
	ConsentNarrowed:        {ConsentStream, func() Details { return &ConsentNarrowedDetails{} }, true, follows, internal},
	ConsentWithdrawn:       {ConsentStream, func() Details { return &ConsentWithdrawnDetails{} }, true, follows, internal},
	ConsentDelegated:       {ConsentStream, func() Details { return &ConsentDelegatedDetails{} }, false, follows, internal},
	ConsentDelegationEnded: {ConsentStream, func() Details { return &ConsentDelegationEndedDetails{} }, true, follows, internal},

	ItemDeposited:          {ItemStream, func() Details { return &ItemDepositedDetails{} }, false, opens, ofItem},
	ItemSealed:             {ItemStream, func() Details { return &ItemSealedDetails{} }, false, follows, ofItem},
	ItemOpened:             {ItemStream, func() Details { return &ItemOpenedDetails{} }, false, follows, internal},
	ItemVerified:           {ItemStream, func() Details { return &ItemVerifiedDetails{} }, false, follows, ofItem},
	ItemDerived:            {ItemStream, func() Details { return &ItemDerivedDetails{} }, false, follows, ofItem},
	ItemAmended:            {ItemStream, func() Details { return &ItemAmendedDetails{} }, false, follows, ofItem},
	ItemTransferred:        {ItemStream, func() Details { return &ItemTransferredDetails{} }, false, follows, ofItem},
	ItemReceived:           {ItemStream, func() Details { return &ItemReceivedDetails{} }, false, follows, ofItem},
	ItemExported:           {ItemStream, func() Details { return &ItemExportedDetails{} }, false, follows, ofItem},
	ItemEnvelopeAdded:      {ItemStream, func() Details { return &ItemEnvelopeAddedDetails{} }, false, follows, ofItem},
	ItemEnvelopeRemoved:    {ItemStream, func() Details { return &ItemEnvelopeRemovedDetails{} }, false, follows, ofItem},
	ItemBreakGlass:         {ItemStream, func() Details { return &ItemBreakGlassDetails{} }, false, follows, internal},
	ItemBreakGlassReviewed: {ItemStream, func() Details { return &ItemBreakGlassReviewedDetails{} }, false, follows, ofItem},
	ItemShredProposed:      {ItemStream, func() Details { return &ItemShredProposedDetails{} }, false, follows, ofItem},
	ItemShredCancelled:     {ItemStream, func() Details { return &ItemShredCancelledDetails{} }, false, follows, ofItem},
	ItemShredded:           {ItemStream, func() Details { return &ItemShreddedDetails{} }, false, follows, ofItem},
	RetentionSet:           {ItemStream, func() Details { return &RetentionSetDetails{} }, false, follows, ofItem},
	HoldPlaced:             {ItemStream, func() Details { return &HoldPlacedDetails{} }, false, follows, internal},
	HoldConfirmed:          {ItemStream, func() Details { return &HoldConfirmedDetails{} }, false, follows, internal},
	HoldLifted:             {ItemStream, func() Details { return &HoldLiftedDetails{} }, false, follows, internal},
	GrantProposed:          {ItemStream, func() Details { return &GrantProposedDetails{} }, false, follows, recipient},
	GrantApproved:          {ItemStream, func() Details { return &GrantApprovedDetails{} }, false, follows, recipient},
	GrantRefused:           {ItemStream, func() Details { return &GrantRefusedDetails{} }, false, follows, internal},
	GrantRevoked:           {ItemStream, func() Details { return &GrantRevokedDetails{} }, true, follows, recipient},
	GrantExpired:           {ItemStream, func() Details { return &GrantExpiredDetails{} }, false, follows, recipient},
	GrantRedeemed:          {ItemStream, func() Details { return &GrantRedeemedDetails{} }, false, follows, recipient},
	GrantAcknowledged:      {ItemStream, func() Details { return &GrantAcknowledgedDetails{} }, false, follows, recipient},

	VaultHeads:      {VaultStream, func() Details { return &VaultHeadsDetails{} }, false, anywhere, noNotes},
	VaultConfigured: {PolicyStream, func() Details { return &VaultConfiguredDetails{} }, false, anywhere, noNotes},
	VaultConfirmed:  {PolicyStream, func() Details { return &VaultConfirmedDetails{} }, true, follows, noNotes},
	VaultRecovered:  {PolicyStream, func() Details { return &VaultRecoveredDetails{} }, true, follows, noNotes},
	VaultRestored:   {PolicyStream, func() Details { return &VaultRestoredDetails{} }, false, follows, noNotes},
	VaultIncident:   {PolicyStream, func() Details { return &VaultIncidentDetails{} }, false, follows, noNotes},
}

// Barrier reports whether events of the streams it affects that were committed before it must be in the log before it, and later
// ones after it.
func (k Kind) Barrier() bool { return kinds[k].barrier }

// Barred is Barrier as the version of the rules has it under which e was signed: after is the state of e's stream after it. Under rules 1 and
// 2 vault.recovered opened nothing, so nothing had to be ordered by it.
func Barred(e *Event, after State) bool {
	if s, ok := after.(*PolicyState); ok && e.Kind == VaultRecovered && s.At(e.Time).Rules < 3 {
		return false
	}
	return e.Kind.Barrier()
}

// Known reports whether this version has a rule book entry for the kind.
func (k Kind) Known() bool { _, ok := kinds[k]; return ok }

// NewDetails returns an empty value of the kind's details, to be filled by a decoder, or an Unknown error.
func NewDetails(k Kind) (Details, error) {
	if d, ok := kinds[k]; ok {
		return d.details(), nil
	}
	return nil, Refuse(Unknown, ReasonKind)
}
