package evidence

import (
	"reflect"
	"testing"
)

// What followed from the policy stream is what the law made of it, at every step.
func TestDecisions(t *testing.T) {
	w := newCase(t)
	policy := PolicyOf(origin)
	var x Decisions
	first := w.event("vault", policy, VaultConfigured, w.configuration())
	first.Stream.Seq, first.Time = 0, w.facts.States[policy].Tip().Time
	x.Add(first, w.unique())
	step := func(e *Event) Hash {
		t.Helper()
		w.do(e)
		x.Add(e, w.facts.States[policy].Tip().Leaf)
		return w.facts.States[policy].Tip().Leaf
	}
	expect := func(what string, n int) []Decision {
		t.Helper()
		list := x.Until(w.now)
		if len(list) != n {
			t.Fatalf("%s: %d", what, len(list))
		}
		s, last := w.facts.States[policy].(*PolicyState).At(w.now), list[n-1]
		if s.Witness != last.Witness || !reflect.DeepEqual(s.LogKeys, last.LogKeys) || s.Policy != last.Policy || last.From > w.now {
			t.Errorf("%s: the law says %+v, this %+v", what, s, last)
		}
		return list
	}
	now := w.configuration()
	propose := func(witness string) Hash {
		d := *now
		d.Witness = witness
		return step(w.event("administrator", policy, VaultConfigured, &d))
	}
	confirm := func(leaf Hash) { step(w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{leaf})) }

	expect("at first", 1)
	propose("never\n")
	confirm(propose("superseded while it waits\n"))
	expect("waits", 1)
	leaf := propose("one\n")
	w.now = w.now.Add(day)
	confirm(leaf)
	own := *now
	own.Version, own.Builds = "1.0.9", nil
	step(w.event("vault", policy, VaultConfigured, &own))
	from := w.facts.States[policy].(*PolicyState).Effective
	w.now = from - 1
	expect("nearly", 1)
	w.now = from
	list := expect("decided", 2)
	if d := list[1]; d.From != from || d.Witness != "one\n" || d.Proposed >= from || d.Version != "1.0.9" {
		t.Errorf("%+v", d)
	}
	now.Witness = "one\n"
	d := *now
	d.Version = "1.1.0" // counts at once, and decides nothing about others
	step(w.event("administrator", policy, VaultConfigured, &d))
	confirm(propose("two\n"))
	w.now = w.now.Add(365 * day)
	step(w.restoring())
	confirm(w.facts.States[policy].Tip().Leaf)
	if list := expect("in the end", 4); list[3].Witness != "two\n" || list[1] != x.Until(w.now)[1] {
		t.Errorf("%+v", list)
	}
}
