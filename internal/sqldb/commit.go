package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// Commit implements ledger.Records. Beside what is said there it refuses as Conflict "upload_gone" if the upload is not in the records
// any more, "heads_stale" if a heads entry is there already, and what is taken: "key_reused", "recipient_reused", "item_recipient_reused",
// "exhibit_taken", "form_taken"; and "identity_case". A gap in the stream is "position" too.
// The judge of an event that closes a case is given the case's items too: what may still be open stands on them, and no event names them all.
func (d *DB) Commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	entry := newEntry(c)
	pae := c.Signed.PAEDigest()
	var result ledger.Entry
	err := d.submit(ctx, func(ctx context.Context, t *tx) (err error) {
		result, err = t.accept(ctx, c, judge, entry, pae)
		return err
	})
	if err != nil {
		return ledger.Entry{}, err
	}
	return result, nil
}

func newEntry(c ledger.Commit) ledger.Entry {
	e := c.Signed.Event()
	entry := ledger.Entry{
		Stream:   e.Stream.Stream(),
		Seq:      e.Stream.Seq,
		Kind:     e.Kind,
		LeafHash: c.Signed.LeafHash(),
		Leaf:     tlog.TreeLeaf{Value: c.Signed.Leaf(), Extra: c.Signed.DSSE()},
		Index:    -1,
	}
	if !e.Stream.Prev.IsZero() {
		entry.Stands = append(entry.Stands, e.Stream.Prev)
	}
	for _, h := range e.ReliedOn {
		entry.Stands = append(entry.Stands, h.Head)
	}
	return entry
}

// accept judges the event by the present states and writes it with everything that becomes durable with it. A statement that was accepted
// before has its place in the stream, so it is looked for where the place is not free.
func (t *tx) accept(ctx context.Context, c ledger.Commit, judge ledger.Judge, entry ledger.Entry, pae evidence.Hash) (ledger.Entry, error) {
	event := c.Signed.Event()
	own, err := t.statesOf(ctx, []evidence.Stream{entry.Stream})
	if err != nil {
		return entry, err
	}
	before := own[entry.Stream]
	if entry.Seq != nextSeq(before) {
		known, err := list(ctx, t, scanEntry, selectEntry+` where e.pae_digest = $1`, pae[:])
		if err != nil {
			return entry, err
		}
		if len(known) == 0 {
			return entry, evidence.Refuse(evidence.Conflict, "position")
		}
		return known[0], nil
	}
	states, err := t.statesOf(ctx, basis(before, event))
	if err == nil && event.Kind == evidence.CaseClosed {
		err = t.addItems(ctx, evidence.CaseID(entry.Stream.ID), states)
	}
	if err != nil {
		return entry, err
	}
	after, err := judged(judge, states)
	if err != nil {
		return entry, err
	}
	if tip := after.Tip(); tip.Seq != entry.Seq || tip.Leaf != entry.LeafHash {
		return entry, evidence.Refuse(evidence.Internal, "state_tip")
	}
	if err := t.untaken(ctx, before, after); err != nil {
		return entry, err
	}
	if err := t.apart(ctx, before, after); err != nil {
		return entry, err
	}
	if err := t.insertEvent(ctx, pae, &entry); err != nil {
		return entry, err
	}
	if err := t.putState(ctx, entry.Stream, after); err != nil {
		return entry, err
	}
	if err := t.project(ctx, entry.Order, before, after); err != nil {
		return entry, err
	}
	for _, a := range c.Attachments {
		if err := t.insertAttachment(ctx, entry.Order, a); err != nil {
			return entry, err
		}
	}
	if vault.TakesEnvelopes(event.Kind) { // with it, so that no process finds them afterwards, and none takes what came later
		if err := t.destroyUnnamed(ctx, entry.Stream, after); err != nil {
			return entry, err
		}
	}
	if c.Upload != "" {
		if err := t.must(ctx, evidence.Refuse(evidence.Conflict, "upload_gone"), `delete from uploads where id = $1`, c.Upload); err != nil {
			return entry, err
		}
	}
	if c.Heads != nil {
		return entry, t.insertHeads(ctx, c.Heads)
	}
	return entry, nil
}

// basis lists the streams by which an event is judged: its own, those it must stand on, and those it says it stands on. An event cannot
// leave one out: a stream that began a moment ago is seen too.
func basis(own evidence.State, e *evidence.Event) []evidence.Stream {
	streams := append(evidence.StandsOn(own, e), e.Stream.Stream())
	for _, h := range e.ReliedOn {
		if s := h.Stream(); !slices.Contains(streams, s) {
			streams = append(streams, s)
		}
	}
	return streams
}

