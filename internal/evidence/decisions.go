package evidence

import "slices"

// Decision is a configuration that came into force: when it was proposed, and from when it counts (RULES §3.7).
type Decision struct {
	*VaultConfiguredDetails
	Proposed, From Time
}

// Decisions follows a policy stream, whose events are lawful, and says which configurations were in force one after the other. Those of the
// vault itself are none: they decide nothing. The zero value has seen no event.
type Decisions struct {
	book     *PolicyState
	proposed Time // of what waits
	list     []Decision
}

// Add takes the stream's next event, whose leaf hash is leaf.
func (x *Decisions) Add(e *Event, leaf Hash) {
	x.list = x.Until(e.Time)
	if x.book == nil {
		x.book = &PolicyState{}
	}
	s := *x.book.At(e.Time)
	x.book = &s
	switch d := e.Details.(type) {
	case *VaultConfiguredDetails:
		if e.Stream.Seq == 0 {
			s.adopt(d)
		} else {
			s.configure(e, leaf)
		}
		switch {
		case e.Stream.Seq != 0 && e.Actor.Role == Vault:
		case s.Proposed == nil:
			x.list = append(x.list, Decision{d, e.Time, e.Time})
		default:
			x.proposed = e.Time
		}
	case *VaultConfirmedDetails:
		if s.Proposed != nil && d.Event == s.ProposedLeaf {
			s.confirm(e)
		}
	}
}

// Until lists what was in force until now, the oldest first.
func (x *Decisions) Until(now Time) []Decision {
	if x.book == nil || x.book.At(now) == x.book {
		return x.list
	}
	return append(slices.Clip(x.list), Decision{x.book.Proposed, x.proposed, x.book.Effective})
}
