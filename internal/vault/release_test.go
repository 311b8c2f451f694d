package vault_test

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// gatedTree lets nothing into the log while it is closed.
type gatedTree struct {
	ledger.Tree
	closed *atomic.Bool
}

func (t gatedTree) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	if t.closed.Load() {
		return nil, errors.New("the log is down")
	}
	return t.Tree.Append(ctx, leaves)
}

// fetch asks for everything that an access event could release.
func (w *world) fetch(by vault.Caller, access ev.Hash, id ev.ItemID) (errs []error) {
	for _, part := range []vault.Part{nil, func(e ev.Evidence) (int64, int64, bool) { return 0, e.Size - 1, true }} {
		f, err := w.Evidence(ctx(), by, access, part)
		if f.Object != nil {
			f.Object.Close()
		}
		if err != nil && (f.Object != nil || f.Address.URL != "") {
			w.t.Errorf("refused, and %+v", f)
		}
		errs = append(errs, err)
	}
	item := w.itemState(id)
	_, err := w.Attachment(ctx(), by, access, w.eventOf(id, 0), item.Description.SHA256)
	return append(errs, err)
}

func allRefused(t *testing.T, errs []error, kind ev.ErrorKind) {
	t.Helper()
	for _, err := range errs {
		if ev.KindOf(err) != kind {
			t.Errorf("got %v, want %s", err, kind)
		}
	}
}

func allServed(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// No proof, no bytes: before the access event is in the log, nothing is released, by any way.
func TestNothingBeforeInclusion(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	var closed atomic.Bool
	w.wrapTree = func(tree ledger.Tree) ledger.Tree { return gatedTree{tree, &closed} }
	w.restart()
	by := w.people["custodian"].caller()
	closed.Store(true)
	signed := w.signOpen("custodian", c.item.id)
	o, err := w.try("custodian", signed, "")
	if err != nil || o.Receipt != nil || o.Opening != nil || o.LeafHash != signed.LeafHash() {
		t.Fatalf("a pending access event: %v", err)
	}
	_, err = w.Vault.Open(ctx(), by, o.LeafHash)
	refused(t, err, ev.Pending, "pending")
	allRefused(t, w.fetch(by, o.LeafHash, c.item.id), ev.NotFound)
	closed.Store(false)
	if _, err := w.ledger.Await(ctx(), o.LeafHash); err != nil {
		t.Fatal(err)
	}
	allRefused(t, w.fetch(by, o.LeafHash, c.item.id), ev.NotFound) // in the log, but not asked for yet
	o, err = w.Outcome(ctx(), by, o.LeafHash)
	if err != nil || o.Receipt == nil || o.Opening == nil {
		t.Fatalf("the outcome later: %v", err)
	}
	allServed(t, w.fetch(by, o.LeafHash, c.item.id))
}

// A release lasts a quarter of an hour and is renewed up to a day; it is its signer's alone.
func TestReleaseTime(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	o := w.open("custodian", c.item.id)
	by := w.people["custodian"].caller()
	allServed(t, w.fetch(by, o.LeafHash, c.item.id))
	allRefused(t, w.fetch(w.people["clinician"].caller(), o.LeafHash, c.item.id), ev.NotFound)
	_, err := w.Vault.Open(ctx(), w.people["clinician"].caller(), o.LeafHash)
	hidden(t, err)
	_, err = w.Outcome(ctx(), w.people["clinician"].caller(), o.LeafHash)
	hidden(t, err)
	w.pass(15*time.Minute + time.Second)
	allRefused(t, w.fetch(by, o.LeafHash, c.item.id), ev.Gone)
	for range 3 {
		if _, err := w.Vault.Open(ctx(), by, o.LeafHash); err != nil {
			t.Fatal(err)
		}
		allServed(t, w.fetch(by, o.LeafHash, c.item.id))
		w.pass(7 * time.Hour)
	}
	w.pass(150 * time.Minute)
	renewed, err := w.Vault.Open(ctx(), by, o.LeafHash)
	if err != nil {
		t.Fatal(err)
	}
	if left := renewed.Expires.Sub(w.now()); left > 15*time.Minute {
		t.Errorf("a release of %v", left)
	}
	w.pass(14 * time.Minute)
	if renewed, err = w.Vault.Open(ctx(), by, o.LeafHash); err != nil || renewed.Expires.Sub(w.now()) > 2*time.Minute {
		t.Errorf("a renewal beyond the day: %v, %v", renewed.Expires.Sub(w.now()), err)
	}
	w.pass(5 * time.Minute)
	allRefused(t, w.fetch(by, o.LeafHash, c.item.id), ev.Gone)
	_, err = w.Vault.Open(ctx(), by, o.LeafHash)
	refused(t, err, ev.Gone, "release_over")
}

// What ends a right ends it at the next request, whatever was released before.
func TestReleaseEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(w *world, c consented, id ev.GrantID)
		kind ev.ErrorKind
	}{
		"grant revoked": {func(w *world, c consented, id ev.GrantID) {
			w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
		}, ev.Gone},
		"grant expired": {func(w *world, c consented, id ev.GrantID) { w.pass(time.Hour) }, ev.Gone},
		"actor suspended": {func(w *world, c consented, id ev.GrantID) {
			w.do("second", ev.ActorOf(w.people["court"].id), ev.ActorSuspended, &ev.ActorSuspendedDetails{Cause: ev.CauseMisconduct, Until: ev.At(w.now().Add(time.Hour))})
		}, ev.Forbidden},
		"actor revoked": {func(w *world, c consented, id ev.GrantID) {
			w.do("second", ev.ActorOf(w.people["court"].id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseMisconduct})
		}, ev.Forbidden},
		"consent withdrawn": {func(w *world, c consented, id ev.GrantID) {
			w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"})
		}, ev.Held},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			share := w.consented()
			w.enrol("court", ev.Court)
			id := w.grant(share, "court", 50*time.Minute)
			o := w.redeem("court", share, id)
			by := w.people["court"].caller()
			if o.Opening == nil {
				t.Fatal("a redeemed grant opened nothing")
			}
			if _, err := sealing.OpenEnvelope(o.Opening.Envelope, w.people["court"].identity, share.item.details.ItemRecipient); err != nil {
				t.Fatal(err)
			}
			allServed(t, w.fetch(by, o.LeafHash, share.item.id))
			c.end(w, share, id)
			if name == "grant expired" { // its own time is over, too
				_, err := w.Vault.Open(ctx(), by, o.LeafHash)
				refused(t, err, ev.Gone, ev.ReasonGrantOver)
			}
			if errs := w.fetch(by, o.LeafHash, share.item.id); ev.KindOf(errs[0]) != c.kind || ev.KindOf(errs[1]) != c.kind {
				t.Errorf("got %v, want %s", errs, c.kind)
			}
			if _, err := w.Vault.Open(ctx(), by, o.LeafHash); ev.KindOf(err) != c.kind {
				t.Errorf("renewal: %v", err)
			}
			// The event and its receipt stay what they are.
			if again, err := w.Outcome(ctx(), by, o.LeafHash); err != nil || again.Receipt == nil || again.Opening != nil {
				t.Errorf("outcome: %v", err)
			}
		})
	}
}

