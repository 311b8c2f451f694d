package evidence

import (
	"cmp"
	"slices"
)

// Delegation lets an advocate speak for a subject until a date.
type Delegation struct {
	Advocate ActorID  `json:"advocate"`
	Rights   []string `json:"rights"` // of "read", "narrow", "withdraw", "approve"
	Until    Time     `json:"until"`
}

func byAdvocate(a, b Delegation) int { return cmp.Compare(a.Advocate, b.Advocate) }

// Delegated reports whether an advocate speaks for the subject at now: for the right, or for any where it is "".
func (s *ConsentState) Delegated(id ActorID, right string, now Time) bool {
	i, found := slices.BinarySearchFunc(s.Advocates, Delegation{Advocate: id}, byAdvocate)
	return found && now < s.Advocates[i].Until && (right == "" || slices.Contains(s.Advocates[i].Rights, right))
}

// Speaks reports whether an actor is the subject, or an advocate to whom the right was given.
func (s *ConsentState) Speaks(id ActorID, right string, now Time) bool {
	return s.Subject != "" && s.Subject == id || s.Delegated(id, right, now)
}

// speaksFor reports whether the signer speaks for the subject of a consent: who says for whom, speaks for nobody else.
func (a *act) speaksFor(s *ConsentState, right string) bool {
	return s.Speaks(a.Actor.ID, right, a.Time) && (a.Actor.OnBehalfOf == "" || a.Actor.OnBehalfOf == s.Subject)
}

// takesBack: what was allowed may be narrowed or withdrawn by who speaks for the subject, and by any member who was told.
func (a *act) takesBack(s *ConsentState, right string) error {
	switch {
	case a.speaksFor(s, right):
		return nil
	case a.Actor.OnBehalfOf != "":
		return Refuse(Forbidden, ReasonDelegation)
	}
	return a.member("")
}

// speaks demands that the signer speaks for a subject whose consent governs the item.
func (a *act) speaks(right string) error {
	consents, err := a.governing()
	if err == nil && !slices.ContainsFunc(consents, func(c *ConsentState) bool { return a.speaksFor(c, right) }) {
		return Refuse(Forbidden, ReasonNotSubject)
	}
	return err
}

// checkDelegation: only an advocate acts for another, for the subject of the consent that the act is about, while that is delegated.
func (a *act) checkDelegation() error {
	if a.Actor.OnBehalfOf == "" {
		return nil
	}
	var consents []*ConsentState
	if own, ok := a.own.(*ConsentState); ok {
		consents = []*ConsentState{own}
	} else if a.item != nil {
		var err error
		if consents, err = a.item.consents(a.facts); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(consents, func(c *ConsentState) bool {
		return c.Subject == a.Actor.OnBehalfOf && c.Delegated(a.Actor.ID, "", a.Time)
	}) {
		return Refuse(Forbidden, ReasonDelegation)
	}
	return nil
}

// consentDelegated: by the survivor; for somebody without own keys by a clinician or custodian of the case.
func consentDelegated(a *act) (State, error) {
	own, d := a.own.(*ConsentState), a.Details.(*ConsentDelegatedDetails)
	if own.Case != a.Case {
		return nil, Refuse(Invalid, ReasonCase)
	}
	if own.Subject != a.Actor.ID {
		if a.Actor.Role == Survivor || own.Subject != "" {
			return nil, Refuse(Forbidden, ReasonNotSubject)
		}
		if err := a.member(""); err != nil {
			return nil, err
		}
	}
	advocate, err := a.active(d.Advocate)
	switch {
	case err != nil:
		return nil, err
	case advocate.Role != Advocate:
		return nil, Refuse(Invalid, ReasonAdvocate)
	case d.Until <= a.Time:
		return nil, Refuse(Invalid, ReasonWindow)
	}
	s := *own
	s.Last = a.tip
	s.Advocates = with(own.Advocates, Delegation{d.Advocate, d.Rights, d.Until}, byAdvocate)
	return &s, nil
}

// consentDelegationEnded: by the survivor, the advocate, or a custodian of the case.
func consentDelegationEnded(a *act) (State, error) {
	own, d := a.own.(*ConsentState), a.Details.(*ConsentDelegationEndedDetails)
	if own.Case != a.Case {
		return nil, Refuse(Invalid, ReasonCase)
	}
	switch {
	case a.Actor.Role == Custodian:
		if err := a.member(""); err != nil {
			return nil, err
		}
	case a.Actor.ID != own.Subject && a.Actor.ID != d.Advocate:
		return nil, Refuse(Forbidden, ReasonNotSubject)
	}
	if _, found := slices.BinarySearchFunc(own.Advocates, Delegation{Advocate: d.Advocate}, byAdvocate); !found {
		return nil, Refuse(NotFound, ReasonAdvocate)
	}
	s := *own
	s.Last = a.tip
	s.Advocates = without(own.Advocates, func(g Delegation) bool { return g.Advocate == d.Advocate })
	return &s, nil
}
