package dossier

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

const origin = "vault.example"

var day = 24 * time.Hour

// world is a vault in memory with people who have real keys and a log with real proofs. Its builders make lawful events; a test that
// wants another one changes it and makes the vault log it all the same, as a vault that lies would.
type world struct {
	t      testing.TB
	now    ev.Time
	people map[string]*person
	facts  ev.Facts

	logKey *ecdsa.PrivateKey
	signer note.Signer
	tree   *testonly.Tree
	logged []logged
	events map[ev.Stream][]int // places in logged, by seq
	trust  tlog.Trust
	notes  map[int][]byte // checkpoints by size

	recovery sealing.Identity
	cas      ev.CaseID
	con      ev.ConsentID
	form     ev.ItemID
	grant    ev.GrantID
	files    map[ev.ItemID]*deposited

	// How a test makes people lie:
	change   func()                             // after the court's envelope is made
	describe func(sha string, size int) string  // what a description says
	more     []File                             // in the package
	attest   func(size int, note []byte) []byte // what is put on a checkpoint
}

type logged struct {
	signed *custody.Signed
	seq    int64
}

type person struct {
	ev.Signer
	key *custody.Key
	age sealing.Identity
}

// deposited are the files of an item.
type deposited struct {
	key         sealing.ItemKey
	plaintext   []byte
	evidence    []byte
	description []byte
	envelopes   map[string][]byte // by name of the person
}

func (p *person) recipient() string {
	if p.Role.Keyless() {
		return ""
	}
	return p.age.Recipient()
}

func (p *person) fingerprint() ev.Hash { return ev.Fingerprint(p.key.SPKI(), p.recipient()) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) meet(name string, role ev.Role) *person {
	p := &person{ev.Signer{ID: ev.NewID[ev.ActorID](), Role: role, Organization: ev.NewID[ev.OrgID]()}, must(custody.GenerateKey()), must(sealing.NewIdentity())}
	if role == ev.Vault {
		p.Organization = ""
	}
	w.people[name] = p
	return p
}

// event makes an event at the end of its stream, on the present state of everything else.
func (w *world) event(by string, s ev.Stream, k ev.Kind, d ev.Details, set ...func(*ev.Event)) *ev.Event {
	e := &ev.Event{Vault: origin, Kind: k, Actor: w.people[by].Signer, Tool: ev.Tool{Name: "strongroom", Version: "1.0.0"}, Details: d, Time: w.now}
	e.Stream.Type, e.Stream.ID = s.Type, s.ID
	if s.Type == ev.ItemStream || s.Type == ev.ConsentStream {
		e.Case = w.cas
	}
	own := w.facts.States[s]
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	for _, f := range set {
		f(e)
	}
	e.Subject = e.Subjects(own)
	if e.ReliedOn == nil {
		e.ReliedOn = ev.ReliedOn(w.facts, e)
	}
	return e
}

// do signs an event, applies the law and logs it.
func (w *world) do(e *ev.Event) *custody.Signed {
	w.t.Helper()
	s := w.sign(e)
	state, err := ev.Apply(w.facts, e, s.LeafHash())
	if err != nil {
		w.t.Fatalf("%s by %s: %v", e.Kind, e.Actor.Role, err)
	}
	w.accept(s, state)
	return s
}

func (w *world) sign(e *ev.Event) *custody.Signed {
	w.t.Helper()
	for _, p := range w.people {
		if p.ID == e.Actor.ID {
			s, err := custody.Sign(e, p.key.SPKI(), p.key)
			if err != nil {
				w.t.Fatalf("%s: %v", e.Kind, err)
			}
			return s
		}
	}
	w.t.Fatal("nobody signs")
	return nil
}

// accept logs an event whatever the law says.
func (w *world) accept(s *custody.Signed, state ev.State) {
	id := s.Event().Stream.Stream()
	w.facts.States[id] = state
	w.events[id] = append(w.events[id], len(w.logged))
	w.logged = append(w.logged, logged{s, s.Event().Stream.Seq})
	w.tree.AppendData(s.Leaf())
	w.now = w.now.Add(time.Second)
}

