package sqldb

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

const origin = "vault.example.org"

var (
	ctx  = context.Background()
	noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
)

// engine opens databases of one engine for the suite.
type engine struct {
	create func(t testing.TB) *DB
	// reopen closes the database and opens the same one again.
	reopen func(t testing.TB, db *DB) *DB
}

func sqliteEngine() engine {
	paths := map[*DB]string{}
	keep := func(t testing.TB, db *DB, err error, path string) *DB {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		paths[db] = path
		return db
	}
	return engine{
		create: func(t testing.TB) *DB {
			path := filepath.Join(t.TempDir(), "records.db")
			db, err := Create(ctx, path)
			return keep(t, db, err, path)
		},
		reopen: func(t testing.TB, db *DB) *DB {
			path := paths[db]
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(ctx, path)
			return keep(t, again, err, path)
		},
	}
}

// world signs events and knows where each stream stands.
type world struct {
	t    testing.TB
	db   *DB
	key  *custody.Key
	tips map[evidence.Stream]evidence.Tip
	tool int // makes every statement another one
}

func newWorld(t testing.TB, db *DB) *world {
	key, err := custody.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, db: db, key: key, tips: map[evidence.Stream]evidence.Tip{}}
}

// sign makes the next event of the stream. What its details say is nothing to the records.
func (w *world) sign(s evidence.Stream, relied ...evidence.Stream) *custody.Signed {
	w.t.Helper()
	return w.signAs(s, nil, relied...)
}

