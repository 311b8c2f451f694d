package evidence

import (
	"cmp"
	"slices"
)

// rule is what may happen to a stream. The state machine is this table, the rules it names, and what Apply checks for all of them.
type rule struct {
	signers []Role // who can ever sign the kind; the rule narrows it to members, keyholders, recipients
	thaw    bool   // passes while the item is frozen or in the bin (RULES §4.4); says nothing for other streams
	final   bool   // passes after the item was shredded
	reads   bool   // passes in a restored vault that waits for its confirmation (RULES §3.7)
	apply   func(*act) (State, error)
}

var (
	caseStaff  = []Role{Clinician, Investigator, Custodian}
	managers   = []Role{Custodian, Auditor} // auditors in complaints
	members    = []Role{Clinician, Investigator, Custodian, Auditor, Survivor, Advocate}
	keyholders = []Role{Clinician, Investigator, Custodian, Auditor} // auditors hold the keys of complaints
	recipients = []Role{Court, Prosecutor, Police, Defence}
	everybody  = roles
)

var rules = map[Kind]rule{
	ActorEnrolled:   {signers: everybody, apply: actorEnrolled}, // founders enrol themselves
	ActorKeyRotated: {signers: []Role{Administrator, Custodian, Trustee}, apply: actorKeyRotated},
	ActorConfirmed:  {signers: []Role{Administrator, Custodian, Trustee}, apply: actorConfirmed},
	ActorSuspended:  {signers: []Role{Administrator, Custodian, Vault}, reads: true, apply: actorSuspended},
	ActorRevoked:    {signers: everybody, reads: true, apply: actorRevoked}, // oneself

	CaseOpened:         {signers: []Role{Clinician, Investigator, Custodian, Survivor, Advocate}, apply: caseOpened},
	CaseMemberAdded:    {signers: managers, apply: caseMemberAdded},
	CaseMemberRemoved:  {signers: members, apply: caseMemberRemoved}, // oneself
	CaseKeyringChanged: {signers: managers, apply: caseKeyringChanged},

	CaseClosed:   {signers: managers, apply: caseClosed},
	CaseReopened: {signers: managers, apply: caseReopened},

	ConsentGiven:           {signers: []Role{Clinician, Investigator, Survivor}, apply: consentGiven},
	ConsentNarrowed:        {signers: members, reads: true, apply: consentNarrowed},
	ConsentWithdrawn:       {signers: members, reads: true, apply: consentWithdrawn},
	ConsentDelegated:       {signers: []Role{Survivor, Clinician, Custodian}, apply: consentDelegated},
	ConsentDelegationEnded: {signers: []Role{Survivor, Advocate, Custodian}, reads: true, apply: consentDelegationEnded},

	ItemDeposited:       {signers: members, apply: itemDeposited},
	ItemSealed:          {signers: members, apply: itemSealed},
	ItemOpened:          {signers: slices.Concat(keyholders, []Role{Survivor}), reads: true, apply: itemOpened},
	ItemVerified:        {signers: slices.Concat(keyholders, []Role{Vault}), thaw: true, reads: true, apply: itemVerified},
	ItemDerived:         {signers: keyholders, apply: itemDerived},
	ItemAmended:         {signers: members, apply: itemAmended},
	ItemTransferred:     {signers: members, apply: itemTransferred},
	ItemReceived:        {signers: slices.Concat(members, recipients), thaw: true, final: true, apply: itemReceived},
	ItemExported:        {signers: slices.Concat(keyholders, recipients), reads: true, apply: itemExported},
	ItemEnvelopeAdded:   {signers: keyholders, apply: itemEnvelopeAdded},
	ItemEnvelopeRemoved: {signers: slices.Concat(keyholders, []Role{Vault}), thaw: true, reads: true, apply: itemEnvelopeRemoved},

	ItemBreakGlass:         {signers: keyholders, reads: true, apply: itemBreakGlass},
	ItemBreakGlassReviewed: {signers: []Role{Custodian, Auditor}, thaw: true, final: true, apply: itemBreakGlassReviewed},
	ItemShredProposed:      {signers: managers, thaw: true, apply: itemShredProposed},
	ItemShredCancelled:     {signers: managers, thaw: true, apply: itemShredCancelled},
	ItemShredded:           {signers: managers, thaw: true, apply: itemShredded},
	RetentionSet:           {signers: managers, thaw: true, apply: retentionSet},
	HoldPlaced:             {signers: managers, thaw: true, apply: holdPlaced},
	HoldConfirmed:          {signers: managers, thaw: true, apply: holdConfirmed},
	HoldLifted:             {signers: slices.Concat(managers, []Role{Vault}), thaw: true, apply: holdLifted},

	GrantProposed:     {signers: keyholders, apply: grantProposed},
	GrantApproved:     {signers: slices.Concat(managers, []Role{Survivor, Advocate}), apply: grantApproved},
	GrantRefused:      {signers: slices.Concat(managers, []Role{Survivor, Advocate}), thaw: true, reads: true, apply: grantRefused},
	GrantRevoked:      {signers: slices.Concat(keyholders, []Role{Survivor}), thaw: true, reads: true, apply: grantRevoked},
	GrantExpired:      {signers: []Role{Vault}, thaw: true, reads: true, apply: grantExpired},
	GrantRedeemed:     {signers: recipients, reads: true, apply: grantRedeemed},
	GrantAcknowledged: {signers: recipients, thaw: true, final: true, reads: true, apply: grantAcknowledged},

	VaultHeads:      {signers: []Role{Vault}, reads: true, apply: vaultHeads},
	VaultConfigured: {signers: []Role{Administrator, Vault}, apply: vaultConfigured},
	VaultConfirmed:  {signers: []Role{Custodian}, reads: true, apply: vaultConfirmed},
	VaultRecovered:  {signers: []Role{Trustee}, apply: vaultRecovered},
	VaultRestored:   {signers: []Role{Vault}, reads: true, apply: vaultRestored},
	VaultIncident:   {signers: []Role{Administrator, Auditor}, reads: true, apply: vaultIncident},
}

