package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// placeSecret places a hold that is secret for so long.
func (w *world) placeSecret(id ItemID, by string, d time.Duration) HoldID {
	w.t.Helper()
	e := w.placing(id, by)
	e.Details.(*HoldPlacedDetails).SecretUntil = w.now.Add(d)
	w.do(e)
	return holdNamed(e.Details)
}

// steps is how many events an item has.
func (w *world) steps(id ItemID) int64 { return w.state(id).Last.Seq + 1 }

// hidden lists which events of an item are withheld at a moment.
func hidden(s *ItemState, now Time) (list []int64) {
	for seq := range s.Last.Seq + 1 {
		if s.Withheld(seq, now) != 0 {
			list = append(list, seq)
		}
	}
	return list
}

// checkSeen replays the whole log, knowing of each event that is withheld at a moment nothing but its place. All that is shown must be
// lawful then, and every item what Seen says of it.
func (w *world) checkSeen(now Time) error {
	f := Facts{Origin: w.facts.Origin, Founders: w.facts.Founders, States: map[Stream]State{}}
	leaves := map[Stream]Hash{} // of the next event, from the one after it
	at := make([]Hash, len(w.log))
	for i, e := range slices.Backward(w.log) {
		s := e.Stream.Stream()
		if at[i] = leaves[s]; at[i].IsZero() {
			at[i] = w.facts.States[s].Tip().Leaf
		}
		leaves[s] = e.Stream.Prev
	}
	for i, e := range w.log {
		s := e.Stream.Stream()
		if item, ok := w.facts.States[s].(*ItemState); ok && item.Withheld(e.Stream.Seq, now) != 0 {
			f.States[s] = f.States[s].(*ItemState).Pass(e.Stream.Seq, at[i])
			continue
		}
		state, err := Apply(f, e, at[i])
		if err != nil {
			return fmt.Errorf("%s at %d of %s is shown and not lawful: %w", e.Kind, e.Stream.Seq, s.ID, err)
		}
		f.States[s] = state
	}
	for s, state := range w.facts.States {
		item, ok := state.(*ItemState)
		if !ok {
			continue
		}
		want, got := *item.Seen(now), *f.States[s].(*ItemState)
		want.Veils, got.Veils = nil, nil
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if string(a) != string(b) {
			return fmt.Errorf("%s is seen as\n%s\nand replayed as\n%s", s.ID, a, b)
		}
	}
	return nil
}

// checkVeils is checkSeen now and around every moment at which something is shown.
func (w *world) checkVeils() error {
	moments := []Time{w.now}
	for _, state := range w.facts.States {
		if item, ok := state.(*ItemState); ok {
			for _, v := range item.Veils {
				moments = append(moments, max(w.now, v.Until-1), max(w.now, v.Until))
			}
		}
	}
	slices.Sort(moments)
	for _, now := range slices.Compact(moments) {
		if err := w.checkSeen(now); err != nil {
			return fmt.Errorf("at %s: %w", now, err)
		}
	}
	return nil
}

