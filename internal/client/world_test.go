package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/ceremony"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

var tool = evidence.Tool{Name: "strongroom", Version: "test"}

// world is a real vault behind a real listener, with its people.
type world struct {
	testing.TB
	server  *httptest.Server
	stop    func()
	dir     string // the vault's folder, people's beside it
	trust   tlog.Trust
	org     evidence.OrgID
	witness string               // who must cosign, or nobody
	roots   []byte               // what time stamps must come from, in PEM, or nothing
	quantum bool                 // the log signs with ML-DSA-44 as well
	policy  evidence.VaultPolicy // another than the default
	file    string               // the configuration, "" is the folder's own
	record  ceremony.Record      // of the recovery key,
	shares  []ceremony.Share     // 3 of which are needed
	strict  bool                 // answers are held against the contract, which takes time

	admin, custodian, second, clinician, investigator, court *person
}

// person is somebody with keys and a folder of their own.
type person struct {
	*Client
	key      *custody.Key
	identity sealing.Identity
	folder   Folder
}

var options = daemon.Options{
	Tool: evidence.Tool{Name: "strongroomd", Version: "test"}, Limits: vault.DefaultLimits, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
}

// first is a world that was founded and staffed once, at rest: tests work in copies of its folders.
var first *world

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		panic(err)
	}
	first = &world{TB: setUp{}, dir: filepath.Join(dir, "vault")}
	first.found()
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// setUp stands for a test while there is none.
type setUp struct{ testing.TB }

func (setUp) Helper()                  {}
func (setUp) Context() context.Context { return context.Background() }
func (setUp) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

// found makes the vault, brings everybody in, and closes it again.
func (w *world) found() {
	ctx := w.Context()
	o := options
	o.ConfigFile = w.file
	create := o
	create.PostQuantum = w.quantum
	origin := must(daemon.Create(ctx, w.dir, "", create))(w)
	for name, algorithm := range map[string]keys.Algorithm{"log.pem": keys.P256, "log-ed25519.pem": keys.Ed25519, "vault.pem": keys.P256} {
		path := filepath.Join(w.dir, "keys", name) // anew and without a passphrase: to open one that has it takes a second
		check(w, os.Remove(path))
		_, err := keys.Create(path, algorithm, nil)
		check(w, err)
	}
	w.org = evidence.NewID[evidence.OrgID]()
	w.admin, w.custodian = w.newPerson("admin"), w.newPerson("custodian")
	var err error
	w.record, w.shares, err = ceremony.Make(5, 3, "2027-03-14")
	check(w, err)
	founding := daemon.Founding{Recovery: w.record.Recipient, Policy: cmp.Or(w.policy, daemon.DefaultPolicy), Witness: w.witness, TimestampRoots: w.roots, Version: "test"}
	for role, p := range map[evidence.Role]*person{evidence.Administrator: w.admin, evidence.Custodian: w.custodian} {
		f := Founder{Origin: origin, Role: role, Organization: w.org, Signer: p.key, Tool: tool, Time: evidence.At(time.Now())}
		if !role.Keyless() {
			f.Recipient = p.identity.Recipient()
		}
		id, file, err := Found(f)
		check(w, err)
		check(w, WriteProfile(p.folder, Profile{Actor: id}))
		founding.Founders = append(founding.Founders, file)
	}
	w.trust = must(daemon.Found(ctx, w.dir, o, founding))(w)
	d := must(daemon.Open(ctx, w.dir, o))(w)
	w.server = httptest.NewServer(d.Handler())
	w.connect(w.admin)
	w.connect(w.custodian)
	w.second = w.enrol("second", evidence.Custodian, w.admin, w.custodian)
	w.clinician = w.enrol("clinician", evidence.Clinician, w.admin, w.custodian)
	w.investigator = w.enrol("investigator", evidence.Investigator, w.admin, w.custodian)
	w.court = w.enrol("court", evidence.Court, w.custodian, w.admin)
	w.server.Close()
	check(w, d.Close())
}

// newWorld opens a copy of the first one.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, options)
}

// newWorldWith opens it with a clock and limits of its own.
func newWorldWith(t *testing.T, options daemon.Options) *world {
	t.Helper()
	t.Parallel() // most of the time is spent waiting for disks
	dir := t.TempDir()
	copyFolder(t, dir, filepath.Dir(first.dir))
	w := &world{TB: t, dir: filepath.Join(dir, "vault"), trust: first.trust, org: first.org, record: first.record, shares: first.shares}
	d := must(daemon.Open(t.Context(), w.dir, options))(t)
	w.server = httptest.NewServer(d.Handler())
	w.stop = sync.OnceFunc(func() {
		w.server.Close()
		check(t, d.Close())
	})
	t.Cleanup(w.stop)
	join := func(p *person) *person {
		folder := must(OpenFolder(filepath.Join(dir, filepath.Base(string(p.folder)))))(t)
		return w.connect(&person{key: p.key, identity: p.identity, folder: folder})
	}
	w.admin, w.custodian, w.second = join(first.admin), join(first.custodian), join(first.second)
	w.clinician, w.investigator, w.court = join(first.clinician), join(first.investigator), join(first.court)
	return w
}

// copyFolder copies folders that are nobody else's business.
func copyFolder(t testing.TB, to, from string) {
	t.Helper()
	check(t, os.CopyFS(to, os.DirFS(from)))
	check(t, filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700) // CopyFS does not
		}
		return err
	}))
}

// logKey opens one of the vault's own keys, as its operator can.
func (w *world) logKey(name string) (*keys.Signer, error) {
	passphrase := must(os.ReadFile(filepath.Join(w.dir, "keys", "passphrase")))(w)
	return keys.Open(w.Context(), filepath.Join(w.dir, "keys", name), bytes.TrimSpace(passphrase))
}

