package evidence

import (
	"slices"
	"time"
)

// HoldStatus is what has been decided about a hold; lapse and expiry bind by time, without an event.
type HoldStatus string

const (
	HoldUnconfirmed HoldStatus = "placed"
	HoldInForce     HoldStatus = "confirmed"
	HoldOver        HoldStatus = "lifted"
)

// HoldState is a stated legal duty to keep an item (RULES §8).
type HoldState struct {
	ID           HoldID     `json:"id"`
	Basis        Basis      `json:"basis"`
	Status       HoldStatus `json:"status"`
	PlacedBy     ActorID    `json:"placed_by"`
	Organization OrgID      `json:"organization,omitempty"` // of who placed it
	Placed       Time       `json:"placed"`
	Lapses       Time       `json:"lapses"` // unless confirmed before
	ConfirmedBy  ActorID    `json:"confirmed_by,omitempty"`
	Expires      Time       `json:"expires"`
	Review       Time       `json:"review"`
	SecretUntil  Time       `json:"secret_until,omitempty"` // before, it is shown to nobody but those who must act on it
}

// Blocks reports whether the hold stands in the way of shredding at now: from the moment it was placed, for a short while even
// unconfirmed, until it expires or is lifted.
func (h *HoldState) Blocks(now Time) bool {
	return h.Confirmed(now) || h.Status == HoldUnconfirmed && now < min(h.Lapses, h.Expires)
}

// Confirmed reports whether two persons stand behind the hold at now.
func (h *HoldState) Confirmed(now Time) bool { return h.Status == HoldInForce && now < h.Expires }

// Hold returns a hold on the item, or nil.
func (s *ItemState) Hold(id HoldID) *HoldState {
	if i := slices.IndexFunc(s.Holds, func(h HoldState) bool { return h.ID == id }); i >= 0 {
		return &s.Holds[i]
	}
	return nil
}

// Held reports whether any hold stands in the way of shredding at now.
func (s *ItemState) Held(now Time) bool {
	return slices.ContainsFunc(s.Holds, func(h HoldState) bool { return h.Blocks(now) })
}

// carries reports whether a confirmed hold stands in at now for a consent that has ended; t are the terms of the grant concerned, or
// nil. Terms that name consent as their ground end with it.
func (s *ItemState) carries(id HoldID, t *Terms, now Time) bool {
	h := s.Hold(id)
	return h != nil && h.Confirmed(now) && (t == nil || t.LegalBasis != "consent")
}

// underHold reports whether the act stands on a confirmed hold, which it names itself or by the grant it concerns. It passes where
// consent has ended (RULES §4.4); what the subject had answered still binds it.
func (a *act) underHold() bool {
	if g := a.item.Grant(GrantNamed(a.Details)); g != nil {
		return a.item.carries(g.Hold, &g.Terms, a.Time)
	}
	if a.Authority == nil {
		return false
	}
	var t *Terms
	if d, ok := a.Details.(*GrantProposedDetails); ok {
		t = &d.Terms
	}
	return a.item.carries(a.Authority.Hold, t, a.Time)
}

// withHold returns a copy of the item with h in the place of the hold of that id, or as a new one.
func (a *act) withHold(h HoldState) *ItemState {
	s := *a.item
	s.Last = a.tip
	s.Holds = slices.Clone(s.Holds)
	if old := s.Hold(h.ID); old != nil {
		*old = h
	} else {
		s.Holds = append(s.Holds, h)
	}
	return &s
}

// holdConcerned returns the hold of that id, which must not be over yet.
func (a *act) holdConcerned(id HoldID) (*HoldState, error) {
	h := a.item.Hold(id)
	if h == nil {
		return nil, Refuse(NotFound, ReasonHold)
	}
	if h.Status == HoldOver {
		return nil, Refuse(Gone, ReasonHoldOver)
	}
	return h, nil
}

