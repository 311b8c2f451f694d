package dossier

import (
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// withhold puts what stands for an event in its place.
func (s *sample) withhold(stream ev.Stream, seq int64, until ev.Time, change func(*Withheld)) {
	p := s.w.parts(s.w.events[stream][seq], len(s.w.logged))
	h := Withheld{string(p.Checkpoint), p.Proof, p.Index, ev.Hash(tlog.LeafHash(p.Leaf)), until}
	change(&h)
	name := s.event(stream, seq)
	s.replace(name, nil)
	s.replace(strings.Replace(name, ".sigstore.", ".withheld.", 1), must(h.Marshal()))
}

// TestWithheld: a step under a secret hold keeps its place; nothing more can be said. What is shown is lawful without it, so nothing that
// something rests on can be withheld.
func TestWithheld(t *testing.T) {
	base, id := newPackage(t)
	w, item := base.w, ev.ItemOf(id)
	same := func(*Withheld) {}
	for _, c := range []struct {
		name    string
		stream  ev.Stream
		seq     int64
		change  func(*Withheld)
		verdict Verdict
		check   Check
		reason  string
	}{
		{"in the middle", item, 7, same, Incomplete, CheckRules, ReasonWithheld},
		{"the last one", item, 8, same, Incomplete, CheckRules, ReasonWithheld},
		{"the opening that another step rests on", item, 4, same, Refused, CheckRules, ev.ReasonNotOpened},
		{"what a file rests on", item, 5, same, Refused, CheckContent, ReasonEnvelopeChanged},
		{"the deposit", item, 0, same, Refused, CheckRules, ReasonWithheldKind},
		{"an answer of the consent", ev.ConsentOf(w.con), 0, same, Refused, CheckRules, ReasonWithheldKind},
		{"a key's confirmation", ev.ActorOf(w.people["court"].ID), 1, same, Refused, CheckRules, ReasonWithheldKind},
		{"another leaf", item, 5, func(h *Withheld) { h.LeafHash[0] ^= 1 }, Refused, CheckInclusion, ReasonProof},
		{"another index", item, 5, func(h *Withheld) { h.Index++ }, Refused, CheckInclusion, ReasonProof},
		{"another event's proof", item, 5, func(h *Withheld) {
			p := w.parts(3, len(w.logged))
			h.Hashes, h.Index, h.LeafHash = p.Proof, p.Index, ev.Hash(tlog.LeafHash(p.Leaf))
		}, Refused, CheckChain, ReasonLink},
		{"another event's proof at the end", item, 8, func(h *Withheld) {
			p := w.parts(3, len(w.logged))
			h.Hashes, h.Index, h.LeafHash = p.Proof, p.Index, ev.Hash(tlog.LeafHash(p.Leaf))
		}, Refused, CheckComplete, ReasonOtherLast},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *base
			s.withhold(c.stream, c.seq, w.now.Add(30*day), c.change)
			r := verify(t, w, s.write(t), nil)
			wanted(t, r, c.verdict, c.check, c.reason)
			shown := func(e EventReport) bool {
				return e.Step == c.seq+1 && strings.Contains(e.What, "may not be shown until") && !e.Judged && e.Kind == "" && e.Time == 0 && e.Actor == ""
			}
			if c.verdict == Incomplete && !slices.ContainsFunc(r.Events, shown) {
				t.Error("the step is not in the timeline")
			}
		})
	}
}

// An item under a secret hold, as a recipient gets it before the hold may be shown, and afterwards.
func TestSecretHold(t *testing.T) {
	w := newWorld(t)
	id := w.deposit("a finding")
	item := ev.ItemOf(id)
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	until := w.now.Add(5 * day)
	d := &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder, Expires: w.now.Add(30 * day), Review: w.now.Add(20 * day), SecretUntil: until}
	w.do(w.on(id, "custodian", ev.HoldPlaced, d, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "order", Audience: ev.ToInternal, SHA256: ev.SHA256([]byte("order")), Size: 512}}
	}))
	w.do(w.on(id, "custodian 2", ev.HoldConfirmed, &ev.HoldConfirmedDetails{Hold: d.Hold}))
	w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) {
		e.Purpose, e.Authority = ev.ForProsecution, &ev.Authority{Basis: ev.CourtOrder, Hold: d.Hold}
	}))
	w.do(w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "content", Evidence: ev.SHA256(w.files[id].evidence)}, func(e *ev.Event) {
		e.Result = &ev.Result{Outcome: ev.Success}
	}))
	w.share(id)
	whole := w.pack(id)
	secret := []int64{2, 3, 4, 5}

	h, found := Replay(w.trust, whole.excerpt)
	if len(found) > 0 {
		t.Fatal(found)
	}
	for seq := range h.Len(item) {
		want := ev.Time(0)
		if slices.Contains(secret, seq) {
			want = until
		}
		if got := h.Secret(item, seq); got != want {
			t.Errorf("event %d is secret until %s, want %s", seq, got, want)
		}
	}
	wanted(t, verify(t, w, whole.write(t), nil), Verified, CheckRules, "")

	s := *whole
	for _, seq := range secret {
		s.withhold(item, seq, until, func(*Withheld) {})
	}
	data := s.write(t)
	r := verify(t, w, data, nil)
	wanted(t, r, Incomplete, CheckRules, ReasonWithheld)
	for _, c := range r.Checks {
		if c.Name != CheckRules && c.Result == Fail || c.Name != CheckRules && c.Result == NotChecked {
			t.Errorf("%+v", c)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(r.Events), func(e EventReport) bool { return e.Judged })); n != len(secret) {
		t.Errorf("%d steps were not judged, want %d", n, len(secret))
	}
	court := w.people["court"].age
	if r := verify(t, w, data, &court); r.Check(CheckContent).Result != Pass {
		t.Errorf("the file the court was given: %+v", r.Check(CheckContent))
	}

	x := s.excerpt
	i := slices.IndexFunc(x.Streams, func(s Stream) bool { return s.ID == item })
	x.Streams = slices.Clone(x.Streams)
	x.Streams[i].Receipt = func(seq int64) ([]byte, error) {
		if slices.Contains(secret, seq) {
			return s.file(strings.Replace(s.event(item, seq), ".sigstore.", ".withheld.", 1)), nil
		}
		return whole.excerpt.Streams[i].Receipt(seq)
	}
	h, found = Replay(w.trust, x)
	if len(found) > 0 {
		t.Fatal(found)
	}
	if _, err := h.Event(item, 2); ev.ReasonOf(err) != ReasonWithheld || h.Withheld(item, 2) != until || h.Withheld(item, 1) != 0 {
		t.Errorf("withheld until %s: %v", h.Withheld(item, 2), err)
	}
	state, ok := h.State(item).(*ev.ItemState)
	if !ok || len(state.Holds) != 0 || state.Held(w.now) || state.Last.Leaf != w.facts.States[item].Tip().Leaf {
		t.Errorf("the item is seen as %+v", state)
	}

	// A part of what must be withheld is shown: it stands on what nobody sees.
	for _, shown := range []int64{3, 4, 5} {
		s := *whole
		for _, seq := range secret {
			if seq != shown {
				s.withhold(item, seq, until, func(*Withheld) {})
			}
		}
		if r := verify(t, w, s.write(t), nil); r.Verdict != Refused || r.Check(CheckRules).Result != Fail {
			t.Errorf("%d is shown alone: %s", shown, r.Verdict)
		}
	}
}