func keyText(k *custody.Key) string { return base64.StdEncoding.EncodeToString(k.SPKI()) }

// newPerson has keys, but no vault yet.
func (w *world) newPerson(name string) *person {
	w.Helper()
	return &person{
		key: must(custody.GenerateKey())(w), identity: must(sealing.NewIdentity())(w),
		folder: must(OpenFolder(filepath.Join(filepath.Dir(w.dir), name)))(w),
	}
}

// connect pins the trust file and opens a client.
func (w *world) connect(p *person) *person {
	w.Helper()
	profile, _ := ReadProfile(p.folder)
	profile.Address = w.server.URL
	check(w, WriteProfile(p.folder, profile))
	check(w, Pin(p.folder, w.trust))
	p.Client = w.client(p, nil)
	return p
}

// client is another process of the same person, on the way to the vault through t.
func (w *world) client(p *person, t http.RoundTripper) *Client {
	w.Helper()
	if t == nil {
		t = &http.Transport{}
	}
	if w.strict {
		t = contracttest.Checked{T: w.TB, Next: t}
	}
	c, err := New(Config{
		Keystore: p.folder, Signer: p.key, Unlock: func() (sealing.Identity, error) { return p.identity, nil },
		HTTP: &http.Client{Transport: t}, Tool: tool, Now: time.Now,
	})
	check(w, err)
	c.pause = func(ctx context.Context, d time.Duration) error { return pause(ctx, d/10) }
	return c
}

// enrol brings a person in: invited and admitted by one, confirmed by another.
func (w *world) enrol(name string, role evidence.Role, by, confirmer *person) *person {
	w.Helper()
	ctx := w.Context()
	p := w.connect(w.newPerson(name))
	secret, digest, err := by.Invite(ctx, Offer{Role: role, Organization: w.org})
	check(w, err)
	fingerprint := must(p.AnswerInvitation(ctx, secret))(w)
	_, err = by.Admit(ctx, digest, "")
	check(w, err)
	_, err = confirmer.Confirm(ctx, Confirmation{Actor: p.Actor(), Typed: tlog.SixGroups(fingerprint), Method: evidence.InPerson})
	check(w, err)
	return p
}

// openCase opens one with clinician, investigator and both custodians, who hold the keys.
func (w *world) openCase() evidence.CaseID {
	w.Helper()
	all := []evidence.Right{evidence.MayDeposit, evidence.MayOpen, evidence.MayApprove, evidence.MayManage}
	id, _, err := w.custodian.OpenCase(w.Context(), NewCase{
		Type: "case",
		Members: []evidence.Member{
			{Actor: w.custodian.Actor(), Rights: all}, {Actor: w.second.Actor(), Rights: all},
			{Actor: w.clinician.Actor(), Rights: []evidence.Right{evidence.MayDeposit}},
			{Actor: w.investigator.Actor(), Rights: []evidence.Right{evidence.MayDeposit, evidence.MayOpen}},
		},
		Keyholders: []evidence.ActorID{w.custodian.Actor(), w.second.Actor(), w.investigator.Actor()},
	})
	check(w, err)
	return id
}

// consent is one that permits clinical and photographic material to courts of one country.
func (w *world) consent(in evidence.CaseID) evidence.ConsentID {
	w.Helper()
	now := time.Now()
	yes := evidence.Yes
	id, _, _, err := w.clinician.GiveConsent(w.Context(), Consent{
		Case: in, By: "self", From: evidence.At(now.Add(-time.Hour)), Until: evidence.At(now.Add(24 * time.Hour)),
		Answers: evidence.Answers{Examination: yes, Photographs: yes, Storage: yes,
			Courts: []evidence.CourtAnswer{{Jurisdiction: "DE", Information: yes, Photographs: yes}}},
		Form: Deposit{Label: "Consent form", Description: Description{Name: "form.txt", MediaType: "text/plain"}, Body: piecemeal("I agree.")},
	})
	check(w, err)
	return id
}

func piecemeal(s string) io.Reader { return &oneByOne{s} }

// oneByOne gives a text in pieces, as a pipe does.
type oneByOne struct{ left string }

func (r *oneByOne) Read(p []byte) (int, error) {
	if r.left == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], r.left)
	r.left = r.left[n:]
	return n, nil
}

func (w *world) deposit(p *person, in evidence.CaseID, consent evidence.ConsentID, body io.Reader) evidence.ItemID {
	w.Helper()
	id, _, err := p.Deposit(w.Context(), w.photo(in, consent, body))
	check(w, err)
	return id
}

func (w *world) photo(in evidence.CaseID, consent evidence.ConsentID, body io.Reader) Deposit {
	return Deposit{
		Case: in, Class: evidence.Original, Content: evidence.Photograph, Basis: evidence.ByConsent, Consent: []evidence.ConsentID{consent},
		Label: "Photograph of the back", Description: Description{Name: "back.jpg", MediaType: "image/jpeg"},
		Notes: map[string]string{"circumstances": "taken in room 3"}, Body: body,
	}
}

func must[V any](v V, err error) func(t testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lies demands an Alarm of exactly this kind.
func wantLie(t testing.TB, err error, lie Lie) {
	t.Helper()
	if LieOf(err) != lie {
		t.Errorf("got %v, want an alarm %q", err, lie)
	}
}

// wantReason demands a refusal by this rule.
func wantReason(t testing.TB, err error, reason string) {
	t.Helper()
	if evidence.ReasonOf(err) != reason || err == nil {
		t.Errorf("got %v, want %q", err, reason)
	}
}

// sampleGround is a note on a legal ground with all its lines.
const sampleGround = "Examining judge of District 4\norder 7/27\nact 4, article 5\nArt. 9(2)(f)"
