package ledger_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

const origin = "vault.example"

// world is a ledger over real SQLite and real Trillian in a folder, and people with keys whose events stand under the real law.
type world struct {
	t      testing.TB
	dir    string
	logKey *custody.Key
	note   ed25519.PrivateKey // the log's other key, which witnesses know it by
	people map[string]*person
	drift  atomic.Int64 // of the clock, nanoseconds
	faults *faults      // nil: none

	db   *sqldb.DB
	tree interface {
		ledger.Tree
		Close() error
	}
	*ledger.Ledger
}

type person struct {
	id        ev.ActorID
	role      ev.Role
	org       ev.OrgID
	key       *custody.Key
	recipient string
}

func (p *person) fingerprint() ev.Hash { return ev.Fingerprint(p.key.SPKI(), p.recipient) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2[T, U any](t T, u U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return t, u
}

// newWorld makes a founded vault: its own actor, an administrator and three custodians, in the log.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := newPeople(t)
	must(0, must(sqldb.Create(t.Context(), w.path("records.db"))).Close())
	must(0, must(embedded.Create(t.Context(), w.path("log.db"), embedded.Options{Logger: quiet()})).Close())
	w.start()
	t.Cleanup(func() { w.stop() })
	w.found()
	return w
}

// newPeople are those of a vault that is not there yet.
func newPeople(t testing.TB) *world {
	w := &world{t: t, dir: t.TempDir(), logKey: must(custody.GenerateKey()), people: map[string]*person{}}
	_, w.note = must2(ed25519.GenerateKey(nil))
	for name, role := range map[string]ev.Role{
		"vault": ev.Vault, "administrator": ev.Administrator, "a": ev.Custodian, "b": ev.Custodian, "c": ev.Custodian,
	} {
		p := &person{id: ev.NewID[ev.ActorID](), role: role, org: ev.NewID[ev.OrgID](), key: must(custody.GenerateKey())}
		if role == ev.Vault {
			p.org = ""
		}
		if !role.Keyless() {
			p.recipient = must(sealing.NewIdentity()).Recipient()
		}
		w.people[name] = p
	}
	return w
}

// found takes the vault's first events.
func (w *world) found() {
	w.t.Helper()
	for _, name := range []string{"vault", "administrator", "a", "b", "c"} {
		p := w.people[name]
		w.put(w.sign(name, ev.ActorOf(p.id), ev.ActorEnrolled, &ev.ActorEnrolledDetails{
			Keys: ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient}, Role: p.role, Organization: p.org,
		}))
	}
	w.put(w.configure("1"))
}

// fork returns a world of its own that begins with a copy of this one's folder, which must be stopped.
func (w *world) fork(t testing.TB) *world {
	t.Helper()
	f := &world{t: t, dir: t.TempDir(), logKey: w.logKey, note: w.note, people: w.people}
	if err := os.CopyFS(f.dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.stop() })
	return f
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.drift.Load())) }

func (w *world) keys() tlog.LogKeys {
	return must(tlog.NewLogKeys(origin, must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey), w.note.Public()))
}

func (w *world) founders() []ev.Founder {
	var list []ev.Founder
	for _, p := range w.people {
		list = append(list, ev.Founder{Actor: p.id, Role: p.role, Key: custody.KeyID(p.key.SPKI())})
	}
	return list
}

func (w *world) config() ledger.Config {
	v := w.people["vault"]
	public := must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey)
	c := ledger.Config{
		Origin: origin, Founders: w.founders(), Records: w.db, Tree: w.tree,
		Signers: []note.Signer{
			must(tlog.NewECDSANoteSigner(origin, public, w.logKey.Sign)),
			must(tlog.NewEd25519NoteSigner(origin, w.note.Public().(ed25519.PublicKey), func(message []byte) ([]byte, error) {
				return ed25519.Sign(w.note, message), nil
			})),
		},
		Keys: w.keys(), LogID: tlog.Hash(ev.SHA256(w.logKey.SPKI())), CheckpointFile: w.path("checkpoint"),
		Vault: ledger.Author{ID: v.id, SPKI: v.key.SPKI(), Signer: v.key, Tool: ev.Tool{Name: "strongroomd", Version: "1"}},
		Now:   w.now, Logger: quiet(),
	}
	if w.faults != nil {
		c.Records, c.Tree = faultyRecords{c.Records, w.faults}, faultyTree{c.Tree, w.faults}
	}
	return c
}

// open opens everything; the error is the ledger's.
func (w *world) open(set ...func(*ledger.Config)) (err error) {
	ctx := context.Background()
	w.db = must(sqldb.Open(ctx, w.path("records.db")))
	w.tree = must(embedded.Open(ctx, w.path("log.db"), embedded.Options{Logger: quiet()}))
	config := w.config()
	for _, f := range set {
		f(&config)
	}
	w.Ledger, err = ledger.Open(ctx, config)
	return err
}

