package ledger_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/timestamping"
	"strongroom.example/strongroom/internal/tlog"
)

// authority is a real one, for development, that can be told to fail or to lie.
type authority struct {
	*timestamping.Development
	answer atomic.Pointer[func(message []byte) ([]byte, error)] // instead of its own
}

func newAuthority(t testing.TB, clock func() time.Time) *authority {
	t.Helper()
	return &authority{Development: must(timestamping.OpenDevelopment(must(timestamping.MakeDevelopment()), clock))}
}

func (a *authority) set(f func(message []byte) ([]byte, error)) { a.answer.Store(&f) }

func (a *authority) ask(ctx context.Context, message []byte) ([]byte, error) {
	if f := a.answer.Load(); f != nil && *f != nil {
		return (*f)(message)
	}
	response, _, err := a.Ask(ctx, message)
	return response, err
}

func (a *authority) trusted(p *tlog.TrustParts) { p.TimestampRoots = [][]byte{a.Root().Raw} }

// stamped is a ledger whose checkpoints, and events that open a case, an authority stamps.
func (s *watched) stamped(a *authority) func(*ledger.Config) {
	return func(c *ledger.Config) {
		s.by(c)
		c.Authorities = []ledger.Authority{{Name: "a", Stamp: a.ask}}
		c.Stamped = func(k ev.Kind) bool { return k == ev.CaseOpened }
	}
}

func signatureOf(e ledger.Entry) []byte { return must(custody.Open(e.Leaf.Extra)).Signature() }

// Checkpoints and chosen events are stamped. While the authority is down nothing waits but what is final, and what it missed is stamped when
// it is back, after a restart too.
func TestStamps(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t, time.Now)
	s := w.watch("", a.trusted)
	w.stop()
	w.openWith(s.stamped(a))
	stamps := func(e ledger.Entry) [][]byte {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
			r := w.finally(s, e)
			if list := r.Timestamps(); len(list) > 0 || time.Now().After(deadline) {
				return list
			}
		}
	}
	check := func(e ledger.Entry) {
		t.Helper()
		list := stamps(e)
		if len(list) != 1 {
			t.Fatalf("%d stamps", len(list))
		}
		if stamp, err := s.trust.VerifyTimestamp(list[0], signatureOf(e)); err != nil || !stamp.Development {
			t.Errorf("the event's time stamp: %+v, %v", stamp, err)
		}
	}
	first := w.put(w.openCase("a"))
	check(first)
	row := must(w.PublishedCheckpoint(t.Context(), must(tlog.ParseCheckpoint(textOf(w.finally(s, first).Checkpoint()))).Size))
	if len(row.Stamps) != 1 || row.Stamps[0].Verify(s.trust, row) != nil || row.Final != ledger.PolicyID(s.trust) {
		t.Errorf("the final checkpoint has %d stamps", len(row.Stamps))
	}
	w.until("well", func(s ledger.Status) bool { return s.Behind == 0 && s.Authorities[0].State == ledger.Well })

	a.set(func([]byte) ([]byte, error) { return nil, errors.New("down") })
	missed := []ledger.Entry{w.put(w.openCase("a")), w.put(w.configure("2")), w.put(w.openCase("b"))}
	w.until("failing", func(s ledger.Status) bool {
		return s.Authorities[0].State == ledger.Failing && s.Authorities[0].Reason == "unreachable"
	})
	for _, e := range missed {
		w.notFinal(e)
	}
	w.stop()
	w.openWith(s.stamped(a))
	missed = append(missed, w.put(w.openCase("a")))
	a.set(nil)
	for _, e := range missed {
		if e.Kind == ev.CaseOpened {
			check(e)
		}
	}
	if list := w.finally(s, missed[1]).Timestamps(); len(list) != 0 {
		t.Error("an event of a class that is not stamped has a stamp")
	}
	// What was there before the authority was first asked is not stamped.
	if list := w.finally(s, must(w.db.Events(t.Context(), 0, 1))[0]).Timestamps(); len(list) != 0 {
		t.Error("an old event has a stamp")
	}
	w.check()
}

