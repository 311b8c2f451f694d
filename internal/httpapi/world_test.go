package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

const origin = "vault.example"

// world is a real vault behind its HTTP edge: SQLite, Trillian and a folder of objects in a temporary directory, and people with keys.
type world struct {
	t        testing.TB
	dir      string
	logKey   *custody.Key
	people   map[string]*person
	founders []ev.Founder
	recovery sealing.Identity
	logs     *logBuffer
	limits   vault.Limits
	watched  func(*ledger.Config)

	db     *sqldb.DB
	tree   *embedded.Log
	store  *fs.Store
	bucket *versitygw.Server // for the objects, nil is the folder
	ledger *ledger.Ledger
	auth   *auth.Auth
	vault  *vault.Vault
	edge   http.Handler
	server *httptest.Server
	client *http.Client

	drift atomic.Int64 // of the vault's clock, nanoseconds

	organizations map[ev.OrgID]string // as the operator names them
	unreadable    error
	ready         wire.Health
}

type person struct {
	id       ev.ActorID
	role     ev.Role
	org      ev.OrgID
	key      *custody.Key
	identity sealing.Identity
	token    string
}

func (p *person) recipient() string {
	if p.role.Keyless() {
		return ""
	}
	return p.identity.Recipient()
}

func (p *person) fingerprint() ev.Hash { return ev.Fingerprint(p.key.SPKI(), p.recipient()) }

// logBuffer keeps what the edge logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		ready: wire.Health{Dependencies: &wire.Dependencies{Records: "ok", Log: "ok", Objects: "ok"}},
		t:     t, dir: t.TempDir(), logKey: must(custody.GenerateKey()), people: map[string]*person{}, recovery: must(sealing.NewIdentity()),
		logs: &logBuffer{}, limits: vault.DefaultLimits,
	}
	for name, role := range map[string]ev.Role{"vault": ev.Vault, "administrator": ev.Administrator, "custodian": ev.Custodian} {
		p := w.meet(name, role)
		w.founders = append(w.founders, ev.Founder{Actor: p.id, Role: role, Key: custody.KeyID(p.key.SPKI())})
	}
	ctx := context.Background()
	must(0, must(sqldb.Create(ctx, w.path("records.db"))).Close())
	must(0, must(embedded.Create(ctx, w.path("log.db"), embedded.Options{Logger: w.logger()})).Close())
	must(0, fs.Create(w.path("objects")))
	w.start()
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Log(w.logs.String())
		}
	})

	w.found("vault", ev.ActorOf(w.people["vault"].id), ev.ActorEnrolled, w.founding("vault"))
	w.found("vault", ev.PolicyOf(origin), ev.VaultConfigured, &ev.VaultConfiguredDetails{
		Rules: 1, Recovery: w.recovery.Recipient(), Version: "1.0.0", LogKeys: []string{base64.StdEncoding.EncodeToString(w.logKey.SPKI())},
		Policy: ev.VaultPolicy{ConfirmWait: 7 * 86400, DecisionTime: 7 * 86400, BinWait: 14 * 86400, WithdrawalWait: 3 * 86400,
			ReviewTime: 3 * 86400, HoldTime: 3 * 86400, BackupHorizon: 30 * 86400},
	})
	w.found("administrator", ev.ActorOf(w.people["administrator"].id), ev.ActorEnrolled, w.founding("administrator"))
	w.found("custodian", ev.ActorOf(w.people["custodian"].id), ev.ActorEnrolled, w.founding("custodian"))
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func newLogger(to io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(to, nil)) }

func (w *world) logger() *slog.Logger { return newLogger(w.logs) }

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.drift.Load())) }

// start opens everything as strongroomd does at its start.
func (w *world) start() {
	w.t.Helper()
	ctx := context.Background()
	w.db = must(sqldb.Open(ctx, w.path("records.db")))
	w.tree = must(embedded.Open(ctx, w.path("log.db"), embedded.Options{Logger: w.logger()}))
	w.store = must(fs.Open(w.path("objects")))
	public := must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey)
	v := w.people["vault"]
	author := ledger.Author{ID: v.id, SPKI: v.key.SPKI(), Signer: v.key, Tool: ev.Tool{Name: "strongroomd", Version: "1.0.0"}}
	config := ledger.Config{
		Origin: origin, Founders: w.founders, Records: w.db, Tree: w.tree,
		Signers: []note.Signer{must(tlog.NewECDSANoteSigner(origin, public, w.logKey.Sign))},
		Keys:    must(tlog.NewLogKeys(origin, public)), LogID: tlog.Hash(ev.SHA256(w.logKey.SPKI())),
		Vault: author, Now: w.now, Logger: w.logger(),
	}
	if w.watched != nil {
		w.watched(&config)
	}
	w.ledger = must(ledger.Open(ctx, config))
	w.auth = must(auth.New(origin, w.db, w.db, w.now))
	w.vault, w.edge = w.replica()
	w.server = httptest.NewServer(w.edge)
	w.client = &http.Client{Transport: contracttest.Checked{T: w.t, Next: http.DefaultTransport}}
}