// What is withheld while a hold is secret: its own events, those that name it, and those that would not be lawful without them. Nothing
// else is.
func TestVeil(t *testing.T) {
	const secret = 10 * 24 * time.Hour
	for _, c := range []struct {
		name string
		acts func(w *world, id ItemID, h HoldID)
		want []int64 // beside the placing, counted from it
	}{
		{"placed", func(*world, ItemID, HoldID) {}, nil},
		{"confirmed", func(w *world, id ItemID, h HoldID) { w.do(w.confirming(id, "custodian 2", h)) }, []int64{1}},
		{"lifted", func(w *world, id ItemID, h HoldID) {
			w.do(w.confirming(id, "custodian 2", h))
			w.do(w.lifting(id, "custodian 3", h))
		}, []int64{1, 2}},
		{"opened as ever", func(w *world, id ItemID, h HoldID) { w.do(w.open(id, "clinician")) }, nil},
		{"opened under the hold", func(w *world, id ItemID, h HoldID) {
			w.do(w.confirming(id, "custodian 2", h))
			w.withdraw()
			e := w.open(id, "custodian")
			under(h)(e)
			w.do(e)
		}, []int64{1, 2}},
		{"verified by who opened it only under the hold", func(w *world, id ItemID, h HoldID) {
			w.do(w.confirming(id, "custodian 2", h))
			e := w.open(id, "custodian 2")
			under(h)(e)
			w.do(e)
			w.do(w.verify(id, "custodian 2", "content", Success))
			w.do(w.open(id, "clinician"))
			w.do(w.verify(id, "clinician", "content", Success))
		}, []int64{1, 2, 3}},
		{"shared under the hold", func(w *world, id ItemID, h HoldID) {
			w.do(w.confirming(id, "custodian 2", h))
			w.do(w.open(id, "custodian"))
			w.withdraw()
			e := w.proposal(id, "clinician", "court")
			e.Details.(*GrantProposedDetails).LegalBasis = "court_order"
			under(h)(e)
			w.finish(e)
			w.do(e)
			g := e.Details.(*GrantProposedDetails).ID
			w.do(w.approval(id, "custodian", g))
			w.do(w.wrap(id, "custodian", g))
			w.do(w.redemption(id, "court", g))
			w.do(w.revoke(id, "custodian 3", g))
		}, []int64{1, 3, 4, 5, 6, 7}},
		{"taken back from the bin for its sake", func(w *world, id ItemID, h HoldID) {
			w.do(w.confirming(id, "custodian 2", h))
			w.do(w.lifting(id, "custodian 3", h))
			w.withdraw()
			w.do(w.shredProposal(id, "custodian", CauseWithdrawal))
			again := w.placeSecret(id, "custodian 2", time.Hour)
			w.do(w.cancelling(id, "custodian 3"))
			w.do(w.confirming(id, "custodian 3", again))
		}, []int64{1, 2, 4, 5, 6}},
		{"a hold that is no secret", func(w *world, id ItemID, h HoldID) { w.hold(id) }, nil},
		{"put into the bin and shredded, once it is lifted", func(w *world, id ItemID, h HoldID) {
			w.do(w.lifting(id, "custodian 2", h))
			w.do(w.shredProposal(id, "custodian", CauseOrder))
			w.now = w.state(id).Bin.Ready
		}, []int64{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newConsented(t)
			id := w.item("clinician", Clinical)
			w.seal(id)
			first, placed := w.steps(id), w.now
			h := w.placeSecret(id, "custodian", secret)
			until := w.state(id).Hold(h).SecretUntil
			c.acts(w, id, h)
			want := []int64{first}
			for _, seq := range c.want {
				want = append(want, first+seq)
			}
			if now := min(w.now, until-1); w.now < until {
				if got := hidden(w.state(id), now); !slices.Equal(got, want) {
					t.Errorf("withheld %v, want %v", got, want)
				}
			}
			if got := w.state(id).Withheld(first, placed); got != until && w.now < until {
				t.Errorf("the placing is withheld until %s, want %s", got, until)
			}
			if err := w.checkVeils(); err != nil {
				t.Error(err)
			}
			if got := hidden(w.state(id), max(w.now, until)); len(got) != 0 {
				t.Errorf("withheld for ever: %v", got)
			}
		})
	}
}

