package sqldb

import (
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

func testPublished(t *testing.T, e engine) {
	db := e.create(t)
	policy, other := evidence.SHA256([]byte("policy")), evidence.SHA256([]byte("another policy"))
	_, err := db.LastPublished(ctx, ledger.Offered, policy)
	refused(t, err, evidence.NotFound, "checkpoint")
	_, err = db.NextPublished(ctx, -1, ledger.Offered, policy)
	refused(t, err, evidence.NotFound, "checkpoint")

	at := time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC)
	ten := ledger.Published{Size: 10, Note: []byte("ten\n\nlog\n"), At: at}
	for range 2 {
		ok(t, db.Publish(ctx, ten))
	}
	same(t, must[ledger.Published](t)(db.LastPublished(ctx, ledger.Offered, policy)), ten)
	refused(t, db.Publish(ctx, ledger.Published{Size: 9, Note: []byte("nine\n"), At: at}), evidence.Conflict, "checkpoint_smaller")

	// What comes is added, and never taken away.
	ten.Note = []byte("ten\n\nlog\na witness\n")
	ok(t, db.Publish(ctx, ten))
	for _, less := range []string{"ten\n\nlog\n", "ten\n\nlog\nanother witness, and more\n", "eleven\n\nlog\na witness\n"} {
		refused(t, db.Publish(ctx, ledger.Published{Size: 10, Note: []byte(less), At: at}), evidence.Conflict, "published_differs")
	}
	ten.Stamps = []ledger.Stamp{{Authority: "a", Response: []byte("of a")}}
	ok(t, db.Publish(ctx, ten))
	again := ten
	again.Stamps = []ledger.Stamp{{Authority: "a", Response: []byte("of a, later")}, {Authority: "b", Response: []byte("of b")}}
	again.Final = policy
	ok(t, db.Publish(ctx, again))
	ten.Stamps, ten.Final = append(ten.Stamps, again.Stamps[1]), policy
	same(t, must[ledger.Published](t)(db.NextPublished(ctx, 9, ledger.Offered, other)), ten)
	unfinished := ten
	unfinished.Final = evidence.Hash{}
	refused(t, db.Publish(ctx, unfinished), evidence.Conflict, "published_differs")

	twenty := ledger.Published{Size: 20, Note: []byte("twenty\n"), At: at, Final: other, Audited: other}
	thirty := ledger.Published{Size: 30, Note: []byte("thirty\n"), At: at, Final: policy, Audited: policy}
	forty := ledger.Published{Size: 40, Note: []byte("forty\n"), At: at}
	for _, p := range []ledger.Published{twenty, thirty, forty} {
		ok(t, db.Publish(ctx, p))
	}
	next := func(above int64, s ledger.Standing, policy evidence.Hash, want ledger.Published) {
		t.Helper()
		same(t, must[ledger.Published](t)(db.NextPublished(ctx, above, s, policy)), want)
	}
	next(0, ledger.Offered, policy, ten)
	next(10, ledger.Offered, policy, twenty)
	next(9, ledger.Final, policy, ten)
	next(10, ledger.Final, policy, thirty)
	next(0, ledger.Final, other, twenty)
	next(0, ledger.Audited, policy, thirty)
	next(10, ledger.Once, evidence.Hash{}, twenty)
	for s, size := range map[ledger.Standing]int64{ledger.Offered: 40, ledger.Final: 30, ledger.Audited: 30} {
		_, err = db.NextPublished(ctx, size, s, policy)
		refused(t, err, evidence.NotFound, "checkpoint")
		same(t, must[ledger.Published](t)(db.LastPublished(ctx, s, policy)).Size, size)
	}
	_, err = db.NextPublished(ctx, 30, ledger.Once, evidence.Hash{})
	refused(t, err, evidence.NotFound, "checkpoint")
	_, err = db.LastPublished(ctx, ledger.Final, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "checkpoint")
	// What is final under one policy can become so under another.
	twenty.Final, twenty.Audited = policy, policy
	ok(t, db.Publish(ctx, twenty))
	next(10, ledger.Final, policy, twenty)

	same(t, must[[]ledger.Published](t)(db.AllPublished(ctx, 10, 2)), []ledger.Published{twenty, thirty})
	db = e.reopen(t, db)
	same(t, must[[]ledger.Published](t)(db.AllPublished(ctx, -1, 10)), []ledger.Published{ten, twenty, thirty, forty})
}

func testEventStamps(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a := evidence.NewID[evidence.ActorID]()
	var all []ledger.Entry
	for range 4 {
		all = append(all, w.put(evidence.ActorOf(a), newActor(a)))
	}
	upTo := func(authority string) int64 {
		t.Helper()
		return must[int64](t)(w.db.StampedUpTo(ctx, authority))
	}
	same(t, upTo("late"), int64(4)) // what there was before is not stamped any more
	stamp := func(i int, authority, response string) {
		t.Helper()
		ok(t, w.db.PutEventStamp(ctx, all[i].LeafHash, ledger.Stamp{Authority: authority, Response: []byte(response)}))
	}
	stamp(0, "early", "first")
	stamp(0, "early", "second")
	stamp(2, "early", "third")
	stamp(2, "another", "fourth")
	refused(t, w.db.PutEventStamp(ctx, evidence.SHA256(nil), ledger.Stamp{Authority: "early", Response: []byte("x")}), evidence.NotFound, "event")
	same(t, must[[]ledger.Stamp](t)(w.db.EventStamps(ctx, all[0].LeafHash)), []ledger.Stamp{{Authority: "early", Response: []byte("first")}})
	same(t, must[[]ledger.Stamp](t)(w.db.EventStamps(ctx, all[2].LeafHash)),
		[]ledger.Stamp{{Authority: "another", Response: []byte("fourth")}, {Authority: "early", Response: []byte("third")}})
	same(t, len(must[[]ledger.Stamp](t)(w.db.EventStamps(ctx, all[1].LeafHash))), 0)
	same(t, must[[]ledger.Entry](t)(w.db.StampedEvents(ctx, 0, 10)), []ledger.Entry{all[0], all[2]})
	same(t, must[[]ledger.Entry](t)(w.db.StampedEvents(ctx, 1, 1)), all[2:3])

	all = append(all, w.put(evidence.ActorOf(a), newActor(a)))
	same(t, upTo("late"), int64(4))
	stamp(4, "late", "fifth")
	same(t, upTo("late"), int64(5))
	same(t, upTo("early"), int64(5))
	// Records made anew go on where the authority was.
	for _, order := range []int64{2, 3} {
		ok(t, w.db.ResumeStamping(ctx, "anew", order))
	}
	same(t, upTo("anew"), int64(2))
	ok(t, w.db.ResumeStamping(ctx, "late", 1))
	same(t, upTo("late"), int64(5))
	empty := e.create(t)
	same(t, must[int64](t)(empty.StampedUpTo(ctx, "early")), int64(0))
}
