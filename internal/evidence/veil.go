package evidence

import (
	"cmp"
	"maps"
	"slices"
)

// Veil is an item as it is seen by those from whom holds on it are kept secret until a moment (RULES §4.7). For each such moment the
// item has one: several holds may be secret for different times.
type Veil struct {
	Until Time       `json:"until"`
	Steps []int64    `json:"steps"` // seq of the events that are shown from Until on and not before, ascending
	Item  *ItemState `json:"item"`  // as if what is not shown yet had changed nothing; has no veils itself
}

// Seen is the item as it is seen at now by those from whom secret holds are kept. It may be s itself.
func (s *ItemState) Seen(now Time) *ItemState {
	for i := range s.Veils {
		if now < s.Veils[i].Until {
			return s.Veils[i].Item
		}
	}
	return s
}

// Withheld returns until when event seq must be kept from those from whom secret holds are kept, or 0 if that is not after now.
func (s *ItemState) Withheld(seq int64, now Time) Time {
	for _, v := range s.Veils {
		if _, found := slices.BinarySearch(v.Steps, seq); found && now < v.Until {
			return v.Until
		}
	}
	return 0
}

// Pass returns the item after an event of which nothing but its place is known.
func (s *ItemState) Pass(seq int64, leaf Hash) *ItemState {
	next := *s
	next.Last.Seq, next.Last.Leaf = seq, leaf
	next.Veils = slices.Clone(s.Veils)
	for i := range next.Veils {
		next.Veils[i].Item = next.Veils[i].Item.Pass(seq, leaf)
	}
	return &next
}

// everybodys lists the item as it is and as anybody may see it.
func (s *ItemState) everybodys() []*ItemState {
	list := []*ItemState{s}
	for _, v := range s.Veils {
		list = append(list, v.Item)
	}
	return list
}

// veil carries an item's veils over an accepted event. What betrays a secret hold is withheld: its placing, and whatever would not be
// lawful without something that is withheld, as its confirmation, its lifting, and all that names it. So whatever is shown is lawful as it
// is shown, and whoever sees no more can judge it.
func veil(f Facts, e *Event, leaf Hash, before, after *ItemState) {
	own := e.Stream.Stream()
	after.Veils = slices.DeleteFunc(slices.Clone(before.Veils), func(v Veil) bool { return v.Until.Add(Clock) <= e.Time })
	secret := Time(0)
	if d, ok := e.Details.(*HoldPlacedDetails); ok {
		secret = d.SecretUntil
	}
	at, found := slices.BinarySearchFunc(after.Veils, secret, func(v Veil, t Time) int { return cmp.Compare(v.Until, t) })
	if e.Time < secret && !found {
		seen := *before
		if at < len(after.Veils) {
			seen = *after.Veils[at].Item
		}
		seen.Veils = nil
		after.Veils = slices.Insert(after.Veils, at, Veil{secret, []int64{}, &seen})
	}
	shown := true
	for i := len(after.Veils) - 1; i >= 0; i-- {
		v := &after.Veils[i]
		if shown && secret < v.Until {
			facts := f
			facts.States = maps.Clone(f.States)
			facts.States[own] = v.Item
			if state, err := decide(facts, e, leaf); err == nil {
				v.Item = state.(*ItemState)
				continue
			}
		}
		if shown {
			v.Steps, shown = append(slices.Clone(v.Steps), e.Stream.Seq), false
		}
		v.Item = v.Item.Pass(e.Stream.Seq, leaf)
	}
	if len(after.Veils) == 0 {
		after.Veils = nil
	}
}