func (w *world) openWith(set func(*ledger.Config)) {
	w.t.Helper()
	if err := w.open(set); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start() {
	w.t.Helper()
	if err := w.open(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	if w.Ledger != nil {
		w.Close()
	}
	if w.db != nil {
		w.tree.Close()
		w.db.Close()
	}
	w.Ledger, w.db = nil, nil
}

// sign makes a valid event on the present state of everything.
func (w *world) sign(by string, s ev.Stream, k ev.Kind, d ev.Details) *custody.Signed {
	p := w.people[by]
	e := &ev.Event{
		Vault: origin, Kind: k, Actor: ev.Signer{ID: p.id, Role: p.role, Organization: p.org}, Time: ev.At(w.now()),
		Tool: ev.Tool{Name: "strongroom", Version: "1"}, Details: d, Stream: ev.Position{Type: s.Type, ID: s.ID},
	}
	own := must(w.db.States(context.Background(), s))[s]
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	states := must(w.db.States(context.Background(), append(ev.StandsOn(own, e), s)...))
	if own != nil {
		states[s] = own // as it was when the position was taken
	}
	for _, state := range states {
		e.Time = max(e.Time, state.Tip().Time)
	}
	e.Subject = e.Subjects(own)
	e.ReliedOn = ev.ReliedOn(ev.Facts{Origin: origin, Founders: w.founders(), States: states}, e)
	return must(custody.Sign(e, p.key.SPKI(), p.key))
}

// configure is the next event of the policy stream.
func (w *world) configure(version string) *custody.Signed {
	return w.sign("vault", ev.PolicyOf(origin), ev.VaultConfigured, &ev.VaultConfiguredDetails{
		Rules: 1, Recovery: w.people["a"].recipient, Version: version, LogKeys: []string{base64.StdEncoding.EncodeToString(w.logKey.SPKI())},
		Policy: ev.VaultPolicy{ConfirmWait: 1, DecisionTime: 1, BinWait: 1, WithdrawalWait: 1, ReviewTime: 1, HoldTime: 1, BackupHorizon: 1},
	})
}

// openCase is the first event of a new case of a and b.
func (w *world) openCase(by string) *custody.Signed {
	d := &ev.CaseOpenedDetails{Type: "case", Recovery: ev.Fingerprint(nil, w.people["a"].recipient), LabelKey: ev.LabelKey{Recipient: w.people["b"].recipient}}
	d.LabelKey.Envelopes = []ev.EnvelopeRef{{Recipient: d.Recovery, SHA256: ev.SHA256(nil)}}
	for _, name := range []string{"a", "b"} {
		p := w.people[name]
		d.Members = append(d.Members, ev.Member{Actor: p.id, Rights: []ev.Right{ev.MayApprove, ev.MayManage, ev.MayOpen}})
		d.Keyring = append(d.Keyring, ev.Keyholder{Actor: p.id, Fingerprint: p.fingerprint()})
		d.LabelKey.Envelopes = append(d.LabelKey.Envelopes, ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256(nil)})
	}
	slices.SortFunc(d.Members, func(a, b ev.Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b ev.Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.LabelKey.Envelopes, func(a, b ev.EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) })
	return w.sign(by, ev.CaseOf(ev.NewID[ev.CaseID]()), ev.CaseOpened, d)
}

// suspended is one moment for every suspension: one that is signed on newer heads than it was made for must not bring the end nearer.
var suspended = ev.At(time.Now().Add(1000 * time.Hour))

// suspend is a barrier event: it suspends c once more.
func (w *world) suspend() *custody.Signed {
	d := &ev.ActorSuspendedDetails{Cause: ev.CauseOverdue, Until: suspended}
	return w.sign("administrator", ev.ActorOf(w.people["c"].id), ev.ActorSuspended, d)
}

func (w *world) accept(signed *custody.Signed) (ledger.Entry, error) {
	return w.Accept(context.Background(), ledger.Commit{Signed: signed}, w.Judge(signed))
}

// put accepts an event and waits for its receipt, which must verify.
func (w *world) put(signed *custody.Signed) ledger.Entry {
	w.t.Helper()
	if _, err := w.accept(signed); err != nil {
		w.t.Fatal(err)
	}
	return w.await(signed.LeafHash())
}

func (w *world) await(leaf ev.Hash) ledger.Entry {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	e, err := w.Await(ctx, leaf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkReceipt(e)
	return e
}

func (w *world) checkReceipt(e ledger.Entry) {
	w.t.Helper()
	r, err := tlog.ParseReceipt(e.Receipt)
	if err != nil {
		w.t.Fatal(err)
	}
	fact, err := r.Verify(w.keys())
	if err != nil || ev.Hash(fact.LeafHash()) != e.LeafHash || fact.Index() != e.Index {
		w.t.Fatalf("receipt of %s %d: %v", e.Stream.Type, e.Seq, err)
	}
}

// check waits until nothing is pending and looks at everything: each accepted event is in the log once, in the order of acceptance, so
// after all that it stands on; every receipt and every checkpoint verifies; the heads map is what the log makes of it.
func (w *world) check(acknowledged ...ev.Hash) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	w.checkHeads(ctx) // from here the log stays as it is
	entries := w.settled(ctx)
	byLeaf := make(map[ev.Hash]ledger.Entry)
	for i, e := range entries {
		if e.Index != int64(i) {
			w.t.Fatalf("event %d in order of acceptance is leaf %d", i, e.Index)
		}
		w.checkReceipt(e)
		for _, basis := range e.Stands {
			if b, ok := byLeaf[basis]; !ok || b.Index >= e.Index {
				w.t.Fatalf("leaf %d stands on what is not before it", i)
			}
		}
		byLeaf[e.LeafHash] = e
	}
	for _, leaf := range acknowledged {
		if _, ok := byLeaf[leaf]; !ok {
			w.t.Fatal("an acknowledged event is not in the log")
		}
	}
	root := must(w.tree.Root(ctx))
	leaves := must(w.tree.Leaves(ctx, 0, root.Size))
	if len(leaves) != len(entries) {
		w.t.Fatalf("%d leaves, %d events", len(leaves), len(entries))
	}
	for i, leaf := range leaves {
		if ev.Hash(tlog.LeafHash(leaf.Value)) != entries[i].LeafHash || string(leaf.Extra) != string(entries[i].Leaf.Extra) {
			w.t.Fatalf("leaf %d is not its event", i)
		}
	}
	w.checkCheckpoints(ctx, tlog.Checkpoint{Origin: origin, Size: root.Size, Root: root.Hash})
}

// settled returns all events once none is pending.
func (w *world) settled(ctx context.Context) []ledger.Entry {
	w.t.Helper()
	for {
		entries := must(w.db.Events(ctx, 0, 1<<20))
		if !slices.ContainsFunc(entries, func(e ledger.Entry) bool { return !e.Included() }) {
			return entries
		}
		select {
		case <-ctx.Done():
			w.t.Fatal("events stay pending")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (w *world) checkCheckpoints(ctx context.Context, now tlog.Checkpoint) {
	w.t.Helper()
	for _, stored := range must(w.db.Checkpoints(ctx, 0, 1<<20)) {
		cp, err := tlog.OpenCheckpoint(stored.Signed, w.keys())
		if err != nil {
			w.t.Fatal(err)
		}
		if err := tlog.VerifyConsistency(cp, now, must(w.tree.Consistency(ctx, cp.Size, now.Size))); err != nil {
			w.t.Fatalf("checkpoint of size %d: %v", cp.Size, err)
		}
	}
}

// checkHeads asks for the completeness of every stream and compares with a map built anew from the log.
func (w *world) checkHeads(ctx context.Context) {
	w.t.Helper()
	entries := w.settled(ctx)
	last := int64(-1) // the newest that must be covered
	var streams []ev.Stream
	for i, e := range entries {
		if e.Kind != ev.VaultHeads {
			last = int64(i)
		}
		if e.Seq == 0 {
			streams = append(streams, e.Stream)
		}
	}
	unknown := ev.ItemOf(ev.NewID[ev.ItemID]())
	c, err := w.Complete(ctx, append(streams, unknown), last)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkComplete(c, must(w.db.Events(ctx, 0, 1<<20)))
	if n := c.Streams[len(streams)].N; n != 0 {
		w.t.Fatalf("an unknown stream has %d events", n)
	}
}

func (w *world) checkComplete(c ledger.Completeness, log []ledger.Entry) {
	w.t.Helper()
	r, err := tlog.ParseReceipt(c.Heads)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := r.Verify(w.keys()); err != nil {
		w.t.Fatal(err)
	}
	_, payload, signature, keyid := r.DSSE()
	statement, err := custody.Open(custody.DSSE(payload, custody.Signature{KeyID: must(ev.ParseHash(keyid)), DER: signature}))
	if err != nil {
		w.t.Fatal(err)
	}
	d := statement.Event().Details.(*ev.VaultHeadsDetails)
	var covered []heads.Entry
	length := make(map[ev.Stream]int64)
	leafAt := make(map[ev.Stream]ev.Hash)
	for _, e := range log[:c.Covers] {
		covered = append(covered, heads.Entry{Key: heads.Key(e.Stream.Tag(origin), uint64(e.Seq)), Value: e.LeafHash})
		length[e.Stream], leafAt[e.Stream] = e.Seq+1, e.LeafHash
	}
	if d.Covers != c.Covers || d.Entries != c.Covers || len(d.Void) != 0 || d.Root != ev.Hash(must(heads.Build(covered)).Root()) {
		w.t.Fatalf("what was published, %d of %d, is not what the log holds", d.Entries, d.Covers)
	}
	for _, s := range c.Streams {
		if s.N != length[s.Stream] {
			w.t.Fatalf("%s has %d events below %d, not %d", s.Stream.Type, length[s.Stream], c.Covers, s.N)
		}
		tag := s.Stream.Tag(origin)
		if s.N > 0 && s.Member.VerifyMember(d.Root, heads.Key(tag, uint64(s.N-1)), leafAt[s.Stream]) != nil {
			w.t.Fatalf("membership of the last event of %s is not proved", s.Stream.Type)
		}
		if s.Absent.VerifyAbsent(d.Root, heads.Key(tag, uint64(s.N))) != nil {
			w.t.Fatalf("absence after the last event of %s is not proved", s.Stream.Type)
		}
	}
}
