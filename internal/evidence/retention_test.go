package evidence

import (
	"testing"
)

func (w *world) retaining(id ItemID, by, category string, due Time) *Event {
	return w.on(id, by, RetentionSet, &RetentionSetDetails{category, due})
}

func TestRetentionSet(t *testing.T) {
	base := func(t testing.TB) (*world, *Event) {
		w := newConsented(t)
		return w, w.retaining(w.item("clinician", Clinical), "custodian 3", "medical_record", w.now.Add(900*day))
	}
	set := changed[*RetentionSetDetails]
	check(t, base,
		refusal{"by an outsider", Forbidden, ReasonNotMember, by("outsider")},
		refusal{"by a clinician", Forbidden, ReasonRole, by("clinician")},
		refusal{"by the vault", Forbidden, ReasonRole, by("vault")},
		refusal{"category in capitals", Invalid, ReasonText, set(func(w *world, d *RetentionSetDetails) { d.Category = "Medical" })},
		refusal{"no date", Invalid, ReasonTime, set(func(w *world, d *RetentionSetDetails) { d.Due = 0 })},
		refusal{"shredded", Gone, ReasonShredded, func(w *world, e *Event) { w.shred(ItemID(e.Stream.ID), CauseDraft); w.again(e) }},
	)
}

// RULES §8.1 and §8.6, and pitfall 23: the longest category wins, consent is a ceiling, and nothing that comes nearer binds before the
// vault's wait, whichever way it is brought nearer.
func TestDue(t *testing.T) {
	due := func(w *world, id ItemID, now Time) Time {
		w.t.Helper()
		at, ok, err := w.state(id).Due(w.facts, now)
		if err != nil || !ok {
			w.t.Fatalf("due: %v %v", ok, err)
		}
		return at
	}
	wait := Time(7 * 86400e3)
	t.Run("none", func(t *testing.T) {
		w := newConsented(t)
		if _, ok, err := w.state(w.item("clinician", Clinical, onOrder)).Due(w.facts, w.now); ok || err != nil {
			t.Error("due although nothing says so")
		}
		id := w.item("clinician", Clinical)
		if got := due(w, id, w.now); got != w.consent().Until {
			t.Errorf("due %v, consent ends %v", got, w.consent().Until)
		}
		_, _, err := w.state(id).Due(Facts{}, w.now)
		refused(t, err, Conflict, ReasonMissingBasis)
	})
	t.Run("longest wins", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical, onOrder)
		near, far := w.now.Add(100*day), w.now.Add(900*day)
		w.do(w.retaining(id, "custodian", "case_file", far))
		w.do(w.retaining(id, "custodian", "medical_record", near))
		if got := due(w, id, w.now.Add(8*day)); got != far {
			t.Errorf("due %v, want %v", got, far)
		}
	})
	t.Run("consent is a ceiling", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		w.do(w.retaining(id, "custodian", "medical_record", w.now.Add(9000*day)))
		if got := due(w, id, w.now); got != w.consent().Until {
			t.Errorf("due %v, consent ends %v", got, w.consent().Until)
		}
	})
	t.Run("a shorter date above the ceiling", func(t *testing.T) { // the ceiling may rise within the wait
		w := newConsented(t)
		id, far := w.item("clinician", Clinical), w.now.Add(900*day)
		w.do(w.retaining(id, "custodian", "case_file", far))
		w.do(w.retaining(id, "custodian", "case_file", w.now.Add(500*day)))
		w.answer("clinician", everyAnswer, func(d *ConsentGivenDetails) { d.Until = w.now.Add(2000 * day) })
		if got := due(w, id, w.now); got != far {
			t.Errorf("due %v, want %v within the wait", got, far)
		}
	})
	for name, first := range map[string]func(w *world) (ItemID, Time){
		"a shorter date": func(w *world) (ItemID, Time) {
			id, far := w.item("clinician", Clinical, onOrder), w.now.Add(900*day)
			w.do(w.retaining(id, "custodian", "case_file", far))
			return id, far
		},
		"a second category under the ceiling": func(w *world) (ItemID, Time) {
			return w.item("clinician", Clinical), w.consent().Until
		},
		"the first date of all": func(w *world) (ItemID, Time) {
			return w.item("clinician", Clinical, onOrder), w.now + wait
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newConsented(t)
			id, former := first(w)
			past := w.now.Add(-day)
			e := w.retaining(id, "custodian", "case_file", past)
			w.do(e)
			if got := due(w, id, e.Time+wait-1); got < former {
				t.Errorf("due %v, before the former date %v, within the wait", got, former)
			}
			w.refuse(w.shredProposal(id, "custodian", CauseDue), Conflict, ReasonNotDue)
			if got := due(w, id, e.Time+wait); got != past {
				t.Errorf("due %v after the wait, want %v", got, past)
			}
			w.now = w.now.Add(5 * day)
			again := w.retaining(id, "custodian", "case_file", past-1) // once more, within the wait: it begins anew
			w.do(again)
			if got := due(w, id, again.Time+wait-1); got < former {
				t.Errorf("due %v, before the former date %v, within the second wait", got, former)
			}
			w.now = again.Time + wait
			w.do(w.shredProposal(id, "custodian", CauseDue))
		})
	}
	t.Run("to the moment", func(t *testing.T) {
		w := newConsented(t)
		id := w.item("clinician", Clinical, onOrder)
		at := w.now.Add(99 * day)
		w.do(w.retaining(id, "custodian", "case_file", at))
		w.now = at - 1
		w.refuse(w.shredProposal(id, "custodian", CauseDue), Conflict, ReasonNotDue)
		w.now = at
		w.do(w.shredProposal(id, "custodian", CauseDue))
	})
}

