package ledger

import (
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// Whoever sends again what is stored and known wakes nobody; what is stored and was not made known is, whatever came of the write.
func TestKnows(t *testing.T) {
	id, other := evidence.Hash{1}, evidence.Hash{2}
	row := func(size int64, note string, change ...func(*Published)) Published {
		r := Published{Size: size, Note: []byte(note)}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	final := func(r *Published) { r.Final = id }
	audited := func(r *Published) { r.Audited = id }
	stamped := func(r *Published) { r.Stamps = append(r.Stamps, Stamp{"a", []byte{1}}) }
	for name, c := range map[string]struct {
		newest Published
		final  int64
		row    Published
		want   bool
	}{
		"the same":                                  {row(9, "n"), 0, row(9, "n"), true},
		"a line more is stored":                     {row(9, "n"), 0, row(9, "n+"), false},
		"a stamp more is stored":                    {row(9, "n"), 0, row(9, "n", stamped), false},
		"final, and not known to be":                {row(9, "n"), 0, row(9, "n", final), false},
		"final, newest says so, finality does not":  {row(9, "n", final), 7, row(9, "n", final), false},
		"final and known":                           {row(9, "n", final), 9, row(9, "n", final), true},
		"final under another policy":                {row(9, "n"), 0, row(9, "n", func(r *Published) { r.Final = other }), false},
		"audited, and not known to be":              {row(9, "n", final), 9, row(9, "n", final, audited), false},
		"an older one":                              {row(9, "n"), 0, row(7, "m"), true},
		"an older one that became final":            {row(9, "n"), 0, row(7, "m", final), false},
		"an older one below what is final":          {row(9, "n", final), 9, row(7, "m", final), true},
		"a newer one, stored by an unknown attempt": {row(9, "n"), 0, row(11, "o"), false},
		"nothing is known yet":                      {Published{}, 0, row(1, "n"), false},
	} {
		p := &publisher{id: id, newest: c.newest, final: c.final}
		if got := p.knows(c.row); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	base := row(9, "n", final, stamped)
	for name, change := range map[string]func(*Published){
		"note":    func(r *Published) { r.Note = []byte("m") },
		"stamps":  stamped,
		"final":   func(r *Published) { r.Final = other },
		"audited": audited,
	} {
		changed := row(9, "n", final, stamped, change)
		if sameAs(base, changed) || sameAs(changed, base) || !sameAs(changed, changed) {
			t.Errorf("%s does not count", name)
		}
	}
}
