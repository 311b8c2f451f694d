package evidence

import (
	"cmp"
	"slices"
)

// Over reports whether a grant gives nothing any more at now: it was refused or revoked, or has expired, with or without an event.
func (g *GrantState) Over(now Time) bool {
	return g.Status != GrantPending && g.Status != GrantActive || now >= g.Terms.Expires
}

// granted reports whether a grant in force gives a fingerprint its envelope.
func (s *ItemState) granted(fingerprint Hash, now Time) bool {
	return slices.ContainsFunc(s.Grants, func(g GrantState) bool {
		return g.Status == GrantActive && !g.Over(now) && g.Terms.Recipient.Fingerprint == fingerprint
	})
}

// Needs reports whether a grant that still gives something at now needs the envelope of a fingerprint: a freeze, or an answer that has
// become no, ends what stood on it. f must hold the consents that govern the item.
func (s *ItemState) Needs(f Facts, fingerprint Hash, now Time) bool {
	frozen := s.Frozen(f, now) != nil
	consents, err := s.consents(f)
	return err == nil && slices.ContainsFunc(s.Grants, func(g GrantState) bool {
		held := s.carries(g.Hold, &g.Terms, now)
		if g.Status != GrantActive || g.Over(now) || g.Terms.Recipient.Fingerprint != fingerprint || frozen && !held {
			return false
		}
		return !slices.ContainsFunc(consents, func(c *ConsentState) bool {
			if held {
				return c.answers(s.Content, g.Terms.RecipientClass, g.Terms.Jurisdiction) != nil
			}
			return c.Shares(s.Content, g.Terms.RecipientClass, g.Terms.Jurisdiction, now) != nil
		})
	})
}

// grantConcerned returns the grant that the event names.
func (a *act) grantConcerned() (*GrantState, error) {
	g := a.item.Grant(GrantNamed(a.Details))
	if g == nil {
		return nil, Refuse(NotFound, ReasonGrant)
	}
	return g, nil
}

// decided returns a copy of the item with g in the place of the grant of that id, or as a new one.
func (a *act) decided(g GrantState) *ItemState {
	s := *a.item
	s.Last = a.tip
	s.Grants = slices.Clone(s.Grants)
	if old := s.Grant(g.Terms.ID); old != nil {
		*old = g
	} else {
		s.Grants = append(s.Grants, g)
	}
	return &s
}

// ended is decided for a grant that is over: its envelope is destroyed, unless another grant or the keyring needs it.
func (a *act) ended(g GrantState) *ItemState {
	s := a.decided(g)
	if fp := g.Terms.Recipient.Fingerprint; !s.granted(fp, a.Time) && !a.in.OnKeyring(fp) {
		s.Envelopes = without(s.Envelopes, func(e EnvelopeRef) bool { return e.Recipient == fp })
	}
	return s
}

// permitted: every consent that governs the item permits what the terms say, now. What is not held on consent is not shared on
// consent either; what is held on consent, but governed by none, is a consent form, and is not shared at all: it would be a way round
// every answer.
func (a *act) permitted(t *Terms) error {
	consents, err := a.item.consents(a.facts)
	if err != nil {
		return err
	}
	if len(consents) == 0 && (t.LegalBasis == "consent" || a.item.Basis == ByConsent) {
		return Refuse(Invalid, ReasonLegalBasis)
	}
	for _, c := range consents {
		if err := a.answered(c, t.RecipientClass, t.Jurisdiction); err != nil {
			return err
		}
	}
	return nil
}

// answered: the consent lets the item go to a recipient of a role and jurisdiction. A confirmed hold stands in for a consent that has
// ended, never for an answer.
func (a *act) answered(c *ConsentState, to Role, jurisdiction string) error {
	if a.underHold() {
		return c.answers(a.item.Content, to, jurisdiction)
	}
	return c.Shares(a.item.Content, to, jurisdiction, a.Time)
}

// asked: every subject who wanted to be asked before each share has agreed to this one.
func (a *act) asked(g *GrantState) error {
	consents, err := a.item.consents(a.facts)
	for _, c := range consents {
		if c.AskFirst && !slices.Contains(g.Agreed, c.ID) {
			return Refuse(Forbidden, ReasonAskFirst)
		}
	}
	return err
}

// reachable: the recipient is active, with the role and the confirmed keys that the terms name.
func (a *act) reachable(t *Terms) error {
	r, err := a.active(t.Recipient.Actor)
	switch {
	case err != nil:
		return err
	case r.Role != t.RecipientClass || r.Fingerprint() != t.Recipient.Fingerprint:
		return Refuse(Forbidden, ReasonRecipient)
	}
	return nil
}

