package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

const origin = "vault.example"

var tool = evidence.Tool{Name: "strongroom", Version: "benchmark"}

// world is a real vault in a folder: SQLite, Trillian on bbolt, a folder of objects, its HTTP edge behind a listener of this process,
// and people with keys who came in the way people come in.
type world struct {
	dir      string
	logKey   *custody.Key
	author   ledger.Author
	trust    tlog.Trust
	recovery string
	org      evidence.OrgID

	db     *sqldb.DB
	tree   *embedded.Log
	store  *fs.Store
	ledger *ledger.Ledger
	vault  *vault.Vault
	auth   *auth.Auth
	server *http.Server
	url    string

	admin, custodian, second, clinician, court *person
}

// person is somebody with keys and a folder of their own.
type person struct {
	*client.Client
	role     evidence.Role
	key      *custody.Key
	identity sealing.Identity
	folder   client.Folder
}

func (p *person) caller() vault.Caller {
	return vault.Caller{Actor: p.Actor(), Role: p.role, KeyID: custody.KeyID(p.key.SPKI())}
}

func (p *person) fingerprint() evidence.Hash {
	return evidence.Fingerprint(p.key.SPKI(), p.identity.Recipient())
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// check ends the run: a benchmark that met an error has no result. main recovers.
func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

type failure struct{ error }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// newWorld founds a vault in a new folder under dir, and staffs it.
func newWorld(ctx context.Context, dir string) *world {
	w := &world{dir: must(os.MkdirTemp(dir, "vault-")), logKey: must(custody.GenerateKey()), org: evidence.NewID[evidence.OrgID]()}
	vaultKey := must(custody.GenerateKey())
	w.author = ledger.Author{
		ID: evidence.NewID[evidence.ActorID](), SPKI: vaultKey.SPKI(), Signer: vaultKey, Tool: evidence.Tool{Name: "strongroomd", Version: "benchmark"},
	}
	w.recovery = must(sealing.NewIdentity()).Recipient()
	check(must(sqldb.Create(ctx, w.path("records.db"))).Close())
	check(must(embedded.Create(ctx, w.path("log.db"), embedded.Options{Logger: quiet()})).Close())
	check(fs.Create(w.path("objects")))

	w.admin, w.custodian = w.newPerson("admin", evidence.Administrator), w.newPerson("custodian", evidence.Custodian)
	founders := []tlog.Founder{{Actor: string(w.author.ID), Key: vaultKey.SPKI(), Role: string(evidence.Vault)}}
	var enrolments []*custody.Signed
	for _, p := range []*person{w.admin, w.custodian} {
		id, file := w.founder(p)
		enrolments = append(enrolments, must(must(custody.Open(file)).Verify(p.key.SPKI())))
		founders = append(founders, tlog.Founder{Actor: string(id), Key: p.key.SPKI(), Role: string(p.role)})
	}
	w.trust = must(tlog.NewTrust(tlog.TrustParts{
		Vault: origin, Founders: founders,
		Logs: []tlog.Log{{Key: w.public(), Valid: tlog.Valid{Start: time.Now().UTC().Truncate(time.Second)}}},
	}))
	w.start(ctx)
	w.foundVault(ctx, enrolments)
	w.staff(ctx)
	return w
}

// founder makes a founder's file, and remembers who that is.
func (w *world) founder(p *person) (evidence.ActorID, []byte) {
	f := client.Founder{Origin: origin, Role: p.role, Organization: w.org, Signer: p.key, Tool: tool, Time: evidence.At(time.Now())}
	if !p.role.Keyless() {
		f.Recipient = p.identity.Recipient()
	}
	id, file, err := client.Found(f)
	check(err)
	check(client.WriteProfile(p.folder, client.Profile{Actor: id}))
	return id, file
}

// staff brings everybody in.
func (w *world) staff(ctx context.Context) {
	w.connect(w.admin)
	w.connect(w.custodian)
	w.second = w.enrol(ctx, "second", evidence.Custodian, w.admin, w.custodian)
	w.clinician = w.enrol(ctx, "clinician", evidence.Clinician, w.admin, w.custodian)
	w.court = w.enrol(ctx, "court", evidence.Court, w.custodian, w.admin)
}

func (w *world) public() *ecdsa.PublicKey {
	return must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey)
}

