package vault_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
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
	o, _, err := w.Evidence(ctx(), by, access)
	if err == nil {
		o.Close()
	}
	item := w.itemState(id)
	_, err2 := w.Attachment(ctx(), by, access, w.eventOf(id, 0), item.Description.SHA256)
	return []error{err, err2}
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

// busyRecords do not erase: the first answers of Destroy are refusals, after or without effect.
type busyRecords struct {
	vault.Records
	refuse *atomic.Int32
	reason *atomic.Value
}

func (r busyRecords) Destroy(ctx context.Context, s ev.Stream, k ledger.AttachmentKind, recipient ev.Hash) error {
	if r.refuse.Add(-1) < 0 {
		return r.Records.Destroy(ctx, s, k, recipient)
	}
	reason := r.reason.Load().(string)
	if reason == "erase_incomplete" {
		if err := r.Records.Destroy(ctx, s, k, recipient); err != nil {
			return err
		}
	}
	return ev.Refuse(ev.Internal, reason)
}

// The court's envelope goes with the grant, whatever stands in the way: the accepted event is never failed by it, and the sweep, also
// that of the next process, finishes it. A later envelope of the same court stays.
func TestEnvelopesGo(t *testing.T) {
	for name, end := range map[string]func(w *world, c consented, id ev.GrantID){
		"revoked": func(w *world, c consented, id ev.GrantID) {
			w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
		},
		"expired": func(w *world, c consented, id ev.GrantID) {
			w.pass(2 * time.Hour)
			if err := w.Sweep(ctx()); err != nil && ev.KindOf(err) != ev.Internal {
				w.t.Fatal(err)
			}
		},
		"withdrawn": func(w *world, c consented, id ev.GrantID) {
			w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"})
		},
	} {
		for _, reason := range []string{"", "erase_incomplete", "records_busy", "killed"} {
			if name != "revoked" && (reason == "erase_incomplete" || reason == "records_busy") {
				continue // the cleaning is the same
			}
			t.Run(name+" "+reason, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				busy := busyRecords{refuse: new(atomic.Int32), reason: new(atomic.Value)}
				busy.reason.Store(reason)
				w.records = func(r vault.Records) vault.Records { busy.Records = r; return busy }
				w.restart()
				if err := w.Sweep(ctx()); err != nil {
					t.Fatal(err)
				}
				c := w.consented()
				court := w.enrol("court", ev.Court)
				id := w.grant(c, "court", time.Hour)
				stream := ev.ItemOf(c.item.id)
				if !w.envelope(stream, court.fingerprint()) {
					t.Fatal("no envelope to begin with")
				}
				if reason == "killed" {
					busy.refuse.Store(1 << 30)
				} else if reason != "" {
					busy.refuse.Store(1)
				}
				end(w, c, id)
				if reason == "killed" {
					if !w.envelope(stream, court.fingerprint()) {
						t.Fatal("destroyed all the same")
					}
					busy.refuse.Store(0)
					w.restart() // what the process remembered is gone
				}
				for range 2 {
					if err := w.Sweep(ctx()); err != nil {
						t.Fatal(err)
					}
				}
				if _, ok := w.itemState(c.item.id).Envelope(court.fingerprint()); ok || w.envelope(stream, court.fingerprint()) {
					t.Error("the court's envelope is still there")
				}
				if !w.envelope(stream, w.people["clinician"].fingerprint()) {
					t.Error("a keyholder's envelope is gone")
				}
				if name == "withdrawn" {
					return
				}
				id = w.grant(c, "court", time.Hour)
				if err := w.Sweep(ctx()); err != nil {
					t.Fatal(err)
				}
				if w.redeem("court", c, id).Opening == nil {
					t.Error("a second grant to the same court opens nothing")
				}
			})
		}
	}
}

// An envelope that was left behind by a crash is destroyed before another comes for the same recipient.
func TestLeftoverBeforeNew(t *testing.T) {
	w := newWorld(t)
	busy := busyRecords{refuse: new(atomic.Int32), reason: new(atomic.Value)}
	busy.reason.Store("records_busy")
	w.records = func(r vault.Records) vault.Records { busy.Records = r; return busy }
	w.restart()
	c := w.consented()
	court := w.enrol("court", ev.Court)
	id := w.grant(c, "court", time.Hour)
	old := must(w.db.Envelope(ctx(), ev.ItemOf(c.item.id), court.fingerprint()))
	busy.refuse.Store(1)
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	w.restart()
	id = w.grant(c, "court", time.Hour)
	if _, err := w.db.StreamAttachment(ctx(), ev.ItemOf(c.item.id), old.SHA256); ev.KindOf(err) != ev.Gone {
		t.Errorf("the old envelope: %v", err)
	}
	if w.redeem("court", c, id).Opening == nil {
		t.Error("the new envelope is gone")
	}
}

