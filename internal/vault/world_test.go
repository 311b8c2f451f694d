package vault_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
)

const origin = "vault.example"

// world is a real vault, SQLite, Trillian and a folder of objects in a temporary directory, and people with keys.
type world struct {
	t        testing.TB
	dir      string
	logKey   *custody.Key
	people   map[string]*person
	founders []ev.Founder
	recovery sealing.Identity
	drift    atomic.Int64 // of the vault's clock, nanoseconds
	records  func(vault.Records) vault.Records
	wrapTree func(ledger.Tree) ledger.Tree
	objects  func(objects.Store) objects.Store
	watched  func(*ledger.Config)
	engine   func() *sqldb.DB // opens the records, if they are not in a file

	db     *sqldb.DB
	tree   *embedded.Log
	store  *fs.Store
	ledger *ledger.Ledger
	config vault.Config
	*vault.Vault
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ctx() context.Context { return context.Background() }

// newWorld founds a vault with an administrator and two custodians.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOver(t, nil)
}

// newPostgresWorld has its records in a new database of a PostgreSQL server of its own.
func newPostgresWorld(t *testing.T) *world {
	t.Helper()
	programs, err := postgresql.Find()
	if errors.Is(err, postgresql.ErrMissing) {
		t.Skip(err)
	}
	server := must(postgresql.Start(ctx(), must(programs, err)))
	t.Cleanup(server.Remove)
	url := server.URL(must(server.NewDatabase(ctx())))
	must(0, sqldb.MigratePostgres(ctx(), url, ""))
	return newWorldOver(t, func() *sqldb.DB { return must(sqldb.OpenPostgres(ctx(), url)) })
}

// newUnlockingWorld has its files in a store that sets no locks while it is told not to.
func newUnlockingWorld(t *testing.T, store objects.Store) (*world, *unlocking) {
	t.Helper()
	w, s := newWorld(t), &unlocking{Store: store}
	w.objects = func(objects.Store) objects.Store { return s }
	w.restart()
	return w, s
}

// newWorldOver has its records where engine opens them, for several processes, all of which lead.
func newWorldOver(t testing.TB, engine func() *sqldb.DB) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), logKey: must(custody.GenerateKey()), people: map[string]*person{}, recovery: must(sealing.NewIdentity()), engine: engine,
	}
	names := []string{"vault", "administrator", "custodian", "second"}
	for i, role := range []ev.Role{ev.Vault, ev.Administrator, ev.Custodian, ev.Custodian} {
		p := w.meet(names[i], role)
		w.founders = append(w.founders, ev.Founder{Actor: p.id, Role: role, Key: custody.KeyID(p.key.SPKI())})
	}
	if engine != nil {
		w.watched = func(c *ledger.Config) { c.Lead = func(context.Context) (bool, error) { return true, nil } }
	} else {
		must(0, must(sqldb.Create(ctx(), w.path("records.db"))).Close())
		w.engine = func() *sqldb.DB { return must(sqldb.Open(ctx(), w.path("records.db"))) }
	}
	must(0, must(embedded.Create(ctx(), w.path("log.db"), embedded.Options{Logger: quiet()})).Close())
	must(0, fs.Create(w.path("objects")))
	w.start()
	t.Cleanup(func() { w.stop() })
	for _, name := range names {
		p := w.people[name]
		w.found(w.sign(name, ev.ActorOf(p.id), ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: w.keys(name), Role: p.role, Organization: p.org}))
	}
	w.found(w.sign("vault", ev.PolicyOf(origin), ev.VaultConfigured, &ev.VaultConfiguredDetails{
		Rules: ev.RulesVersion, Recovery: w.recovery.Recipient(), Version: "1", LogKeys: []string{base64.StdEncoding.EncodeToString(w.logKey.SPKI())},
		Policy: ev.VaultPolicy{ConfirmWait: 1, DecisionTime: 1, BinWait: 1, WithdrawalWait: 1, ReviewTime: 1, HoldTime: 1, BackupHorizon: 86400},
	}))
	return w
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.drift.Load())) }

