package sqldb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
)

func TestSQLite(t *testing.T) { suite(t, sqliteEngine()) }

// suite is what every engine must do.
func suite(t *testing.T, e engine) {
	for name, test := range map[string]func(*testing.T, engine){
		"Commit": testCommit, "Judge": testJudge, "Resubmission": testResubmission, "Race": testRace, "Unique": testUnique,
		"Log": testLog, "Checkpoints": testCheckpoints, "Attachments": testAttachments, "Directory": testDirectory, "Grants": testGrants,
		"Heads": testHeads, "Uploads": testUploads, "Invitations": testInvitations, "Releases": testReleases, "Sessions": testSessions,
		"Meta": testMeta, "Restart": testRestart, "AppendOnly": testAppendOnly, "Savepoints": testSavepoints, "Together": testTogether, "Cancelled": testCancelled,
		"Closed": testClosed, "Moments": testMoments, "Speakers": testSpeakers, "Forms": testForms, "Sides": testSides, "SidesRace": testSidesRace,
		"InHands": testInHands, "Lease": testLease, "Published": testPublished, "EventStamps": testEventStamps, "Taken": testTaken, "Limits": testLimits,
		"CaseItems": testCaseItems,
	} {
		t.Run(name, func(t *testing.T) { test(t, e) })
	}
}

func testCommit(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a, c := evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.CaseID]()
	first := w.put(evidence.ActorOf(a), newActor(a))
	signed := w.sign(evidence.CaseOf(c), evidence.ActorOf(a))
	second := must[ledger.Entry](t)(w.db.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, &evidence.CaseState{ID: c, Open: true})))
	w.tips[evidence.CaseOf(c)] = tipOf(signed)
	signed = w.sign(evidence.CaseOf(c), evidence.ActorOf(a))
	third := must[ledger.Entry](t)(w.db.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, &evidence.CaseState{ID: c})))

	if first.Order != 1 || second.Order != 2 || third.Order != 3 {
		t.Errorf("commit order is %d, %d, %d", first.Order, second.Order, third.Order)
	}
	same(t, first.Stands, []evidence.Hash(nil))
	same(t, third.Stands, []evidence.Hash{second.LeafHash, first.LeafHash})
	if third.Included() || third.Index != -1 || third.Seq != 1 || third.Kind != evidence.CaseClosed || third.Stream != evidence.CaseOf(c) ||
		!bytes.Equal(third.Leaf.Value, signed.Leaf()) || !bytes.Equal(third.Leaf.Extra, signed.DSSE()) || third.LeafHash != signed.LeafHash() {
		t.Errorf("entry is not the event: %+v", third)
	}
	same(t, must[ledger.Entry](t)(w.db.Entry(ctx, third.LeafHash)), third)
	same(t, must[[]ledger.Entry](t)(w.db.Stream(ctx, evidence.CaseOf(c), -1, 10)), []ledger.Entry{second, third})
	same(t, must[[]ledger.Entry](t)(w.db.Stream(ctx, evidence.CaseOf(c), 0, 10)), []ledger.Entry{third})
	same(t, must[[]ledger.Entry](t)(w.db.Stream(ctx, evidence.CaseOf(c), -1, 1)), []ledger.Entry{second})
	same(t, must[[]ledger.Entry](t)(w.db.Events(ctx, 0, 10)), []ledger.Entry{first, second, third})
	same(t, must[[]ledger.Entry](t)(w.db.Events(ctx, 1, 1)), []ledger.Entry{second})
	same(t, len(must[[]ledger.Entry](t)(w.db.Stream(ctx, evidence.CaseOf("cas-none"), -1, 10))), 0)
	_, err := w.db.Entry(ctx, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "event")

	states := must[map[evidence.Stream]evidence.State](t)(w.db.States(ctx, evidence.CaseOf(c), evidence.ActorOf(a), evidence.CaseOf("cas-none")))
	if len(states) != 2 || states[evidence.CaseOf(c)].(*evidence.CaseState).Open || states[evidence.CaseOf(c)].Tip() != tipOf(signed) {
		t.Errorf("states are %+v", states)
	}
}