// checkCounterparty: who is named as the other side of an act on a grant is its recipient.
func (a *act) checkCounterparty() error {
	c, g := a.Counterparty, a.item.Grant(GrantNamed(a.Details))
	if c == nil || g == nil {
		return nil
	}
	t := &g.Terms
	if c.Actor != "" && c.Actor != t.Recipient.Actor || !c.Fingerprint.IsZero() && c.Fingerprint != t.Recipient.Fingerprint ||
		c.Class != "" && c.Class != t.RecipientClass {
		return Refuse(Invalid, ReasonRecipient)
	}
	return nil
}

// sharing: the grant is approved and not over, every consent permits it, and those who wanted to be asked have agreed.
func (a *act) sharing(g *GrantState) error {
	switch {
	case g.Over(a.Time):
		return Refuse(Gone, ReasonGrantOver)
	case g.Status == GrantPending:
		return Refuse(Forbidden, ReasonGrantPending)
	}
	if err := a.permitted(&g.Terms); err != nil {
		return err
	}
	return a.asked(g)
}

// grantProposed: by a keyholder, on a sealed item, to confirmed keys of a court, prosecutor, police or defence, as consent permits.
func grantProposed(a *act) (State, error) {
	own, t := a.item, &a.Details.(*GrantProposedDetails).Terms
	if err := a.keyholder(""); err != nil {
		return nil, err
	}
	switch {
	case !own.Sealed:
		return nil, Refuse(Conflict, ReasonNotSealed)
	case own.Grant(t.ID) != nil:
		return nil, Refuse(Conflict, ReasonGrant)
	}
	if err := a.reachable(t); err != nil {
		return nil, err
	}
	if err := a.checkVersions(t.Consent); err != nil {
		return nil, err
	}
	if err := a.permitted(t); err != nil {
		return nil, err
	}
	g := GrantState{Terms: *t, Status: GrantPending, ProposedBy: a.Actor.ID, Organization: a.Actor.Organization}
	if a.underHold() {
		g.Hold = a.Authority.Hold
	}
	return a.decided(g), nil
}

// grantApproved ②: a custodian of the case (in a complaint an auditor) who did not propose it, over the same terms. Subjects who wanted to be asked first approve
// too, before or after; the grant is active when all have.
func grantApproved(a *act) (State, error) {
	d := a.Details.(*GrantApprovedDetails)
	old, err := a.undecided()
	if err != nil {
		return nil, err
	}
	g := *old
	switch {
	case g.Over(a.Time):
		return nil, Refuse(Gone, ReasonGrantOver)
	case d.Terms != g.Terms.Digest():
		return nil, Refuse(Conflict, ReasonTerms)
	case a.Actor.Role == a.manager() && g.Custodian != "":
		return nil, Refuse(Conflict, ReasonApproved)
	}
	if a.Actor.Role == a.manager() {
		if err := a.second(g.ProposedBy, g.Organization); err != nil {
			return nil, err
		}
		g.Custodian = a.Actor.ID
	} else if g.Agreed, err = a.agreeing(old); err != nil {
		return nil, err
	}
	if err := a.reachable(&g.Terms); err != nil {
		return nil, err
	}
	if err := a.permitted(&g.Terms); err != nil {
		return nil, err
	}
	if !slices.Contains(g.ApprovedBy, a.Actor.ID) {
		g.ApprovedBy = append(slices.Clip(g.ApprovedBy), a.Actor.ID)
	}
	if g.Custodian != "" && a.asked(&g) == nil {
		g.Status = GrantActive
	}
	return a.decided(g), nil
}

// agreeing returns the consents whose subjects have agreed to the grant, with those for whom the signer now does.
func (a *act) agreeing(g *GrantState) ([]ConsentID, error) {
	consents, err := a.item.consents(a.facts)
	if err != nil {
		return nil, err
	}
	agreed := g.Agreed
	for _, c := range consents {
		if a.speaksFor(c, "approve") {
			agreed = with(agreed, c.ID, cmp.Compare[ConsentID])
		}
	}
	if len(agreed) == len(g.Agreed) {
		return nil, Refuse(Conflict, ReasonApproved)
	}
	return agreed, nil
}