// act is an event on its way through the rules, with what every rule needs.
type act struct {
	*Event
	facts  Facts
	own    State        // of the event's stream before it, nil at seq 0
	signer *ActorState  // active, in the stated role; nil only for a founder's own enrolment
	policy *PolicyState // in force at the event's time; nil only for a founder's own enrolment and the first vault.configured
	tip    Tip          // of the event's stream after it
	item   *ItemState   // of item streams; for a deposit the state it begins
	in     *CaseState   // the case of item and consent streams; of case streams the own state, nil at seq 0
}

// Apply decides whether e may happen. It returns the new state of e's stream, or an *Error whose Reason names the rule that refused.
// leaf is e's Merkle leaf hash. f must hold e's own stream, if it exists, and every stream e stands on (StandsOn) that exists, at the
// head e names: for the server the current ones, for a verifier those that e.ReliedOn names.
//
// Apply changes nothing it is given, has no clock and sees no keys at work. It leaves to its callers:
//   - the statement's signature by the key of the signer's state, and the proofs of possession in Keys: custody;
//   - CheckClock, for the server;
//   - what holds across streams, because no event can prove it: keys, recipients, item recipients and exhibit numbers are used
//     once, notes, envelopes and files exist and have the stated digests: vault.
func Apply(f Facts, e *Event, leaf Hash) (State, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	state, err := decide(f, e, leaf)
	if err != nil {
		return nil, err
	}
	if before, ok := f.States[e.Stream.Stream()].(*ItemState); ok {
		after := state.(*ItemState)
		veil(f, e, leaf, before, after)
		if e.Kind == ItemShredded && after.Withheld(e.Stream.Seq, 0) != 0 {
			return nil, Refuse(Held, ReasonUnseen) // nobody is left to believe that the item is still there
		}
	}
	return state, nil
}

// decide is Apply of an event in its proper form, but for what is withheld from some.
func decide(f Facts, e *Event, leaf Hash) (State, error) {
	r := rules[e.Kind]
	switch {
	case e.Vault != f.Origin:
		return nil, Refuse(Invalid, ReasonVault)
	case leaf.IsZero():
		return nil, errDigest
	}
	a := &act{Event: e, facts: f, own: f.States[e.Stream.Stream()], tip: Tip{e.Stream.Seq, leaf, e.Time}}
	for _, check := range []func() error{a.checkPosition, a.checkBasis, a.checkSubjects, func() error { return a.checkSigner(r) }} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := a.checkStream(); err != nil {
		return nil, err
	}
	if err := a.checkDelegation(); err != nil {
		return nil, err
	}
	if a.Stream.Type == ItemStream && a.own != nil {
		if err := a.standing(r); err != nil {
			return nil, err
		}
	}
	return r.apply(a)
}

// checkPosition: the event follows the last one of its stream.
func (a *act) checkPosition() error {
	if a.own == nil {
		if a.Stream.Seq != 0 {
			return Refuse(Conflict, ReasonPosition)
		}
		return nil
	}
	switch tip := a.own.Tip(); {
	case a.Stream.Seq != tip.Seq+1 || a.Stream.Prev != tip.Leaf:
		return Refuse(Conflict, ReasonPosition)
	case a.Time < tip.Time:
		return Refuse(Invalid, ReasonTimeOrder)
	}
	return nil
}

