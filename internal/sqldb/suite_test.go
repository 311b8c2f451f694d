package sqldb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

func TestSQLite(t *testing.T) { suite(t, sqliteEngine()) }

// suite is what every engine must do.
func suite(t *testing.T, e engine) {
	for name, test := range map[string]func(*testing.T, engine){
		"Commit": testCommit, "Judge": testJudge, "Resubmission": testResubmission, "Race": testRace, "Unique": testUnique,
		"Log": testLog, "Checkpoints": testCheckpoints, "Attachments": testAttachments, "Directory": testDirectory, "Grants": testGrants,
		"Heads": testHeads, "Uploads": testUploads, "Invitations": testInvitations, "Releases": testReleases, "Sessions": testSessions,
		"Meta": testMeta, "Restart": testRestart, "AppendOnly": testAppendOnly, "Savepoints": testSavepoints, "Together": testTogether, "Cancelled": testCancelled,
		"Closed": testClosed, "Moments": testMoments, "Speakers": testSpeakers, "Forms": testForms, "InHands": testInHands, "Lease": testLease,
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

func testLog(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	a := evidence.NewID[evidence.ActorID]()
	var all []ledger.Entry
	for range 5 {
		all = append(all, w.put(evidence.ActorOf(a), newActor(a)))
	}
	same(t, must[[]ledger.Entry](t)(w.db.Pending(ctx, 3)), all[:3])
	same(t, len(must[[]ledger.Entry](t)(w.db.Pending(ctx, 0))), 0)

	in := func(i int, index int64) ledger.Inclusion {
		return ledger.Inclusion{LeafHash: all[i].LeafHash, Index: index, Receipt: fmt.Appendf(nil, "receipt %d", i)}
	}
	for range 2 { // repeating changes nothing
		ok(t, w.db.Include(ctx, 3, []byte("checkpoint 3"), []ledger.Inclusion{in(1, 0), in(0, 1), in(2, 2)}))
		same(t, must[[]ledger.Entry](t)(w.db.Pending(ctx, 10)), all[3:])
		same(t, len(must[[]Checkpoint](t)(w.db.Checkpoints(ctx, 0, 10))), 1)
	}
	got := must[[]ledger.Entry](t)(w.db.LogRange(ctx, 0, 2))
	if len(got) != 2 || got[0].LeafHash != all[1].LeafHash || got[1].LeafHash != all[0].LeafHash || got[1].Index != 1 ||
		string(got[1].Receipt) != "receipt 0" || !got[1].Included() {
		t.Errorf("log is %+v", got)
	}
	same(t, len(must[[]ledger.Entry](t)(w.db.LogRange(ctx, 2, 100))), 1)
	same(t, len(must[[]ledger.Entry](t)(w.db.LogRange(ctx, 3, 3))), 0)

	// What contradicts the records is refused as a whole.
	refused(t, w.db.Include(ctx, 4, []byte("x"), []ledger.Inclusion{in(3, 3), in(0, 4)}), evidence.Internal, "inclusion_differs")
	refused(t, w.db.Include(ctx, 4, []byte("x"), []ledger.Inclusion{in(3, 1)}), evidence.Internal, "inclusion_differs")
	refused(t, w.db.Include(ctx, 4, []byte("x"), []ledger.Inclusion{{LeafHash: evidence.SHA256(nil), Index: 3}}), evidence.NotFound, "event")
	same(t, must[[]ledger.Entry](t)(w.db.Pending(ctx, 10)), all[3:])
	same(t, string(must[[]byte](t)(w.db.Checkpoint(ctx))), "checkpoint 3")
}

func testCheckpoints(t *testing.T, e engine) {
	db := e.create(t)
	if none := must[[]byte](t)(db.Checkpoint(ctx)); none != nil {
		t.Errorf("checkpoint of a new database: %q", none)
	}
	ok(t, db.Include(ctx, 9, []byte("nine"), nil))
	ok(t, db.Include(ctx, 10, []byte("ten"), nil))
	ok(t, db.Include(ctx, 10, []byte("ten, signed again"), nil))
	refused(t, db.Include(ctx, 9, []byte("another nine"), nil), evidence.Conflict, "checkpoint_smaller")
	ok(t, db.Include(ctx, 9, []byte("nine"), nil))
	same(t, string(must[[]byte](t)(db.Checkpoint(ctx))), "ten, signed again")
	all := []Checkpoint{{1, 9, []byte("nine")}, {2, 10, []byte("ten")}, {3, 10, []byte("ten, signed again")}}
	same(t, must[[]Checkpoint](t)(db.Checkpoints(ctx, 0, 10)), all)
	same(t, must[[]Checkpoint](t)(db.Checkpoints(ctx, 1, 1)), all[1:2])
}

func testAttachments(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	c := evidence.NewID[evidence.CaseID]()
	item, other := newItem(evidence.NewID[evidence.ItemID](), c), newItem(evidence.NewID[evidence.ItemID](), c)
	stream := evidence.ItemOf(item.ID)
	court, keeper := evidence.SHA256([]byte("court")), evidence.SHA256([]byte("keeper"))
	note := attach(ledger.Note, evidence.Hash{}, "note")
	note.Name, note.Audience = "reason", evidence.ToInternal
	first := w.put(stream, item, note, attach(ledger.Envelope, court, "envelope 1"), attach(ledger.Envelope, keeper, "kept"))
	second := w.put(stream, item, attach(ledger.Envelope, court, "envelope 2"))
	foreign := w.put(evidence.ItemOf(other.ID), other, attach(ledger.Envelope, court, "of another item"))
	label := w.put(evidence.CaseOf(c), &evidence.CaseState{ID: c}, attach(ledger.LabelEnvelope, court, "label key"))

	got := must[ledger.Attachment](t)(w.db.Attachment(ctx, first.LeafHash, note.SHA256))
	same(t, got, note)
	same(t, must[ledger.Attachment](t)(w.db.StreamAttachment(ctx, stream, note.SHA256)), note)
	same(t, string(must[ledger.Attachment](t)(w.db.Envelope(ctx, stream, court)).Body), "envelope 2")
	same(t, string(must[ledger.Attachment](t)(w.db.Envelope(ctx, evidence.CaseOf(c), court)).Body), "label key")
	for _, err := range []error{
		errorOf(w.db.Attachment(ctx, second.LeafHash, note.SHA256)),
		errorOf(w.db.StreamAttachment(ctx, evidence.ItemOf(other.ID), note.SHA256)),
	} {
		refused(t, err, evidence.NotFound, "attachment")
	}
	_, err := w.db.Envelope(ctx, stream, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "envelope")
	_, err = w.db.Envelope(ctx, stream, evidence.Hash{})
	refused(t, err, evidence.NotFound, "envelope")

	for range 2 {
		ok(t, w.db.Destroy(ctx, stream, ledger.Envelope, court))
		_, err = w.db.Attachment(ctx, first.LeafHash, evidence.SHA256([]byte("envelope 1")))
		refused(t, err, evidence.Gone, "attachment")
		_, err = w.db.StreamAttachment(ctx, stream, evidence.SHA256([]byte("envelope 2")))
		refused(t, err, evidence.Gone, "attachment")
		_, err = w.db.Envelope(ctx, stream, court)
		refused(t, err, evidence.NotFound, "envelope")
	}
	same(t, string(must[ledger.Attachment](t)(w.db.Envelope(ctx, stream, keeper)).Body), "kept")
	for body, event := range map[string]evidence.Hash{"of another item": foreign.LeafHash, "label key": label.LeafHash} {
		same(t, string(must[ledger.Attachment](t)(w.db.Attachment(ctx, event, evidence.SHA256([]byte(body)))).Body), body)
	}
	ok(t, w.db.Destroy(ctx, stream, ledger.Note, evidence.Hash{}))
	_, err = w.db.Attachment(ctx, first.LeafHash, note.SHA256)
	refused(t, err, evidence.Gone, "attachment")

	all := must[[]StoredAttachment](t)(w.db.Attachments(ctx, 0, 100))
	same(t, len(all), 6)
	destroyed := attach(ledger.Envelope, court, "envelope 1")
	destroyed.Body = nil
	same(t, all[1], StoredAttachment{Number: 2, Event: first.LeafHash, Stream: stream, Destroyed: true, Attachment: destroyed})
	if a := all[2]; a.Destroyed || string(a.Body) != "kept" || a.Recipient != keeper {
		t.Errorf("kept attachment is %+v", a)
	}
	same(t, must[[]StoredAttachment](t)(w.db.Attachments(ctx, 3, 2)), all[3:5])

	// A new envelope for the same recipient is found again.
	w.put(stream, item, attach(ledger.Envelope, court, "envelope 3"))
	same(t, string(must[ledger.Attachment](t)(w.db.Envelope(ctx, stream, court)).Body), "envelope 3")
}

func errorOf[T any](_ T, err error) error { return err }

func testDirectory(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	var actors []evidence.ActorID
	for range 5 {
		a := evidence.NewID[evidence.ActorID]()
		w.put(evidence.ActorOf(a), newActor(a))
		actors = append(actors, a)
	}
	slices.Sort(actors)
	var listed []evidence.ActorID
	for after := evidence.ActorID(""); ; after = listed[len(listed)-1] {
		page := must[[]*evidence.ActorState](t)(w.db.Actors(ctx, after, 2))
		for _, a := range page {
			listed = append(listed, a.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	same(t, listed, actors)

	a := actors[0]
	rotated := newActor(a)
	rotated.Key = keyText("rotated")
	w.put(evidence.ActorOf(a), rotated)
	for _, name := range []string{string(a), "rotated"} { // the past key too
		id, spki, err := w.db.Key(ctx, evidence.SHA256([]byte("spki of "+name)))
		if err != nil || id != a || string(spki) != "spki of "+name {
			t.Errorf("key of %s is %s, %q, %v", name, id, spki, err)
		}
	}
	_, _, err := w.db.Key(ctx, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "key")

	c := evidence.NewID[evidence.CaseID]()
	kase := &evidence.CaseState{ID: c, Members: []evidence.Member{{Actor: actors[1]}, {Actor: actors[2]}}}
	w.put(evidence.CaseOf(c), kase)
	kase.Members = kase.Members[:1]
	w.put(evidence.CaseOf(c), kase)
	for i, want := range map[int]int{0: 0, 1: 1, 2: 1} { // who left is still listed
		got := must[[]*evidence.CaseState](t)(w.db.Cases(ctx, actors[i], "", 10))
		if len(got) != want || want == 1 && (got[0].ID != c || len(got[0].Members) != 1) {
			t.Errorf("cases of member %d: %+v", i, got)
		}
	}
	same(t, len(must[[]*evidence.CaseState](t)(w.db.Cases(ctx, actors[1], c, 10))), 0)

	consent := &evidence.ConsentState{ID: evidence.NewID[evidence.ConsentID](), Case: c, From: evidence.At(noon), Until: evidence.At(noon)}
	w.put(evidence.ConsentOf(consent.ID), consent)
	consent.Version = 2
	w.put(evidence.ConsentOf(consent.ID), consent)
	consents := must[[]*evidence.ConsentState](t)(w.db.Consents(ctx, c, "", 10))
	if len(consents) != 1 || consents[0].Version != 2 {
		t.Errorf("consents are %+v", consents)
	}
	same(t, len(must[[]*evidence.ConsentState](t)(w.db.Consents(ctx, c, consent.ID, 10))), 0)

	item := newItem(evidence.NewID[evidence.ItemID](), c)
	w.put(evidence.ItemOf(item.ID), item)
	items := must[[]*evidence.ItemState](t)(w.db.Items(ctx, c, "", 10))
	if len(items) != 1 || items[0].ID != item.ID {
		t.Errorf("items are %+v", items)
	}
	same(t, len(must[[]*evidence.ItemState](t)(w.db.Items(ctx, evidence.NewID[evidence.CaseID](), "", 10))), 0)
}

func testGrants(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	c, court := evidence.NewID[evidence.CaseID](), evidence.NewID[evidence.ActorID]()
	shared := evidence.GrantID("gra-b")
	one, two := newItem("itm-a", c), newItem("itm-b", c)
	hour := noon.Add(time.Hour)
	one.Grants = []evidence.GrantState{
		newGrant("gra-a", one.ID, court, evidence.GrantPending, noon),
		newGrant(shared, one.ID, court, evidence.GrantPending, hour),
	}
	two.Grants = []evidence.GrantState{
		newGrant(shared, two.ID, court, evidence.GrantPending, hour),
		newGrant("gra-c", two.ID, "act-other", evidence.GrantActive, hour),
	}
	w.put(evidence.ItemOf(one.ID), one)
	w.put(evidence.ItemOf(two.ID), two)

	ids := func(list []vault.GrantOf) (s string) {
		for _, g := range list {
			s += string(g.Grant.Terms.ID) + "/" + string(g.Item) + " "
		}
		return strings.TrimSpace(s)
	}
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, "", 10))), "gra-a/itm-a gra-b/itm-a gra-b/itm-b")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, "gra-a", 1))), "gra-b/itm-a gra-b/itm-b")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, shared, 1))), "")
	if must[bool](t)(w.db.Granted(ctx, court, c)) {
		t.Error("granted before any grant was active")
	}

	one.Grants = slices.Clone(one.Grants)
	one.Grants[1].Status = evidence.GrantActive
	w.put(evidence.ItemOf(one.ID), one)
	one.Grants = slices.Clone(one.Grants)
	one.Grants[1].Status = evidence.GrantEnded
	w.put(evidence.ItemOf(one.ID), one)
	same(t, must[bool](t)(w.db.Granted(ctx, court, c)), true)
	same(t, must[bool](t)(w.db.Granted(ctx, court, "cas-other")), false)
	same(t, must[bool](t)(w.db.Granted(ctx, "act-nobody", c)), false)
	got := must[[]vault.GrantOf](t)(w.db.Grants(ctx, court, "gra-a", 10))
	same(t, got[0], vault.GrantOf{Item: one.ID, Case: c, Grant: one.Grants[1]})

	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(noon)-1, 10))), "")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(noon), 10))), "gra-a/itm-a")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(hour), 10))), "gra-a/itm-a gra-b/itm-b gra-c/itm-b")
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(hour), 1))), "gra-a/itm-a")
	one.Grants = slices.Clone(one.Grants)
	one.Grants[0].Status = evidence.GrantOver
	w.put(evidence.ItemOf(one.ID), one)
	same(t, ids(must[[]vault.GrantOf](t)(w.db.Expired(ctx, evidence.At(hour), 1))), "gra-b/itm-b")
}