// Published states that were final, and passed by, while one authority was down are stamped by it when it is back, after a restart too; but not
// those of more than a day ago.
func TestStampsPassedBy(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t, w.now)
	s := w.watch("", a.trusted)
	var down atomic.Bool
	both := func(c *ledger.Config) {
		s.by(c)
		c.Authorities = []ledger.Authority{{Name: "a", Stamp: a.ask}, {Name: "b", Stamp: func(ctx context.Context, message []byte) ([]byte, error) {
			if down.Load() {
				return nil, errors.New("down")
			}
			return a.ask(ctx, message)
		}}}
	}
	// without counts the published states between two sizes, and those of them that an authority has not stamped.
	without := func(name string, above, to int64) (all, n int) {
		for {
			row, err := w.db.NextPublished(t.Context(), above, ledger.Offered, ev.Hash{})
			if ev.KindOf(err) == ev.NotFound || must(row, err).Size > to {
				return all, n
			}
			above = row.Size
			all++
			if !slices.ContainsFunc(row.Stamps, func(s ledger.Stamp) bool { return s.Authority == name }) {
				n++
			}
		}
	}
	last := func() int64 { return must(w.db.LastPublished(t.Context(), ledger.Offered, ev.Hash{})).Size }
	down.Store(true)
	w.stop()
	w.openWith(both)
	pass := func() {
		for range 3 {
			w.finally(s, w.put(w.openCase("a")))
		}
	}
	pass()
	w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 })
	old := last()
	w.drift.Store(int64(25 * time.Hour))
	pass()
	if all, n := without("b", old, last()); all < 3 || n != all {
		t.Fatalf("%d of %d states were passed by", n, all)
	}
	if all, n := without("a", 0, last()); n != 0 {
		t.Errorf("%d of %d states have no stamp of the authority that was there", n, all)
	}
	w.stop()
	down.Store(false)
	w.openWith(both)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		all, n := without("b", old, last())
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d states passed by have no stamp", n, all)
		}
	}
	if all, n := without("b", 0, old); n != all {
		t.Errorf("%d of %d states of the day before were stamped", all-n, all)
	}
	w.check()
}

// More authorities stamp an event than a receipt has room for: it is final all the same.
func TestMoreStampsThanFit(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t, time.Now)
	s := w.watch("", a.trusted)
	w.stop()
	const many = 9
	w.openWith(func(c *ledger.Config) {
		s.stamped(a)(c)
		c.Authorities = nil
		for i := range many {
			c.Authorities = append(c.Authorities, ledger.Authority{Name: string(rune('a' + i)), Stamp: a.ask})
		}
	})
	e := w.put(w.openCase("a"))
	for deadline := time.Now().Add(2 * time.Minute); len(must(w.db.EventStamps(t.Context(), e.LeafHash))) < many; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not all of them stamp")
		}
	}
	if list := w.finally(s, e).Timestamps(); len(list) == 0 || len(list) >= many {
		t.Errorf("%d stamps", len(list))
	}
}

func textOf(note []byte) []byte {
	for i := range note {
		if i > 0 && note[i] == '\n' && note[i-1] == '\n' {
			return note[:i]
		}
	}
	return note
}

// A response that does not hold is not kept, whatever it is.
func TestLyingAuthority(t *testing.T) {
	w := newWorld(t)
	a, stranger := newAuthority(t, time.Now), newAuthority(t, time.Now)
	s := w.watch("", a.trusted)
	for name, answer := range map[string]func(message []byte) ([]byte, error){
		"garbage":         func([]byte) ([]byte, error) { return []byte("garbage"), nil },
		"nothing":         func([]byte) ([]byte, error) { return nil, nil },
		"another message": func([]byte) ([]byte, error) { r, _, err := a.Ask(t.Context(), []byte("another")); return r, err },
		"a stranger's":    func(m []byte) ([]byte, error) { r, _, err := stranger.Ask(t.Context(), m); return r, err },
		"one bit": func(m []byte) ([]byte, error) {
			r, _, err := a.Ask(t.Context(), m)
			if err == nil {
				r[len(r)-1] ^= 1
			}
			return r, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.set(answer)
			w.stop()
			w.openWith(s.stamped(a))
			e := w.put(w.openCase("a"))
			status := w.until("failing", func(s ledger.Status) bool { return s.Authorities[0].State == ledger.Failing })
			if status.Authorities[0].Reason != "stamp" {
				t.Errorf("status is %+v", status.Authorities[0])
			}
			w.notFinal(e)
			if row := must(w.PublishedCheckpoint(t.Context(), 0)); len(row.Stamps) != 0 {
				t.Error("it was kept with the checkpoint")
			}
			if list := must(w.db.EventStamps(t.Context(), e.LeafHash)); len(list) != 0 {
				t.Error("it was kept with the event")
			}
		})
	}
	a.set(nil)
	w.stop()
	w.drift.Store(int64(time.Hour)) // ours, or its
	w.openWith(s.stamped(a))
	e := w.put(w.openCase("a"))
	if p := w.until("failing", func(s ledger.Status) bool { return s.Authorities[0].State == ledger.Failing }).Authorities[0]; p.Reason != "clock" {
		t.Errorf("with another clock: %+v", p)
	}
	w.notFinal(e)
}