// The vault's clock steps back after a grant was seen to be over: the vault's own events still follow those before.
func TestClockStepsBack(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.enrol("court", ev.Court)
	id := w.grant(c, "court", time.Hour)
	w.pass(2 * time.Hour)
	w.open("custodian", c.item.id)
	w.pass(-30 * time.Minute)
	if err := w.Sweep(ctx()); err != nil {
		t.Fatal(err)
	}
	if s := w.itemState(c.item.id).Grant(id).Status; s != ev.GrantOver {
		t.Errorf("the grant is %s", s)
	}
}

// Who leaves a case reads nothing of it any more, and the label key changes hands.
func TestMemberLeaves(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	second := w.people["second"]
	by := second.caller()
	stream := ev.CaseOf(c.in)
	deposited := w.eventOf(c.item.id, 0)
	reads := func() map[string]error {
		errs := make(map[string]error)
		for name, s := range map[string]ev.Stream{"case": stream, "consent": ev.ConsentOf(c.consent), "item": ev.ItemOf(c.item.id), "form": ev.ItemOf(c.form.id)} {
			_, errs[name] = w.Stream(ctx(), by, s, -1, 10)
			_, errs["complete "+name] = w.Complete(ctx(), by, []ev.Stream{s}, 0)
		}
		_, errs["items"] = w.Items(ctx(), by, c.in, "", 10)
		_, errs["consents"] = w.Consents(ctx(), by, c.in, "", 10)
		_, errs["label envelope"] = w.LabelEnvelope(ctx(), by, c.in)
		_, errs["label"] = w.CaseAttachment(ctx(), by, deposited, c.item.details.Label.SHA256)
		return errs
	}
	for name, err := range reads() {
		if err != nil {
			t.Errorf("a member reads %s: %v", name, err)
		}
	}
	if cases, err := w.Cases(ctx(), by, "", 10); err != nil || len(cases) != 1 {
		t.Errorf("a member has %d cases: %v", len(cases), err)
	}
	label := must(sealing.NewItemKey())
	refs, attachments := w.envelopes(label, ledger.LabelEnvelope, w.people["clinician"], w.people["custodian"])
	old := must(w.LabelEnvelope(ctx(), w.people["clinician"].caller(), c.in))
	w.submit("custodian", w.sign("custodian", stream, ev.CaseMemberRemoved, &ev.CaseMemberRemovedDetails{
		Actor: second.id, Cause: ev.CauseDeparture, LabelKey: ev.LabelKey{Recipient: label.Recipient(), Envelopes: refs},
	}), "", attachments...)
	for name, err := range reads() {
		if ev.KindOf(err) != ev.NotFound {
			t.Errorf("a past member reads %s: %v", name, err)
		}
	}
	if cases, err := w.Cases(ctx(), by, "", 10); err != nil || len(cases) != 0 {
		t.Errorf("a past member has %d cases: %v", len(cases), err)
	}
	if w.envelope(stream, second.fingerprint()) {
		t.Error("the past member's label envelope is still there")
	}
	if now := must(w.LabelEnvelope(ctx(), w.people["clinician"].caller(), c.in)); string(now) == string(old) {
		t.Error("who stays gets the old label key")
	}
	if _, err := w.db.StreamAttachment(ctx(), stream, ev.SHA256(old)); err != nil {
		t.Errorf("who stays cannot open older labels any more: %v", err)
	}
}