// Of two secret holds each is shown in its own time, whichever was placed first, and what rests on both with the later one.
func TestTwoVeils(t *testing.T) {
	for _, first := range []time.Duration{5 * day, 10 * day} {
		w := newConsented(t)
		id := w.item("clinician", Clinical)
		one := w.placeSecret(id, "custodian", first)
		other := w.placeSecret(id, "custodian 2", 15*day-first)
		w.do(w.open(id, "clinician"))
		w.do(w.confirming(id, "custodian 3", one))
		w.do(w.confirming(id, "custodian 3", other))
		soon, late := min(w.state(id).Hold(one).SecretUntil, w.state(id).Hold(other).SecretUntil), max(w.state(id).Hold(one).SecretUntil, w.state(id).Hold(other).SecretUntil)
		for _, at := range []struct {
			now   Time
			holds int
			n     int
		}{{w.now, 0, 4}, {soon - 1, 0, 4}, {soon, 1, 2}, {late - 1, 1, 2}, {late, 2, 0}} {
			if holds, n := len(w.state(id).Seen(at.now).Holds), len(hidden(w.state(id), at.now)); holds != at.holds || n != at.n {
				t.Errorf("at %s %d holds are seen and %d events withheld, want %d and %d", at.now, holds, n, at.holds, at.n)
			}
		}
		if err := w.checkVeils(); err != nil {
			t.Error(err)
		}
		// What is shown by now needs no veil any more: signers' clocks may be as far ahead as they may be.
		w.now = soon.Add(Clock)
		w.do(w.open(id, "clinician"))
		if n := len(w.state(id).Veils); n != 1 {
			t.Errorf("%d veils, want 1", n)
		}
		w.now = late.Add(Clock) - 1
		w.do(w.open(id, "clinician"))
		if n := len(w.state(id).Veils); n != 1 {
			t.Errorf("%d veils, want 1", n)
		}
		w.do(w.open(id, "clinician"))
		if w.state(id).Veils != nil || w.state(id).Seen(w.now) != w.state(id) {
			t.Error("a veil stays")
		}
		if err := w.checkVeils(); err != nil {
			t.Error(err)
		}
	}
}

// What is made from an item, or sealed after it, must be so for everybody, so that the other item's history can be judged, too.
func TestMadeFromUnderVeil(t *testing.T) {
	w := newConsented(t)
	id := w.item("investigator", Clinical)
	h := w.placeSecret(id, "custodian", 5*day)
	w.do(w.confirming(id, "custodian 2", h))
	e := w.open(id, "clinician")
	under(h)(e)
	w.do(e)
	making := func() *Event {
		return w.deposit("clinician", Clinical, func(e *Event) {
			e.Details.(*ItemDepositedDetails).Class, e.Details.(*ItemDepositedDetails).Source = Derived, id
		})
	}
	w.refuse(making(), Forbidden, ReasonSource)
	w.do(w.open(id, "clinician"))
	made := making()
	w.do(made)
	seal := w.on(id, "custodian", ItemSealed, &ItemSealedDetails{1, id}, under(h))
	w.do(seal)
	sealing := func() *Event { return w.on(ItemID(made.Stream.ID), "clinician", ItemSealed, &ItemSealedDetails{2, id}) }
	w.refuse(sealing(), Conflict, ReasonNotSealed)
	if err := w.checkVeils(); err != nil {
		t.Error(err)
	}
	w.now = w.state(id).Hold(h).SecretUntil.Add(Clock)
	w.do(w.open(id, "clinician"))
	w.do(sealing())
	if err := w.checkVeils(); err != nil {
		t.Error(err)
	}
}

