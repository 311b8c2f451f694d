package evidence

import (
	"cmp"
	"slices"
)

// Member returns the membership of an actor that holds at now.
func (s *CaseState) Member(id ActorID, now Time) (Member, bool) {
	i, found := slices.BinarySearchFunc(s.Members, id, func(m Member, id ActorID) int { return cmp.Compare(m.Actor, id) })
	if !found || !s.Members[i].holds(now) {
		return Member{}, false
	}
	return s.Members[i], true
}

func (m Member) holds(now Time) bool { return m.Until == 0 || now < m.Until }

// Can reports whether an actor is a member with the right at now.
func (s *CaseState) Can(id ActorID, right Right, now Time) bool {
	m, ok := s.Member(id, now)
	return ok && slices.Contains(m.Rights, right)
}

// Holds reports whether an actor is on the keyring.
func (s *CaseState) Holds(id ActorID) bool {
	_, found := slices.BinarySearchFunc(s.Keyring, id, func(k Keyholder, id ActorID) int { return cmp.Compare(k.Actor, id) })
	return found
}

// OnKeyring reports whether each item of the case needs an envelope for the fingerprint: that of a keyholder or of recovery.
func (s *CaseState) OnKeyring(fingerprint Hash) bool {
	return fingerprint == s.Recovery || slices.ContainsFunc(s.Keyring, func(k Keyholder) bool { return k.Fingerprint == fingerprint })
}

// remaining are the members at now less one.
func (s *CaseState) remaining(gone ActorID, now Time) []Member {
	return without(s.Members, func(m Member) bool { return m.Actor == gone || !m.holds(now) })
}

// member demands that the signer is a member of the case, with the right unless it is "".
func (a *act) member(right Right) error {
	m, ok := a.in.Member(a.Actor.ID, a.Time)
	switch {
	case !ok:
		return Refuse(Forbidden, ReasonNotMember)
	case right != "" && !slices.Contains(m.Rights, right):
		return Refuse(Forbidden, ReasonRight)
	}
	return nil
}

// manager is the role that decides in the case, over its members and keys and over what becomes of its items: a complaint is the
// auditors', as its content is. Rules 1 left a complaint to custodians, who are never its keyholders.
func (a *act) manager() Role {
	if a.in.Type == "complaint" && a.policy.Rules >= 2 {
		return Auditor
	}
	return Custodian
}

// decides demands that the signer may decide over the items of the case: a custodian among its members, in a complaint an auditor.
func (a *act) decides(right Right) error {
	if a.Actor.Role != a.manager() {
		return Refuse(Forbidden, ReasonRole)
	}
	return a.member(right)
}

// manages demands that the signer may manage the case.
func (a *act) manages() error { return a.decides(MayManage) }

// keyholder demands that the signer is a member, with the right unless it is "", and on the keyring.
func (a *act) keyholder(right Right) error {
	if err := a.member(right); err != nil {
		return err
	}
	if !a.in.Holds(a.Actor.ID) {
		return Refuse(Forbidden, ReasonNotKeyholder)
	}
	return nil
}

// caseOpened: at least two keyholders, all of them members, and recovery. The keyholders of a complaint are auditors, so that it does
// not reach those it is about; a case has a custodian who manages it. That a complaint has an auditor who manages it is for who opens it.
func caseOpened(a *act) (State, error) {
	d := a.Details.(*CaseOpenedDetails)
	complaint := d.Type == "complaint"
	if complaint != (a.Actor.Role == Survivor || a.Actor.Role == Advocate) {
		return nil, Refuse(Forbidden, ReasonRole)
	}
	s := &CaseState{Last: a.tip, ID: CaseID(a.Stream.ID), Type: d.Type, Open: true,
		Members: d.Members, Keyring: d.Keyring, Recovery: d.Recovery, LabelKey: d.LabelKey}
	if d.Recovery != Fingerprint(nil, a.policy.Recovery) {
		return nil, Refuse(Invalid, ReasonRecovery)
	}
	readers := []Hash{d.Recovery}
	managed := complaint
	for _, m := range d.Members {
		actor, err := a.joining(m)
		if err != nil {
			return nil, err
		}
		readers = append(readers, actor.Fingerprint())
		managed = managed || actor.Role == Custodian && slices.Contains(m.Rights, MayManage)
	}
	if !managed {
		return nil, Refuse(Invalid, ReasonNoManager)
	}
	for _, k := range d.Keyring {
		if err := a.holding(s, k); err != nil {
			return nil, err
		}
	}
	if !addressed(d.LabelKey.Envelopes, readers) {
		return nil, Refuse(Invalid, ReasonLabelEnvelopes)
	}
	return s, nil
}

// joining judges a new membership: an active actor of a role that belongs in a case, until a moment to come.
func (a *act) joining(m Member) (*ActorState, error) {
	actor, err := a.active(m.Actor)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(members, actor.Role):
		return nil, Refuse(Forbidden, ReasonMemberRole)
	case !m.holds(a.Time):
		return nil, Refuse(Invalid, ReasonWindow)
	}
	return actor, nil
}

// holding judges a new entry of s's keyring: an active member of a role that may hold keys there, by the confirmed fingerprint.
func (a *act) holding(s *CaseState, k Keyholder) error {
	if _, ok := s.Member(k.Actor, a.Time); !ok {
		return Refuse(Invalid, ReasonKeyring)
	}
	actor, err := a.active(k.Actor)
	allowed := caseStaff
	if s.Type == "complaint" {
		allowed = []Role{Auditor}
	}
	switch {
	case err != nil:
		return err
	case !slices.Contains(allowed, actor.Role):
		return Refuse(Forbidden, ReasonKeyholderRole)
	case k.Fingerprint != actor.Fingerprint():
		return Refuse(Invalid, ReasonFingerprint)
	}
	return nil
}