func (w *world) pass(d time.Duration) { w.drift.Add(int64(d)) }

func (w *world) start() {
	w.t.Helper()
	w.db = w.engine()
	w.tree = must(embedded.Open(ctx(), w.path("log.db"), embedded.Options{Logger: quiet()}))
	w.store = must(fs.Open(w.path("objects")))
	records, tree, store := vault.Records(w.db), ledger.Tree(w.tree), objects.Store(w.store)
	if w.records != nil {
		records = w.records(records)
	}
	if w.wrapTree != nil {
		tree = w.wrapTree(tree)
	}
	if w.objects != nil {
		store = w.objects(store)
	}
	w.config = w.process("checkpoint", records, tree, store)
	w.Vault, w.ledger = vault.New(w.config), w.config.Ledger
}

// process is how one process works on records, tree and objects, with a ledger of its own.
func (w *world) process(name string, records vault.Records, tree ledger.Tree, store objects.Store) vault.Config {
	public := must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey)
	v := w.people["vault"]
	author := ledger.Author{ID: v.id, SPKI: v.key.SPKI(), Signer: v.key, Tool: ev.Tool{Name: "strongroomd", Version: "1"}}
	config := ledger.Config{
		Origin: origin, Founders: w.founders, Records: records, Tree: tree,
		Signers: []note.Signer{must(tlog.NewECDSANoteSigner(origin, public, w.logKey.Sign))},
		Keys:    must(tlog.NewLogKeys(origin, public)), LogID: tlog.Hash(ev.SHA256(w.logKey.SPKI())),
		CheckpointFile: w.path(name), Vault: author, Now: w.now, Logger: quiet(),
	}
	if w.watched != nil {
		w.watched(&config)
	}
	limits := vault.DefaultLimits
	limits.Uploads, limits.UploadBytes, limits.Answer = 16, 1<<30, 10*time.Second
	return vault.Config{
		Origin: origin, Founders: w.founders, Records: records, Objects: store, Ledger: must(ledger.Open(ctx(), config)), Author: author, Now: w.now,
		Logger: quiet(), Limits: limits, Process: name,
	}
}

func (w *world) stop() {
	w.ledger.Close()
	w.store.Close()
	w.tree.Close()
	w.db.Close()
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *world) state(s ev.Stream) ev.State { return must(w.db.States(ctx(), s))[s] }

func (w *world) itemState(id ev.ItemID) *ev.ItemState {
	w.t.Helper()
	return w.state(ev.ItemOf(id)).(*ev.ItemState)
}

// sign makes a valid event on the present state of everything.
func (w *world) sign(by string, s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) *custody.Signed {
	p := w.people[by]
	e := &ev.Event{
		Vault: origin, Kind: k, Actor: ev.Signer{ID: p.id, Role: p.role, Organization: p.org}, Time: ev.At(w.now()),
		Tool: ev.Tool{Name: "strongroom", Version: "1"}, Details: d, Stream: ev.Position{Type: s.Type, ID: s.ID},
	}
	own := w.state(s)
	switch own := own.(type) {
	case *ev.ItemState:
		e.Case = own.Case
	case *ev.ConsentState:
		e.Case = own.Case
	}
	for _, f := range set {
		f(e)
	}
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	states := must(w.db.States(ctx(), append(ev.StandsOn(own, e), s)...))
	for _, state := range states {
		e.Time = max(e.Time, state.Tip().Time)
	}
	e.Subject = e.Subjects(own)
	e.ReliedOn = ev.ReliedOn(ev.Facts{Origin: origin, Founders: w.founders, States: states}, e)
	return must(custody.Sign(e, p.key.SPKI(), p.key))
}

func (w *world) try(by string, signed *custody.Signed, upload ev.UploadID, attachments ...ledger.Attachment) (vault.Outcome, error) {
	return w.Submit(ctx(), w.people[by].caller(), vault.Submission{DSSE: signed.DSSE(), Upload: upload, Attachments: attachments})
}