// Pitfall 22: the access has expired, the evidence is retained.
func TestExpiryKeepsTheItem(t *testing.T) {
	w, id, g := newShared(t)
	before, _, _ := w.state(id).Due(w.facts, w.now)
	w.now = w.state(id).Grant(g).Terms.Expires
	w.refuse(w.redemption(id, "court", g), Gone, ReasonGrantOver)
	w.do(w.expire(id, g))
	if after, ok, err := w.state(id).Due(w.facts, w.now); !ok || err != nil || after != before || w.state(id).Shredded != 0 {
		t.Errorf("the end of a share changed the retention: %v, %v", before, after)
	}
	w.do(w.open(id, "custodian"))
}

// RULES §3.5: the clock for a decision runs from the first consent that ended, whatever ends it again.
func TestDecide(t *testing.T) {
	decide := func(w *world, id ItemID) (Time, bool) {
		w.t.Helper()
		by, ok, err := w.state(id).Decide(w.facts, w.facts.States[PolicyOf(origin)].(*PolicyState), w.now)
		if err != nil {
			w.t.Fatal(err)
		}
		return by, ok
	}
	week := Time(7 * 86400e3)
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	expect := func(since Time) {
		t.Helper()
		if by, ok := decide(w, id); !ok || by != since+week {
			t.Errorf("decide by %v (%v), want %v", by, ok, since+week)
		}
	}
	if _, ok := decide(w, id); ok {
		t.Error("something to decide while consent is in force")
	}
	w.do(w.narrowing("clinician", func(a *Answers) { a.Courts = nil }))
	if _, ok := decide(w, id); ok {
		t.Error("something to decide although the item is kept")
	}
	w.now = w.now.Add(day)
	w.answer("clinician", func() Answers { a := everyAnswer; a.Storage = No; return a }())
	since := w.consent().Answered
	expect(since)
	w.now = w.now.Add(day)
	w.do(w.delegating("clinician", "advocate", "read")) // which changes no answer
	expect(since)
	w.withdraw()
	expect(since)
	h := w.placed(id)
	if _, ok := decide(w, id); ok {
		t.Error("something to decide about a held item")
	}
	w.do(w.lifting(id, "custodian 2", h))
	expect(since)
	w.do(w.shredProposal(id, "custodian", CauseWithdrawal))
	if _, ok := decide(w, id); ok {
		t.Error("something to decide in the bin")
	}
	w.now = w.state(id).Bin.Ready
	w.do(w.shredding(id, "custodian 2"))
	if _, ok := decide(w, id); ok {
		t.Error("something to decide about what is gone")
	}
	_, _, err := (&ItemState{Consent: []ConsentID{"c"}}).Decide(Facts{}, &PolicyState{}, 1)
	refused(t, err, Conflict, ReasonMissingBasis)

	first, second := &ConsentState{Answers: everyAnswer, Until: 20}, &ConsentState{Answers: everyAnswer, Until: 10}
	both := Facts{States: map[Stream]State{ConsentOf("a"): first, ConsentOf("b"): second}}
	for _, order := range [][]ConsentID{{"a", "b"}, {"b", "a"}} {
		if by, ok, err := (&ItemState{Content: Clinical, Consent: order}).Decide(both, &PolicyState{}, 30); by != 10 || !ok || err != nil {
			t.Errorf("decide by %d, want the end of the first consent", by)
		}
	}

	all := &ConsentState{Answers: everyAnswer, From: 10, Until: 20, Answered: 5}
	withdrawn := *all
	withdrawn.Withdrawn = 30 // after its end
	for _, c := range []struct {
		s    *ConsentState
		now  Time
		want Time
	}{{all, 10, 0}, {all, 19, 0}, {all, 20, 20}, {all, 40, 20}, {all, 9, 5}, {&withdrawn, 40, 20}} {
		if got := c.s.ended(Clinical, c.now); got != c.want {
			t.Errorf("at %d ended %d, want %d", c.now, got, c.want)
		}
	}
}
