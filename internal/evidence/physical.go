package evidence

import "slices"

// TransitState is a physical item on its way: handed over, not received yet.
type TransitState struct {
	From  ActorID `json:"from"`
	To    ActorID `json:"to,omitempty"` // absent: somebody without an account here, named in the note
	Class Role    `json:"class"`        // of the receiver
	Event Hash    `json:"event"`        // the transfer
}

// inside are the classes that may take a physical item without an answer of its own in the consent: those who keep it here, and the
// person it is about.
var inside = []Role{Clinician, Investigator, Custodian, Survivor}

// itemTransferred: a physical item leaves its place, to somebody inside, or to a court, prosecutor, police or defence as consent permits
// for the country the event names as its place.
func itemTransferred(a *act) (State, error) {
	d := a.Details.(*ItemTransferredDetails)
	if err := a.member(""); err != nil {
		return nil, err
	}
	switch {
	case a.item.Content != Physical:
		return nil, Refuse(Invalid, ReasonNotPhysical)
	case a.item.Transit != nil:
		return nil, Refuse(Conflict, ReasonTransit)
	case !d.Class.External() && !slices.Contains(inside, d.Class):
		return nil, Refuse(Forbidden, ReasonRecipientClass)
	}
	t := &TransitState{From: a.Actor.ID, Class: d.Class, Event: a.tip.Leaf}
	if c := a.Counterparty; c != nil {
		if err := a.facing(c, d.Class); err != nil {
			return nil, err
		}
		t.To = c.Actor
	}
	if d.Class.External() {
		if err := a.permitted(&Terms{RecipientClass: d.Class, Jurisdiction: a.Place}); err != nil {
			return nil, err
		}
	}
	s := *a.item
	s.Last, s.Transit = a.tip, t
	return &s, nil
}

// facing: who is named as the other side of a hand-over is an active actor of that class with these keys, and another one.
func (a *act) facing(c *Counterparty, class Role) error {
	if c.Actor == "" || c.Actor == a.Actor.ID {
		return Refuse(Invalid, ReasonRecipient)
	}
	actor, err := a.active(c.Actor)
	switch {
	case err != nil:
		return err
	case actor.Role != class, c.Class != "" && c.Class != class, !c.Fingerprint.IsZero() && c.Fingerprint != actor.Fingerprint():
		return Refuse(Invalid, ReasonRecipient)
	}
	return nil
}

// itemReceived: by who was named as the receiver, or by a member of the case who holds the signed paper.
func itemReceived(a *act) (State, error) {
	t := a.item.Transit
	if t == nil {
		return nil, Refuse(Conflict, ReasonNoTransit)
	}
	if t.To == "" || a.Actor.ID != t.To {
		if err := a.member(""); err != nil {
			return nil, err
		}
	}
	if c := a.Counterparty; c != nil && (c.Actor != "" && c.Actor != t.From || !c.Receipt.IsZero() && c.Receipt != t.Event) {
		return nil, Refuse(Invalid, ReasonRecipient)
	}
	s := *a.item
	s.Last, s.Transit = a.tip, nil
	s.Keeper, s.KeeperClass = t.To, t.Class
	s.SealBroken = s.SealBroken || !a.Details.(*ItemReceivedDetails).SealIntact
	return &s, nil
}