// signAs makes one with these details, if there are any.
func (w *world) signAs(s evidence.Stream, as evidence.Details, relied ...evidence.Stream) *custody.Signed {
	w.t.Helper()
	w.tool++
	e := &evidence.Event{
		Subject: []evidence.Subject{evidence.Named(s.ID, s.Tag(origin))},
		Vault:   origin,
		Stream:  evidence.Position{Type: s.Type, ID: s.ID},
		Actor:   evidence.Signer{ID: "act-" + evidence.ActorID(fmt.Sprintf("%026d", 0)), Role: evidence.Custodian},
		Time:    evidence.At(noon),
		Tool:    evidence.Tool{Name: "test", Version: fmt.Sprint(w.tool)},
	}
	if tip, ok := w.tips[s]; ok {
		e.Stream.Seq, e.Stream.Prev = tip.Seq+1, tip.Leaf
	}
	e.ReliedOn, e.Notes = []evidence.Head{}, []evidence.Note{}
	for _, r := range relied {
		tip := w.tips[r]
		e.ReliedOn = append(e.ReliedOn, evidence.Head{Type: r.Type, ID: r.ID, Seq: tip.Seq, Head: tip.Leaf})
	}
	switch s.Type {
	case evidence.ActorStream:
		e.Kind, e.Details = evidence.ActorRevoked, &evidence.ActorRevokedDetails{Cause: evidence.CauseDeparture}
	case evidence.CaseStream:
		e.Kind, e.Details = evidence.CaseClosed, &evidence.CaseClosedDetails{Outcome: "decided"}
	case evidence.ConsentStream:
		e.Kind, e.Details = evidence.ConsentWithdrawn, &evidence.ConsentWithdrawnDetails{Number: "1234-5678"}
	case evidence.ItemStream:
		e.Kind, e.Details = evidence.ItemReceived, &evidence.ItemReceivedDetails{SealIntact: true}
	case evidence.PolicyStream:
		e.Kind, e.Details = evidence.VaultConfirmed, &evidence.VaultConfirmedDetails{Event: evidence.SHA256(nil)}
	case evidence.VaultStream:
		e.Kind, e.Details = evidence.VaultHeads, &evidence.VaultHeadsDetails{Void: []int64{}}
	}
	switch as.(type) {
	case *evidence.ItemEnvelopeRemovedDetails:
		e.Kind, e.Details = evidence.ItemEnvelopeRemoved, as
	case *evidence.ItemShreddedDetails:
		e.Kind, e.Details = evidence.ItemShredded, as
	case *evidence.CaseMemberRemovedDetails:
		e.Kind, e.Details = evidence.CaseMemberRemoved, as
	}
	signed, err := custody.Sign(e, w.key.SPKI(), w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func tipOf(s *custody.Signed) evidence.Tip {
	e := s.Event()
	return evidence.Tip{Seq: e.Stream.Seq, Leaf: s.LeafHash(), Time: e.Time}
}

// rule returns the judge that makes state the new one of signed's stream.
func rule(signed *custody.Signed, state evidence.State) ledger.Judge {
	return func(map[evidence.Stream]evidence.State) (evidence.State, error) {
		copied := reflect.New(reflect.TypeOf(state).Elem())
		copied.Elem().Set(reflect.ValueOf(state).Elem())
		copied.Elem().FieldByName("Last").Set(reflect.ValueOf(tipOf(signed)))
		return copied.Interface().(evidence.State), nil
	}
}

// try commits the next event of the stream, which makes state its new state.
func (w *world) try(s evidence.Stream, state evidence.State, with ...ledger.Attachment) (ledger.Entry, error) {
	w.t.Helper()
	signed := w.sign(s)
	e, err := w.db.Commit(ctx, ledger.Commit{Signed: signed, Attachments: with}, rule(signed, state))
	if err == nil {
		w.tips[s] = tipOf(signed)
	}
	return e, err
}

func (w *world) put(s evidence.Stream, state evidence.State, with ...ledger.Attachment) ledger.Entry {
	w.t.Helper()
	e, err := w.try(s, state, with...)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// putAs is put of an event with these details.
func (w *world) putAs(s evidence.Stream, as evidence.Details, state evidence.State, with ...ledger.Attachment) ledger.Entry {
	w.t.Helper()
	signed := w.signAs(s, as)
	e, err := w.db.Commit(ctx, ledger.Commit{Signed: signed, Attachments: with}, rule(signed, state))
	ok(w.t, err)
	w.tips[s] = tipOf(signed)
	return e
}

func newActor(id evidence.ActorID) *evidence.ActorState {
	return &evidence.ActorState{
		ID: id, Role: evidence.Clinician, Key: keyText(string(id)), Recipient: "age1pq1" + string(id), Status: evidence.StatusActive,
	}
}

// keyText stands for a public key: the records do not look inside.
func keyText(name string) string { return base64.StdEncoding.EncodeToString([]byte("spki of " + name)) }

func newItem(id evidence.ItemID, c evidence.CaseID) *evidence.ItemState {
	return &evidence.ItemState{ID: id, Case: c, ItemRecipient: "age1pq1" + string(id), Class: evidence.Original, Deposited: evidence.At(noon)}
}

func newGrant(id evidence.GrantID, item evidence.ItemID, to evidence.ActorID, status evidence.GrantStatus, expires time.Time) evidence.GrantState {
	return evidence.GrantState{Status: status, Terms: evidence.Terms{
		ID: id, Item: item, Recipient: evidence.Keyholder{Actor: to}, NotBefore: evidence.At(noon), Expires: evidence.At(expires),
	}}
}

func attach(kind ledger.AttachmentKind, recipient evidence.Hash, body string) ledger.Attachment {
	return ledger.Attachment{Kind: kind, Recipient: recipient, SHA256: evidence.SHA256([]byte(body)), Body: []byte(body)}
}

// named is how a state names envelopes, given in the order of their recipients.
func named(list ...ledger.Attachment) (refs []evidence.EnvelopeRef) {
	for _, a := range list {
		refs = append(refs, evidence.EnvelopeRef{Recipient: a.Recipient, SHA256: a.SHA256})
	}
	return refs
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// refused checks that err is an *evidence.Error of that kind and reason.
func refused(t testing.TB, err error, kind evidence.ErrorKind, reason string) {
	t.Helper()
	if e := (*evidence.Error)(nil); !errors.As(err, &e) || e.Kind != kind || e.Reason != reason {
		t.Errorf("got error %v, want %s: %s", err, kind, reason)
	}
}

// resign signs the same statement once more: ECDSA makes another signature.
func (w *world) resign(s *custody.Signed) (*custody.Signed, error) {
	return custody.Sign(s.Event(), w.key.SPKI(), w.key)
}
