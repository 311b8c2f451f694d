package evidence

import (
	"cmp"
	"slices"
)

// Fingerprint names the keys in force (FORMATS §9).
func (s *ActorState) Fingerprint() Hash {
	spki, _ := decodeBase64(s.Key) // well formed: it passed Check
	return Fingerprint(spki, s.Recipient)
}

// Active reports whether the actor's signatures count at now.
func (s *ActorState) Active(now Time) bool { return s.Inactive(now) == nil }

// Inactive says why the actor's signatures do not count at now, or nil. A suspension ends by itself.
func (s *ActorState) Inactive(now Time) error {
	switch {
	case s.Status == StatusRevoked:
		return Refuse(Forbidden, ReasonSignerRevoked)
	case s.Status == StatusPending:
		return Refuse(Forbidden, ReasonSignerPending)
	case now < s.SuspendedTill:
		return Refuse(Forbidden, ReasonSignerSuspended)
	}
	return nil
}

// active returns another actor that the act names; it must be active.
func (a *act) active(id ActorID) (*ActorState, error) {
	s, err := lookup[*ActorState](a.facts, ActorOf(id))
	if err == nil && !s.Active(a.Time) {
		err = Refuse(Forbidden, ReasonActorInactive)
	}
	return s, err
}

// actorEnrolled: founders enrol themselves as the trust file names them; staff are enrolled by an administrator, everybody else by a
// custodian, and stay pending until another person has compared the fingerprint. The vault's own key is always a founder's.
func actorEnrolled(a *act) (State, error) {
	d := a.Details.(*ActorEnrolledDetails)
	s := &ActorState{
		Last: a.tip, ID: ActorID(a.Stream.ID), Role: d.Role, Organization: d.Organization, Key: d.Key, Recipient: d.Recipient,
		Status: StatusPending, DocumentsOnly: d.DocumentsOnly, Trustees: d.Trustees,
	}
	if founding(a.Event) {
		spki, _ := decodeBase64(d.Key)
		switch {
		case !slices.Contains(a.facts.Founders, Founder{s.ID, d.Role, SHA256(spki)}):
			return nil, Refuse(Forbidden, ReasonFounder)
		case d.Possession != "":
			return nil, Refuse(Invalid, ReasonPossession)
		case a.Actor.OnBehalfOf != "":
			return nil, Refuse(Forbidden, ReasonDelegation)
		case d.Role != a.Actor.Role || d.Organization != a.Actor.Organization:
			return nil, Refuse(Invalid, ReasonSignerRole)
		}
		s.Status, s.Founder = StatusActive, true
		return s, nil
	}
	enroller := Custodian
	if d.Role.Staff() {
		enroller = Administrator
	}
	switch {
	case d.Role == Vault:
		return nil, Refuse(Forbidden, ReasonFounder)
	case a.Actor.Role != enroller:
		return nil, Refuse(Forbidden, ReasonEnroller)
	case d.Possession == "":
		return nil, Refuse(Invalid, ReasonPossession)
	}
	for _, id := range d.Trustees {
		if t, err := a.active(id); err != nil {
			return nil, err
		} else if t.Role != Trustee {
			return nil, Refuse(Invalid, ReasonTrustee)
		}
	}
	s.introduce(a.Actor)
	return s, nil
}

// actorKeyRotated: never the actor alone, whatever the cause; nothing the actor signs counts until another person has confirmed the
// new keys.
func actorKeyRotated(a *act) (State, error) {
	own, d := a.own.(*ActorState), a.Details.(*ActorKeyRotatedDetails)
	switch {
	case own.Status == StatusRevoked:
		return nil, Refuse(Gone, ReasonRevoked)
	case a.Actor.ID == own.ID:
		return nil, Refuse(Forbidden, ReasonOwnKey)
	case !mayIntroduce(own, a.Actor):
		return nil, Refuse(Forbidden, ReasonTrustee)
	case own.Role.Keyless() != (d.Recipient == ""):
		return nil, errKeys
	case d.Key == own.Key || d.Recipient != "" && d.Recipient == own.Recipient:
		return nil, Refuse(Invalid, ReasonSameKey)
	}
	s := *own
	s.Last, s.Key, s.Recipient, s.Status, s.ConfirmedBy = a.tip, d.Key, d.Recipient, StatusPending, ""
	s.introduce(a.Actor)
	return &s, nil
}

// actorConfirmed ②: another person than the one who enrolled or rotated compared the fingerprint over a second channel. An
// administrator does so only where the first signer was none: two administrators alone never make an actor.
func actorConfirmed(a *act) (State, error) {
	own, d := a.own.(*ActorState), a.Details.(*ActorConfirmedDetails)
	switch {
	case own.Status != StatusPending:
		return nil, Refuse(Conflict, ReasonNotPending)
	case a.Actor.ID == own.ID:
		return nil, Refuse(Forbidden, ReasonOwnKey)
	case !mayIntroduce(own, a.Actor):
		return nil, Refuse(Forbidden, ReasonTrustee)
	case a.Actor.Role == Administrator && own.EnrolledRole == Administrator:
		return nil, Refuse(Forbidden, ReasonRole)
	case d.Fingerprint != own.Fingerprint():
		return nil, Refuse(Invalid, ReasonFingerprint)
	}
	if err := a.second(own.EnrolledBy, own.EnrolledOrg); err != nil {
		return nil, err
	}
	s := *own
	s.Last, s.Status, s.ConfirmedBy = a.tip, StatusActive, a.Actor.ID
	if a.Time < s.SuspendedTill {
		s.Status = StatusSuspended
	}
	s.Introducers = with(s.Introducers, a.Actor.ID, cmp.Compare[ActorID])
	return &s, nil
}

// actorSuspended: until a moment that a later suspension may put off, never bring nearer. The vault itself does so only where the review
// of an emergency opening is overdue.
func actorSuspended(a *act) (State, error) {
	own, d := a.own.(*ActorState), a.Details.(*ActorSuspendedDetails)
	switch {
	case own.Status == StatusRevoked:
		return nil, Refuse(Gone, ReasonRevoked)
	case d.Until <= a.Time || d.Until < own.SuspendedTill:
		return nil, Refuse(Invalid, ReasonWindow)
	case a.Actor.Role == Vault && d.Cause != CauseOverdue:
		return nil, Refuse(Forbidden, ReasonRole)
	}
	s := *own
	s.Last, s.SuspendedTill = a.tip, d.Until
	if s.Status == StatusActive {
		s.Status = StatusSuspended
	}
	return &s, nil
}

// actorRevoked: for ever. Everybody may revoke themselves.
func actorRevoked(a *act) (State, error) {
	own := a.own.(*ActorState)
	switch {
	case own.Status == StatusRevoked:
		return nil, Refuse(Gone, ReasonRevoked)
	case a.Actor.ID != own.ID && a.Actor.Role != Administrator && a.Actor.Role != Custodian:
		return nil, Refuse(Forbidden, ReasonRole)
	}
	s := *own
	s.Last, s.Status = a.tip, StatusRevoked
	return &s, nil
}

// introduce notes who vouches for the keys now in force as the first of two persons.
func (s *ActorState) introduce(by Signer) {
	s.EnrolledBy, s.EnrolledRole, s.EnrolledOrg = by.ID, by.Role, by.Organization
	s.Introducers = with(s.Introducers, by.ID, cmp.Compare[ActorID])
}

// mayIntroduce: a trustee vouches only for those who named that trustee.
func mayIntroduce(s *ActorState, by Signer) bool {
	return by.Role != Trustee || slices.Contains(s.Trustees, by.ID)
}
