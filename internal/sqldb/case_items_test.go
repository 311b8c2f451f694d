package sqldb

import (
	"context"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// Who judges that a case is closed sees each of its items as the transaction leaves it, also what was accepted in that same transaction, and
// nothing of other cases; other events are judged without them.
func testCaseItems(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	in, other := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.CaseID]()
	var items []evidence.Stream
	for range maxWanted + 2 {
		item := newItem(evidence.NewID[evidence.ItemID](), in)
		w.put(evidence.ItemOf(item.ID), item)
		items = append(items, evidence.ItemOf(item.ID))
	}
	stranger := newItem(evidence.NewID[evidence.ItemID](), other)
	w.put(evidence.ItemOf(stranger.ID), stranger)

	var seen map[evidence.Stream]evidence.State
	commit := func(s evidence.Stream, state evidence.State) *job {
		c := ledger.Commit{Signed: w.sign(s)}
		w.tips[s] = tipOf(c.Signed)
		law := rule(c.Signed, state)
		judge := func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
			seen = states
			return law(states)
		}
		return &job{done: make(chan error, 1), do: func(ctx context.Context, t *tx) error {
			_, err := t.accept(ctx, c, judge, newEntry(c), c.Signed.PAEDigest())
			return err
		}}
	}
	shared := newItem(evidence.ItemID(items[0].ID), in)
	shared.Grants = []evidence.GrantState{newGrant(evidence.NewID[evidence.GrantID](), shared.ID, "act-court", evidence.GrantActive, noon)}
	fresh := newItem(evidence.NewID[evidence.ItemID](), in)
	items = append(items, evidence.ItemOf(fresh.ID))
	jobs := []*job{commit(items[0], shared), commit(evidence.ItemOf(fresh.ID), fresh), commit(evidence.CaseOf(in), &evidence.CaseState{ID: in})}
	ok(t, w.db.submit(ctx, func(context.Context, *tx) error { // keeps the writer away until all wait
		for _, j := range jobs {
			w.db.writer.queue <- j
		}
		return nil
	}))
	for _, j := range jobs {
		ok(t, <-j.done)
	}
	same(t, len(seen), len(items))
	for _, s := range items {
		if seen[s] == nil || seen[s].Tip() != w.tips[s] {
			t.Errorf("judged without %v as it is", s)
		}
	}
	same(t, len(seen[items[0]].(*evidence.ItemState).Grants), 1)

	actor := evidence.NewID[evidence.ActorID]()
	j := commit(evidence.ActorOf(actor), newActor(actor))
	ok(t, w.db.submit(ctx, j.do))
	same(t, len(seen), 0)
}