// addItems adds the items of a case to states, as the job sees them.
func (t *tx) addItems(ctx context.Context, in evidence.CaseID, states map[evidence.Stream]evidence.State) error {
	return t.each(ctx, func(row scanner) error {
		var id evidence.ItemID
		var text sql.RawBytes
		if err := row.Scan(&id, &text); err != nil {
			return err
		}
		state, err := t.decoded.decode(evidence.ItemOf(id), text)
		if err != nil {
			return damage(err)
		}
		states[evidence.ItemOf(id)] = state
		return nil
	}, `select i.id, s.state from items i join states s on s.stream_type = 'item' and s.stream_id = i.id where i.case_id = $1`, in)
}

func nextSeq(before evidence.State) int64 {
	if before == nil {
		return 0
	}
	return before.Tip().Seq + 1
}

// judged asks the law. One event's panic must not end the writer that serves all.
func judged(judge ledger.Judge, states map[evidence.Stream]evidence.State) (after evidence.State, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = evidence.Fail(evidence.Internal, "judge_panic", fmt.Errorf("%T", p))
		}
	}()
	if after, err = judge(states); err != nil {
		return nil, evidence.Fail(evidence.Internal, "judge", err)
	}
	return after, nil
}

func (t *tx) insertEvent(ctx context.Context, pae evidence.Hash, e *ledger.Entry) error {
	stands := make([]byte, 0, len(e.Stands)*len(evidence.Hash{}))
	for _, h := range e.Stands {
		stands = append(stands, h[:]...)
	}
	if t.last < 0 {
		newest, err := list(ctx, t, scanTo[int64], `select coalesce(max(ord), 0) from events`)
		if err != nil {
			return err
		}
		t.last = newest[0]
	}
	e.Order = t.last + 1
	err := t.must(ctx, evidence.Refuse(evidence.Conflict, "position"), `
		insert into events (ord, stream_type, stream_id, seq, kind, leaf_hash, pae_digest, stands, leaf, dsse)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing`,
		e.Order, e.Stream.Type, e.Stream.ID, e.Seq, e.Kind, e.LeafHash[:], pae[:], stands, e.Leaf.Value, e.Leaf.Extra)
	if err != nil {
		return err
	}
	t.last = e.Order
	_, err = t.exec(ctx, `insert into pending (ord) values ($1)`, e.Order)
	return err
}

// putState stores the state, after reading it back: what cannot be read must not be accepted.
func (t *tx) putState(ctx context.Context, s evidence.Stream, state evidence.State) error {
	text, read, err := encodeState(s, state)
	if err != nil {
		return internal("state_encoding", err)
	}
	_, err = t.exec(ctx, `
		insert into states (stream_type, stream_id, seq, state) values ($1, $2, $3, $4)
		on conflict (stream_type, stream_id) do update set seq = excluded.seq, state = excluded.state`,
		s.Type, s.ID, state.Tip().Seq, string(text))
	if err != nil {
		return err
	}
	if t.changed == nil {
		t.changed = make(map[evidence.Stream]evidence.State)
	}
	t.changed[s] = read
	t.decoded.keep(s, decodedState{text, read})
	return nil
}

// encodeState returns a state's text, and the state as it is read back.
func encodeState(s evidence.Stream, state evidence.State) (text []byte, read evidence.State, err error) {
	if text, err = json.Marshal(state); err != nil {
		return nil, nil, err
	}
	if read, err = decodeState(s.Type, text); err != nil {
		return nil, nil, err
	}
	if reflect.DeepEqual(read, state) {
		return text, read, nil
	}
	again, err := json.Marshal(read) // an empty list may be read as none, and is written the same
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, nil, fmt.Errorf("%s state reads back differently", s.Type)
	}
	return text, read, nil
}

func decodeState(t evidence.StreamType, text []byte) (evidence.State, error) {
	state, err := evidence.NewState(t)
	if err != nil || custody.Declared(text, state) {
		return state, err
	}
	if state, err = evidence.NewState(t); err == nil {
		err = json.Unmarshal(text, state)
	}
	return state, err
}

func (t *tx) insertHeads(ctx context.Context, u *heads.Update) error {
	stale := evidence.Refuse(evidence.Conflict, "heads_stale")
	for _, e := range u.Inserted {
		err := t.must(ctx, stale, `insert into heads_entries (key, value) values ($1, $2) on conflict do nothing`, e.Key[:], e.Value[:])
		if err != nil {
			return err
		}
	}
	for _, b := range u.Buckets {
		_, err := t.exec(ctx, `
			insert into heads_buckets (prefix, single, hash) values ($1, $2, $3)
			on conflict (prefix) do update set single = excluded.single, hash = excluded.hash`,
			int64(b.Prefix), flag(b.Summary.Single), b.Summary.Hash[:])
		if err != nil {
			return err
		}
	}
	return nil
}

// flag is how a bool is stored.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
