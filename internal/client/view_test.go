package client

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

// What cannot be read ends a history with an error, and no event stands beside it that anybody could take for one.
func TestEventsEndInAnError(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	s := evidence.ItemOf(w.deposit(w.clinician, in, w.consent(in), strings.NewReader("photograph")))
	_, err := w.clinician.Seal(t.Context(), evidence.ItemID(s.ID), 0)
	check(t, err)
	v := must(w.clinician.Look(t.Context(), s))(t)

	// without is the view of who could not read the item's event seq.
	without := func(seq int64) *View {
		x := v.excerpt
		x.Streams = slices.Clone(x.Streams)
		for i, stream := range x.Streams {
			x.Streams[i].Receipt = func(n int64) ([]byte, error) {
				if stream.ID == s && n == seq {
					return nil, errors.New("gone")
				}
				return stream.Receipt(n)
			}
		}
		history, _ := dossier.Replay(w.trust, x)
		return &View{History: history}
	}
	read := func(v *View, first int64) (kinds []evidence.Kind, last error) {
		for e, err := range v.eventsFrom(s, first) {
			if last != nil {
				t.Error("it goes on after an error")
			}
			if last = err; err != nil {
				if e.Event != nil {
					t.Errorf("%s beside an error", e.Kind)
				}
				continue
			}
			if leaf, index := v.Leaf(s, e.Stream.Seq); e.Leaf != leaf || e.Index != index {
				t.Errorf("%s is entry %d, not %d", e.Kind, index, e.Index)
			}
			kinds = append(kinds, e.Kind)
		}
		return kinds, last
	}
	deposited, sealed := evidence.ItemDeposited, evidence.ItemSealed
	for _, test := range []struct {
		view  *View
		first int64
		want  []evidence.Kind
		fails bool
	}{
		{v, 0, []evidence.Kind{deposited, sealed}, false},
		{v, 1, []evidence.Kind{sealed}, false},
		{v, 2, nil, false},
		{without(0), 0, nil, true},
		{without(0), 1, []evidence.Kind{sealed}, false},
		{without(1), 0, []evidence.Kind{deposited}, true},
	} {
		if kinds, err := read(test.view, test.first); !slices.Equal(kinds, test.want) || (err != nil) != test.fails {
			t.Errorf("from %d: %v, %v", test.first, kinds, err)
		}
	}
}
