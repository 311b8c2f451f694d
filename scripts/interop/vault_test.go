package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/daemon"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

// running is a vault as strongroomd runs it, in this process, and people who use it over HTTP with keys of their own.
type running struct {
	t        *testing.T
	origin   string
	trust    tlog.Trust
	recovery sealing.Identity
	url      string
	records  *sqldb.DB // its records, only to be read
	people   map[string]*person
}

type person struct {
	signer   ev.Signer
	key      *custody.Key
	identity sealing.Identity
	token    string
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (p *person) keys() ev.Keys {
	k := ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI())}
	if !p.signer.Role.Keyless() {
		k.Recipient = p.identity.Recipient()
	}
	return k
}

func (p *person) fingerprint() ev.Hash { return ev.Fingerprint(p.key.SPKI(), p.keys().Recipient) }

func (r *running) meet(name string, role ev.Role) *person {
	r.people[name] = &person{
		signer: ev.Signer{ID: ev.NewID[ev.ActorID](), Role: role, Organization: ev.NewID[ev.OrgID]()},
		key:    must(custody.GenerateKey()), identity: must(sealing.NewIdentity()),
	}
	return r.people[name]
}

// start makes, founds and opens a vault whose log has a key of ML-DSA-44, or not.
func start(t *testing.T, postQuantum bool) *running {
	t.Helper()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "vault")
	o := daemon.Options{
		Tool: ev.Tool{Name: "strongroomd", Version: "interop"}, Limits: vault.DefaultLimits, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		PostQuantum: postQuantum,
	}
	r := &running{t: t, origin: must(daemon.Create(ctx, dir, "", o)), recovery: must(sealing.NewIdentity()), people: map[string]*person{}}
	founding := daemon.Founding{Recovery: r.recovery.Recipient(), Policy: daemon.DefaultPolicy, Version: "interop", DevelopmentTimestamps: true}
	for name, role := range map[string]ev.Role{"administrator": ev.Administrator, "custodian": ev.Custodian} {
		p := r.meet(name, role)
		founding.Founders = append(founding.Founders, r.sign(name, ev.ActorOf(p.signer.ID), ev.ActorEnrolled,
			&ev.ActorEnrolledDetails{Keys: p.keys(), Role: role, Organization: p.signer.Organization}).DSSE())
	}
	r.trust = must(daemon.Found(ctx, dir, o, founding))
	d := must(daemon.Open(ctx, dir, o))
	server := httptest.NewServer(d.Handler())
	r.url, r.records = server.URL, must(sqldb.Open(ctx, filepath.Join(dir, "records.db")))
	t.Cleanup(func() {
		server.Close()
		r.records.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// sign makes an event on the present state of everything.
func (r *running) sign(by string, s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) *custody.Signed {
	r.t.Helper()
	p := r.people[by]
	e := &ev.Event{
		Vault: r.origin, Kind: k, Actor: p.signer, Time: ev.At(time.Now()), Tool: ev.Tool{Name: "strongroom", Version: "interop"},
		Stream: ev.Position{Type: s.Type, ID: s.ID}, Details: d,
	}
	for _, f := range set {
		f(e)
	}
	f := ev.Facts{Origin: r.origin}
	if r.records != nil { // founders sign before there is anything
		own := must(r.records.States(r.t.Context(), s))[s]
		if own != nil {
			e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
		}
		for _, founder := range r.trust.Founders() {
			f.Founders = append(f.Founders, ev.Founder{Actor: ev.ActorID(founder.Actor), Role: ev.Role(founder.Role), Key: custody.KeyID(founder.Key)})
		}
		f.States = must(r.records.States(r.t.Context(), append(ev.StandsOn(own, e), s)...))
		e.Subject, e.ReliedOn = e.Subjects(own), ev.ReliedOn(f, e)
	} else {
		e.Subject = e.Subjects(nil)
	}
	return must(custody.Sign(e, p.key.SPKI(), p.key))
}

// client holds every answer against the contract.
func (r *running) client() *http.Client {
	return &http.Client{Transport: contracttest.Checked{T: r.t, Next: http.DefaultTransport}}
}

// call sends JSON, must get this status, and decodes what is answered.
func call[T any](r *running, by, method, path string, body any, status int) (out T) {
	r.t.Helper()
	req := must(http.NewRequestWithContext(r.t.Context(), method, r.url+path, nil))
	if body != nil {
		req = must(http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader(must(json.Marshal(body)))))
		req.Header.Set("Content-Type", "application/json")
	}
	if by != "" {
		req.Header.Set("Authorization", "Bearer "+r.token(by))
	}
	resp := must(r.client().Do(req))
	defer resp.Body.Close()
	answer := must(io.ReadAll(resp.Body))
	if resp.StatusCode != status {
		r.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, answer)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *running) token(name string) string {
	p := r.people[name]
	if p.token == "" {
		c := call[wire.Challenge](r, "", "POST", "/v1/sign-in/challenges", nil, 201)
		m := custody.SignIn{Vault: r.origin, Actor: p.signer.ID, Nonce: c.Nonce, Time: must(ev.ParseTime(c.Time))}
		p.token = call[wire.SignedIn](r, "", "POST", "/v1/sign-in", wire.SignInRequest{DSSE: must(m.Sign(p.key.SPKI(), p.key))}, 201).Token
	}
	return p.token
}

func (r *running) submit(by string, signed *custody.Signed, upload string, attachments ...wire.Attachment) wire.Included {
	r.t.Helper()
	return call[wire.Included](r, by, "POST", "/v1/events", wire.Submission{DSSE: signed.DSSE(), Upload: upload, Attachments: attachments}, 201)
}

// enrol brings a person in: invited and enrolled by the administrator, confirmed by the custodian.
func (r *running) enrol(name string, role ev.Role) *person {
	r.t.Helper()
	p := r.meet(name, role)
	made := call[wire.NewInvitation](r, "administrator", "POST", "/v1/invitations",
		wire.InvitationRequest{Role: wire.Role(role), Organization: string(p.signer.Organization)}, 201)
	p.signer.ID = ev.ActorID(made.Invitation.Actor)
	possession := custody.Possession{
		Vault: r.origin, Actor: p.signer.ID, Fingerprint: p.fingerprint(), Invitation: must(ev.ParseHash(made.Invitation.Digest)),
	}
	_, proof, err := custody.OpenPossession(must(possession.Sign(p.key.SPKI(), p.key)))
	if err != nil {
		r.t.Fatal(err)
	}
	keys := p.keys()
	keys.Possession, keys.Invitation = base64.StdEncoding.EncodeToString(proof.DER), possession.Invitation
	call[wire.Answered](r, "", "POST", "/v1/invitations/answer",
		wire.InvitationAnswer{Secret: made.Secret, Key: keys.Key, Recipient: keys.Recipient, Possession: keys.Possession}, 200)
	stream := ev.ActorOf(p.signer.ID)
	r.submit("administrator", r.sign("administrator", stream, ev.ActorEnrolled,
		&ev.ActorEnrolledDetails{Keys: keys, Role: role, Organization: p.signer.Organization}), "")
	r.submit("custodian", r.sign("custodian", stream, ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone}), "")
	return p
}

