package vault_test

import (
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// Who a person is is kept apart from the evidence about that person: whoever holds the keys of a case knows all of it. Consent forms stand beside
// both.
func TestIdentityCase(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	current := func(id ev.ConsentID) ev.ConsentRef {
		return ev.ConsentRef{ID: id, Version: w.state(ev.ConsentOf(id)).(*ev.ConsentState).Version}
	}
	deposit := func(in ev.CaseID, class ev.Class, consent ...ev.ConsentRef) error {
		t.Helper()
		it := w.prepare(in, class, consent...)
		if class == ev.Identity {
			it.details.Content = ev.IdentityContent
		}
		_, err := w.tryDeposit(it)
		return err
	}
	refused(t, deposit(c.in, ev.Identity, current(c.consent)), ev.Conflict, "identity_case")

	apart := w.openCase()
	form := w.prepare(apart, ev.ConsentForm)
	if _, err := w.tryDeposit(form); err != nil {
		t.Fatal(err)
	}
	own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
	consent := ev.NewID[ev.ConsentID]()
	w.do("clinician", ev.ConsentOf(consent), ev.ConsentGiven, &ev.ConsentGivenDetails{Version: 1, Answers: own.Answers, From: own.From, Until: own.Until, By: "self",
		Form: form.id}, func(e *ev.Event) { e.Case = apart })
	for _, class := range []ev.Class{ev.Identity, ev.Identity} {
		if err := deposit(apart, class, current(consent)); err != nil {
			t.Fatal(err)
		}
	}
	if err := deposit(apart, ev.ConsentForm); err != nil {
		t.Fatal(err)
	}
	refused(t, deposit(apart, ev.Original, current(consent)), ev.Conflict, "identity_case")
}