// A recipient sees what a package needs, and of that no content; nobody else sees anything.
func TestWhoReads(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	other := w.prepare(c.in, ev.Original, ev.ConsentRef{ID: c.consent, Version: 1})
	if _, err := w.tryDeposit(other); err != nil {
		t.Fatal(err)
	}
	w.enrol("court", ev.Court)
	w.enrol("stranger", ev.Court)
	unknown := ev.ItemOf(ev.NewID[ev.ItemID]())
	needed := []ev.Stream{ev.CaseOf(c.in), ev.ConsentOf(c.consent), ev.ItemOf(c.item.id), ev.ItemOf(c.form.id)}
	reads := func(name string, s ev.Stream) error {
		_, err := w.Stream(ctx(), w.people[name].caller(), s, -1, 10)
		_, err2 := w.Complete(ctx(), w.people[name].caller(), []ev.Stream{s}, 0)
		if (err == nil) != (err2 == nil) {
			t.Errorf("stream and completeness of %s: %v, %v", s.Type, err, err2)
		}
		return err
	}
	id := w.propose(c, "court", time.Hour)
	for _, s := range needed {
		hidden(t, reads("court", s)) // not active yet
	}
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	hidden(t, reads("court", ev.ItemOf(c.item.id))) // never was
	id = w.grant(c, "court", time.Hour)
	for _, s := range needed {
		if err := reads("court", s); err != nil {
			t.Errorf("the court reads %s: %v", s.Type, err)
		}
		hidden(t, reads("stranger", s))
	}
	for _, s := range []ev.Stream{ev.ItemOf(other.id), unknown, ev.CaseOf(ev.NewID[ev.CaseID]())} {
		hidden(t, reads("court", s))
		hidden(t, reads("stranger", s))
	}
	for _, s := range []ev.Stream{ev.ActorOf(w.people["clinician"].id), ev.PolicyOf(origin), ev.VaultOf(origin)} {
		if err := reads("stranger", s); err != nil {
			t.Errorf("%s: %v", s.Type, err)
		}
	}
	by := w.people["court"].caller()
	o := w.redeem("court", c, id)
	_, err := w.Attachment(ctx(), by, o.LeafHash, w.eventOf(c.form.id, 0), c.form.details.Description.SHA256)
	hidden(t, err)
	_, err = w.CaseAttachment(ctx(), by, w.eventOf(c.item.id, 0), c.item.details.Label.SHA256)
	hidden(t, err)
	_, err = w.Items(ctx(), by, c.in, "", 10)
	hidden(t, err)
	_, err = w.LabelEnvelope(ctx(), by, c.in)
	hidden(t, err)
	if grants, err := w.Grants(ctx(), by, "", 10); err != nil || len(grants) != 2 {
		t.Errorf("%d grants: %v", len(grants), err)
	}
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	if err := reads("court", ev.ItemOf(c.item.id)); err != nil {
		t.Errorf("after a redeemed grant: %v", err)
	}
}

// A copy made from an item needs that item's stream in a package, too.
func TestSourceOfWhatWasGranted(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.open("clinician", c.item.id)
	derived := w.prepare(c.in, ev.Derived, ev.ConsentRef{ID: c.consent, Version: 1})
	derived.details.Source = c.item.id
	if _, err := w.tryDeposit(derived); err != nil {
		t.Fatal(err)
	}
	w.do("clinician", ev.ItemOf(derived.id), ev.ItemSealed, &ev.ItemSealedDetails{Exhibit: 2, Root: c.item.id})
	w.enrol("court", ev.Court)
	share := c
	share.item = derived
	w.grant(share, "court", time.Hour)
	if _, err := w.Stream(ctx(), w.people["court"].caller(), ev.ItemOf(c.item.id), -1, 10); err != nil {
		t.Errorf("the source of what was granted: %v", err)
	}
}

// Damaged bytes are never served.
func TestDamagedIsNotServed(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	o := w.open("custodian", c.item.id)
	w.records = func(r vault.Records) vault.Records { return flippedRecords{r} }
	w.restart()
	by := w.people["custodian"].caller()
	_, err := w.Vault.Open(ctx(), by, o.LeafHash)
	refused(t, err, ev.Internal, "damaged")
	_, err = w.Attachment(ctx(), by, o.LeafHash, w.eventOf(c.item.id, 0), c.item.notes[0].SHA256)
	refused(t, err, ev.Internal, "damaged")
	_, err = w.LabelEnvelope(ctx(), by, c.in)
	refused(t, err, ev.Internal, "damaged")
	if again, err := w.Outcome(ctx(), by, o.LeafHash); err != nil || again.Receipt == nil || again.Opening != nil {
		t.Errorf("the event's own outcome: %v", err)
	}
}

type flippedRecords struct{ vault.Records }

func flip(a ledger.Attachment, err error) (ledger.Attachment, error) {
	if err == nil {
		a.Body[len(a.Body)-1] ^= 1
	}
	return a, err
}

func (r flippedRecords) Envelope(ctx context.Context, s ev.Stream, recipient ev.Hash) (ledger.Attachment, error) {
	return flip(r.Records.Envelope(ctx, s, recipient))
}

func (r flippedRecords) StreamAttachment(ctx context.Context, s ev.Stream, digest ev.Hash) (ledger.Attachment, error) {
	return flip(r.Records.StreamAttachment(ctx, s, digest))
}

func (r flippedRecords) Attachment(ctx context.Context, event, digest ev.Hash) (ledger.Attachment, error) {
	return flip(r.Records.Attachment(ctx, event, digest))
}

// A file that lost its end is not served as if it were shorter.
func TestTruncatedFileIsNotServed(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	by, access := w.people["custodian"].caller(), w.submit("custodian", w.signOpen("custodian", c.item.id), "").LeafHash
	allServed(t, w.fetch(by, access, c.item.id))
	digest := w.itemState(c.item.id).Evidence.SHA256.String()
	cut := 0
	must(0, filepath.WalkDir(w.path("objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == digest {
			cut++
			err = errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 100))
		}
		return err
	}))
	if cut != 1 {
		t.Fatalf("%d files were cut", cut)
	}
	_, _, err := w.Evidence(ctx(), by, access)
	refused(t, err, ev.Held, ev.ReasonDamaged)
}