// replica is a vault over the same records and log, with a store of its own on the same place if that is a bucket, and its edge.
func (w *world) replica() (*vault.Vault, http.Handler) {
	store := objects.Store(w.store)
	if w.bucket != nil {
		c := s3.Config{Endpoint: w.bucket.Endpoint, Region: versitygw.Region, Bucket: "evidence", CAFile: w.bucket.CAFile, CredentialsFile: w.bucket.CredentialsFile, Direct: w.bucket.Endpoint}
		ctx := context.Background()
		s, err := s3.Open(ctx, c)
		if err != nil {
			must(0, s3.Create(ctx, c))
			s = must(s3.Open(ctx, c))
		}
		w.t.Cleanup(func() { s.Close() })
		store = s
	}
	v := w.people["vault"]
	own := vault.New(vault.Config{
		Origin: origin, Founders: w.founders, Records: w.db, Objects: store, Ledger: w.ledger, Now: w.now, Logger: w.logger(), Limits: w.limits,
		Author: ledger.Author{ID: v.id, SPKI: v.key.SPKI(), Signer: v.key, Tool: ev.Tool{Name: "strongroomd", Version: "1.0.0"}},
	})
	return own, must(httpapi.New(httpapi.Config{
		Vault: own, Auth: w.auth, TrustFingerprint: ev.SHA256([]byte("trust")), TrustFile: trustFile, Logger: w.logger(),
		Organizations: func() (map[ev.OrgID]string, error) { return w.organizations, w.unreadable },
		Ready:         func(context.Context) wire.Health { return w.ready },
		Now:           w.now,
	}))
}

// trustFile is that of a vault whose trust file says no more than that it is one.
func trustFile(_ context.Context, number string) (string, error) {
	if number != ev.SHA256([]byte("trust")).String() {
		return "", ev.Refuse(ev.NotFound, "meta")
	}
	return "trust", nil
}

func (w *world) stop() {
	w.server.Close()
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

func (w *world) meet(name string, role ev.Role) *person {
	p := &person{id: ev.NewID[ev.ActorID](), role: role, org: ev.NewID[ev.OrgID](), key: must(custody.GenerateKey()), identity: must(sealing.NewIdentity())}
	if role == ev.Vault {
		p.org = ""
	}
	w.people[name] = p
	return p
}

func (w *world) founding(name string) *ev.ActorEnrolledDetails {
	p := w.people[name]
	return &ev.ActorEnrolledDetails{
		Keys: ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient()}, Role: p.role, Organization: p.org,
	}
}

func (w *world) found(by string, s ev.Stream, k ev.Kind, d ev.Details) {
	w.t.Helper()
	if err := w.vault.Found(context.Background(), w.sign(by, s, k, d)); err != nil {
		w.t.Fatal(err)
	}
}

// sign makes a valid event on the present state of everything.
func (w *world) sign(by string, s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) *custody.Signed {
	w.t.Helper()
	p := w.people[by]
	e := &ev.Event{
		Vault: origin, Kind: k, Actor: ev.Signer{ID: p.id, Role: p.role, Organization: p.org}, Time: ev.At(w.now()),
		Tool: ev.Tool{Name: "strongroom", Version: "1.0.0"}, Details: d, Stream: ev.Position{Type: s.Type, ID: s.ID},
	}
	for _, f := range set {
		f(e)
	}
	ctx := context.Background()
	states := must(w.db.States(ctx, s))
	own := states[s]
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	states = must(w.db.States(ctx, append(ev.StandsOn(own, e), s)...))
	for _, state := range states {
		e.Time = max(e.Time, state.Tip().Time)
	}
	if e.Subject == nil {
		e.Subject = e.Subjects(own)
	}
	e.ReliedOn = ev.ReliedOn(ev.Facts{Origin: origin, Founders: w.founders, States: states}, e)
	return must(custody.Sign(e, p.key.SPKI(), p.key))
}