// force logs an event that the law refuses, in a stream whose state stays as it was but for its tip.
func (w *world) force(e *ev.Event, set func(ev.State) ev.State) *custody.Signed {
	w.t.Helper()
	s := w.sign(e)
	if _, err := ev.Apply(w.facts, e, s.LeafHash()); err == nil {
		w.t.Fatalf("%s is lawful", e.Kind)
	}
	state := w.facts.States[e.Stream.Stream()]
	if set != nil {
		state = set(state)
	}
	tip := ev.Tip{Seq: e.Stream.Seq, Leaf: s.LeafHash(), Time: e.Time}
	switch old := state.(type) {
	case *ev.ItemState:
		n := *old
		n.Last = tip
		state = &n
	case *ev.ActorState:
		n := *old
		n.Last = tip
		state = &n
	}
	w.accept(s, state)
	return s
}

// checkpoint is the signed note of a size.
func (w *world) checkpoint(size int) []byte {
	if w.notes[size] == nil {
		w.notes[size] = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(size), Root: tlog.Hash(w.tree.HashAt(uint64(size)))}, w.signer))
		if w.attest != nil {
			w.notes[size] = w.attest(size, w.notes[size])
		}
	}
	return w.notes[size]
}

func (w *world) parts(i, size int) tlog.ReceiptParts {
	s := w.logged[i].signed
	return tlog.ReceiptParts{LogID: must(tlog.LogID(&w.logKey.PublicKey)), Leaf: s.Leaf(), Index: int64(i), Proof: must(w.tree.InclusionProof(uint64(i), uint64(size))),
		Checkpoint: w.checkpoint(size), PayloadType: custody.PayloadType, Payload: s.Payload(), Signature: s.Signature(), KeyID: tlog.Hash(s.KeyID())}
}

// receipt is that of the event at index i under the checkpoint of a size.
func (w *world) receipt(i, size int) []byte { return must(tlog.NewReceipt(w.parts(i, size))).Marshal() }

func (w *world) enrol(name string, role ev.Role, founder bool) {
	w.t.Helper()
	p := w.meet(name, role)
	if founder {
		keys := ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient()}
		d := &ev.ActorEnrolledDetails{Keys: keys, Role: role, Organization: p.Organization}
		w.facts.Founders = append(w.facts.Founders, ev.Founder{Actor: p.ID, Role: role, Key: custody.KeyID(p.key.SPKI())})
		w.do(w.event(name, ev.ActorOf(p.ID), ev.ActorEnrolled, d))
		return
	}
	if role.Staff() {
		w.welcome(name, "administrator", "custodian")
	} else {
		w.welcome(name, "custodian", "custodian 2")
	}
}

// welcome enrols somebody whom two others bring in.
func (w *world) welcome(name, by, then string) {
	w.t.Helper()
	p := w.people[name]
	d := &ev.ActorEnrolledDetails{Role: p.Role, Organization: p.Organization}
	d.Keys = ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()), Recipient: p.recipient(), Invitation: ev.SHA256([]byte(name))}
	d.Possession = possess(p, d.Invitation)
	w.do(w.event(by, ev.ActorOf(p.ID), ev.ActorEnrolled, d))
	w.do(w.event(then, ev.ActorOf(p.ID), ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone}))
}

func (w *world) founders(names ...string) []tlog.Founder {
	var list []tlog.Founder
	for _, name := range names {
		p := w.people[name]
		list = append(list, tlog.Founder{Actor: string(p.ID), Key: p.key.SPKI(), Role: string(p.Role)})
	}
	return list
}

func possess(p *person, invitation ev.Hash) string {
	dsse := must(custody.Possession{Vault: origin, Actor: p.ID, Fingerprint: p.fingerprint(), Invitation: invitation}.Sign(p.key.SPKI(), p.key))
	_, s, err := custody.OpenPossession(dsse)
	must(0, err)
	return base64.StdEncoding.EncodeToString(s.DER)
}