func testJudge(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a, c := evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.CaseID]()
	w.put(evidence.ActorOf(a), newActor(a))
	w.put(evidence.CaseOf(c), &evidence.CaseState{ID: c})
	gone := evidence.CaseOf(evidence.NewID[evidence.CaseID]())

	signed := w.sign(evidence.CaseOf(c), evidence.ActorOf(a), gone)
	_, err := w.db.Commit(ctx, ledger.Commit{Signed: signed, Attachments: []ledger.Attachment{attach(ledger.Note, evidence.Hash{}, "x")}},
		func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
			if len(states) != 2 {
				t.Errorf("judge sees %+v", states)
			}
			for _, s := range []evidence.Stream{evidence.ActorOf(a), evidence.CaseOf(c)} {
				same(t, states[s].Tip(), w.tips[s])
			}
			return nil, evidence.Refuse(evidence.Forbidden, "second_person")
		})
	refused(t, err, evidence.Forbidden, "second_person")
	_, err = w.db.Commit(ctx, ledger.Commit{Signed: signed}, func(map[evidence.Stream]evidence.State) (evidence.State, error) { panic("rule") })
	refused(t, err, evidence.Internal, "judge_panic")
	_, err = w.db.Commit(ctx, ledger.Commit{Signed: signed}, rule(w.sign(gone), &evidence.CaseState{ID: c}))
	refused(t, err, evidence.Internal, "state_tip")
	// A zero time is written as 1970, which is no time when read: such a state must not become the truth.
	consent := w.sign(evidence.ConsentOf(evidence.NewID[evidence.ConsentID]()))
	_, err = w.db.Commit(ctx, ledger.Commit{Signed: consent}, rule(consent, &evidence.ConsentState{}))
	refused(t, err, evidence.Internal, "state_encoding")
	same(t, len(must[[]ledger.Entry](t)(w.db.Events(ctx, 2, 10))), 0)
	same(t, len(must[[]StoredAttachment](t)(w.db.Attachments(ctx, 0, 10))), 0)
}

func testResubmission(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a := evidence.NewID[evidence.ActorID]()
	signed := w.sign(evidence.ActorOf(a))
	entry := must[ledger.Entry](t)(w.db.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, newActor(a))))
	never := func(map[evidence.Stream]evidence.State) (evidence.State, error) {
		t.Error("judge was asked again")
		return nil, errors.New("asked")
	}
	same(t, must[ledger.Entry](t)(w.db.Commit(ctx, ledger.Commit{Signed: signed}, never)), entry)

	// The same statement with another signature of the same key has another leaf, and is the event accepted before.
	again, err := w.resign(signed)
	ok(t, err)
	if again.LeafHash() == signed.LeafHash() || again.PAEDigest() != signed.PAEDigest() {
		t.Fatal("not the same statement signed twice")
	}
	ok(t, w.db.Include(ctx, 1, []byte("checkpoint"), []ledger.Inclusion{{LeafHash: entry.LeafHash, Index: 0, Receipt: []byte("receipt")}}))
	stored := must[ledger.Entry](t)(w.db.Commit(ctx, ledger.Commit{Signed: again}, never))
	if stored.LeafHash != entry.LeafHash || string(stored.Receipt) != "receipt" || stored.Index != 0 {
		t.Errorf("resubmission answers %+v", stored)
	}
}

