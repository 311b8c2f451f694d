package evidence

import (
	"maps"
	"slices"
)

// Veil is an item as it is seen by those from whom a hold on it is kept secret until a moment, and with it every hold that is secret for at
// least as long and was placed before it, or for longer (RULES §4.7).
type Veil struct {
	Hold   HoldID     `json:"hold"`
	Until  Time       `json:"until"`
	Lapses Time       `json:"lapses,omitempty"` // of a hold that no second person has confirmed: it is secret no longer than that
	Steps  []int64    `json:"steps"`            // seq of the events that are shown with this hold and not before, ascending
	Item   *ItemState `json:"item"`             // as if what is not shown yet had changed nothing; has no veils itself
}

// lifted is when the veil hides nothing more on its own account. Until a signer's clock allows no confirmation in time any more, a hold
// may still be confirmed.
func (v *Veil) lifted() Time {
	if v.Lapses != 0 {
		return min(v.Until, v.Lapses.Add(Clock))
	}
	return v.Until
}

// Seen is the item as it is seen at now by those from whom secret holds are kept. It may be s itself.
func (s *ItemState) Seen(now Time) *ItemState {
	return s.SeenWith(now, func(*ItemState) bool { return true })
}

// SeenWith is Seen for somebody to whom more must be shown: the view that hides the most of those that are enough, or else s.
func (s *ItemState) SeenWith(now Time, enough func(*ItemState) bool) *ItemState {
	for i := range s.Veils {
		if v := &s.Veils[i]; now < v.lifted() && enough(v.Item) {
			return v.Item
		}
	}
	return s
}

// Withheld returns until when event seq must be kept from those from whom secret holds are kept, or 0 if that is not after now.
func (s *ItemState) Withheld(seq int64, now Time) Time { return s.WithheldFrom(s.Seen(now), seq, now) }

// WithheldFrom is Withheld for somebody who sees the item as seen, which Seen or SeenWith returned for now.
func (s *ItemState) WithheldFrom(seen *ItemState, seq int64, now Time) (until Time) {
	for i := range s.Veils {
		v := &s.Veils[i]
		if now < v.lifted() && (until != 0 || v.Item == seen) {
			until = v.Until
		}
		if _, found := slices.BinarySearch(v.Steps, seq); found {
			return until
		}
	}
	return 0
}

// Pass returns the item after an event of which nothing but its place is known.
func (s *ItemState) Pass(seq int64, leaf Hash) *ItemState {
	next := *s
	next.Last.Seq, next.Last.Leaf, next.Passed = seq, leaf, true
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

// open are the veils that have something to hide after now. What a lapsed hold hid stays with the next one that does.
func open(veils []Veil, now Time) (list []Veil) {
	for _, v := range veils {
		switch n := len(list); {
		case now < v.Until.Add(Clock) && (v.Lapses == 0 || now < v.Lapses):
			list = append(list, v)
		case n > 0:
			list[n-1].Steps = slices.Sorted(slices.Values(slices.Concat(list[n-1].Steps, v.Steps)))
		}
	}
	return list
}

// veil carries an item's veils over an accepted event. What betrays a secret hold is withheld: its placing, and whatever would not be
// lawful without something that is withheld, as its confirmation, its lifting, and all that names it. So whatever is shown is lawful as it
// is shown, and whoever sees no more can judge it.
func veil(f Facts, e *Event, leaf Hash, before, after *ItemState) {
	own := e.Stream.Stream()
	after.Veils = open(before.Veils, e.Time)
	placed := -1 // the veil of the secret hold that the event places
	if d, ok := e.Details.(*HoldPlacedDetails); ok && d.SecretUntil != 0 {
		placed = len(after.Veils)
		if i := slices.IndexFunc(after.Veils, func(v Veil) bool { return v.Until > d.SecretUntil }); i >= 0 {
			placed = i
		}
		seen := *before
		if placed < len(after.Veils) {
			seen = *after.Veils[placed].Item
		}
		seen.Veils = nil
		after.Veils = slices.Insert(after.Veils, placed, Veil{d.Hold, d.SecretUntil, after.Hold(d.Hold).Lapses, []int64{}, &seen})
	}
	shown := true
	for i := len(after.Veils) - 1; i >= 0; i-- {
		v := &after.Veils[i]
		if shown && i > placed {
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
	if d, ok := e.Details.(*HoldConfirmedDetails); ok {
		for i := range after.Veils {
			if v := &after.Veils[i]; v.Hold == d.Hold {
				v.Lapses = 0
			}
		}
	}
}