// newWorld is a vault with a case, a consent and everybody in place.
func newWorld(t testing.TB) *world {
	w := &world{t: t, now: ev.At(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)), people: map[string]*person{}, facts: ev.Facts{Origin: origin, States: map[ev.Stream]ev.State{}},
		logKey: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), tree: testonly.New(rfc6962.DefaultHasher), events: map[ev.Stream][]int{}, notes: map[int][]byte{},
		recovery: must(sealing.NewIdentity()), files: map[ev.ItemID]*deposited{}}
	w.signer = must(tlog.NewECDSANoteSigner(origin, &w.logKey.PublicKey, func(m []byte) ([]byte, error) {
		digest := sha256.Sum256(m)
		return ecdsa.SignASN1(rand.Reader, w.logKey, digest[:])
	}))
	w.enrol("vault", ev.Vault, true)
	w.do(w.event("vault", ev.PolicyOf(origin), ev.VaultConfigured, &ev.VaultConfiguredDetails{Rules: 1, Recovery: w.recovery.Recipient(), LogKeys: []string{"bG9n"}, Version: "1.0.0",
		Policy: ev.VaultPolicy{ConfirmWait: 7 * 86400, DecisionTime: 7 * 86400, BinWait: 14 * 86400, WithdrawalWait: 3 * 86400, ReviewTime: 3 * 86400, HoldTime: 3 * 86400, BackupHorizon: 30 * 86400}}))
	w.enrol("administrator", ev.Administrator, true)
	w.enrol("custodian", ev.Custodian, true)
	w.trust = must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: []tlog.Log{{Key: &w.logKey.PublicKey, Valid: tlog.Valid{Start: w.now.Std().Add(-day)}}},
		Founders: w.founders("administrator", "custodian", "vault")}))
	w.enrol("custodian 2", ev.Custodian, false)
	w.enrol("clinician", ev.Clinician, false)
	w.enrol("court", ev.Court, false)
	w.cas = ev.NewID[ev.CaseID]()
	d := &ev.CaseOpenedDetails{Type: "case", Recovery: ev.Fingerprint(nil, w.recovery.Recipient()), LabelKey: ev.LabelKey{Recipient: must(sealing.NewItemKey()).Recipient()}}
	d.LabelKey.Envelopes = []ev.EnvelopeRef{{Recipient: d.Recovery, SHA256: ev.SHA256([]byte("recovery"))}}
	for name, rights := range map[string][]ev.Right{"clinician": {ev.MayDeposit, ev.MayOpen}, "custodian": {ev.MayApprove, ev.MayManage, ev.MayOpen}, "custodian 2": {ev.MayApprove, ev.MayOpen}} {
		p := w.people[name]
		d.Members = append(d.Members, ev.Member{Actor: p.ID, Rights: rights})
		d.Keyring = append(d.Keyring, ev.Keyholder{Actor: p.ID, Fingerprint: p.fingerprint()})
		d.LabelKey.Envelopes = append(d.LabelKey.Envelopes, ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256([]byte(name))})
	}
	slices.SortFunc(d.Members, func(a, b ev.Member) int { return cmp.Compare(a.Actor, b.Actor) })
	slices.SortFunc(d.Keyring, func(a, b ev.Keyholder) int { return cmp.Compare(a.Actor, b.Actor) })
	slices.SortFunc(d.LabelKey.Envelopes, byRecipient)
	w.do(w.event("clinician", ev.CaseOf(w.cas), ev.CaseOpened, d))
	w.form = w.deposit("the form", func(e *ev.Event) {
		e.Consent = nil
		e.Details.(*ev.ItemDepositedDetails).Class = ev.ConsentForm
	})
	w.con = ev.NewID[ev.ConsentID]()
	w.do(w.event("clinician", ev.ConsentOf(w.con), ev.ConsentGiven, &ev.ConsentGivenDetails{Version: 1, From: w.now.Add(-time.Hour), Until: w.now.Add(365 * day), By: "self", Form: w.form,
		Answers: ev.Answers{Examination: ev.Yes, Photographs: ev.Yes, Storage: ev.Yes, PoliceInformation: ev.No, PolicePhotographs: ev.No, PolicePhysical: ev.No, Research: ev.No,
			Courts: []ev.CourtAnswer{{Jurisdiction: "DE", Information: ev.Yes, Photographs: ev.Yes, Physical: ev.No}}}}))
	return w
}

