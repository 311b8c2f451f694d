package dossier

import (
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// TestNewerEvents: who is about to act may be shown events that no publication covers yet, but never fewer than are proved.
func TestNewerEvents(t *testing.T) {
	w, id := newShared(t)
	x := w.excerpt(ev.ItemOf(id))
	w.do(w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)},
		func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} }))
	receipts := append(x.Streams[0].receipts(), w.receipt(len(w.logged)-1, len(w.logged)))
	x.Streams[0].Events, x.Streams[0].Receipt = int64(len(receipts)), Held(receipts)
	if _, findings := Replay(w.trust, x); len(findings) != 1 || findings[0].Reason != ReasonNotCovered {
		t.Errorf("a package with a newer event: %v", findings)
	}
	x.Newer = true
	h, findings := Replay(w.trust, x)
	if len(findings) != 0 {
		t.Fatal(findings)
	}
	if h.State(ev.ItemOf(id)).Tip() != w.facts.States[ev.ItemOf(id)].Tip() {
		t.Error("the newer event was not judged")
	}
	// What the client would sign next is lawful by the states it was shown.
	e := w.on(id, "court", ev.GrantRedeemed, &ev.GrantRedeemedDetails{Grant: w.grant, Action: ev.View, Envelope: ev.SHA256(w.files[id].envelopes["court"])})
	e.ReliedOn = ev.ReliedOn(h.Facts(), e)
	if _, err := ev.Apply(h.Facts(), e, ev.SHA256(nil)); err != nil {
		t.Error(err)
	}
	x.Streams[0].Events = 7
	if _, findings := Replay(w.trust, x); len(findings) == 0 || findings[0].Reason != ReasonMissingLast {
		t.Errorf("fewer than proved: %v", findings)
	}
}

// TestStreamThatDoesNotExist: that there is no such stream is proved too.
func TestStreamThatDoesNotExist(t *testing.T) {
	w, id := newShared(t)
	nobody := ev.ActorOf(ev.NewID[ev.ActorID]())
	x := w.excerpt(ev.ItemOf(id), nobody)
	h, findings := Replay(w.trust, x)
	if len(findings) != 0 || h.State(nobody) != nil || h.Len(nobody) != 0 {
		t.Error(findings)
	}
	i := slices.IndexFunc(x.Streams, func(s Stream) bool { return s.ID == ev.CaseOf(w.cas) })
	x.Streams[i].Events, x.Streams[i].Length = 0, x.Streams[1].Length
	if _, findings := Replay(w.trust, x); len(findings) == 0 {
		t.Error("a stream that exists was taken away")
	}
}

// TestLargeHistory judges with nothing kept in memory, as a very large excerpt is.
func TestLargeHistory(t *testing.T) {
	w, id := newShared(t)
	x := w.excerpt(ev.ItemOf(id))
	h := newHistory(w.trust, x)
	h.spare.left.Store(0)
	if findings := h.run(); len(findings) != 0 {
		t.Fatal(findings)
	}
	for _, c := range h.chains {
		for _, e := range c.events {
			if e != nil {
				t.Fatal("an event was kept")
			}
		}
		if len(c.kept) != 0 {
			t.Errorf("%d states of %s are still kept", len(c.kept), c.ID)
		}
	}
	e, err := h.Event(ev.ItemOf(id), 2)
	if err != nil || e.Kind != ev.GrantProposed {
		t.Errorf("%v, %v", e, err)
	}
}

// TestChangingFile: a file that is another one when it is read again is found out.
func TestChangingFile(t *testing.T) {
	w, id := newShared(t)
	x := w.excerpt(ev.ItemOf(id))
	receipts, reads := x.Streams[0].receipts(), 0
	x.Streams[0].Receipt = func(seq int64) ([]byte, error) {
		if seq == 2 {
			if reads++; reads > 1 {
				return receipts[3], nil
			}
		}
		return receipts[seq], nil
	}
	h := newHistory(w.trust, x)
	h.spare.left.Store(0)
	if findings := h.run(); len(findings) == 0 || findings[0].Reason != ReasonUnreadable {
		t.Error(findings)
	}
}

func TestRequired(t *testing.T) {
	w, id := newShared(t)
	x := w.excerpt(ev.ItemOf(id))
	var ids []ev.Stream
	for _, s := range x.Streams {
		ids = append(ids, s.ID)
	}
	for _, want := range []ev.Stream{ev.ConsentOf(w.con), ev.CaseOf(w.cas), ev.PolicyOf(origin), ev.ItemOf(w.form), ev.ActorOf(w.people["administrator"].ID)} {
		if !slices.Contains(ids, want) {
			t.Errorf("%s is not among them", want)
		}
	}
	if _, err := Required([]byte("nonsense")); err == nil {
		t.Error("nonsense names streams")
	}
}

func TestWithoutTrust(t *testing.T) {
	s, _ := newPackage(t)
	data := s.write(t)
	r, err := Verify(strings.NewReader(string(data)), int64(len(data)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	wanted(t, r, Incomplete, CheckRules, ReasonTrustMissing)
}