// undecided returns a pending grant that the signer may decide: a custodian with the right to approve, or a subject.
func (a *act) undecided() (*GrantState, error) {
	g, err := a.grantConcerned()
	if err != nil {
		return nil, err
	}
	if a.Actor.Role == Survivor || a.Actor.Role == Advocate {
		err = a.speaks("approve")
	} else {
		err = a.decides(MayApprove)
	}
	if err == nil && g.Status != GrantPending {
		err = Refuse(Conflict, ReasonNotPending)
	}
	return g, err
}

// grantRefused: as an approver; kept for ever.
func grantRefused(a *act) (State, error) {
	old, err := a.undecided()
	if err != nil {
		return nil, err
	}
	if old.ProposedBy == a.Actor.ID {
		return nil, Refuse(Forbidden, ReasonSecondPerson)
	}
	g := *old
	g.Status = GrantDenied
	return a.decided(g), nil
}

// grantRevoked: by any custodian of the case, who proposed it, or a subject. No second person: stopping is always safe.
func grantRevoked(a *act) (State, error) {
	old, err := a.grantConcerned()
	if err != nil {
		return nil, err
	}
	if old.ProposedBy != a.Actor.ID {
		if a.Actor.Role == Survivor {
			err = a.speaks("")
		} else {
			err = a.decides("")
		}
		if err != nil {
			return nil, err
		}
	}
	if old.Status != GrantPending && old.Status != GrantActive {
		return nil, Refuse(Gone, ReasonGrantOver)
	}
	g := *old
	g.Status = GrantEnded
	return a.ended(g), nil
}

// grantExpired: the vault tidies up after the end; the end binds without it.
func grantExpired(a *act) (State, error) {
	old, err := a.grantConcerned()
	switch {
	case err != nil:
		return nil, err
	case old.Status != GrantPending && old.Status != GrantActive:
		return nil, Refuse(Gone, ReasonGrantOver)
	case a.Time < old.Terms.Expires:
		return nil, Refuse(Conflict, ReasonGrantRunning)
	}
	g := *old
	g.Status = GrantOver
	return a.ended(g), nil
}

// redeeming is what grantRedeemed and every later release on its strength demand: exactly the recipient, with the granted key, in time,
// and consent as it is at that instant.
func (a *act) redeeming(d *GrantRedeemedDetails) error {
	g, err := a.grantConcerned()
	if err != nil {
		return err
	}
	t, fingerprint := &g.Terms, a.signer.Fingerprint()
	if t.Recipient.Actor != a.Actor.ID || t.Recipient.Fingerprint != fingerprint || t.RecipientClass != a.Actor.Role {
		return Refuse(Forbidden, ReasonRecipient)
	}
	if err := a.sharing(g); err != nil {
		return err
	}
	switch {
	case a.Time < t.NotBefore, a.Time < t.CoolingOff:
		return Refuse(Forbidden, ReasonNotYet)
	case !slices.Contains(t.Actions, d.Action):
		return Refuse(Forbidden, ReasonAction)
	case a.Purpose != "" && a.Purpose != t.Purpose:
		return Refuse(Invalid, ReasonTerms)
	}
	return a.served(fingerprint, d.Envelope)
}

func grantRedeemed(a *act) (State, error) {
	d := a.Details.(*GrantRedeemedDetails)
	if err := a.redeeming(d); err != nil {
		return nil, err
	}
	g := *a.item.Grant(d.Grant)
	g.Redeemed = append(slices.Clip(g.Redeemed), a.tip.Leaf)
	return a.decided(g), nil
}

// grantAcknowledged: the recipient compared what arrived. "Equal" cannot be said of another digest; "not equal" is an alarm that a
// later acknowledgement may settle.
func grantAcknowledged(a *act) (State, error) {
	d := a.Details.(*GrantAcknowledgedDetails)
	old, err := a.grantConcerned()
	switch {
	case err != nil:
		return nil, err
	case old.Terms.Recipient.Actor != a.Actor.ID:
		return nil, Refuse(Forbidden, ReasonRecipient)
	case len(old.Redeemed) == 0:
		return nil, Refuse(Forbidden, ReasonNotRedeemed)
	case old.Acknowledged && !old.Unequal:
		return nil, Refuse(Conflict, ReasonAcknowledged)
	case d.Equal && d.Evidence != a.item.Evidence.SHA256:
		return nil, Refuse(Invalid, ReasonEqual)
	}
	g := *old
	g.Acknowledged, g.Unequal = true, !d.Equal
	return a.decided(g), nil
}
