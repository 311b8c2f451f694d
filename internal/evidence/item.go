package evidence

import (
	"cmp"
	"slices"
)

// Grant returns a grant on the item, or nil.
func (s *ItemState) Grant(id GrantID) *GrantState {
	for i := range s.Grants {
		if s.Grants[i].Terms.ID == id {
			return &s.Grants[i]
		}
	}
	return nil
}

// Envelope returns the envelope that exists for a fingerprint.
func (s *ItemState) Envelope(fingerprint Hash) (EnvelopeRef, bool) {
	i, found := slices.BinarySearchFunc(s.Envelopes, EnvelopeRef{Recipient: fingerprint}, byRecipient)
	if !found {
		return EnvelopeRef{}, false
	}
	return s.Envelopes[i], true
}

// consents returns the states of the consents that govern the item. A consent form, which states what was asked, and material on
// another basis have none.
func (s *ItemState) consents(f Facts) ([]*ConsentState, error) {
	list := make([]*ConsentState, len(s.Consent))
	for i, id := range s.Consent {
		c, err := lookup[*ConsentState](f, ConsentOf(id))
		if err != nil {
			return nil, err
		}
		list[i] = c
	}
	return list, nil
}

// governing are the consents that govern the item. An act on a consent form may name the one that it was the form of: so the form is the
// subject's as what was allowed by it is. Under rules 1 it was nobody's.
func (a *act) governing() ([]*ConsentState, error) {
	if a.item.Class != ConsentForm || len(a.Consent) == 0 || a.policy.Rules < 2 {
		return a.item.consents(a.facts)
	}
	c, err := lookup[*ConsentState](a.facts, ConsentOf(a.Consent[0].ID))
	if err == nil && !slices.Contains(c.Forms, a.item.ID) {
		err = Refuse(Invalid, ReasonConsentForm)
	}
	return []*ConsentState{c}, err
}

// kept says why the item's consents do not permit it to be kept, or nil. Every subject must permit.
func (s *ItemState) kept(f Facts, now Time) error {
	consents, err := s.consents(f)
	for _, c := range consents {
		if err := c.Keeps(s.Content, now); err != nil {
			return err
		}
	}
	return err
}

// Frozen says that nothing may be released because a consent was withdrawn, narrowed or has ended, or nil (RULES §4.4). f must hold the
// consents that govern the item.
func (s *ItemState) Frozen(f Facts, now Time) error {
	err := s.kept(f, now)
	if err == nil || KindOf(err) == Conflict {
		return err
	}
	return &Error{Kind: Held, Reason: ReasonFrozen, Err: err}
}

// Release says whether content may still be served at now on the strength of e, an item.opened or grant.redeemed on this item that
// was accepted and is in the log. f holds the current states of what e stands on (StandsOn). It is asked again for every range.
func (s *ItemState) Release(f Facts, e *Event, now Time) error {
	again := *e
	again.Time = max(now, e.Time)
	a := &act{Event: &again, facts: f, item: s}
	if e.Stream.Stream() != ItemOf(s.ID) {
		return Refuse(Invalid, ReasonStream)
	}
	r := rules[e.Kind]
	if err := a.checkSigner(r); err != nil {
		return err
	}
	var err error
	if a.in, err = lookup[*CaseState](f, CaseOf(s.Case)); err != nil {
		return err
	}
	if err := a.standing(r); err != nil {
		return err
	}
	switch d := e.Details.(type) {
	case *ItemOpenedDetails:
		return a.opening(d)
	case *ItemBreakGlassDetails:
		return a.breaking(d)
	case *GrantRedeemedDetails:
		return a.redeeming(d)
	}
	return Refuse(Forbidden, ReasonNotOpened)
}

// checkObject compares what an event says in plain about its item with what is known.
func (a *act) checkObject(s *ItemState) error {
	exhibit := s.Exhibit
	if d, ok := a.Details.(*ItemSealedDetails); ok {
		exhibit = d.Exhibit
	}
	if o := a.Object; o != nil && (o.Class != s.Class || o.Content != s.Content || o.Exhibit != 0 && o.Exhibit != exhibit) {
		return Refuse(Invalid, ReasonObject)
	}
	if d := a.Digests; d != nil && (d.After != s.Evidence.SHA256 || d.Size != s.Evidence.Size || !d.Before.IsZero() && d.Before != d.After) {
		return Refuse(Invalid, ReasonObject)
	}
	if u := a.Authority; u != nil {
		if u.Hold != "" {
			if err := a.named(s.Hold(u.Hold)); err != nil {
				return err
			}
		}
		if u.Grant != "" && s.Grant(u.Grant) == nil {
			return Refuse(NotFound, ReasonGrant)
		}
	}
	if len(a.Consent) > 0 {
		return a.checkVersions(a.Consent)
	}
	return nil
}