// submit must be answered with a receipt.
func (w *world) submit(by string, signed *custody.Signed, upload ev.UploadID, attachments ...ledger.Attachment) vault.Outcome {
	w.t.Helper()
	o, err := w.try(by, signed, upload, attachments...)
	if err != nil {
		w.t.Fatalf("%s by %s: %v", signed.Event().Kind, by, err)
	}
	if o.Receipt == nil {
		w.t.Fatalf("%s by %s is pending", signed.Event().Kind, by)
	}
	return o
}

// do signs and submits an event without attachments.
func (w *world) do(by string, s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) vault.Outcome {
	w.t.Helper()
	return w.submit(by, w.sign(by, s, k, d, set...), "")
}

func refused(t testing.TB, err error, kind ev.ErrorKind, reason string) {
	t.Helper()
	if ev.KindOf(err) != kind || ev.ReasonOf(err) != reason {
		t.Errorf("got %v, want %s: %s", err, kind, reason)
	}
}

// hidden demands the one answer that nobody learns anything from.
func hidden(t testing.TB, err error) {
	t.Helper()
	refused(t, err, ev.NotFound, "not_found")
}

// openCase opens a case of the clinician with both custodians; the clinician and the first custodian hold keys.
func (w *world) openCase() ev.CaseID {
	w.t.Helper()
	if w.people["clinician"] == nil {
		w.enrol("clinician", ev.Clinician)
	}
	clinician, custodian, second := w.people["clinician"], w.people["custodian"], w.people["second"]
	label := must(sealing.NewItemKey())
	d := &ev.CaseOpenedDetails{
		Type: "case", Recovery: ev.Fingerprint(nil, w.recovery.Recipient()),
		Members: []ev.Member{
			{Actor: clinician.id, Rights: []ev.Right{ev.MayDeposit, ev.MayOpen}},
			{Actor: custodian.id, Rights: []ev.Right{ev.MayApprove, ev.MayManage, ev.MayOpen}},
			{Actor: second.id, Rights: []ev.Right{ev.MayApprove}},
		},
		Keyring:  []ev.Keyholder{{Actor: clinician.id, Fingerprint: clinician.fingerprint()}, {Actor: custodian.id, Fingerprint: custodian.fingerprint()}},
		LabelKey: ev.LabelKey{Recipient: label.Recipient()},
	}
	slices.SortFunc(d.Members, func(a, b ev.Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b ev.Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	var attachments []ledger.Attachment
	d.LabelKey.Envelopes, attachments = w.envelopes(label, ledger.LabelEnvelope, clinician, custodian, second)
	id := ev.NewID[ev.CaseID]()
	w.submit("clinician", w.sign("clinician", ev.CaseOf(id), ev.CaseOpened, d), "", attachments...)
	return id
}

// envelopes addresses a key to people and to recovery.
func (w *world) envelopes(key sealing.ItemKey, kind ledger.AttachmentKind, to ...*person) ([]ev.EnvelopeRef, []ledger.Attachment) {
	var refs []ev.EnvelopeRef
	var attachments []ledger.Attachment
	add := func(recipient string, fingerprint ev.Hash) {
		a := ledger.Attachment{Kind: kind, Recipient: fingerprint, Body: must(sealing.WriteEnvelope(key, recipient))}
		refs = append(refs, ev.EnvelopeRef{Recipient: fingerprint, SHA256: ev.SHA256(a.Body)})
		attachments = append(attachments, a)
	}
	add(w.recovery.Recipient(), ev.Fingerprint(nil, w.recovery.Recipient()))
	for _, p := range to {
		add(p.recipient(), p.fingerprint())
	}
	slices.SortFunc(refs, func(a, b ev.EnvelopeRef) int { return bytes.Compare(a.Recipient[:], b.Recipient[:]) })
	return refs, attachments
}

// deposit is an item on its way in, with what only its depositor's client knows.
type deposit struct {
	id          ev.ItemID
	in          ev.CaseID
	key         sealing.ItemKey
	ciphertext  []byte
	consent     []ev.ConsentRef
	details     *ev.ItemDepositedDetails
	attachments []ledger.Attachment
	notes       []ev.Note
	upload      ev.UploadID
}

// prepare encrypts an item and uploads its evidence.
func (w *world) prepare(in ev.CaseID, class ev.Class, consent ...ev.ConsentRef) *deposit {
	w.t.Helper()
	it := &deposit{id: ev.NewID[ev.ItemID](), in: in, key: must(sealing.NewItemKey()), consent: consent}
	var file bytes.Buffer
	sealed := must(sealing.Encrypt(&file, bytes.NewReader(bytes.Repeat([]byte("evidence "), 1000)), it.key))
	it.ciphertext = file.Bytes()
	description := must(sealing.SealDescription([]byte(`{"name":"form"}`), it.key.Recipient()))
	label := must(sealing.SealLabel("form", it.key.Recipient()))
	text := must(sealing.SealNote("why", it.key.Recipient()))
	refs, attachments := w.envelopes(it.key, ledger.Envelope, w.people["clinician"], w.people["custodian"])
	it.notes = []ev.Note{{Name: "reason", Audience: ev.ToItem, SHA256: ev.SHA256(text), Size: int64(len(text))}}
	it.attachments = append(attachments, ledger.Attachment{Kind: ledger.Label, Body: label}, ledger.Attachment{Kind: ledger.Description, Body: description},
		ledger.Attachment{Kind: ledger.Note, Name: "reason", Audience: ev.ToItem, Body: text})
	it.details = &ev.ItemDepositedDetails{
		ItemRecipient: it.key.Recipient(), Class: class, Content: ev.Testimony, Basis: ev.ByConsent,
		Evidence:    ev.Evidence{SHA256: ev.Hash(sealed.Ciphertext.SHA256), Size: int64(len(it.ciphertext)), Tree: ev.Hash(sealed.Tree)},
		Description: ev.File{SHA256: ev.SHA256(description), Size: int64(len(description))},
		Label:       ev.File{SHA256: ev.SHA256(label), Size: int64(len(label))}, Envelopes: refs,
	}
	it.upload = w.upload("clinician", it.ciphertext)
	return it
}

func (w *world) upload(by string, file []byte) ev.UploadID {
	w.t.Helper()
	u, err := w.CreateUpload(ctx(), w.people[by].caller(), int64(len(file)))
	if err != nil {
		w.t.Fatal(err)
	}
	at := int64(0)
	for _, end := range []int{len(file) / 2, len(file)} { // a bucket keeps whole parts
		n, err := w.AppendUpload(ctx(), w.people[by].caller(), u.ID, at, bytes.NewReader(file[at:end]))
		if at += n; err != nil {
			w.t.Fatalf("append: %d, %v", n, err)
		}
	}
	if at != int64(len(file)) {
		w.t.Fatalf("of %d bytes %d are durable", len(file), at)
	}
	return u.ID
}

func (w *world) signDeposit(it *deposit) *custody.Signed {
	return w.sign("clinician", ev.ItemOf(it.id), ev.ItemDeposited, it.details, func(e *ev.Event) {
		e.Case, e.Consent, e.Notes = it.in, it.consent, it.notes
	})
}

func (w *world) tryDeposit(it *deposit) (vault.Outcome, error) {
	return w.try("clinician", w.signDeposit(it), it.upload, it.attachments...)
}

// consented is a case with a consent form, a consent that permits everything to courts in XX, and an item under it.
type consented struct {
	in      ev.CaseID
	form    *deposit
	consent ev.ConsentID
	item    *deposit
}

func (w *world) consented() consented {
	w.t.Helper()
	c := consented{in: w.openCase(), consent: ev.NewID[ev.ConsentID]()}
	c.form = w.prepare(c.in, ev.ConsentForm)
	if o, err := w.tryDeposit(c.form); err != nil || o.Receipt == nil {
		w.t.Fatalf("deposit of a form: %v", err)
	}
	w.do("clinician", ev.ConsentOf(c.consent), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 1, From: ev.At(w.now().Add(-time.Hour)), Until: ev.At(w.now().Add(1000 * time.Hour)), By: "self", Form: c.form.id,
		Answers: ev.Answers{Examination: ev.Yes, Photographs: ev.Yes, Storage: ev.Yes, PoliceInformation: ev.Yes, PolicePhotographs: ev.Yes, PolicePhysical: ev.No,
			Research: ev.No, Courts: []ev.CourtAnswer{{Jurisdiction: "FR", Information: ev.Yes, Photographs: ev.No, Physical: ev.No}}},
	}, func(e *ev.Event) { e.Case = c.in })
	c.item = w.prepare(c.in, ev.Original, ev.ConsentRef{ID: c.consent, Version: 1})
	if o, err := w.tryDeposit(c.item); err != nil || o.Receipt == nil {
		w.t.Fatalf("deposit: %v", err)
	}
	w.do("clinician", ev.ItemOf(c.item.id), ev.ItemSealed, &ev.ItemSealedDetails{Exhibit: 1, Root: c.item.id})
	return c
}

// signOpen signs item.opened for the person's envelope.
func (w *world) signOpen(by string, id ev.ItemID) *custody.Signed {
	ref, _ := w.itemState(id).Envelope(w.people[by].fingerprint())
	return w.sign(by, ev.ItemOf(id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ref.SHA256}, func(e *ev.Event) { e.Purpose = ev.ForInvestigation })
}

func (w *world) open(by string, id ev.ItemID) vault.Outcome {
	w.t.Helper()
	return w.submit(by, w.signOpen(by, id), "")
}

// grant shares the item with the court until expires, as far as the court's envelope.
func (w *world) grant(c consented, court string, expires time.Duration) ev.GrantID {
	w.t.Helper()
	id := w.propose(c, court, expires)
	stream := ev.ItemOf(c.item.id)
	terms := w.itemState(c.item.id).Grant(id).Terms
	w.do("second", stream, ev.GrantApproved, &ev.GrantApprovedDetails{Grant: id, Terms: terms.Digest()})
	w.open("custodian", c.item.id)
	body := must(sealing.WriteEnvelope(c.item.key, w.people[court].recipient()))
	ref := ev.EnvelopeRef{Recipient: w.people[court].fingerprint(), SHA256: ev.SHA256(body)}
	w.submit("custodian", w.sign("custodian", stream, ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseGrant, Grant: id}), "",
		ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
	return id
}

func (w *world) propose(c consented, court string, expires time.Duration) ev.GrantID {
	w.t.Helper()
	p := w.people[court]
	terms := ev.Terms{
		ID: ev.NewID[ev.GrantID](), Item: c.item.id, Recipient: ev.Keyholder{Actor: p.id, Fingerprint: p.fingerprint()}, RecipientClass: p.role,
		Actions: []ev.Action{ev.Download, ev.View}, Purpose: ev.ForAdjudication, Jurisdiction: "FR", LegalBasis: "consent",
		NotBefore: ev.At(w.now().Add(-time.Second)), Expires: ev.At(w.now().Add(expires)), Consent: []ev.ConsentRef{{ID: c.consent, Version: 1}},
	}
	w.do("custodian", ev.ItemOf(c.item.id), ev.GrantProposed, &ev.GrantProposedDetails{Terms: terms})
	return terms.ID
}

func (w *world) redeem(court string, c consented, id ev.GrantID) vault.Outcome {
	w.t.Helper()
	ref, _ := w.itemState(c.item.id).Envelope(w.people[court].fingerprint())
	return w.do(court, ev.ItemOf(c.item.id), ev.GrantRedeemed, &ev.GrantRedeemedDetails{Grant: id, Action: ev.Download, Envelope: ref.SHA256})
}

// envelope reports whether the bytes of a recipient's envelope exist in the records.
func (w *world) envelope(s ev.Stream, recipient ev.Hash) bool {
	_, err := w.db.Envelope(ctx(), s, recipient)
	if err != nil && ev.KindOf(err) != ev.NotFound {
		w.t.Fatal(err)
	}
	return err == nil
}
