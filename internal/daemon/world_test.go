package daemon

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/vault"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func testOptions() Options {
	return Options{
		Tool:   ev.Tool{Name: "strongroomd", Version: "test"},
		Limits: vault.DefaultLimits, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// person is a founder with keys. It goes to a child process as JSON.
type person struct {
	ID        ev.ActorID
	Role      ev.Role
	Org       ev.OrgID
	Key       []byte // PKCS #8
	Recipient string

	key *custody.Key
}

func newPerson(role ev.Role) *person {
	p := &person{ID: ev.NewID[ev.ActorID](), Role: role, Org: ev.NewID[ev.OrgID](), key: must(custody.GenerateKey())}
	p.Key = must(p.key.PKCS8())
	if !role.Keyless() {
		p.Recipient = must(sealing.NewIdentity()).Recipient()
	}
	return p
}

func (p *person) caller() vault.Caller { return vault.Caller{Actor: p.ID, Role: p.Role} }

func (p *person) fingerprint() ev.Hash { return ev.Fingerprint(p.key.SPKI(), p.Recipient) }

// founder makes a founder file: an actor who enrols itself.
func (p *person) founder(origin string) []byte {
	d := &ev.ActorEnrolledDetails{
		Keys: ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.Recipient}, Role: p.Role, Organization: p.Org,
	}
	e := &ev.Event{
		Vault: origin, Kind: ev.ActorEnrolled, Stream: ev.Position{Type: ev.ActorStream, ID: string(p.ID)},
		Actor: ev.Signer{ID: p.ID, Role: p.Role, Organization: p.Org}, Time: ev.At(time.Now()),
		Tool: ev.Tool{Name: "strongroom", Version: "test"}, Details: d,
	}
	e.Subject = e.Subjects(nil)
	return must(custody.Sign(e, p.key.SPKI(), p.key)).DSSE()
}

// cast is who founded the vault of the tests.
type cast struct {
	Administrator, A, B, C *person
	Recovery               string
	Third                  bool // C is a keyholder too
}

func (c cast) keyholders() []*person {
	if c.Third {
		return []*person{c.A, c.B, c.C}
	}
	return []*person{c.A, c.B}
}

// once makes one vault for all tests, with key files that need no passphrase, because to open one that does takes a second.
var once = sync.OnceValues(func() (string, cast) {
	dir := filepath.Join(must(os.MkdirTemp("", "strongroom-daemon-")), "vault")
	c, founding := unfounded(dir)
	for range 2 { // the second time changes nothing
		trust := must(Found(context.Background(), dir, testOptions(), founding))
		if trust.Vault() != must(folder(dir).readSettings()).Origin || len(trust.Founders()) != 5 {
			panic("trust file of another vault")
		}
	}
	return dir, c
})