// caseMemberAdded: rights until a date, and the label key for the member's confirmed keys. Adding a member again replaces rights, date
// and envelope: that is how a membership is renewed and how a rotated key gets the label key.
func caseMemberAdded(a *act) (State, error) {
	own, d := a.in, a.Details.(*CaseMemberAddedDetails)
	if err := a.manages(); err != nil {
		return nil, err
	}
	actor, err := a.joining(d.Member)
	if err != nil {
		return nil, err
	}
	if d.Envelope.Recipient != actor.Fingerprint() {
		return nil, Refuse(Invalid, ReasonFingerprint)
	}
	s := *own
	s.Last = a.tip
	s.Members = with(own.Members, d.Member, func(a, b Member) int { return cmp.Compare(a.Actor, b.Actor) })
	s.LabelKey.Envelopes = with(own.LabelKey.Envelopes, d.Envelope, byRecipient)
	return &s, nil
}

// caseMemberRemoved: who may manage the case, or oneself. The label key is replaced by one that only those who stay can open; who is
// suspended or waits for a confirmation gets it by being added again. A keyholder leaves the keyring first.
func caseMemberRemoved(a *act) (State, error) {
	own, d := a.in, a.Details.(*CaseMemberRemovedDetails)
	if d.Actor != a.Actor.ID {
		if err := a.manages(); err != nil {
			return nil, err
		}
	}
	switch {
	case !slices.ContainsFunc(own.Members, func(m Member) bool { return m.Actor == d.Actor }):
		return nil, Refuse(Invalid, ReasonNotMember)
	case own.Holds(d.Actor):
		return nil, Refuse(Conflict, ReasonStillKeyholder)
	}
	readers := []Hash{own.Recovery}
	managed := own.Type == "complaint" && (a.policy.Rules < 2 || a.manages() != nil) // nobody who manages it leaves
	for _, m := range own.remaining(d.Actor, a.Time) {
		actor, err := lookup[*ActorState](a.facts, ActorOf(m.Actor))
		if err != nil {
			return nil, err
		}
		if actor.Active(a.Time) {
			readers = append(readers, actor.Fingerprint())
			managed = managed || actor.Role == a.manager() && slices.Contains(m.Rights, MayManage)
		}
	}
	switch {
	case !managed:
		return nil, Refuse(Invalid, ReasonNoManager)
	case d.LabelKey.Recipient == own.LabelKey.Recipient:
		return nil, Refuse(Invalid, ReasonSameKey)
	case !addressed(d.LabelKey.Envelopes, readers):
		return nil, Refuse(Invalid, ReasonLabelEnvelopes)
	}
	s := *own
	s.Last, s.LabelKey = a.tip, d.LabelKey
	s.Members = without(own.Members, func(m Member) bool { return m.Actor == d.Actor })
	return &s, nil
}

// caseKeyringChanged: by who may manage the case and is a keyholder. An actor both removed and added changes keys. Recovery follows the
// vault's; the items follow by item.envelope_added.
func caseKeyringChanged(a *act) (State, error) {
	own, d := a.in, a.Details.(*CaseKeyringChangedDetails)
	if err := cmp.Or(a.manages(), a.keyholder("")); err != nil {
		return nil, err
	}
	s := *own
	s.Last, s.Recovery = a.tip, Fingerprint(nil, a.policy.Recovery)
	if len(d.Added)+len(d.Removed) == 0 && s.Recovery == own.Recovery {
		return nil, Refuse(Invalid, ReasonKeyring)
	}
	for _, id := range d.Removed {
		if !own.Holds(id) {
			return nil, Refuse(Invalid, ReasonKeyring)
		}
	}
	s.Keyring = without(own.Keyring, func(k Keyholder) bool { return slices.Contains(d.Removed, k.Actor) })
	for _, k := range d.Added {
		if s.Holds(k.Actor) {
			return nil, Refuse(Invalid, ReasonKeyring)
		}
		if err := a.holding(&s, k); err != nil {
			return nil, err
		}
		s.Keyring = with(s.Keyring, k, func(a, b Keyholder) int { return cmp.Compare(a.Actor, b.Actor) })
	}
	if len(s.Keyring) < 2 {
		return nil, Refuse(Invalid, ReasonKeyholders)
	}
	return &s, nil
}

// caseClosed: by who may manage the case. Nothing more is deposited. That no grant, review or hand-over is open is the vault's to see: it
// spans streams (RULES §3.4).
func caseClosed(a *act) (State, error) { return a.openOrClosed(true, ReasonCaseClosed) }

func caseReopened(a *act) (State, error) { return a.openOrClosed(false, ReasonCaseOpen) }

func (a *act) openOrClosed(before bool, otherwise string) (State, error) {
	if err := a.manages(); err != nil {
		return nil, err
	}
	if a.in.Open != before {
		return nil, Refuse(Conflict, otherwise)
	}
	s := *a.in
	s.Last, s.Open = a.tip, !before
	return &s, nil
}

func byRecipient(a, b EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) }

// addressed reports whether a sorted list of envelopes is for exactly these recipients.
func addressed(envelopes []EnvelopeRef, recipients []Hash) bool {
	slices.SortFunc(recipients, Hash.Compare)
	return slices.EqualFunc(envelopes, recipients, func(e EnvelopeRef, h Hash) bool { return e.Recipient == h })
}