func testHeads(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	m := must[*heads.Map](t)(heads.Open(ctx, w.db))
	stream := evidence.VaultOf(origin)
	commit := func(u *heads.Update) error {
		signed := w.sign(stream)
		_, err := w.db.Commit(ctx, ledger.Commit{Signed: signed, Heads: u}, rule(signed, &evidence.HeadsState{Root: u.Root}))
		if err == nil {
			w.tips[stream] = tipOf(signed)
		}
		return err
	}
	var all []heads.Entry
	for batch := range 3 {
		var entries []heads.Entry
		for i := range 100 {
			name := fmt.Appendf(nil, "%d %d", batch, i)
			entries = append(entries, heads.Entry{Key: evidence.SHA256(name), Value: evidence.SHA256(append(name, 'v'))})
		}
		entries[0].Key[0], entries[0].Key[1] = 0xff, 0xff // the last bucket
		entries[1].Key[0], entries[1].Key[1] = 0xff, 0xff
		u := must[heads.Update](t)(m.Insert(ctx, entries))
		ok(t, commit(&u))
		refused(t, commit(&u), evidence.Conflict, "heads_stale")
		ok(t, m.Commit(u))
		all = append(all, entries...)
	}
	w.db = e.reopen(t, w.db)
	again := must[*heads.Map](t)(heads.Open(ctx, w.db))
	if again.Root() != m.Root() {
		t.Error("the map read back has another root")
	}
	for _, entry := range all {
		p := must[heads.Proof](t)(again.Prove(ctx, entry.Key))
		ok(t, p.VerifyMember(again.Root(), entry.Key, entry.Value))
	}
	stop := errors.New("stop")
	if err := w.db.HeadsBuckets(ctx, func(uint16, heads.Summary) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
}

func testUploads(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	db, owner := w.db, evidence.NewID[evidence.ActorID]()
	u := vault.Upload{ID: evidence.NewID[evidence.UploadID](), Owner: owner, Size: 1 << 40, Expires: noon}
	v := vault.Upload{ID: evidence.NewID[evidence.UploadID](), Owner: owner, Size: 5, Expires: noon.Add(time.Hour)}
	ok(t, db.PutUpload(ctx, u))
	ok(t, db.PutUpload(ctx, v))
	refused(t, db.PutUpload(ctx, v), evidence.Conflict, "upload_exists")
	same(t, must[vault.Upload](t)(db.Upload(ctx, u.ID)), u)
	count := func(now time.Time, wantCount int, wantBytes int64) {
		t.Helper()
		n, sum, err := db.Uploads(ctx, owner, now)
		if err != nil || n != wantCount || sum != wantBytes {
			t.Errorf("uploads at %v: %d of %d bytes, %v", now, n, sum, err)
		}
	}
	count(noon.Add(-time.Microsecond), 2, 1<<40+5)
	count(noon, 1, 5)
	count(noon.Add(time.Hour), 0, 0)
	same(t, must[[]vault.Upload](t)(db.ExpiredUploads(ctx, noon, 10)), []vault.Upload{u})
	same(t, len(must[[]vault.Upload](t)(db.ExpiredUploads(ctx, noon.Add(-time.Second), 10))), 0)
	same(t, must[[]vault.Upload](t)(db.ExpiredUploads(ctx, noon.Add(time.Hour), 1)), []vault.Upload{u})

	for range 2 {
		ok(t, db.DropUpload(ctx, u.ID))
	}
	_, err := db.Upload(ctx, u.ID)
	refused(t, err, evidence.NotFound, "upload")

	// An upload becomes evidence once; a refused event leaves it.
	item := newItem(evidence.NewID[evidence.ItemID](), "cas-a")
	for i, want := range []string{"", "upload_gone"} {
		signed := w.sign(evidence.ItemOf(item.ID))
		_, err := db.Commit(ctx, ledger.Commit{Signed: signed, Upload: v.ID}, func(map[evidence.Stream]evidence.State) (evidence.State, error) {
			return nil, evidence.Refuse(evidence.Held, "no")
		})
		refused(t, err, evidence.Held, "no")
		_, err = db.Commit(ctx, ledger.Commit{Signed: signed, Upload: v.ID}, rule(signed, item))
		if i == 1 {
			refused(t, err, evidence.Conflict, want)
			continue
		}
		ok(t, err)
		w.tips[evidence.ItemOf(item.ID)] = tipOf(signed)
		must[ledger.Entry](t)(db.Commit(ctx, ledger.Commit{Signed: signed, Upload: v.ID}, nil)) // again, as it was
	}
	_, err = db.Upload(ctx, v.ID)
	refused(t, err, evidence.NotFound, "upload")
}

func testInvitations(t *testing.T, e engine) {
	db := e.create(t)
	by := evidence.NewID[evidence.ActorID]()
	var made []vault.Invitation
	for i := range 3 {
		inv := vault.Invitation{
			Digest: evidence.SHA256([]byte{byte(i)}), Actor: evidence.NewID[evidence.ActorID](), Role: evidence.Court, Organization: "org-a",
			DocumentsOnly: i == 0, By: by, Rotation: i == 1, Expires: noon.Add(time.Duration(i) * time.Hour),
		}
		ok(t, db.PutInvitation(ctx, inv))
		made = append(made, inv)
	}
	refused(t, db.PutInvitation(ctx, made[0]), evidence.Conflict, "invitation_exists")
	for _, inv := range made {
		same(t, must[vault.Invitation](t)(db.Invitation(ctx, inv.Digest)), inv)
	}
	same(t, must[[]vault.Invitation](t)(db.Invitations(ctx, by, noon, 10)), []vault.Invitation{made[2], made[1]})
	same(t, must[[]vault.Invitation](t)(db.Invitations(ctx, by, noon, 1)), []vault.Invitation{made[2]})
	same(t, len(must[[]vault.Invitation](t)(db.Invitations(ctx, "act-other", noon, 10))), 0)

	keys := evidence.Keys{Key: "a2V5", Recipient: "age1pq1x", Invitation: made[1].Digest}
	ok(t, db.AnswerInvitation(ctx, made[1].Digest, keys))
	ok(t, db.AnswerInvitation(ctx, made[1].Digest, keys))
	other := keys
	other.Key = "b3RoZXI="
	refused(t, db.AnswerInvitation(ctx, made[1].Digest, other), evidence.Conflict, "invitation_answered")
	refused(t, db.AnswerInvitation(ctx, evidence.SHA256(nil), keys), evidence.NotFound, "invitation")
	made[1].Keys = &keys
	same(t, must[vault.Invitation](t)(db.Invitation(ctx, made[1].Digest)), made[1])
	_, err := db.Invitation(ctx, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "invitation")
}

func testReleases(t *testing.T, e engine) {
	db := e.create(t)
	r := vault.Release{Event: evidence.SHA256(nil), Item: "itm-a", Actor: "act-a", Begun: noon, Expires: noon.Add(time.Minute)}
	_, err := db.Release(ctx, r.Event)
	refused(t, err, evidence.NotFound, "release")
	ok(t, db.PutRelease(ctx, r))
	same(t, must[vault.Release](t)(db.Release(ctx, r.Event)), r)
	renewed := r
	renewed.Begun, renewed.Expires = noon.Add(time.Hour), noon.Add(2*time.Hour)
	ok(t, db.PutRelease(ctx, renewed))
	r.Expires = renewed.Expires // and nothing else
	same(t, must[vault.Release](t)(db.Release(ctx, r.Event)), r)
}

func testSessions(t *testing.T, e engine) {
	db := e.create(t)
	nonce := func(i int) evidence.Hash { return evidence.SHA256([]byte{byte(i)}) }
	for i := range 3 {
		ok(t, db.PutChallenge(ctx, nonce(i), noon.Add(time.Duration(i)*time.Minute)))
	}
	refused(t, db.PutChallenge(ctx, nonce(0), noon), evidence.Conflict, "challenge_exists")
	refused(t, db.TakeChallenge(ctx, nonce(9), noon.Add(-time.Second)), evidence.NotFound, "challenge")
	refused(t, db.TakeChallenge(ctx, nonce(0), noon), evidence.NotFound, "challenge") // expired at noon
	const racers = 16
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() { errs[i] = db.TakeChallenge(ctx, nonce(1), noon) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			refused(t, err, evidence.NotFound, "challenge")
		}
	}
	same(t, won, 1)
	ok(t, db.TakeChallenge(ctx, nonce(2), noon))

	a, b := evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.ActorID]()
	sessions := []auth.Session{
		{Actor: a, Role: evidence.Court, KeyID: nonce(1), Expires: noon.Add(time.Hour)},
		{Actor: a, Role: evidence.Court, KeyID: nonce(2), Expires: noon.Add(time.Hour)},
		{Actor: b, Role: evidence.Auditor, KeyID: nonce(3), Expires: noon},
	}
	find := func(want ...bool) {
		t.Helper()
		for i, s := range sessions {
			got, err := db.Session(ctx, nonce(100+i))
			if !want[i] {
				refused(t, err, evidence.NotFound, "session")
			} else if ok(t, err); got != s {
				t.Errorf("session %d is %+v", i, got)
			}
		}
	}
	find(false, false, false)
	for i, s := range sessions {
		ok(t, db.PutSession(ctx, nonce(100+i), s))
	}
	find(true, true, true)
	for range 2 {
		ok(t, db.DropSession(ctx, nonce(100)))
	}
	find(false, true, true)
	ok(t, db.DropSessions(ctx, a))
	find(false, false, true)
	refused(t, db.TakeChallenge(ctx, nonce(9), noon), evidence.NotFound, "challenge") // sweeps what expired
	find(false, false, false)
}

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
	for _, statement := range []string{
		`update events set kind = 'item.opened'`, `update events set dsse = leaf where ord = 1`, `delete from events`,
		`update inclusions set receipt = idx`, `update inclusions set idx = 7`, `delete from inclusions`,
		`update checkpoints set size = 0`, `delete from checkpoints`,
		`update heads_entries set value = key`, `delete from heads_entries`,
		`update attachments set body = sha256`, `update attachments set body = null, name = 'other'`, `update attachments set sha256 = body`,
		`delete from attachments`,
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

// Jobs share a transaction: one that is refused, or breaks, leaves the others whole.
func testSavepoints(t *testing.T, e engine) {
	db := e.create(t)
	set := func(key string, then error) *job {
		return &job{done: make(chan error, 1), do: func(ctx context.Context, tx *tx) error {
			_, err := tx.exec(ctx, `insert into meta (key, value) values ($1, $1)`, key)
			return errors.Join(err, then)
		}}
	}
	jobs := []*job{
		set("a", nil), set("b", evidence.Refuse(evidence.Held, "no")), set("c", nil),
		set("d", errors.New("the engine failed")), set("e", nil), set("a", nil), // a again: a constraint fails
	}
	ok(t, db.submit(ctx, func(context.Context, *tx) error { // keeps the writer away until all wait
		for _, j := range jobs {
			db.writer.queue <- j
		}
		return nil
	}))
	var got string
	for _, j := range jobs {
		got += evidence.ReasonOf(cause(<-j.done)) + " "
	}
	same(t, got, "ok no ok records ok records ")
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false, "e": true} {
		if v, err := db.Meta(ctx, key); (err == nil) != want || want && v != key {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
}

// Events that share a transaction see what those before them in it became, and nothing of those that were refused after they were written.
func testTogether(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	s := evidence.ItemOf(evidence.NewID[evidence.ItemID]())
	next := func(upload evidence.UploadID) *job {
		c := ledger.Commit{Signed: w.sign(s), Upload: upload}
		law := rule(c.Signed, newItem(evidence.ItemID(s.ID), "cas-a"))
		judge := func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
			if before := states[s]; nextSeq(before) != c.Signed.Event().Stream.Seq || before != nil && before.Tip().Leaf != c.Signed.Event().Stream.Prev {
				t.Errorf("event %d is judged by another state", c.Signed.Event().Stream.Seq)
			}
			return law(states)
		}
		if upload == "" {
			w.tips[s] = tipOf(c.Signed)
		}
		return &job{done: make(chan error, 1), do: func(ctx context.Context, t *tx) error {
			_, err := t.accept(ctx, c, judge, newEntry(c), c.Signed.PAEDigest())
			return err
		}}
	}
	gone := evidence.NewID[evidence.UploadID]()
	jobs := []*job{next(gone), next(""), next(""), next(gone), next(gone), next("")}
	ok(t, w.db.submit(ctx, func(context.Context, *tx) error { // keeps the writer away until all wait
		for _, j := range jobs {
			w.db.writer.queue <- j
		}
		return nil
	}))
	var got string
	for _, j := range jobs {
		got += evidence.ReasonOf(cause(<-j.done)) + " "
	}
	same(t, got, "upload_gone ok ok upload_gone upload_gone ok ")
	same(t, must[map[evidence.Stream]evidence.State](t)(w.db.States(ctx, s))[s].Tip(), w.tips[s])
	for i, e := range must[[]ledger.Entry](t)(w.db.Events(ctx, 0, 10)) { // no refused job left a gap
		same(t, e.Order, int64(i+1))
	}
}

func cause(err error) error {
	if err == nil {
		return evidence.Refuse("", "ok")
	}
	return err
}

// A caller who gives up before the work began leaves no trace; one who gives up later learns what became of it.
func testCancelled(t *testing.T, e engine) {
	db := e.create(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	running, cancelRunning := context.WithCancel(ctx)
	var runningErr error
	wg.Go(func() {
		runningErr = db.submit(running, func(ctx context.Context, tx *tx) error {
			close(begun)
			<-finish
			_, err := tx.exec(ctx, `insert into meta (key, value) values ($1, $1)`, "running")
			return err
		})
	})
	<-begun
	waiting, cancelWaiting := context.WithCancel(ctx)
	cancelRunning()
	cancelWaiting()
	err := db.SetMeta(waiting, "waiting", "x")
	refused(t, err, evidence.Internal, "cancelled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cause is %v", err)
	}
	close(finish)
	wg.Wait()
	ok(t, runningErr)
	same(t, must[string](t)(db.Meta(ctx, "running")), "running")
	_, err = db.Meta(ctx, "waiting")
	refused(t, err, evidence.NotFound, "meta")
	_, err = db.Meta(waiting, "running")
	refused(t, err, evidence.Internal, "cancelled")
}

func testClosed(t *testing.T, e engine) {
	db := e.create(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if err := db.SetMeta(ctx, fmt.Sprint(i), fmt.Sprint(n)); err != nil {
					refused(t, err, evidence.Internal, "records_closed")
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	ok(t, db.Close())
	wg.Wait() // nobody waits for ever
}