func byRecipient(a, b ev.EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) }

// deposit seals a text by the clinician and deposits it.
func (w *world) deposit(text string, set ...func(*ev.Event)) ev.ItemID {
	w.t.Helper()
	id, key := ev.NewID[ev.ItemID](), must(sealing.NewItemKey())
	f := &deposited{key: key, plaintext: []byte(text), envelopes: map[string][]byte{}}
	var file bytes.Buffer
	sealed := must(sealing.Encrypt(&file, strings.NewReader(text), key))
	f.evidence = file.Bytes()
	describe := w.describe
	if describe == nil {
		describe = func(sha string, size int) string {
			return fmt.Sprintf(`{"media_type":"text/plain","name":"finding.txt","sha256":"%s","size":%d}`, sha, size)
		}
	}
	f.description = must(sealing.SealDescription([]byte(describe(ev.Hash(sealed.Plaintext.SHA256).String(), len(text))), key.Recipient()))
	label := must(sealing.SealLabel("finding", key.Recipient()))
	d := &ev.ItemDepositedDetails{ItemRecipient: key.Recipient(), Class: ev.Original, Content: ev.Clinical, Basis: ev.ByConsent,
		Evidence:    ev.Evidence{SHA256: sealed.Ciphertext.SHA256, Size: sealed.Ciphertext.Size, Tree: sealed.Tree},
		Description: ev.File{SHA256: ev.SHA256(f.description), Size: int64(len(f.description))}, Label: ev.File{SHA256: ev.SHA256(label), Size: int64(len(label))}}
	d.Envelopes = []ev.EnvelopeRef{{Recipient: ev.Fingerprint(nil, w.recovery.Recipient()), SHA256: ev.SHA256([]byte("r"))}}
	for _, name := range []string{"clinician", "custodian", "custodian 2"} {
		p := w.people[name]
		f.envelopes[name] = must(sealing.WriteEnvelope(key, p.recipient()))
		d.Envelopes = append(d.Envelopes, ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256(f.envelopes[name])})
	}
	slices.SortFunc(d.Envelopes, byRecipient)
	w.do(w.event("clinician", ev.ItemOf(id), ev.ItemDeposited, d, append([]func(*ev.Event){func(e *ev.Event) {
		if w.con != "" {
			e.Consent = []ev.ConsentRef{{ID: w.con, Version: 1}}
		}
	}}, set...)...))
	w.files[id] = f
	return id
}

func (w *world) on(id ev.ItemID, by string, k ev.Kind, d ev.Details, set ...func(*ev.Event)) *ev.Event {
	return w.event(by, ev.ItemOf(id), k, d, set...)
}

func (w *world) seal(id ev.ItemID, exhibit int64) {
	w.t.Helper()
	w.do(w.on(id, "custodian", ev.ItemSealed, &ev.ItemSealedDetails{Exhibit: exhibit, Root: id}))
}

func (w *world) proposal(id ev.ItemID) *ev.Event {
	c := w.people["court"]
	return w.on(id, "clinician", ev.GrantProposed, &ev.GrantProposedDetails{Terms: ev.Terms{ID: w.grant, Item: id,
		Recipient: ev.Keyholder{Actor: c.ID, Fingerprint: c.fingerprint()}, RecipientClass: ev.Court, Actions: []ev.Action{ev.Download, ev.View},
		Purpose: ev.ForAdjudication, Jurisdiction: "DE", LegalBasis: "mla_request", NotBefore: w.now, Expires: w.now.Add(7 * day),
		Consent: []ev.ConsentRef{{ID: w.con, Version: 1}}}})
}