// checkVersions: the references name every consent that governs the item, in its current version.
func (a *act) checkVersions(refs []ConsentRef) error {
	consents, err := a.governing()
	switch {
	case err != nil:
		return err
	case !slices.EqualFunc(consents, refs, func(c *ConsentState, r ConsentRef) bool { return c.ID == r.ID && c.Version == r.Version }):
		return Refuse(Conflict, ReasonConsentVersion)
	}
	return nil
}

// newItem is the state that a deposit begins.
func newItem(a *act) *ItemState {
	d := a.Details.(*ItemDepositedDetails)
	s := &ItemState{
		Last: a.tip, ID: ItemID(a.Stream.ID), Case: a.Case, Depositor: a.Actor.ID, Deposited: a.Time, ItemRecipient: d.ItemRecipient,
		Class: d.Class, Content: d.Content, Basis: d.Basis, Source: d.Source,
		Evidence: d.Evidence, Description: d.Description, Label: d.Label, Envelopes: d.Envelopes,
	}
	for _, c := range a.Consent {
		s.Consent = append(s.Consent, c.ID)
	}
	return s
}

// itemDeposited: by a member with the right, into an open case, as every consent named permits, with an envelope for exactly each
// keyholder and recovery. It is a draft until sealed, and unconfirmed until another keyholder has opened and verified it.
func itemDeposited(a *act) (State, error) {
	s := a.item
	if err := a.member(MayDeposit); err != nil {
		return nil, err
	}
	if !a.in.Open {
		return nil, Refuse(Conflict, ReasonCaseClosed)
	}
	if err := a.opinions(); err != nil {
		return nil, err
	}
	consents, err := s.consents(a.facts)
	if err != nil {
		return nil, err
	}
	for _, c := range consents {
		if c.Case != a.Case {
			return nil, Refuse(Invalid, ReasonCase)
		}
	}
	if err := s.kept(a.facts, a.Time); err != nil {
		return nil, err
	}
	recipients := make([]Hash, 0, len(a.in.Keyring)+1)
	for _, k := range a.in.Keyring {
		recipients = append(recipients, k.Fingerprint)
	}
	if !addressed(s.Envelopes, append(recipients, a.in.Recovery)) {
		return nil, Refuse(Conflict, ReasonEnvelopes)
	}
	if s.Source != "" {
		if err := a.fromSource(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// itemSealed: final, by the depositor or a custodian of the case. An exhibit goes back to one original.
func itemSealed(a *act) (State, error) {
	own, d := a.item, a.Details.(*ItemSealedDetails)
	if err := a.member(""); err != nil {
		return nil, err
	}
	if a.Actor.ID != own.Depositor && a.Actor.Role != a.manager() {
		return nil, Refuse(Forbidden, ReasonRole)
	}
	if own.Sealed {
		return nil, Refuse(Conflict, ReasonSealed)
	}
	root := own.ID
	if own.Source != "" {
		source, err := lookup[*ItemState](a.facts, ItemOf(own.Source))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(source.everybodys(), func(s *ItemState) bool { return !s.Sealed }) {
			return nil, Refuse(Conflict, ReasonNotSealed)
		}
		root = source.Root
	}
	if d.Root != root {
		return nil, Refuse(Invalid, ReasonRoot)
	}
	s := *own
	s.Last, s.Sealed, s.Exhibit, s.Root = a.tip, true, d.Exhibit, d.Root
	return &s, nil
}

// opening is what itemOpened and every later release on its strength demand.
func (a *act) opening(d *ItemOpenedDetails) error {
	if a.Actor.Role == Survivor {
		if err := a.speaks(""); err != nil {
			return err
		}
		if a.Purpose != ForSubjectAccess {
			return Refuse(Invalid, ReasonPurpose)
		}
		return a.served(a.signer.Fingerprint(), d.Envelope)
	}
	if err := a.keyholder(MayOpen); err != nil {
		return err
	}
	if a.Purpose == ForRecovery && a.policy.Rules >= 3 {
		return a.recovering(d)
	}
	return a.served(a.signer.Fingerprint(), d.Envelope)
}

// recovering: a keyholder whose own envelope is of no use any more asks for that of the recovery key. Two trustees have stated this use of it
// before (vaultRecovered), so none goes unseen, and it is not over.
func (a *act) recovering(d *ItemOpenedDetails) error {
	use := a.policy.Recoverable(a.Time)
	if use == nil || !slices.Contains(use.Stated.Items, a.item.ID) {
		return Refuse(Forbidden, ReasonNotRecovered)
	}
	return a.served(use.Stated.Recovery, d.Envelope)
}

// served: the file is sound, and the envelope asked for is that of the signer's keys. Where the content was found to differ, a keyholder
// may open it to compare it again, and for nothing else: otherwise one mistaken comparison would shut the item for good.
func (a *act) served(fingerprint, envelope Hash) error {
	again := a.Kind == ItemOpened && a.Purpose == ForVerification && a.item.DamagedScope == "content"
	if a.item.Damaged && !again {
		return Refuse(Held, ReasonDamaged)
	}
	if e, ok := a.item.Envelope(fingerprint); !ok || e.SHA256 != envelope {
		return Refuse(NotFound, ReasonEnvelope)
	}
	return nil
}

// EnvelopeNamed is the envelope that an access asks for; zero if the event is none.
func EnvelopeNamed(d Details) Hash {
	switch d := d.(type) {
	case *ItemOpenedDetails:
		return d.Envelope
	case *ItemBreakGlassDetails:
		return d.Envelope
	case *GrantRedeemedDetails:
		return d.Envelope
	}
	return Hash{}
}

func itemOpened(a *act) (State, error) {
	if err := a.opening(a.Details.(*ItemOpenedDetails)); err != nil {
		return nil, err
	}
	s := *a.item
	s.Last, s.OpenedBy = a.tip, with(s.OpenedBy, a.Actor.ID, cmp.Compare[ActorID])
	return &s, nil
}

func (a *act) opened() bool { return slices.Contains(a.item.OpenedBy, a.Actor.ID) }

// itemVerified: the vault and auditors compare the stored file with the deposit; a keyholder who opened the item also its content. A
// failure stops serving until a verification of at least the same scope succeeds. Success by a keyholder other than the depositor
// confirms the item.
func itemVerified(a *act) (State, error) {
	own, d := a.item, a.Details.(*ItemVerifiedDetails)
	content := d.Scope == "content"
	if content || a.Actor.Role != Vault && a.Actor.Role != Auditor {
		if err := a.keyholder(""); err != nil {
			return nil, err
		}
	}
	if content && !a.opened() {
		return nil, Refuse(Forbidden, ReasonNotOpened)
	}
	success, equal := a.Result.Outcome == Success, d.Evidence == own.Evidence.SHA256
	if success && !equal || !success && equal && !content {
		return nil, Refuse(Invalid, ReasonResult)
	}
	s := *own
	s.Last = a.tip
	switch {
	case success:
		if a.Actor.Role == Vault {
			s.Compared = a.Time
		}
		s.Confirmed = s.Confirmed || content && a.Actor.ID != own.Depositor
		if content || own.DamagedScope != "content" {
			s.Damaged, s.DamagedScope = false, ""
		}
	case content || !own.Damaged:
		s.Damaged, s.DamagedScope = true, d.Scope
	}
	return &s, nil
}

// itemExported: here tracking ends. By a keyholder who opened the item, or by a recipient who redeemed a grant that allows a copy.
func itemExported(a *act) (State, error) {
	d := a.Details.(*ItemExportedDetails)
	g := a.item.Grant(d.Grant)
	if d.Grant != "" && g == nil {
		return nil, Refuse(NotFound, ReasonGrant)
	}
	if a.Actor.Role.External() {
		switch {
		case g == nil:
			return nil, Refuse(NotFound, ReasonGrant)
		case g.Terms.Recipient.Actor != a.Actor.ID:
			return nil, Refuse(Forbidden, ReasonRecipient)
		case len(g.Redeemed) == 0:
			return nil, Refuse(Forbidden, ReasonNotRedeemed)
		case !slices.Contains(g.Terms.Actions, Download):
			return nil, Refuse(Forbidden, ReasonAction)
		}
	} else {
		if err := a.keyholder(MayOpen); err != nil {
			return nil, err
		}
		if !a.opened() {
			return nil, Refuse(Forbidden, ReasonNotOpened)
		}
	}
	if g != nil {
		if err := a.sharing(g); err != nil {
			return nil, err
		}
	}
	s := *a.item
	s.Last = a.tip
	return &s, nil
}