// named: the hold that the event gives as its ground exists. What names a secret one is kept from others, so two persons must stand behind
// that one: nobody hides an act of their own alone.
func (a *act) named(h *HoldState) error {
	switch {
	case h == nil:
		return Refuse(NotFound, ReasonHold)
	case h.SecretUntil != 0 && !h.Confirmed(a.Time) && holdNamed(a.Details) != h.ID:
		return Refuse(Forbidden, ReasonUnconfirmed)
	}
	return nil
}

// holdNamed is the hold that an event about one is about, or "".
func holdNamed(d Details) HoldID {
	switch d := d.(type) {
	case *HoldPlacedDetails:
		return d.Hold
	case *HoldConfirmedDetails:
		return d.Hold
	case *HoldLiftedDetails:
		return d.Hold
	}
	return ""
}

// Limits of the holds on an item. For each secret one there is one more view of the item.
const (
	MaxHolds   = 256
	MaxSecrets = 8
	// MaxSecret is how long a hold may be secret: five years. Nothing is kept from a subject for life on a single decision; what must stay
	// secret for longer is decided anew, by another hold.
	MaxSecret = 1827 * 24 * time.Hour
)

// holdPlaced: by a custodian of the case, on another ground than consent. It blocks shredding at once and lapses unless a second person
// confirms it. It is secret for no longer than it can last, and for no more than MaxSecret.
func holdPlaced(a *act) (State, error) {
	d := a.Details.(*HoldPlacedDetails)
	if err := a.decides(""); err != nil {
		return nil, err
	}
	switch {
	case d.Basis == ByConsent:
		return nil, Refuse(Invalid, ReasonAuthority)
	case a.item.Hold(d.Hold) != nil:
		return nil, Refuse(Conflict, ReasonHold)
	case d.Expires <= a.Time, d.Review > d.Expires, d.SecretUntil != 0 && d.SecretUntil <= a.Time, d.SecretUntil > d.Expires, d.SecretUntil > a.Time.Add(MaxSecret):
		return nil, Refuse(Invalid, ReasonWindow)
	case len(a.item.Holds) >= MaxHolds:
		return nil, Refuse(Conflict, ReasonHolds)
	case d.SecretUntil != 0 && len(open(a.item.Veils, a.Time)) >= MaxSecrets:
		return nil, Refuse(Conflict, ReasonSecrets)
	}
	return a.withHold(HoldState{ID: d.Hold, Basis: d.Basis, Status: HoldUnconfirmed, PlacedBy: a.Actor.ID, Organization: a.Actor.Organization,
		Placed: a.Time, Lapses: a.after(a.policy.Policy.HoldTime), Expires: d.Expires, Review: d.Review, SecretUntil: d.SecretUntil}), nil
}

// holdConfirmed ②: another custodian of the case.
func holdConfirmed(a *act) (State, error) {
	if err := a.decides(""); err != nil {
		return nil, err
	}
	old, err := a.holdConcerned(a.Details.(*HoldConfirmedDetails).Hold)
	switch {
	case err != nil:
		return nil, err
	case old.Status == HoldInForce:
		return nil, Refuse(Conflict, ReasonApproved)
	case !old.Blocks(a.Time):
		return nil, Refuse(Gone, ReasonHoldOver)
	}
	if err := a.second(old.PlacedBy, old.Organization); err != nil {
		return nil, err
	}
	h := *old
	h.Status, h.ConfirmedBy = HoldInForce, a.Actor.ID
	return a.withHold(h), nil
}

// holdLifted ②: another custodian than the one who placed it; the vault tidies up what has lapsed or expired. From then on the state of
// consent decides again.
func holdLifted(a *act) (State, error) {
	old, err := a.holdConcerned(a.Details.(*HoldLiftedDetails).Hold)
	if err != nil {
		return nil, err
	}
	if a.Actor.Role == Vault {
		if old.Blocks(a.Time) {
			return nil, Refuse(Conflict, ReasonHoldRunning)
		}
	} else if err := a.decides(""); err != nil {
		return nil, err
	} else if err := a.second(old.PlacedBy, old.Organization); err != nil {
		return nil, err
	}
	h := *old
	h.Status = HoldOver
	return a.withHold(h), nil
}
