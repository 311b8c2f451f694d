package evidence

import (
	"slices"
)

// itemEnvelopeAdded: by a keyholder who opened the item, for the recipient of an approved grant, for an entry of the keyring that has
// none yet, or as the subject's own copy.
func itemEnvelopeAdded(a *act) (State, error) {
	own, d := a.item, a.Details.(*ItemEnvelopeAddedDetails)
	if err := a.keyholder(MayOpen); err != nil {
		return nil, err
	}
	if !a.opened() {
		return nil, Refuse(Forbidden, ReasonNotOpened)
	}
	if _, exists := own.Envelope(d.Envelope.Recipient); exists {
		return nil, Refuse(Conflict, ReasonEnvelopeExists)
	}
	if d.Cause == CauseGrant {
		g := own.Grant(d.Grant)
		if g == nil {
			return nil, Refuse(NotFound, ReasonGrant)
		}
		if err := a.sharing(g); err != nil {
			return nil, err
		}
		if err := a.reachable(&g.Terms); err != nil {
			return nil, err
		}
		if d.Envelope.Recipient != g.Terms.Recipient.Fingerprint {
			return nil, Refuse(Invalid, ReasonFingerprint)
		}
	} else if d.Cause == CauseCopy {
		if err := a.copied(d.Envelope.Recipient); err != nil {
			return nil, err
		}
	} else if !a.in.OnKeyring(d.Envelope.Recipient) {
		return nil, Refuse(Invalid, ReasonFingerprint)
	}
	s := *own
	s.Last, s.Envelopes = a.tip, with(own.Envelopes, d.Envelope, byRecipient)
	if d.Cause == CauseCopy {
		s.Copies = with(own.Copies, d.Envelope.Recipient, Hash.Compare)
	}
	return &s, nil
}

// copied: the envelope is for the survivor whose consent governs the item, or whose consent form it is, named as the counterparty, by confirmed keys. Where several
// subjects are concerned nobody gets a copy: each would get the other's.
func (a *act) copied(fingerprint Hash) error {
	consents, err := a.governing()
	if err != nil {
		return err
	}
	if a.Counterparty == nil || len(consents) != 1 || consents[0].Subject == "" || a.Counterparty.Actor != consents[0].Subject {
		return Refuse(Forbidden, ReasonNotSubject)
	}
	subject, err := a.active(a.Counterparty.Actor)
	if err == nil && subject.Fingerprint() != fingerprint {
		return Refuse(Invalid, ReasonFingerprint)
	}
	return err
}

// idle reports whether the keys of an envelope are nobody's any more, be it a keyholder's, of a grant or a subject's own copy: the event
// names as its counterparty who had them, and that one was revoked or has other keys that were confirmed.
func (a *act) idle(recipient Hash) bool {
	if a.Counterparty == nil {
		return false
	}
	who, err := lookup[*ActorState](a.facts, ActorOf(a.Counterparty.Actor))
	if err != nil || who.Status != StatusRevoked && (who.Status != StatusActive || who.Fingerprint() == recipient) {
		return false
	}
	had := Keyholder{Actor: who.ID, Fingerprint: recipient}
	if slices.Contains(a.in.Keyring, had) || slices.ContainsFunc(a.item.Grants, func(g GrantState) bool { return g.Terms.Recipient == had }) {
		return true
	}
	consents, err := a.governing()
	return err == nil && slices.Contains(a.item.Copies, recipient) &&
		slices.ContainsFunc(consents, func(c *ConsentState) bool { return c.Subject == who.ID })
}

// OpensWithout reports whether the keyring of the item's case has an envelope for another fingerprint than this one.
func (s *ItemState) OpensWithout(in *CaseState, recipient Hash) bool {
	return slices.ContainsFunc(in.Keyring, func(k Keyholder) bool {
		_, ok := s.Envelope(k.Fingerprint)
		return ok && k.Fingerprint != recipient
	})
}

// itemEnvelopeRemoved: what nobody needs any more. The envelopes of the keyring, of recovery, of a grant in force and of the subject's own
// copy stay, unless the keys are nobody's any more (under rules 1 a grant's stayed all the same), and at least one of a present keyholder:
// one person alone never makes an item unreadable.
func itemEnvelopeRemoved(a *act) (State, error) {
	own, d := a.item, a.Details.(*ItemEnvelopeRemovedDetails)
	if a.Actor.Role == Custodian {
		if err := a.member(""); err != nil {
			return nil, err
		}
	} else if a.Actor.Role != Vault {
		if err := a.keyholder(""); err != nil {
			return nil, err
		}
	}
	if _, exists := own.Envelope(d.Recipient); !exists {
		return nil, Refuse(NotFound, ReasonEnvelope)
	}
	granted := own.Needs(a.facts, d.Recipient, a.Time)
	kept := granted || a.in.OnKeyring(d.Recipient) || slices.Contains(own.Copies, d.Recipient)
	if granted && a.policy.Rules < 2 || kept && !a.idle(d.Recipient) || !own.OpensWithout(a.in, d.Recipient) {
		return nil, Refuse(Conflict, ReasonEnvelopeNeeded)
	}
	if a.policy.Rules >= 2 && d.Horizon < a.after(a.policy.Policy.BackupHorizon) {
		return nil, Refuse(Invalid, ReasonStores)
	}
	s := *own
	s.Last = a.tip
	s.Envelopes = without(own.Envelopes, func(e EnvelopeRef) bool { return e.Recipient == d.Recipient })
	if slices.Contains(own.Copies, d.Recipient) {
		s.Copies = without(own.Copies, func(copied Hash) bool { return copied == d.Recipient })
	}
	return &s, nil
}