// request sends JSON and returns status and body; by "" it is nobody's.
func (w *world) request(by, method, path string, body any, set ...func(*http.Request)) (*http.Response, []byte) {
	w.t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(must(json.Marshal(body)))
	}
	req := must(http.NewRequest(method, w.server.URL+path, r))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if by != "" {
		req.Header.Set("Authorization", "Bearer "+w.token(by))
	}
	for _, f := range set {
		f(req)
	}
	return w.do(req)
}

func (w *world) do(req *http.Request) (*http.Response, []byte) {
	w.t.Helper()
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, b
}

// call is a request that must be answered with this status; what it answers is decoded.
func call[T any](w *world, by, method, path string, body any, status int) T {
	w.t.Helper()
	resp, b := w.request(by, method, path, body)
	var out T
	if resp.StatusCode != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// token signs a person in, once.
func (w *world) token(name string) string {
	w.t.Helper()
	p := w.people[name]
	if p == nil {
		return name // a token of the test's own making
	}
	if p.token == "" {
		c := call[wire.Challenge](w, "", "POST", "/v1/sign-in/challenges", nil, 201)
		p.token = call[wire.SignedIn](w, "", "POST", "/v1/sign-in", wire.SignInRequest{DSSE: w.signIn(p, c)}, 201).Token
	}
	return p.token
}

func (w *world) signIn(p *person, c wire.Challenge) []byte {
	m := custody.SignIn{Vault: origin, Actor: p.id, Nonce: c.Nonce, Time: must(ev.ParseTime(c.Time))}
	return must(m.Sign(p.key.SPKI(), p.key))
}

// submit sends an event with its attachments and must get a receipt.
func (w *world) submit(by string, signed *custody.Signed, upload ev.UploadID, attachments ...wire.Attachment) wire.Included {
	w.t.Helper()
	return call[wire.Included](w, by, "POST", "/v1/events",
		wire.Submission{DSSE: signed.DSSE(), Upload: string(upload), Attachments: attachments}, 201)
}

// enrol brings a person in the way people come in: invitation, answer, enrolment, confirmation.
func (w *world) enrol(name string, role ev.Role) *person {
	w.t.Helper()
	if p := w.people[name]; p != nil {
		return p
	}
	by, then := "custodian", "custodian 2"
	if role.Staff() {
		by, then = "administrator", "custodian"
	}
	p := w.meet(name, role)
	made := call[wire.NewInvitation](w, by, "POST", "/v1/invitations", wire.InvitationRequest{Role: wire.Role(role), Organization: string(p.org)}, 201)
	terms := call[wire.InvitationTerms](w, "", "POST", "/v1/invitations/terms", wire.InvitationSecret{Secret: strings.ToUpper(made.Secret)}, 200)
	p.id = ev.ActorID(terms.Actor)
	possession := custody.Possession{Vault: origin, Actor: p.id, Fingerprint: p.fingerprint(), Invitation: must(ev.ParseHash(made.Invitation.Digest))}
	_, proof, err := custody.OpenPossession(must(possession.Sign(p.key.SPKI(), p.key)))
	if err != nil {
		w.t.Fatal(err)
	}
	keys := ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient(),
		Possession: base64.StdEncoding.EncodeToString(proof.DER), Invitation: possession.Invitation}
	answered := call[wire.Answered](w, "", "POST", "/v1/invitations/answer",
		wire.InvitationAnswer{Secret: made.Secret, Key: keys.Key, Recipient: keys.Recipient, Possession: keys.Possession}, 200)
	if answered.Fingerprint != p.fingerprint().String() {
		w.t.Fatal("another fingerprint than the person's")
	}
	stream := ev.ActorOf(p.id)
	w.submit(by, w.sign(by, stream, ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: p.role, Organization: p.org}), "")
	w.submit(then, w.sign(then, stream, ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone}), "")
	return p
}

// openCase opens a case of the clinician with two custodians; the clinician and one of them hold keys.
func (w *world) openCase() ev.CaseID {
	w.t.Helper()
	clinician, custodian, second := w.enrol("clinician", ev.Clinician), w.people["custodian"], w.enrol("custodian 2", ev.Custodian)
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
	var attachments []wire.Attachment
	d.LabelKey.Envelopes, attachments = w.envelopes(label, wire.AttachmentKindLabelEnvelope, clinician, custodian, second)
	id := ev.NewID[ev.CaseID]()
	w.submit("clinician", w.sign("clinician", ev.CaseOf(id), ev.CaseOpened, d), "", attachments...)
	return id
}