// foundVault logs what brings a vault into being, as strongroomd init does.
func (w *world) foundVault(ctx context.Context, founders []*custody.Signed) {
	self, policy := evidence.ActorOf(w.author.ID), evidence.PolicyOf(origin)
	sign := func(e *evidence.Event, s evidence.Stream) *custody.Signed {
		facts := evidence.Facts{Origin: origin, States: must(w.db.States(ctx, s, self))}
		return must(w.author.Sign(e, s, facts, time.Now()))
	}
	check(w.vault.Found(ctx, sign(&evidence.Event{Kind: evidence.ActorEnrolled, Details: &evidence.ActorEnrolledDetails{
		Keys: evidence.Keys{Key: base64.StdEncoding.EncodeToString(w.author.SPKI)}, Role: evidence.Vault,
	}}, self)))
	for _, f := range founders {
		check(w.vault.Found(ctx, f))
	}
	check(w.vault.Found(ctx, sign(&evidence.Event{Kind: evidence.VaultConfigured, Details: &evidence.VaultConfiguredDetails{
		Rules: evidence.RulesVersion, Recovery: w.recovery, Version: "1", LogKeys: []string{base64.StdEncoding.EncodeToString(w.logKey.SPKI())},
		Policy: evidence.VaultPolicy{ConfirmWait: 1, DecisionTime: 1, BinWait: 1, WithdrawalWait: 1, ReviewTime: 1, HoldTime: 1, BackupHorizon: 1},
	}}, policy)))
}

// start opens the vault as strongroomd serve does.
func (w *world) start(ctx context.Context) {
	var founders []evidence.Founder
	for _, f := range w.trust.Founders() {
		founders = append(founders, evidence.Founder{Actor: evidence.ActorID(f.Actor), Role: evidence.Role(f.Role), Key: custody.KeyID(f.Key)})
	}
	w.tree = must(embedded.Open(ctx, w.path("log.db"), embedded.Options{Logger: quiet()}))
	w.db = must(sqldb.Open(ctx, w.path("records.db")))
	w.store = must(fs.Open(w.path("objects")))
	w.ledger = must(ledger.Open(ctx, ledger.Config{
		Origin: origin, Founders: founders, Records: w.db, Tree: w.tree,
		Signers: []note.Signer{must(tlog.NewECDSANoteSigner(origin, w.public(), w.logKey.Sign))},
		Keys:    w.trust.LogKeys(), LogID: must(tlog.LogID(w.public())), CheckpointFile: w.path("checkpoint"),
		Vault: w.author, Now: time.Now, Logger: quiet(),
	}))
	limits := vault.DefaultLimits
	limits.Uploads, limits.Answer = 1<<20, time.Minute
	w.vault = vault.New(vault.Config{
		Origin: origin, Founders: founders, Records: w.db, Objects: w.store, Ledger: w.ledger, Author: w.author, Now: time.Now,
		Logger: quiet(), Limits: limits,
	})
	w.auth = must(auth.New(origin, w.db, w.db, time.Now))
	edge := must(httpapi.New(httpapi.Config{
		Vault: w.vault, Auth: w.auth, TrustFingerprint: evidence.Hash(w.trust.Fingerprint()), Logger: quiet(),
		Ready: func(context.Context) wire.Health {
			return wire.Health{Dependencies: &wire.Dependencies{Log: "ok", Objects: "ok", Records: "ok"}}
		},
	}))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	w.url = "http://" + listener.Addr().String()
	w.server = &http.Server{Handler: edge}
	go w.server.Serve(listener)
}

func (w *world) stop() {
	w.server.Close()
	check(errors.Join(w.ledger.Close(), w.store.Close(), w.db.Close(), w.tree.Close()))
}