// unfounded makes a vault as far as its founders are needed.
func unfounded(dir string, set ...func(*Options)) (cast, Founding) {
	c := cast{
		Administrator: newPerson(ev.Administrator), A: newPerson(ev.Custodian), B: newPerson(ev.Custodian), C: newPerson(ev.Custodian),
		Recovery: must(sealing.NewIdentity()).Recipient(),
	}
	ctx := context.Background()
	o := testOptions()
	for _, f := range set {
		f(&o)
	}
	origin := must(Create(ctx, dir, "", o))
	for _, k := range must(folder(dir).readSettings()).kinds() {
		path := folder(dir).path("keys", k.name)
		must(0, os.Remove(path))
		must(keys.Create(path, k.algorithm, nil))
	}
	return c, Founding{
		Founders: [][]byte{c.Administrator.founder(origin), c.A.founder(origin), c.B.founder(origin), c.C.founder(origin)},
		Recovery: c.Recovery, Policy: DefaultPolicy, Version: "test",
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("STRONGROOM_CRASH_DIR"); dir != "" {
		workload(dir)
		return
	}
	if to := os.Getenv("STRONGROOM_CRASH_BACKUP"); to != "" {
		backupWorkload(to, os.Getenv("STRONGROOM_CRASH_FROM"), os.Getenv("STRONGROOM_CRASH_INTO"))
		return
	}
	code := m.Run()
	dir, _ := once()
	os.RemoveAll(filepath.Dir(dir))
	stopEngines()
	os.Exit(code)
}

// made returns the folder of a fresh copy of the founded vault.
func made(t *testing.T) string {
	t.Helper()
	from, _ := once()
	dir := filepath.Join(t.TempDir(), "vault")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := private(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// private closes the folders of a copy to others.
func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
}

func (p *person) sign(parts *parts, s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) *custody.Signed {
	e := &ev.Event{
		Vault: parts.settings.Origin, Kind: k, Actor: ev.Signer{ID: p.ID, Role: p.Role, Organization: p.Org}, Time: ev.At(time.Now()),
		Tool: ev.Tool{Name: "strongroom", Version: "test"}, Details: d, Stream: ev.Position{Type: s.Type, ID: s.ID},
	}
	for _, f := range set {
		f(e)
	}
	own := must(parts.records.States(context.Background(), s))[s]
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	states := must(parts.records.States(context.Background(), append(ev.StandsOn(own, e), s)...))
	for _, state := range states {
		e.Time = max(e.Time, state.Tip().Time)
	}
	e.Subject = e.Subjects(own)
	e.ReliedOn = ev.ReliedOn(ev.Facts{Origin: e.Vault, Founders: parts.founders, States: states}, e)
	return must(custody.Sign(e, p.key.SPKI(), p.key))
}

func (p *person) submit(parts *parts, signed *custody.Signed, upload ev.UploadID, attachments ...ledger.Attachment) (vault.Outcome, error) {
	return parts.vault.Submit(context.Background(), p.caller(), vault.Submission{DSSE: signed.DSSE(), Upload: upload, Attachments: attachments})
}

// sealed are envelopes of a key that stand for those of A, B and recovery: what is inside is nothing to a vault.
func (c cast) sealed(key sealing.ItemKey, kind ledger.AttachmentKind) (refs []ev.EnvelopeRef, list []ledger.Attachment) {
	all := map[ev.Hash]string{ev.Fingerprint(nil, c.Recovery): c.Recovery}
	for _, who := range c.keyholders() {
		all[who.fingerprint()] = who.Recipient
	}
	for fingerprint, recipient := range all {
		a := ledger.Attachment{Kind: kind, Recipient: fingerprint, Body: must(sealing.WriteEnvelope(key, recipient))}
		refs, list = append(refs, ev.EnvelopeRef{Recipient: fingerprint, SHA256: ev.SHA256(a.Body)}), append(list, a)
	}
	slices.SortFunc(refs, func(a, b ev.EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) })
	return refs, list
}

func (c cast) openCase(p *parts) (ev.CaseID, vault.Outcome, error) {
	label := must(sealing.NewItemKey())
	d := &ev.CaseOpenedDetails{Type: "case", Recovery: ev.Fingerprint(nil, c.Recovery), LabelKey: ev.LabelKey{Recipient: label.Recipient()}}
	for _, who := range c.keyholders() {
		d.Members = append(d.Members, ev.Member{Actor: who.ID, Rights: []ev.Right{ev.MayDeposit, ev.MayManage, ev.MayOpen}})
		d.Keyring = append(d.Keyring, ev.Keyholder{Actor: who.ID, Fingerprint: who.fingerprint()})
	}
	slices.SortFunc(d.Members, func(a, b ev.Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b ev.Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	refs, attachments := c.sealed(label, ledger.LabelEnvelope)
	d.LabelKey.Envelopes = refs
	id := ev.NewID[ev.CaseID]()
	o, err := c.A.submit(p, c.A.sign(p, ev.CaseOf(id), ev.CaseOpened, d), "", attachments...)
	return id, o, err
}

// deposit puts a consent form of so many bytes into a case, in small parts.
func (c cast) deposit(p *parts, in ev.CaseID, size int) (ev.ItemID, vault.Outcome, error) {
	ctx, key := context.Background(), must(sealing.NewItemKey())
	var file bytes.Buffer
	sealed := must(sealing.Encrypt(&file, bytes.NewReader(make([]byte, size)), key))
	u, err := p.vault.CreateUpload(ctx, c.A.caller(), int64(file.Len()))
	if err != nil {
		return "", vault.Outcome{}, err
	}
	for at, rest := int64(0), file.Bytes(); len(rest) > 0; {
		n, err := p.vault.AppendUpload(ctx, c.A.caller(), u.ID, at, bytes.NewReader(rest[:min(len(rest), 64<<10)]))
		if err != nil {
			return "", vault.Outcome{}, err
		}
		at, rest = at+n, rest[n:]
	}
	label, description := must(sealing.SealLabel("form", key.Recipient())), must(sealing.SealDescription([]byte(`{}`), key.Recipient()))
	refs, attachments := c.sealed(key, ledger.Envelope)
	attachments = append(attachments, ledger.Attachment{Kind: ledger.Label, Body: label}, ledger.Attachment{Kind: ledger.Description, Body: description})
	id := ev.NewID[ev.ItemID]()
	signed := c.A.sign(p, ev.ItemOf(id), ev.ItemDeposited, &ev.ItemDepositedDetails{
		ItemRecipient: key.Recipient(), Class: ev.ConsentForm, Content: ev.Testimony, Basis: ev.ByConsent,
		Evidence:    ev.Evidence{SHA256: ev.Hash(sealed.Ciphertext.SHA256), Size: int64(file.Len()), Tree: ev.Hash(sealed.Tree)},
		Description: ev.File{SHA256: ev.SHA256(description), Size: int64(len(description))},
		Label:       ev.File{SHA256: ev.SHA256(label), Size: int64(len(label))}, Envelopes: refs,
	}, func(e *ev.Event) { e.Case = in })
	o, err := c.A.submit(p, signed, u.ID, attachments...)
	return id, o, err
}

func (c cast) marshal() string { return string(must(json.Marshal(c))) }

func readCast(text string) (c cast) {
	must(0, json.Unmarshal([]byte(text), &c))
	for _, p := range []*person{c.Administrator, c.A, c.B, c.C} {
		p.key = must(custody.ParsePKCS8(p.Key))
	}
	return c
}