func (w *world) approval(id ev.ItemID, by string) *ev.Event {
	g := w.facts.States[ev.ItemOf(id)].(*ev.ItemState).Grant(w.grant)
	return w.on(id, by, ev.GrantApproved, &ev.GrantApprovedDetails{Grant: w.grant, Terms: g.Terms.Digest()})
}

// envelope opens the item as custodian 2 and adds the court's envelope.
func (w *world) envelope(id ev.ItemID) {
	w.t.Helper()
	f, c := w.files[id], w.people["court"]
	w.do(w.on(id, "custodian 2", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(f.envelopes["custodian 2"])}, func(e *ev.Event) { e.Purpose = ev.ForProsecution }))
	f.envelopes["court"] = must(sealing.WriteEnvelope(f.key, c.recipient()))
	if w.change != nil {
		w.change()
	}
	w.do(w.on(id, "custodian 2", ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Cause: ev.CauseGrant, Grant: w.grant,
		Envelope: ev.EnvelopeRef{Recipient: c.fingerprint(), SHA256: ev.SHA256(f.envelopes["court"])}}))
}

func (w *world) redemption(id ev.ItemID) *ev.Event {
	return w.on(id, "court", ev.GrantRedeemed, &ev.GrantRedeemedDetails{Grant: w.grant, Action: ev.Download, Envelope: ev.SHA256(w.files[id].envelopes["court"])})
}

// share takes an item from its seal to the court's acknowledgement.
func (w *world) share(id ev.ItemID) {
	w.t.Helper()
	w.do(w.proposal(id))
	w.do(w.approval(id, "custodian 2"))
	w.envelope(id)
	w.do(w.redemption(id))
	w.do(w.on(id, "court", ev.GrantAcknowledged, &ev.GrantAcknowledgedDetails{Grant: w.grant, Evidence: ev.SHA256(w.files[id].evidence), Equal: true, Verifier: "1.0.0"}))
}

// excerpt publishes the heads map and hands over the streams that these and all others named need.
func (w *world) excerpt(ids ...ev.Stream) Excerpt {
	w.t.Helper()
	covers := len(w.logged)
	entries := make([]heads.Entry, covers)
	for i, l := range w.logged {
		entries[i] = heads.Entry{Key: heads.Key(l.signed.Event().Stream.Stream().Tag(origin), uint64(l.seq)), Value: l.signed.LeafHash()}
	}
	tree := must(heads.Build(entries))
	w.do(w.event("vault", ev.VaultOf(origin), ev.VaultHeads, &ev.VaultHeadsDetails{Covers: int64(covers), Entries: int64(covers), Root: tree.Root()}))
	size := len(w.logged)
	x := Excerpt{Heads: w.receipt(covers, size)}
	ids = append(ids, must(Required(x.Heads))...)
	for i := 0; i < len(ids); i++ {
		id := ids[i]
		if id.Type == ev.VaultStream {
			continue
		}
		var receipts [][]byte
		for _, at := range w.events[id] {
			if at < covers {
				receipts = append(receipts, w.receipt(at, size))
			}
		}
		n := len(receipts)
		length := Length{N: int64(n), Absent: tree.Prove(heads.Key(id.Tag(origin), uint64(n)))}
		if n > 0 {
			member := tree.Prove(heads.Key(id.Tag(origin), uint64(n-1)))
			length.Member = &member
		}
		x.Streams = append(x.Streams, Stream{ID: id, Events: int64(n), Receipt: Held(receipts), Length: length})
		for _, next := range must(Required(receipts...)) {
			if !slices.Contains(ids, next) {
				ids = append(ids, next)
			}
		}
	}
	return x
}
