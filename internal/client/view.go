package client

import (
	"iter"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

// View is what was verified of some streams at one moment. It is the only ground on which this package decides or signs.
type View struct {
	*dossier.History
	Time evidence.Time // of the look, by the vault's clock

	facts   evidence.Facts
	excerpt dossier.Excerpt
	readers readers
}

// state returns a stream's present state.
func state[T evidence.State](v *View, s evidence.Stream) (T, error) {
	t, ok := v.facts.States[s].(T)
	if !ok {
		return t, evidence.Refuse(evidence.NotFound, "not_found")
	}
	return t, nil
}

// Entry is an event of a verified history.
type Entry struct {
	*evidence.Event
	Leaf  evidence.Hash
	Index int64 // in the log
}

// Events are a stream's events from the first to the last, but for those that a secret hold withholds. An error is the last that comes, and
// beside it there is no event: who passes over it cannot go on as if nothing had happened.
func (v *View) Events(s evidence.Stream) iter.Seq2[Entry, error] { return v.eventsFrom(s, 0) }

// eventsFrom are those from a sequence number on.
func (v *View) eventsFrom(s evidence.Stream, first int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for seq := first; seq < v.Len(s); seq++ {
			if v.Withheld(s, seq) != 0 {
				continue
			}
			e, err := v.Event(s, seq)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			leaf, index := v.Leaf(s, seq)
			if !yield(Entry{e, leaf, index}, nil) {
				return
			}
		}
	}
}