// One place in a stream is taken once, whoever is faster; what was judged cannot move before it is written.
func testRace(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a, c := evidence.ActorOf(evidence.NewID[evidence.ActorID]()), evidence.NewID[evidence.CaseID]()
	w.put(a, newActor(evidence.ActorID(a.ID)))
	const rounds, racers = 5, 64
	for round := range rounds {
		var signed []ledger.Commit
		for range racers {
			signed = append(signed, ledger.Commit{Signed: w.sign(evidence.CaseOf(c), a)})
		}
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i, s := range signed {
			wg.Go(func() {
				_, errs[i] = w.db.Commit(ctx, s, func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
					if states[a].Tip() != w.tips[a] {
						return nil, evidence.Refuse(evidence.Conflict, "stale_basis")
					}
					return rule(s.Signed, &evidence.CaseState{ID: c})(states)
				})
			})
		}
		wg.Wait()
		won := slices.Index(errs, nil)
		for i, err := range errs {
			if i != won {
				refused(t, err, evidence.Conflict, "position")
			}
		}
		if won < 0 {
			t.Fatal("nobody won")
		}
		w.tips[evidence.CaseOf(c)] = tipOf(signed[won].Signed)
		if n := len(must[[]ledger.Entry](t)(w.db.Stream(ctx, evidence.CaseOf(c), -1, 1000))); n != round+1 {
			t.Fatalf("stream has %d events after round %d", n, round)
		}
	}

	// A gap is no place either.
	w.tips[evidence.CaseOf(c)] = evidence.Tip{Seq: 99, Leaf: evidence.SHA256(nil)}
	_, err := w.try(evidence.CaseOf(c), &evidence.CaseState{ID: c})
	refused(t, err, evidence.Conflict, "position")
}

func testUnique(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a, b := evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.ActorID]()
	w.put(evidence.ActorOf(a), newActor(a))
	w.put(evidence.ActorOf(a), newActor(a)) // another event, same keys

	twin := newActor(b)
	twin.Key = newActor(a).Key
	_, err := w.try(evidence.ActorOf(b), twin)
	refused(t, err, evidence.Conflict, "key_reused")
	twin = newActor(b)
	twin.Recipient = newActor(a).Recipient
	_, err = w.try(evidence.ActorOf(b), twin)
	refused(t, err, evidence.Conflict, "recipient_reused")
	w.put(evidence.ActorOf(b), newActor(b))

	rotated := newActor(a)
	rotated.Key, rotated.Recipient = keyText("new"), "age1pq1new"
	w.put(evidence.ActorOf(a), rotated)
	_, err = w.try(evidence.ActorOf(a), newActor(a)) // back to the old key
	refused(t, err, evidence.Conflict, "key_reused")

	for range 2 { // actors without a recipient are many
		v := evidence.NewID[evidence.ActorID]()
		keyless := newActor(v)
		keyless.Recipient = ""
		w.put(evidence.ActorOf(v), keyless)
	}

	c, other := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.CaseID]()
	i, j := newItem(evidence.NewID[evidence.ItemID](), c), newItem(evidence.NewID[evidence.ItemID](), c)
	w.put(evidence.ItemOf(i.ID), i)
	clash := *j
	clash.ItemRecipient = i.ItemRecipient
	_, err = w.try(evidence.ItemOf(j.ID), &clash)
	refused(t, err, evidence.Conflict, "item_recipient_reused")
	w.put(evidence.ItemOf(j.ID), j)

	i.Exhibit, j.Exhibit = 7, 7
	w.put(evidence.ItemOf(i.ID), i)
	w.put(evidence.ItemOf(i.ID), i)
	_, err = w.try(evidence.ItemOf(j.ID), j)
	refused(t, err, evidence.Conflict, "exhibit_taken")
	k := newItem(evidence.NewID[evidence.ItemID](), other)
	k.Exhibit = 7
	w.put(evidence.ItemOf(k.ID), k)
	j.Exhibit = 8
	w.put(evidence.ItemOf(j.ID), j)
}

func errorOf[T any](_ T, err error) error { return err }

func testMeta(t *testing.T, e engine) {
	db := e.create(t)
	_, err := db.Meta(ctx, "origin")
	refused(t, err, evidence.NotFound, "meta")
	ok(t, db.SetMeta(ctx, "origin", "x"))
	ok(t, db.SetMeta(ctx, "origin", origin))
	same(t, must[string](t)(db.Meta(ctx, "origin")), origin)
}