// remove stops the vault and deletes its folder.
func (w *world) remove() {
	w.stop()
	check(os.RemoveAll(w.dir))
}

func (w *world) newPerson(name string, role evidence.Role) *person {
	return &person{
		role: role, key: must(custody.GenerateKey()), identity: must(sealing.NewIdentity()),
		folder: must(client.OpenFolder(w.path(name))),
	}
}

// connect pins the trust file and opens a client.
func (w *world) connect(p *person) *person {
	profile, _ := client.ReadProfile(p.folder)
	profile.Address = w.url
	check(client.WriteProfile(p.folder, profile))
	check(client.Pin(p.folder, w.trust))
	p.Client = w.client(p, nil)
	return p
}

// client is a process of the person's, on the way to the vault through t.
func (w *world) client(p *person, t http.RoundTripper) *client.Client {
	c := client.Config{Keystore: p.folder, Signer: p.key, Unlock: func() (sealing.Identity, error) { return p.identity, nil }, Tool: tool, Now: time.Now}
	switch {
	case t != nil:
		c.HTTP = &http.Client{Transport: t}
	case w.server != nil: // of this process, without TLS
		c.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	}
	return must(client.New(c))
}

// enrol brings a person in: invited and admitted by one, confirmed by another.
func (w *world) enrol(ctx context.Context, name string, role evidence.Role, by, confirmer *person) *person {
	p := w.connect(w.newPerson(name, role))
	secret, digest, err := by.Invite(ctx, client.Offer{Role: role, Organization: w.org})
	check(err)
	fingerprint := must(p.AnswerInvitation(ctx, secret))
	must(by.Admit(ctx, digest, ""))
	must(confirmer.Confirm(ctx, client.Confirmation{Actor: p.Actor(), Typed: tlog.SixGroups(fingerprint), Method: evidence.InPerson}))
	return p
}

// openCase opens one with the clinician, who deposits, and two custodians, who hold the keys.
func (w *world) openCase(ctx context.Context) evidence.CaseID {
	all := []evidence.Right{evidence.MayDeposit, evidence.MayOpen, evidence.MayApprove, evidence.MayManage}
	id, _, err := w.custodian.OpenCase(ctx, client.NewCase{
		Type: "case",
		Members: []evidence.Member{
			{Actor: w.custodian.Actor(), Rights: all}, {Actor: w.second.Actor(), Rights: all},
			{Actor: w.clinician.Actor(), Rights: []evidence.Right{evidence.MayDeposit}},
		},
		Keyholders: []evidence.ActorID{w.custodian.Actor(), w.second.Actor()},
	})
	check(err)
	return id
}

// consent is one that permits photographs to courts of one country.
func (w *world) consent(ctx context.Context, in evidence.CaseID) evidence.ConsentID {
	yes, now := evidence.Yes, time.Now()
	id, _, _, err := w.clinician.GiveConsent(ctx, client.Consent{
		Case: in, By: "self", From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(1000 * time.Hour)),
		Answers: evidence.Answers{Examination: yes, Photographs: yes, Storage: yes,
			Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Information: yes, Photographs: yes}}},
		Form: client.Deposit{
			Label: "Consent form", Description: client.Description{Name: "form.txt", MediaType: "text/plain"}, Body: noise(1000, 0),
		},
	})
	check(err)
	return id
}

// deposit puts size random bytes into a case.
func (w *world) deposit(ctx context.Context, in evidence.CaseID, consent evidence.ConsentID, size int64) evidence.ItemID {
	id, _, err := w.clinician.Deposit(ctx, client.Deposit{
		Case: in, Class: evidence.Original, Content: evidence.Photograph, Basis: evidence.ByConsent, Consent: []evidence.ConsentID{consent},
		Label: "Photograph", Description: client.Description{Name: "photograph.jpg", MediaType: "image/jpeg"},
		Body: noise(size, uint64(size)), Size: size,
	})
	check(err)
	return id
}