// One person alone hides nothing: neither an own act behind an own hold, nor that hold for longer than it stands unconfirmed.
func TestSecretAlone(t *testing.T) {
	alone := func(t *testing.T) (*world, ItemID, HoldID) {
		w := newConsented(t)
		id := w.item("clinician", Digital)
		w.seal(id)
		e := w.placing(id, "custodian")
		d := e.Details.(*HoldPlacedDetails)
		d.SecretUntil = w.now.Add(MaxSecret)
		d.Expires = d.SecretUntil
		w.do(e)
		return w, id, d.Hold
	}
	acts := func(w *world, id ItemID, h HoldID) (list []*Event) {
		for _, e := range []*Event{w.open(id, "custodian"), w.export(id, "custodian", ""), w.amending(id, "custodian"), w.retaining(id, "custodian", "case_file", w.now.Add(day)),
			w.revoke(id, "custodian", made[GrantID](w)), w.placing(id, "custodian")} {
			under(h)(e)
			w.finish(e)
			list = append(list, e)
		}
		return list
	}
	t.Run("acts", func(t *testing.T) {
		w, id, h := alone(t)
		refuseAll := func() {
			t.Helper()
			for _, e := range acts(w, id, h) {
				w.refuse(e, Forbidden, ReasonUnconfirmed)
			}
		}
		refuseAll()
		w.now = w.state(id).Hold(h).Lapses
		refuseAll()
		w.do(w.lifting(id, "vault", h))
		refuseAll()
		plain := w.placed(id) // nothing is kept secret by naming this one
		e := w.open(id, "custodian")
		under(plain)(e)
		w.do(e)
		if n := len(hidden(w.state(id), w.now.Add(Clock))); n != 0 {
			t.Errorf("%d events are withheld", n)
		}
	})
	t.Run("lifted by another", func(t *testing.T) {
		w, id, h := alone(t)
		w.do(w.lifting(id, "custodian 2", h))
		for _, e := range acts(w, id, h) {
			w.refuse(e, Forbidden, ReasonUnconfirmed)
		}
	})
	t.Run("expired", func(t *testing.T) {
		w, id, h := alone(t)
		w.do(w.confirming(id, "custodian 2", h))
		w.do(acts(w, id, h)[0])
		w.now = w.state(id).Hold(h).Expires
		w.refuse(acts(w, id, h)[0], Forbidden, ReasonUnconfirmed)
	})
	for _, confirmed := range []bool{false, true} {
		w, id, h := alone(t)
		s := w.state(id).Hold(h)
		if confirmed {
			w.now = s.Lapses - 1
			w.do(w.confirming(id, "custodian 2", h))
		}
		for _, at := range []Time{s.Placed, s.Lapses, s.Lapses.Add(Clock) - 1, s.Lapses.Add(Clock), s.SecretUntil - 1, s.SecretUntil} {
			want := at < s.SecretUntil && (confirmed || at < s.Lapses.Add(Clock))
			until := w.state(id).Withheld(2, at)
			if got := until != 0; got != want || got && until != s.SecretUntil || got != (len(w.state(id).Seen(at).Holds) == 0) {
				t.Errorf("confirmed %v: at %s withheld until %s", confirmed, at, until)
			}
		}
		if err := w.checkVeils(); err != nil {
			t.Error(err)
		}
	}
}

// What a lapsed hold hid stays hidden as long as an earlier secret goes on, for there is no view without the one and with the other.
func TestLapsedBehindVeil(t *testing.T) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	lapsing := w.placeSecret(id, "custodian", 50*day)
	short := w.placeSecret(id, "custodian", 20*day)
	w.do(w.confirming(id, "custodian 2", short))
	lapses, soon := w.state(id).Hold(lapsing).Lapses, w.state(id).Hold(short).SecretUntil
	for _, at := range []struct{ now, until Time }{{w.now, w.state(id).Hold(lapsing).SecretUntil}, {lapses.Add(Clock), soon}, {soon - 1, soon}, {soon, 0}} {
		if got := w.state(id).Withheld(1, at.now); got != at.until {
			t.Errorf("at %s until %s, want %s", at.now, got, at.until)
		}
	}
	w.now = lapses
	w.do(w.lifting(id, "vault", lapsing))
	if got := w.state(id); len(got.Veils) != 1 || got.Withheld(1, w.now) != soon || got.Withheld(4, w.now) != soon {
		t.Errorf("%d veils, the placing is withheld until %s, the lifting until %s", len(got.Veils), got.Withheld(1, w.now), got.Withheld(4, w.now))
	}
	if err := w.checkVeils(); err != nil {
		t.Error(err)
	}
}