// standing is a vault's process that stands still once, while it reads the envelope or the evidence: what follows is long after the law was asked.
type standing struct{ still func() }

func (s *standing) once() {
	if f := s.still; f != nil {
		s.still = nil
		f()
	}
}

type standingRecords struct {
	vault.Records
	*standing
}

func (r standingRecords) PutRelease(ctx context.Context, release vault.Release) error {
	r.once()
	return r.Records.PutRelease(ctx, release)
}

type standingStore struct {
	objects.Store
	*standing
}

func (s standingStore) Open(ctx context.Context, d objects.Digest) (objects.Object, error) {
	s.once()
	return s.Store.Open(ctx, d)
}

func (s standingStore) Address(ctx context.Context, d objects.Digest, from, to int64, life time.Duration) (objects.Address, error) {
	s.once()
	return s.Store.Address(ctx, d, from, to, life)
}

// What takes a right away is in force once a process that stood still goes on: neither the envelope nor the evidence nor an address of it is
// handed out on what the law said before. What took a moment is.
func TestReleaseStoodStill(t *testing.T) {
	whole := func(e ev.Evidence) (int64, int64, bool) { return 0, e.Size - 1, true }
	test := func(t *testing.T, bucket objects.Store, hand func(w *world, by vault.Caller, access ev.Hash) (bool, error)) {
		w := newWorld(t)
		var s standing
		w.records = func(r vault.Records) vault.Records { return standingRecords{r, &s} }
		w.objects = func(o objects.Store) objects.Store { return standingStore{cmp.Or(bucket, o), &s} }
		w.restart()
		c := w.consented()
		w.enrol("court", ev.Court)
		by := w.people["court"].caller()
		id := w.grant(c, "court", time.Hour)
		o := w.redeem("court", c, id)
		s.still = func() { w.pass(time.Second) }
		if handed, err := hand(w, by, o.LeafHash); !handed || err != nil || s.still != nil {
			t.Errorf("after a moment: %v", err)
		}
		s.still = func() {
			w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
			w.pass(time.Minute)
		}
		handed, err := hand(w, by, o.LeafHash)
		refused(t, err, ev.Gone, ev.ReasonGrantOver)
		if handed {
			t.Error("it was handed out")
		}
	}
	t.Run("envelope", func(t *testing.T) {
		test(t, nil, func(w *world, by vault.Caller, access ev.Hash) (bool, error) {
			o, err := w.Vault.Open(ctx(), by, access)
			return o.Envelope != nil, err
		})
	})
	t.Run("evidence", func(t *testing.T) {
		test(t, nil, func(w *world, by vault.Caller, access ev.Hash) (bool, error) {
			f, err := w.Evidence(ctx(), by, access, nil)
			if f.Object != nil {
				f.Object.Close()
			}
			return f.Object != nil, err
		})
	})
	t.Run("address", func(t *testing.T) {
		program, err := versitygw.Find()
		if err != nil {
			t.Skip(err)
		}
		server := must(versitygw.Start(ctx(), program, t.TempDir()))
		t.Cleanup(server.Kill)
		c := s3.Config{Endpoint: server.Endpoint, Direct: server.Endpoint, Region: versitygw.Region, Bucket: "evidence", CAFile: server.CAFile, CredentialsFile: server.CredentialsFile}
		must(0, s3.Create(ctx(), c))
		bucket := must(s3.Open(ctx(), c))
		t.Cleanup(func() { bucket.Close() })
		test(t, bucket, func(w *world, by vault.Caller, access ev.Hash) (bool, error) {
			f, err := w.Evidence(ctx(), by, access, whole)
			return f.Address.URL != "", err
		})
	})
}