func testRestart(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a := evidence.NewID[evidence.ActorID]()
	var all []ledger.Entry
	for i := range 20 {
		all = append(all, w.put(evidence.ActorOf(a), newActor(a), attach(ledger.Note, evidence.Hash{}, fmt.Sprint(i))))
	}
	ok(t, w.db.Include(ctx, 1, []byte("checkpoint"), []ledger.Inclusion{{LeafHash: all[0].LeafHash, Index: 0, Receipt: []byte("r")}}))
	all[0].Index, all[0].Receipt = 0, []byte("r")
	attachments := must[[]StoredAttachment](t)(w.db.Attachments(ctx, 0, 100))
	w.db = e.reopen(t, w.db)
	same(t, must[[]ledger.Entry](t)(w.db.Events(ctx, 0, 100)), all)
	same(t, must[[]ledger.Entry](t)(w.db.Pending(ctx, 100)), all[1:])
	same(t, must[[]StoredAttachment](t)(w.db.Attachments(ctx, 0, 100)), attachments)
	same(t, w.put(evidence.ActorOf(a), newActor(a)).Order, int64(21))
}

func testAppendOnly(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a := evidence.NewID[evidence.ActorID]()
	entry := w.put(evidence.ActorOf(a), newActor(a), attach(ledger.Note, evidence.Hash{}, "note"))
	ok(t, w.db.Include(ctx, 1, []byte("checkpoint"), []ledger.Inclusion{{LeafHash: entry.LeafHash, Index: 0, Receipt: []byte("r")}}))
	m := must[*heads.Map](t)(heads.Open(ctx, w.db))
	u := must[heads.Update](t)(m.Insert(ctx, []heads.Entry{{Key: evidence.SHA256(nil), Value: entry.LeafHash}}))
	ok(t, w.db.submit(ctx, func(ctx context.Context, tx *tx) error { return tx.insertHeads(ctx, &u) }))
	stamp := ledger.Stamp{Authority: "authority", Response: []byte("response")}
	ok(t, w.db.Publish(ctx, ledger.Published{Size: 1, Note: []byte("checkpoint"), Final: evidence.SHA256(nil), Stamps: []ledger.Stamp{stamp}}))
	ok(t, w.db.PutEventStamp(ctx, entry.LeafHash, stamp))
	for _, statement := range []string{
		`update events set kind = 'item.opened'`, `update events set dsse = leaf where ord = 1`, `delete from events`,
		`update inclusions set receipt = substr(receipt, 1, 0)`, `update inclusions set idx = 7`, `delete from inclusions`,
		`update checkpoints set size = 0`, `delete from checkpoints`,
		`update heads_entries set value = key`, `delete from heads_entries`,
		`update attachments set body = sha256`, `update attachments set body = null, name = 'other'`, `update attachments set sha256 = body`,
		`delete from attachments`,
		`update published set size = 2`, `update published set at = 2`, `update published set signed = substr(signed, 1, 1)`, `update published set final = substr(final, 1, 1)`,
		`delete from published`, `update published_stamps set response = substr(response, 1, 1)`, `delete from published_stamps`,
		`update event_stamps set response = substr(response, 1, 1)`, `delete from event_stamps`,
	} {
		err := w.db.submit(ctx, func(ctx context.Context, tx *tx) error {
			_, err := tx.exec(ctx, statement)
			return err
		})
		refused(t, err, evidence.Internal, "records")
	}
	entry.Index, entry.Receipt = 0, []byte("r")
	same(t, must[[]ledger.Entry](t)(w.db.Events(ctx, 0, 10)), []ledger.Entry{entry})
	same(t, len(must[[]StoredAttachment](t)(w.db.Attachments(ctx, 0, 10))), 1)
}