// checkBasis: relied_on names exactly the streams that the act stands on and that exist, as they are now.
func (a *act) checkBasis() error {
	named := a.ReliedOn
	for _, s := range StandsOn(a.own, a.Event) {
		state := a.facts.States[s]
		if state == nil {
			continue
		}
		if len(named) == 0 || named[0].Stream() != s {
			if len(named) > 0 && named[0].Stream().Compare(s) < 0 {
				return Refuse(Invalid, ReasonSuperfluousBasis)
			}
			return Refuse(Conflict, ReasonMissingBasis)
		}
		switch tip := state.Tip(); {
		case named[0].Seq != tip.Seq || named[0].Head != tip.Leaf:
			return Refuse(Conflict, ReasonStaleBasis)
		case a.Time < tip.Time:
			return Refuse(Invalid, ReasonTimeOrder)
		}
		named = named[1:]
	}
	if len(named) > 0 {
		return Refuse(Invalid, ReasonSuperfluousBasis)
	}
	return nil
}

func (a *act) checkSubjects() error {
	if !slices.Equal(a.Subject, a.Subjects(a.own)) {
		return Refuse(Invalid, ReasonSubject)
	}
	return nil
}

// checkSigner: the signer is active, confirmed and who they say they are, and the kind is theirs to sign (RULES §3.2, rule 1). Founders
// enrolling themselves are judged by their rule.
func (a *act) checkSigner(r rule) error {
	if !slices.Contains(r.signers, a.Actor.Role) {
		return Refuse(Forbidden, ReasonRole)
	}
	if founding(a.Event) {
		return nil
	}
	signer, err := lookup[*ActorState](a.facts, ActorOf(a.Actor.ID))
	if err != nil {
		return err
	}
	inactive := signer.Inactive(a.Time)
	// Without heads nobody could look at the vault's own new key, so nobody could confirm it.
	heads := a.Kind == VaultHeads && ReasonOf(inactive) == ReasonSignerPending
	if inactive != nil && !heads {
		return inactive
	}
	if signer.Role != a.Actor.Role || signer.Organization != a.Actor.Organization {
		return Refuse(Forbidden, ReasonSignerRole)
	}
	a.signer = signer
	if a.Kind == VaultConfigured && a.own == nil {
		return nil
	}
	policy, err := lookup[*PolicyState](a.facts, PolicyOf(a.Vault))
	if err != nil {
		return err
	}
	if signer.Role == Vault && signer.ID != policy.Vault {
		return Refuse(Forbidden, ReasonOtherVaultKey)
	}
	if d, recovery := a.Details.(*VaultRecoveredDetails); !policy.Restored.IsZero() && !r.reads && !(recovery && d.Ends()) {
		return Refuse(Held, ReasonRestored)
	}
	if a.policy = policy.At(a.Time); heads && a.policy.Rules < 3 {
		return inactive
	}
	return nil
}

// checkStream finds the case, and for an item compares what the event says about it with what is known.
func (a *act) checkStream() (err error) {
	switch a.Stream.Type {
	case CaseStream:
		a.in, _ = a.own.(*CaseState)
	case ConsentStream:
		a.in, err = lookup[*CaseState](a.facts, CaseOf(a.Case))
	case ItemStream:
		if a.in, err = lookup[*CaseState](a.facts, CaseOf(a.Case)); err != nil {
			return err
		}
		a.item, _ = a.own.(*ItemState)
		if a.item == nil {
			a.item = newItem(a) // item.deposited is the only kind that is ever first
			return a.checkObject(a.item)
		}
		if a.item.Case != a.Case {
			return Refuse(Invalid, ReasonCase)
		}
		return cmp.Or(a.checkObject(a.item), a.checkCounterparty())
	}
	return err
}

// second refuses the person who took the first step, and where the policy demands it everybody of the same organization
// (RULES §3.2, rule 3).
func (a *act) second(first ActorID, organization OrgID) error {
	switch {
	case a.Actor.ID == first || a.Actor.OnBehalfOf == first:
		return Refuse(Forbidden, ReasonSecondPerson)
	case a.policy.Policy.TwoOrganizations && a.Actor.Organization == organization:
		return Refuse(Forbidden, ReasonTwoOrgs)
	}
	return nil
}

// founding reports whether a founder enrols itself.
func founding(e *Event) bool {
	return e.Kind == ActorEnrolled && e.Stream.ID == string(e.Actor.ID)
}

// lookup returns a state that the act cannot do without.
func lookup[T State](f Facts, s Stream) (T, error) {
	state, ok := f.States[s].(T)
	if !ok {
		return state, Refuse(Conflict, ReasonMissingBasis)
	}
	return state, nil
}

// with returns a copy of a sorted list with v in the place of the entry that compares equal, or inserted.
func with[T any](list []T, v T, compare func(a, b T) int) []T {
	i, found := slices.BinarySearchFunc(list, v, compare)
	out := make([]T, 0, len(list)+1)
	out = append(append(out, list[:i]...), v)
	if found {
		i++
	}
	return append(out, list[i:]...)
}

// without returns a copy of list less the entries that drop accepts.
func without[T any](list []T, drop func(T) bool) []T {
	out := make([]T, 0, len(list))
	for _, v := range list {
		if !drop(v) {
			out = append(out, v)
		}
	}
	return out
}