// Holds of the same date have a view each: who is shown the first is not shown the second.
func TestVeilEach(t *testing.T) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	one := w.placeSecret(id, "custodian", 20*day)
	other := w.placeSecret(id, "custodian", w.state(id).Hold(one).SecretUntil.Std().Sub(w.now.Std()))
	if w.state(id).Hold(one).SecretUntil != w.state(id).Hold(other).SecretUntil {
		t.Fatal("two dates")
	}
	s := w.state(id)
	seen := s.SeenWith(w.now, func(s *ItemState) bool { return s.Hold(one) != nil })
	if seen.Hold(other) != nil || s.WithheldFrom(seen, 1, w.now) != 0 || s.WithheldFrom(seen, 2, w.now) == 0 || s.WithheldFrom(s, 2, w.now) != 0 {
		t.Error("the second hold shows with the first")
	}
}

// Nobody goes on believing in an item that was shredded: the shredding is shown to those, too, who do not know all that led to it.
func TestShredUnderVeil(t *testing.T) {
	begin := func(t *testing.T) (*world, ItemID, HoldID) {
		w := newConsented(t)
		id := w.item("clinician", Digital)
		w.seal(id)
		h := w.placeSecret(id, "custodian", 50*day)
		w.do(w.confirming(id, "custodian 2", h))
		return w, id, h
	}
	t.Run("an envelope nobody knows", func(t *testing.T) {
		w, id, h := begin(t)
		w.do(w.open(id, "custodian"))
		e := w.proposal(id, "clinician", "court")
		e.Details.(*GrantProposedDetails).LegalBasis = "court_order"
		under(h)(e)
		w.finish(e)
		w.do(e)
		g := e.Details.(*GrantProposedDetails).ID
		w.do(w.approval(id, "custodian", g))
		w.do(w.wrap(id, "custodian", g))
		w.do(w.lifting(id, "custodian 3", h))
		w.withdraw()
		w.do(w.shredProposal(id, "custodian", CauseWithdrawal))
		w.now = w.state(id).Bin.Ready
		s := w.shredding(id, "custodian 2")
		less := w.shredding(id, "custodian 2")
		less.Details.(*ItemShreddedDetails).Envelopes = less.Details.(*ItemShreddedDetails).Envelopes[1:]
		w.refuse(less, Conflict, ReasonEnvelopeList)
		w.do(s)
		if seen := w.state(id).Seen(w.now); seen == w.state(id) || seen.Shredded != s.Time || len(seen.Envelopes) != 0 || w.state(id).Withheld(s.Stream.Seq, w.now) != 0 {
			t.Error("the shredding is not shown")
		}
		if err := w.checkVeils(); err != nil {
			t.Error(err)
		}
	})
	t.Run("another bin", func(t *testing.T) {
		w, id, h := begin(t)
		w.do(w.lifting(id, "custodian 3", h))
		w.withdraw()
		w.do(w.shredProposal(id, "custodian", CauseWithdrawal))
		again := w.placeSecret(id, "custodian 2", 50*day)
		w.do(w.cancelling(id, "custodian 3")) // which cannot be shown
		w.do(w.lifting(id, "custodian 3", again))
		w.do(w.shredProposal(id, "custodian 2", CauseWithdrawal))
		w.now = w.state(id).Bin.Ready
		if w.state(id).Seen(w.now) == w.state(id) {
			t.Fatal("nothing is withheld any more")
		}
		w.refuse(w.shredding(id, "custodian"), Held, ReasonUnseen) // as it is shown, by who proposed it
		w.do(w.shredding(id, "custodian 3"))
		if w.state(id).Seen(w.now).Shredded == 0 {
			t.Error("the shredding is not shown")
		}
	})
}

// Veils survive their form, and nothing of what they hide is in what is seen.
func TestVeilJSON(t *testing.T) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	h := w.placeSecret(id, "custodian", day)
	identical(t, w)
	text, err := json.Marshal(w.state(id).Seen(w.now))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(h), "hold", "veil", string(CourtOrder)} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%q is in what is seen: %s", secret, text)
		}
	}
}