// envelopes addresses a key to people and to recovery.
func (r *running) envelopes(key sealing.ItemKey, kind wire.AttachmentKind, to ...*person) (refs []ev.EnvelopeRef, attachments []wire.Attachment) {
	add := func(recipient string, fingerprint ev.Hash) {
		body := must(sealing.WriteEnvelope(key, recipient))
		refs = append(refs, ev.EnvelopeRef{Recipient: fingerprint, SHA256: ev.SHA256(body)})
		attachments = append(attachments, wire.Attachment{Kind: kind, Recipient: fingerprint.String(), Body: body})
	}
	add(r.recovery.Recipient(), ev.Fingerprint(nil, r.recovery.Recipient()))
	for _, p := range to {
		add(p.identity.Recipient(), p.fingerprint())
	}
	slices.SortFunc(refs, func(a, b ev.EnvelopeRef) int { return bytes.Compare(a.Recipient[:], b.Recipient[:]) })
	return refs, attachments
}

func (r *running) openCase() ev.CaseID {
	r.t.Helper()
	clinician, custodian, second := r.enrol("clinician", ev.Clinician), r.people["custodian"], r.enrol("custodian 2", ev.Custodian)
	label := must(sealing.NewItemKey())
	d := &ev.CaseOpenedDetails{
		Type: "case", Recovery: ev.Fingerprint(nil, r.recovery.Recipient()), LabelKey: ev.LabelKey{Recipient: label.Recipient()},
		Members: []ev.Member{
			{Actor: clinician.signer.ID, Rights: []ev.Right{ev.MayDeposit, ev.MayOpen}},
			{Actor: custodian.signer.ID, Rights: []ev.Right{ev.MayApprove, ev.MayManage, ev.MayOpen}},
			{Actor: second.signer.ID, Rights: []ev.Right{ev.MayApprove}},
		},
		Keyring: []ev.Keyholder{
			{Actor: clinician.signer.ID, Fingerprint: clinician.fingerprint()}, {Actor: custodian.signer.ID, Fingerprint: custodian.fingerprint()},
		},
	}
	slices.SortFunc(d.Members, func(a, b ev.Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b ev.Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	var attachments []wire.Attachment
	d.LabelKey.Envelopes, attachments = r.envelopes(label, wire.AttachmentKindLabelEnvelope, clinician, custodian, second)
	id := ev.NewID[ev.CaseID]()
	r.submit("clinician", r.sign("clinician", ev.CaseOf(id), ev.CaseOpened, d), "", attachments...)
	return id
}

// deposit puts a consent form into the case, and returns the envelope for the clinician.
func (r *running) deposit(in ev.CaseID, plain string) (ev.ItemID, ev.Hash) {
	r.t.Helper()
	key, clinician, custodian := must(sealing.NewItemKey()), r.people["clinician"], r.people["custodian"]
	var file bytes.Buffer
	sealed := must(sealing.Encrypt(&file, strings.NewReader(plain), key))
	size := int64(file.Len())
	description, label := must(sealing.SealDescription([]byte(`{"name":"form"}`), key.Recipient())), must(sealing.SealLabel("form", key.Recipient()))
	envelopes, attachments := r.envelopes(key, wire.AttachmentKindEnvelope, clinician, custodian)
	attachments = append(attachments, wire.Attachment{Kind: wire.AttachmentKindLabel, Body: label}, wire.Attachment{Kind: wire.AttachmentKindDescription, Body: description})
	id := ev.NewID[ev.ItemID]()
	d := &ev.ItemDepositedDetails{
		ItemRecipient: key.Recipient(), Class: ev.ConsentForm, Content: ev.Testimony, Basis: ev.ByConsent,
		Evidence:    ev.Evidence{SHA256: ev.Hash(sealed.Ciphertext.SHA256), Size: size, Tree: ev.Hash(sealed.Tree)},
		Description: ev.File{SHA256: ev.SHA256(description), Size: int64(len(description))},
		Label:       ev.File{SHA256: ev.SHA256(label), Size: int64(len(label))}, Envelopes: envelopes,
	}
	upload := r.upload("clinician", file.Bytes())
	r.submit("clinician", r.sign("clinician", ev.ItemOf(id), ev.ItemDeposited, d, func(e *ev.Event) { e.Case = in }), upload, attachments...)
	i := slices.IndexFunc(envelopes, func(ref ev.EnvelopeRef) bool { return ref.Recipient == clinician.fingerprint() })
	return id, envelopes[i].SHA256
}

// upload sends a file by tus.
func (r *running) upload(by string, file []byte) string {
	r.t.Helper()
	send := func(method, path string, body []byte, status int, headers ...string) http.Header {
		req := must(http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader(body)))
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		req.Header.Set("Tus-Resumable", "1.0.0")
		req.Header.Set("Authorization", "Bearer "+r.token(by))
		resp := must(r.client().Do(req))
		resp.Body.Close()
		if resp.StatusCode != status {
			r.t.Fatalf("%s %s: %d, want %d", method, path, resp.StatusCode, status)
		}
		return resp.Header
	}
	location := send("POST", "/v1/uploads/", nil, 201, "Upload-Length", string(must(json.Marshal(len(file))))).Get("Location")
	send("PATCH", location, file, 204, "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	return strings.TrimPrefix(location, "/v1/uploads/")
}

// entries waits until the newest event is covered by a published heads map, and returns all that is in the log.
func (r *running) entries() []ledger.Entry {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		entries := must(r.records.LogRange(ctx, 0, 1<<20))
		if n := len(entries); n > 0 && entries[n-1].Kind == ev.VaultHeads {
			return entries
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// final waits until the events of a stream have their final receipts: with time stamps.
func (r *running) final(by string, s ev.Stream) (receipts [][]byte) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		req := must(http.NewRequestWithContext(ctx, "GET", r.url+"/v1/streams/"+string(s.Type)+"/"+s.ID+"/events?receipts=final", nil))
		req.Header.Set("Authorization", "Bearer "+r.token(by))
		resp := must(r.client().Do(req))
		answer := must(io.ReadAll(resp.Body))
		resp.Body.Close()
		if resp.StatusCode == 200 {
			var list wire.EventList
			if err := json.Unmarshal(answer, &list); err != nil || len(list.Events) == 0 {
				r.t.Fatalf("%v: %s", err, answer)
			}
			for _, e := range list.Events {
				receipts = append(receipts, e.Receipt)
			}
			return receipts
		}
		if !bytes.Contains(answer, []byte(`"not_final"`)) {
			r.t.Fatalf("%d: %s", resp.StatusCode, answer)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Every receipt that a running vault gave out is accepted under the trusted root of its trust file, with the keys that were enrolled; that the
// log signs with ML-DSA-44 as well changes nothing of it.
func TestRunningVault(t *testing.T) {
	for name, postQuantum := range map[string]bool{"as it comes": false, "post-quantum": true} {
		t.Run(name, func(t *testing.T) { runningVault(t, postQuantum) })
	}
}

func runningVault(t *testing.T, postQuantum bool) {
	r := start(t, postQuantum)
	in := r.openCase()
	id, envelope := r.deposit(in, "the form, signed")
	opened := r.submit("clinician", r.sign("clinician", ev.ItemOf(id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: envelope},
		func(e *ev.Event) { e.Case, e.Purpose = in, ev.ForCare }), "")

	entries := r.entries()
	var keys [][]byte
	kinds := map[ev.Kind]int{}
	for _, entry := range entries {
		e := must(custody.Open(entry.Leaf.Extra)).Event()
		kinds[e.Kind]++
		if d, ok := e.Details.(*ev.ActorEnrolledDetails); ok {
			keys = append(keys, must(custody.ParseSPKI(d.Key)))
		}
	}
	for _, kind := range []ev.Kind{
		ev.ActorEnrolled, ev.ActorConfirmed, ev.VaultConfigured, ev.CaseOpened, ev.ItemDeposited, ev.ItemOpened, ev.VaultHeads,
	} {
		if kinds[kind] == 0 {
			t.Errorf("no %s was logged", kind)
		}
	}
	s := must(newStock(r.trust.TrustedRoot(), keys...))
	for i, entry := range entries {
		if entry.Index != int64(i) {
			t.Fatalf("entry %d of the log has index %d", i, entry.Index)
		}
		if err := s.accept(entry.Receipt); err != nil {
			t.Errorf("%s, index %d: %v", entry.Kind, entry.Index, err)
		}
		note := must(tlog.ParseReceipt(entry.Receipt)).Checkpoint()
		if lines := 2 + len(r.trust.Policy().Logs()); bytes.Count(note, []byte("\n— ")) != lines || (lines == 3) != postQuantum {
			t.Errorf("%s, index %d: not signed with each of the log's keys", entry.Kind, entry.Index)
		}
	}
	if err := s.accept(opened.Receipt); err != nil {
		t.Errorf("the receipt as it travelled: %v", err)
	}
	for _, final := range r.final("clinician", ev.ItemOf(id)) {
		if s.timestamps(final) == 0 {
			t.Error("a final receipt without a time stamp")
		}
		if err := s.accept(final); err != nil {
			t.Errorf("a final receipt: %v", err)
		}
	}
	stranger := must(newStock(start(t, false).trust.TrustedRoot(), keys...))
	if err := stranger.accept(opened.Receipt); err == nil {
		t.Error("accepted under the trusted root of another vault")
	}
}
