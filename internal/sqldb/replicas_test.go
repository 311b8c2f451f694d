package sqldb

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

// together calls f for each of many at once, by turns on each of the replicas, and returns how often it was answered without an error.
func together(t *testing.T, replicas []*DB, want string, f func(db *DB, i int) error) (done int64) {
	t.Helper()
	var wg sync.WaitGroup
	var won atomic.Int64
	for i := range 8 * len(replicas) {
		wg.Go(func() {
			if err := f(replicas[i%len(replicas)], i); err == nil {
				won.Add(1)
			} else if evidence.ReasonOf(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	wg.Wait()
	return won.Load()
}

// What one replica keeps beside the events counts on all: a challenge is used once, a session ends everywhere, an invitation is answered once,
// an upload becomes evidence once, an exhibit has one number; and none goes by the clock of another process.
func TestPostgresReplicasHold(t *testing.T) {
	name := newPostgres(t)
	one, other := openAs(t, serverURL(name)), openAs(t, serverURL(name))
	both, now := []*DB{one, other}, time.Now()

	nonce := evidence.SHA256([]byte("nonce"))
	ok(t, one.PutChallenge(ctx, nonce, now.Add(time.Hour)))
	same(t, together(t, both, "challenge", func(db *DB, _ int) error { return db.TakeChallenge(ctx, nonce, now) }), int64(1))

	actor, token, second := evidence.NewID[evidence.ActorID](), evidence.SHA256([]byte("token")), evidence.SHA256([]byte("second"))
	s := auth.Session{Actor: actor, Role: evidence.Clinician, KeyID: evidence.SHA256([]byte("key")), Expires: fromMicros(micros(now.Add(time.Hour)))}
	ok(t, one.PutSession(ctx, token, s))
	same(t, must[auth.Session](t)(other.Session(ctx, token)), s)
	refused(t, other.TakeChallenge(ctx, nonce, now.Add(24*time.Hour)), evidence.NotFound, "challenge") // its clock is a day ahead
	same(t, must[auth.Session](t)(one.Session(ctx, token)), s)
	ok(t, other.PutSession(ctx, second, s))
	ok(t, other.DropSession(ctx, token))
	_, err := one.Session(ctx, token)
	refused(t, err, evidence.NotFound, "session")
	ok(t, one.DropSessions(ctx, actor))
	_, err = other.Session(ctx, second)
	refused(t, err, evidence.NotFound, "session")

	in := someInvitation()
	ok(t, one.PutInvitation(ctx, in))
	same(t, together(t, both, "invitation_answered", func(db *DB, i int) error {
		return db.AnswerInvitation(ctx, in.Digest, evidence.Keys{Key: keyText(string(rune('a' + i)))})
	}), int64(1))

	w := newWorld(t, one)
	upload := vault.Upload{ID: evidence.NewID[evidence.UploadID](), Owner: actor, Size: 1, Expires: now.Add(time.Hour)}
	ok(t, one.PutUpload(ctx, upload))
	c := evidence.NewID[evidence.CaseID]()
	deposit := func(exhibit int64, upload evidence.UploadID) func(db *DB, _ int) error {
		var mu sync.Mutex
		return func(db *DB, _ int) error {
			item := newItem(evidence.NewID[evidence.ItemID](), c)
			item.Exhibit = exhibit
			mu.Lock()
			signed := w.sign(evidence.ItemOf(item.ID))
			mu.Unlock()
			_, err := db.Commit(ctx, ledger.Commit{Signed: signed, Upload: upload}, rule(signed, item))
			return err
		}
	}
	same(t, together(t, both, "upload_gone", deposit(0, upload.ID)), int64(1))
	same(t, together(t, both, "exhibit_taken", deposit(7, "")), int64(1))

	// Limits are one.
	var waits atomic.Int64
	take := func(db *DB, clock time.Time) error {
		wait, err := db.Take(ctx, nonce, time.Hour, 5, clock)
		if wait > 0 {
			waits.Add(1)
		}
		return err
	}
	same(t, together(t, both, "", func(db *DB, _ int) error { return take(db, now) }), int64(16))
	same(t, waits.Load(), int64(11))
	ok(t, take(other, now.Add(48*time.Hour)))
	same(t, waits.Load(), int64(12))
}

// cut is a way to a server on which the answer to a commit can get lost.
type cut struct {
	net.Listener
	armed atomic.Bool
}

func newCut(t *testing.T, server string) *cut {
	c := &cut{Listener: must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))}
	t.Cleanup(func() { c.Close() })
	go func() {
		for {
			client, err := c.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			go c.pass(client, up)
		}
	}()
	return c
}

// pass hands on what both say, until a commit is asked for whose answer is to get lost.
func (c *cut) pass(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	var lost atomic.Bool
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, err := client.Read(b)
			if n > 0 {
				if bytes.Contains(b[:n], []byte("commit\x00")) && c.armed.CompareAndSwap(true, false) {
					lost.Store(true)
				}
				if _, err := server.Write(b[:n]); err != nil {
					return
				}
			}
			if err != nil {
				server.(*net.TCPConn).CloseWrite()
				return
			}
		}
	}()
	b := make([]byte, 1<<16)
	for {
		n, err := server.Read(b)
		if lost.Load() || err != nil {
			return // the server has answered
		}
		if _, err := client.Write(b[:n]); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

// A replica that loses the connection when it commits does not know what became of the event; whoever repeats it, at once and through whichever
// replica, finds what was stored, once.
func TestPostgresOutcomeUnknown(t *testing.T) {
	name := newPostgres(t)
	at := must[*url.URL](t)(url.Parse(serverURL(name)))
	way := newCut(t, at.Host)
	at.Host, at.RawQuery = way.Addr().String(), "sslmode=disable"
	one, other := openAs(t, at.String()), openAs(t, serverURL(name))
	w := newWorld(t, one)
	for range 5 {
		a := evidence.NewID[evidence.ActorID]()
		signed := w.sign(evidence.ActorOf(a))
		commit := func(db *DB, signed *custody.Signed) (ledger.Entry, error) {
			return db.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, newActor(a)))
		}
		way.armed.Store(true)
		_, err := commit(one, signed)
		refused(t, err, evidence.Internal, "outcome_unknown")
		stored := must[[]ledger.Entry](t)(other.Stream(ctx, evidence.ActorOf(a), -1, 10))
		if len(stored) != 1 || stored[0].LeafHash != signed.LeafHash() {
			t.Fatalf("stored: %+v", stored)
		}
		again := must[*custody.Signed](t)(w.resign(signed))
		same(t, together(t, []*DB{one, other}, "", func(db *DB, i int) error {
			entry, err := commit(db, map[bool]*custody.Signed{true: signed, false: again}[i%4 < 2])
			if err == nil && (entry.LeafHash != signed.LeafHash() || entry.Order != stored[0].Order) {
				t.Errorf("answered with %+v", entry)
			}
			return err
		}), int64(16))
		same(t, len(must[[]ledger.Entry](t)(one.Stream(ctx, evidence.ActorOf(a), -1, 10))), 1)
	}
}
