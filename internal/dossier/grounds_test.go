package dossier

import (
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// A verified package says of every step that released something why it was allowed: the ground, the two persons, the period. Of a step that
// was not judged it gives no reason, and without any one of the steps that are the reason it is refused.
func TestGrounds(t *testing.T) {
	w, id := newShared(t)
	s := w.pack(id)
	court := w.people["court"].age
	r := verify(t, w, s.write(t), &court)
	found := map[ev.Kind]string{}
	for _, e := range r.Events {
		released := e.Kind == ev.ItemOpened || e.Kind == ev.GrantRedeemed || e.Kind == ev.ItemExported
		if released != (e.Why != "") {
			t.Errorf("step %d, %s: %q", e.Step, e.Kind, e.Why)
		}
		found[e.Kind] = e.Why
	}
	g := w.facts.States[ev.ItemOf(id)].(*ev.ItemState).Grant(w.grant)
	consent := w.facts.States[ev.ItemOf(id)].(*ev.ItemState).Consent[0]
	for _, part := range []string{string(g.ProposedBy), string(g.Custodian), string(consent) + ", version 1", "for a court in", "another person, approved it"} {
		if !strings.Contains(found[ev.GrantRedeemed], part) {
			t.Errorf("%q is missing from %q", part, found[ev.GrantRedeemed])
		}
	}
	if !strings.Contains(found[ev.ItemOpened], "the right to open") {
		t.Error(found[ev.ItemOpened])
	}
	var text strings.Builder
	if err := r.WriteText(&text, Telling{}); err != nil || !strings.Contains(text.String(), "Allowed: ") {
		t.Errorf("the reasons are not in the text: %v", err)
	}
	lengths := map[ev.Stream]int{} // before more packages are made
	for stream, events := range w.events {
		if stream.Type != ev.VaultStream { // of which only the newest event is in a package
			lengths[stream] = len(events)
		}
	}
	for stream, n := range lengths {
		for seq := range n {
			s := w.pack(id)
			s.replace(s.event(stream, int64(seq)), nil)
			if r := verify(t, w, s.write(t), &court); r.Verdict != Refused {
				t.Errorf("%s without step %d of %s", r.Verdict, seq, stream.Type)
			}
		}
	}
}
