package evidence

import (
	"slices"
	"strconv"
)

// StandsOn returns the streams that e.ReliedOn must name, sorted; own is the state of e's stream before e, nil at seq 0. Streams that do
// not exist yet are left out by the caller (FORMATS §3), e's own stream is never among them.
//
//	kind                                     streams
//	a founder's own enrolment                none
//	every other                              actor of the signer, of on_behalf_of, of the counterparty; policy
//	actor.enrolled                           + the trustees named
//	case.opened                              + every member
//	case.member_added                        + the member added
//	case.member_removed                      + every member who stays
//	case.keyring_changed                     + every keyholder added
//	consent.*                                + the case
//	consent.given                            + the form's item; the subject named
//	consent.delegated                        + the advocate
//	vault.recovered                          + the trustee whose statement waits (rules 3)
//	item.*, retention.*, hold.*, grant.*     + the case; the consents that govern the item
//	item.deposited                           + the consents named; the source
//	item.* of a consent form                 + the consent that the act names
//	item.sealed                              + the source
//	item.derived                             + the new item
//	grant.*, item.exported, .envelope_added  + the recipient of the grant concerned
func StandsOn(own State, e *Event) []Stream {
	if founding(e) {
		return nil
	}
	b := basis{ActorOf(e.Actor.ID), PolicyOf(e.Vault)}
	b.actor(e.Actor.OnBehalfOf)
	if e.Counterparty != nil {
		b.actor(e.Counterparty.Actor)
	}
	switch d := e.Details.(type) {
	case *ActorEnrolledDetails:
		for _, id := range d.Trustees {
			b.actor(id)
		}
	case *CaseOpenedDetails:
		for _, m := range d.Members {
			b.actor(m.Actor)
		}
	case *CaseMemberAddedDetails:
		b.actor(d.Actor)
	case *CaseMemberRemovedDetails:
		if c, ok := own.(*CaseState); ok {
			for _, m := range c.remaining(d.Actor, e.Time) {
				b.actor(m.Actor)
			}
		}
	case *CaseKeyringChangedDetails:
		for _, k := range d.Added {
			b.actor(k.Actor)
		}
	case *ConsentGivenDetails:
		b = append(b, ItemOf(d.Form))
		b.actor(d.Subject)
	case *ConsentDelegatedDetails:
		b.actor(d.Advocate)
	case *VaultRecoveredDetails:
		if s, ok := own.(*PolicyState); ok && s.Recovering != nil && s.At(e.Time).Rules >= 3 {
			b.actor(s.Recovering.By)
		}
	case *ItemDerivedDetails:
		b = append(b, ItemOf(d.Item))
	}
	switch e.Stream.Type {
	case ConsentStream:
		b = append(b, CaseOf(e.Case))
	case ItemStream:
		b.item(own, e)
	}
	slices.SortFunc(b, Stream.Compare)
	b = slices.Compact(b)
	return slices.DeleteFunc(b, func(s Stream) bool { return s == e.Stream.Stream() })
}

type basis []Stream

func (b *basis) actor(id ActorID) {
	if id != "" {
		*b = append(*b, ActorOf(id))
	}
}

func (b *basis) item(own State, e *Event) {
	*b = append(*b, CaseOf(e.Case))
	item, ok := own.(*ItemState)
	if !ok {
		for _, c := range e.Consent {
			*b = append(*b, ConsentOf(c.ID))
		}
		if d, ok := e.Details.(*ItemDepositedDetails); ok && d.Source != "" {
			*b = append(*b, ItemOf(d.Source))
		}
		return
	}
	for _, id := range item.Consent {
		*b = append(*b, ConsentOf(id))
	}
	if item.Class == ConsentForm {
		for _, c := range e.Consent {
			*b = append(*b, ConsentOf(c.ID))
		}
	}
	if e.Kind == ItemSealed && item.Source != "" {
		*b = append(*b, ItemOf(item.Source))
	}
	if d, ok := e.Details.(*GrantProposedDetails); ok {
		b.actor(d.Recipient.Actor)
	}
	if g := item.Grant(GrantNamed(e.Details)); g != nil {
		b.actor(g.Terms.Recipient.Actor)
	}
}

// GrantNamed is the existing grant that an event on an item concerns, or "".
func GrantNamed(d Details) GrantID {
	switch d := d.(type) {
	case *GrantApprovedDetails:
		return d.Grant
	case *GrantRefusedDetails:
		return d.Grant
	case *GrantRevokedDetails:
		return d.Grant
	case *GrantExpiredDetails:
		return d.Grant
	case *GrantRedeemedDetails:
		return d.Grant
	case *GrantAcknowledgedDetails:
		return d.Grant
	case *ItemExportedDetails:
		return d.Grant
	case *ItemEnvelopeAddedDetails:
		return d.Grant
	}
	return ""
}

// ReliedOn returns what e.ReliedOn must be, given the current states of its own stream and of those that it stands on.
func ReliedOn(f Facts, e *Event) []Head {
	streams := StandsOn(f.States[e.Stream.Stream()], e)
	heads := make([]Head, 0, len(streams))
	for _, s := range streams {
		if state := f.States[s]; state != nil {
			tip := state.Tip()
			heads = append(heads, Head{s.Type, s.ID, tip.Seq, tip.Leaf})
		}
	}
	return heads
}

// Subjects returns the subjects of e's statement (FORMATS §3); own is the state of e's stream before e, nil at seq 0. An item's
// evidence is named by its ciphertext in every event, a description by the event that brings it; other streams name their tag.
func (e *Event) Subjects(own State) []Subject {
	if e.Stream.Type != ItemStream {
		return []Subject{Named(e.Stream.ID, e.Stream.Stream().Tag(e.Vault))}
	}
	name := e.Stream.ID + "/"
	if d, ok := e.Details.(*ItemDepositedDetails); ok {
		return []Subject{Named(name+"evidence.age", d.Evidence.SHA256), Named(name+"description.age", d.Description.SHA256)}
	}
	item, ok := own.(*ItemState)
	if !ok {
		return nil
	}
	subjects := []Subject{Named(name+"evidence.age", item.Evidence.SHA256)}
	if d, ok := e.Details.(*ItemAmendedDetails); ok {
		subjects = append(subjects, Named(name+"description."+strconv.FormatInt(e.Stream.Seq, 10)+".age", d.Description.SHA256))
	}
	return subjects
}
