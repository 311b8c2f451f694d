package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
)

const origin = "vault.example"

// desk is a sign-in over a real database, with a clock that tests move.
type desk struct {
	*auth.Auth
	t   *testing.T
	db  *sqldb.DB
	now time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	db, err := sqldb.Create(t.Context(), filepath.Join(t.TempDir(), "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &desk{t: t, db: db, now: time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)}
	if d.Auth, err = auth.New(origin, db, db, func() time.Time { return d.now }); err != nil {
		t.Fatal(err)
	}
	return d
}

type person struct {
	id  ev.ActorID
	key *custody.Key
	seq int64
	tip ev.Hash
}

func newKey(t *testing.T) *custody.Key {
	t.Helper()
	key, err := custody.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// enrol makes an actor; become puts an actor's state where the directory reads it, by an event that is signed and committed. What the law
// makes of events is tested where the law is.
func (d *desk) enrol(role ev.Role) *person {
	d.t.Helper()
	p := &person{id: ev.NewID[ev.ActorID](), key: newKey(d.t)}
	d.become(p, &ev.ActorState{Role: role, Status: ev.StatusActive})
	return p
}

func (d *desk) become(p *person, s *ev.ActorState) {
	d.t.Helper()
	e := &ev.Event{
		Vault: origin, Kind: ev.ActorRevoked, Time: ev.At(d.now), Tool: ev.Tool{Name: "t", Version: "1"}, Details: &ev.ActorRevokedDetails{Cause: ev.CauseLoss},
		Actor: ev.Signer{ID: p.id, Role: s.Role, Organization: ev.NewID[ev.OrgID]()}, Stream: ev.Position{Type: ev.ActorStream, ID: string(p.id), Seq: p.seq, Prev: p.tip},
	}
	if s.Role == ev.Vault {
		e.Actor.Organization = ""
	}
	e.Subject = e.Subjects(nil)
	signed, err := custody.Sign(e, p.key.SPKI(), p.key)
	if err != nil {
		d.t.Fatal(err)
	}
	s.ID, s.Last = p.id, ev.Tip{Seq: p.seq, Leaf: signed.LeafHash(), Time: e.Time}
	if s.Key == "" {
		s.Key = base64.StdEncoding.EncodeToString(p.key.SPKI())
	}
	if _, err := d.db.Commit(d.t.Context(), ledger.Commit{Signed: signed}, func(map[ev.Stream]ev.State) (ev.State, error) { return s, nil }); err != nil {
		d.t.Fatal(err)
	}
	p.seq, p.tip = p.seq+1, signed.LeafHash()
}

// answer signs a fresh challenge; change may spoil the message first.
func (d *desk) answer(p *person, key *custody.Key, change func(*custody.SignIn)) []byte {
	d.t.Helper()
	c, err := d.Challenge(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	m := custody.SignIn{Vault: origin, Actor: p.id, Nonce: c.Nonce.String(), Time: ev.At(d.now)}
	if change != nil {
		change(&m)
	}
	dsse, err := m.Sign(key.SPKI(), key)
	if err != nil {
		d.t.Fatal(err)
	}
	return dsse
}

func (d *desk) in(p *person) string {
	d.t.Helper()
	token, s, err := d.SignIn(d.t.Context(), d.answer(p, p.key, nil))
	if err != nil {
		d.t.Fatalf("sign in: %v", err)
	}
	if s.Actor != p.id || s.KeyID != custody.KeyID(p.key.SPKI()) || !s.Expires.Equal(d.now.Add(30*time.Minute)) {
		d.t.Fatalf("session of somebody else: %+v", s)
	}
	return token
}

// outside is what a caller can tell about an error.
func outside(err error) string {
	return string(ev.KindOf(err)) + " " + ev.ReasonOf(err)
}

func TestSignIn(t *testing.T) {
	d := newDesk(t)
	p := d.enrol(ev.Clinician)
	token := d.in(p)
	s, err := d.Session(t.Context(), token)
	if err != nil || s.Actor != p.id || s.Role != ev.Clinician {
		t.Fatalf("session %+v, %v", s, err)
	}
	if other := d.in(p); other == token {
		t.Error("two sign-ins gave one token")
	}
	if err := d.SignOut(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Session(t.Context(), token); outside(err) != "unauthenticated session" {
		t.Errorf("after signing out: %v", err)
	}
}

// Who has only a key, as with a card, is told whose it is.
func TestSignInByKey(t *testing.T) {
	d := newDesk(t)
	p := d.enrol(ev.Survivor)
	d.enrol(ev.Survivor)
	unnamed := func(m *custody.SignIn) { m.Actor = "" }
	if _, s, err := d.SignIn(t.Context(), d.answer(p, p.key, unnamed)); err != nil || s.Actor != p.id || s.Role != ev.Survivor {
		t.Errorf("%+v, %v", s, err)
	}
}

// Every way to fail has the same answer.
func TestSignInRefusesAlike(t *testing.T) {
	d := newDesk(t)
	p, other := d.enrol(ev.Custodian), d.enrol(ev.Custodian)
	stranger := &person{id: ev.NewID[ev.ActorID](), key: newKey(t)}
	pending, revoked, suspended, vault := d.enrol(ev.Court), d.enrol(ev.Court), d.enrol(ev.Court), d.enrol(ev.Vault)
	d.become(pending, &ev.ActorState{Role: ev.Court, Status: ev.StatusPending})
	d.become(revoked, &ev.ActorState{Role: ev.Court, Status: ev.StatusRevoked})
	d.become(suspended, &ev.ActorState{Role: ev.Court, Status: ev.StatusSuspended, SuspendedTill: ev.At(d.now.Add(time.Hour))})
	old, unnamed := newKey(t), func(m *custody.SignIn) { m.Actor = "" }
	used := d.answer(p, p.key, nil)
	if _, _, err := d.SignIn(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	good := d.answer(p, p.key, nil)
	for name, dsse := range map[string][]byte{
		"empty":             nil,
		"not DSSE":          []byte(`{"payload":""}`),
		"cut":               good[:len(good)-2],
		"used before":       used,
		"unknown nonce":     d.answer(p, p.key, func(m *custody.SignIn) { m.Nonce = ev.SHA256([]byte("mine")).String() }),
		"nonce not hex":     d.answer(p, p.key, func(m *custody.SignIn) { m.Nonce = strings.Repeat("z", 64) }),
		"another vault":     d.answer(p, p.key, func(m *custody.SignIn) { m.Vault = "other.example" }),
		"clock ahead":       d.answer(p, p.key, func(m *custody.SignIn) { m.Time = m.Time.Add(2*time.Minute + time.Second) }),
		"clock behind":      d.answer(p, p.key, func(m *custody.SignIn) { m.Time = m.Time.Add(-2*time.Minute - time.Second) }),
		"another's key":     d.answer(p, other.key, nil),
		"a key of before":   d.answer(p, old, nil),
		"under another id":  renamed(d.answer(p, p.key, nil), p.key, other.key),
		"unknown actor":     d.answer(stranger, stranger.key, nil),
		"pending actor":     d.answer(pending, pending.key, nil),
		"revoked actor":     d.answer(revoked, revoked.key, nil),
		"suspended actor":   d.answer(suspended, suspended.key, nil),
		"the vault itself":  d.answer(vault, vault.key, nil),
		"unknown key":       d.answer(stranger, stranger.key, unnamed),
		"key of a pending":  d.answer(pending, pending.key, unnamed),
		"flipped, unnamed":  flip(d.answer(p, p.key, unnamed)),
		"signature flipped": flip(d.answer(p, p.key, nil)),
	} {
		token, s, err := d.SignIn(t.Context(), dsse)
		if outside(err) != "unauthenticated sign_in" || token != "" || s != (auth.Session{}) {
			t.Errorf("%s: %q %+v %v", name, token, s, err)
		}
	}
	if _, _, err := d.SignIn(t.Context(), good); err != nil {
		t.Errorf("the challenge that was not used: %v", err)
	}
}

// Who asks learns nothing by how long it takes: a sign-in that cannot count goes through a whole verification before it is refused, like one
// that could. That of an ECDSA signature is what ends with "signature".
func TestSignInWorksAlike(t *testing.T) {
	d := newDesk(t)
	p, renewed, pending := d.enrol(ev.Custodian), d.enrol(ev.Survivor), d.enrol(ev.Court)
	old := renewed.key
	renewed.key = newKey(t)
	d.become(renewed, &ev.ActorState{Role: ev.Survivor, Status: ev.StatusActive})
	d.become(pending, &ev.ActorState{Role: ev.Court, Status: ev.StatusPending})
	stranger := &person{id: ev.NewID[ev.ActorID](), key: newKey(t)}
	unnamed := func(m *custody.SignIn) { m.Actor = "" }
	for name, dsse := range map[string][]byte{
		"unknown actor":         d.answer(stranger, stranger.key, nil),
		"known, another key":    d.answer(p, stranger.key, nil),
		"known, a key replaced": d.answer(renewed, old, nil),
		"known, signed falsely": flip(d.answer(p, p.key, nil)),
		"pending":               d.answer(pending, pending.key, nil),
		"unknown key":           d.answer(stranger, stranger.key, unnamed),
		"a key replaced":        d.answer(renewed, old, unnamed),
		"a key of a pending":    d.answer(pending, pending.key, unnamed),
	} {
		_, _, err := d.SignIn(t.Context(), dsse)
		if outside(err) != "unauthenticated sign_in" || !slices.Contains(reasons(err), "signature") {
			t.Errorf("%s: refused by %v", name, reasons(err))
		}
	}
}

// reasons are those of an error and of all its causes.
func reasons(err error) (list []string) {
	if e, ok := err.(*ev.Error); ok {
		list = append(list, e.Reason)
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			list = append(list, reasons(cause)...)
		}
	case interface{ Unwrap() error }:
		list = append(list, reasons(e.Unwrap())...)
	}
	return list
}

// renamed has the signature of one key under the id of another.
func renamed(dsse []byte, from, to *custody.Key) []byte {
	return []byte(strings.Replace(string(dsse), custody.KeyID(from.SPKI()).String(), custody.KeyID(to.SPKI()).String(), 1))
}

// flip changes one character in the middle of the signature's base64.
func flip(dsse []byte) []byte {
	i := strings.Index(string(dsse), `"sig":"`) + 30
	b := append([]byte(nil), dsse...)
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return b
}

// A challenge is used up by the first answer, a false one too, and by time.
func TestChallengeCountsOnce(t *testing.T) {
	d := newDesk(t)
	p := d.enrol(ev.Clinician)
	c, err := d.Challenge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key *custody.Key) []byte {
		dsse, err := custody.SignIn{Vault: origin, Actor: p.id, Nonce: c.Nonce.String(), Time: ev.At(d.now)}.Sign(key.SPKI(), key)
		if err != nil {
			t.Fatal(err)
		}
		return dsse
	}
	if _, _, err := d.SignIn(t.Context(), sign(newKey(t))); err == nil {
		t.Fatal("a false key signed in")
	}
	if _, _, err := d.SignIn(t.Context(), sign(p.key)); err == nil {
		t.Error("a challenge counted twice")
	}
	late := d.answer(p, p.key, func(m *custody.SignIn) { m.Time = m.Time.Add(time.Minute) })
	d.now = d.now.Add(2 * time.Minute)
	if _, _, err := d.SignIn(t.Context(), late); err == nil {
		t.Error("a challenge counted after two minutes")
	}

	race := d.answer(p, p.key, nil)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, _, err := d.SignIn(context.Background(), race); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("one challenge signed in %d times", won.Load())
	}
}

func TestSessionEnds(t *testing.T) {
	d := newDesk(t)
	for name, end := range map[string]func(*person){
		"expired": func(*person) { d.now = d.now.Add(30 * time.Minute) },
		"suspended": func(p *person) {
			d.become(p, &ev.ActorState{Role: ev.Police, Status: ev.StatusSuspended, SuspendedTill: ev.At(d.now.Add(time.Hour))})
		},
		"revoked": func(p *person) { d.become(p, &ev.ActorState{Role: ev.Police, Status: ev.StatusRevoked}) },
		"pending": func(p *person) { d.become(p, &ev.ActorState{Role: ev.Police, Status: ev.StatusPending}) },
		"new key": func(p *person) {
			d.become(p, &ev.ActorState{Role: ev.Police, Status: ev.StatusActive, Key: base64.StdEncoding.EncodeToString(newKey(t).SPKI())})
		},
		"another role": func(p *person) { d.become(p, &ev.ActorState{Role: ev.Administrator, Status: ev.StatusActive}) },
	} {
		p := d.enrol(ev.Police)
		token := d.in(p)
		d.now = d.now.Add(29 * time.Minute)
		if _, err := d.Session(t.Context(), token); err != nil {
			t.Fatalf("%s: before: %v", name, err)
		}
		end(p)
		if s, err := d.Session(t.Context(), token); outside(err) != "unauthenticated session" || s != (auth.Session{}) {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
	for _, token := range []string{"", "x", strings.Repeat("A", 43)} {
		if _, err := d.Session(t.Context(), token); outside(err) != "unauthenticated session" {
			t.Errorf("token of nobody: %v", err)
		}
	}
}

// A suspension that has ended ends by itself.
func TestSuspensionEnds(t *testing.T) {
	d := newDesk(t)
	p := d.enrol(ev.Police)
	d.become(p, &ev.ActorState{Role: ev.Police, Status: ev.StatusSuspended, SuspendedTill: ev.At(d.now.Add(time.Hour))})
	d.now = d.now.Add(time.Hour)
	d.in(p)
}

// What is stored does not sign in: the database holds digests of tokens.
func TestTokensAreNotStored(t *testing.T) {
	d := newDesk(t)
	token := d.in(d.enrol(ev.Auditor))
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 32 {
		t.Fatalf("token of %d bytes: %v", len(raw), err)
	}
	if _, err := d.db.Session(t.Context(), ev.SHA256([]byte(token))); err != nil {
		t.Errorf("not under the token's digest: %v", err)
	}
	if _, err := d.db.Session(t.Context(), ev.SHA256(raw)); ev.KindOf(err) != ev.NotFound {
		t.Error("another digest of the token finds the session")
	}
}

// A fault of the records is no refusal: it must not tell people that their key is wrong.
func TestFaultIsNotARefusal(t *testing.T) {
	d := newDesk(t)
	p := d.enrol(ev.Auditor)
	token, answer := d.in(p), d.answer(p, p.key, nil)
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Session(t.Context(), token); ev.KindOf(err) != ev.Internal {
		t.Errorf("session: %v", err)
	}
	if _, _, err := d.SignIn(t.Context(), answer); ev.KindOf(err) != ev.Internal || errors.Is(err, context.Canceled) {
		t.Errorf("sign in: %v", err)
	}
}
