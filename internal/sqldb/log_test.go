package sqldb

import (
	"errors"
	"fmt"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
)

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

	item.Envelopes = named(attach(ledger.Envelope, keeper, "kept")) // sorts before court
	w.put(stream, item)
	for range 2 {
		ok(t, w.db.Destroy(ctx, stream))
		_, err = w.db.Attachment(ctx, first.LeafHash, evidence.SHA256([]byte("envelope 1")))
		refused(t, err, evidence.Gone, "attachment")
		_, err = w.db.StreamAttachment(ctx, stream, evidence.SHA256([]byte("envelope 2")))
		refused(t, err, evidence.Gone, "attachment")
		_, err = w.db.Envelope(ctx, stream, court)
		refused(t, err, evidence.NotFound, "envelope")
	}
	same(t, string(must[ledger.Attachment](t)(w.db.Envelope(ctx, stream, keeper)).Body), "kept")
	for body, event := range map[string]evidence.Hash{"of another item": foreign.LeafHash, "label key": label.LeafHash, "note": first.LeafHash} {
		same(t, string(must[ledger.Attachment](t)(w.db.Attachment(ctx, event, evidence.SHA256([]byte(body)))).Body), body)
	}
	ok(t, w.db.Destroy(ctx, evidence.ItemOf(evidence.NewID[evidence.ItemID]()))) // there is none

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
	item.Envelopes = named(attach(ledger.Envelope, keeper, "kept"), attach(ledger.Envelope, court, "envelope 3"))
	w.put(stream, item, attach(ledger.Envelope, court, "envelope 3"))
	same(t, string(must[ledger.Attachment](t)(w.db.Envelope(ctx, stream, court)).Body), "envelope 3")
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
