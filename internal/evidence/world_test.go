package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a small vault in memory: people, streams and a clock. Its builders make events that are valid until a test changes them.
type world struct {
	t      tb
	now    Time
	facts  Facts
	people map[string]*person
	serial uint64
	log    []*Event // accepted

	cas  CaseID
	con  ConsentID
	form ItemID
}

// tb is what testing.T, testing.B, testing.F and rapid.T share.
type tb interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

type person struct {
	signer Signer
	keys   Keys
}

func (p *person) fingerprint() Hash {
	spki, _ := decodeBase64(p.keys.Key)
	return Fingerprint(spki, p.keys.Recipient)
}

const origin = "vault.example"

var recoveryRecipient = fakeRecipient(SHA256([]byte("recovery")))

func (w *world) unique() Hash {
	w.serial++
	return SHA256(binary.BigEndian.AppendUint64(nil, w.serial))
}

// made is NewID without chance, so that a failing history can be repeated.
func made[T id](w *world) T {
	h := w.unique()
	var t T
	return T(t.prefix() + "-" + idEncoding.EncodeToString(h[:16]))
}

func fakeRecipient(h Hash) string {
	var b strings.Builder
	b.WriteString(recipientPrefix)
	for i := 0; b.Len() < recipientLength; i++ {
		b.WriteByte(bech32[h[i%len(h)]%32])
	}
	return b.String()
}

func (w *world) keys(role Role, founder bool) Keys {
	a, b := w.unique(), w.unique()
	k := Keys{Key: base64.StdEncoding.EncodeToString(slices.Concat([]byte(spkiP256), a[:], b[:]))}
	if !role.Keyless() {
		k.Recipient = fakeRecipient(w.unique())
	}
	if !founder {
		k.Possession, k.Invitation = base64.StdEncoding.EncodeToString(a[:]), w.unique()
	}
	return k
}

// meet makes a person who is not enrolled yet.
func (w *world) meet(name string, role Role, founder bool) *person {
	p := &person{Signer{ID: made[ActorID](w), Role: role, Organization: made[OrgID](w)}, w.keys(role, founder)}
	if role == Vault {
		p.signer.Organization = ""
	}
	w.people[name] = p
	return p
}

func (p *person) founder() Founder {
	spki, _ := decodeBase64(p.keys.Key)
	return Founder{p.signer.ID, p.signer.Role, SHA256(spki)}
}

func (w *world) p(name string) *person {
	p, ok := w.people[name]
	if !ok {
		w.t.Fatalf("no %s in the world", name)
	}
	return p
}

// event makes a valid event as far as the world can: position, subjects, relied_on.
func (w *world) event(by string, s Stream, k Kind, d Details, set ...func(*Event)) *Event {
	e := &Event{Vault: origin, Kind: k, Actor: w.p(by).signer, Tool: Tool{"strongroom", "1.0.0", ""}, Details: d, Time: w.now}
	e.Stream.Type, e.Stream.ID = s.Type, s.ID
	if s.Type == ItemStream || s.Type == ConsentStream {
		e.Case = w.cas
	}
	for _, f := range set {
		f(e)
	}
	w.finish(e)
	return e
}

// finish puts e at the end of its stream and onto the present state of everything else.
func (w *world) finish(e *Event) {
	own := w.facts.States[e.Stream.Stream()]
	e.Stream.Seq, e.Stream.Prev = 0, Hash{}
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	e.Subject = e.Subjects(own)
	e.ReliedOn = ReliedOn(w.facts, e)
}

// try applies e to nothing but what it says it stands on, and checks that nothing given was changed.
func (w *world) try(e *Event) (State, error) {
	w.t.Helper()
	f := Facts{Origin: w.facts.Origin, Founders: w.facts.Founders, States: map[Stream]State{}}
	own := w.facts.States[e.Stream.Stream()]
	for _, s := range append(StandsOn(own, e), e.Stream.Stream()) {
		if state := w.facts.States[s]; state != nil {
			f.States[s] = state
		}
	}
	before := dump(w.t, f, e)
	s, err := Apply(f, e, w.unique())
	if after := dump(w.t, f, e); !bytes.Equal(before, after) {
		w.t.Fatalf("%s changed what it was given:\n%s\n%s", e.Kind, before, after)
	}
	if (s == nil) == (err == nil) {
		w.t.Fatalf("%s: a state %t and an error %v", e.Kind, s != nil, err)
	}
	return s, err
}

func dump(t tb, f Facts, e *Event) []byte {
	states := map[string]State{}
	for s, state := range f.States {
		states[string(s.Type)+s.ID] = state
	}
	b, err := json.Marshal([]any{states, e, e.Subject})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// do applies an event that must be accepted.
func (w *world) do(e *Event) State {
	w.t.Helper()
	s, err := w.try(e)
	if err != nil {
		w.t.Fatalf("%s by %s: %v", e.Kind, e.Actor.Role, err)
	}
	w.accept(e, s)
	return s
}

func (w *world) accept(e *Event, s State) {
	w.facts.States[e.Stream.Stream()] = s
	w.log = append(w.log, e)
	w.now = w.now.Add(time.Second)
}

// refuse applies an event that must be refused for this reason.
func (w *world) refuse(e *Event, kind ErrorKind, reason string) {
	w.t.Helper()
	_, err := w.try(e)
	refused(w.t, err, kind, reason)
}

// reasonsSeen is what some test has met; TestMain compares it with the list.
var reasonsSeen = map[string]bool{}

func refused(t tb, err error, kind ErrorKind, reason string) {
	t.Helper()
	if KindOf(err) != kind || ReasonOf(err) != reason {
		t.Fatalf("got %v, want %s: %s", err, kind, reason)
	}
	reasonsSeen[reason] = true
}

// TestMain demands, when every test ran, that each reason of the list was met by a test.
func TestMain(m *testing.M) {
	code := m.Run()
	partial := slices.ContainsFunc(os.Args, func(a string) bool {
		return strings.HasPrefix(a, "-test.run=") || strings.HasPrefix(a, "-test.fuzz") || strings.HasPrefix(a, "-test.skip=") || strings.HasPrefix(a, "-test.list=")
	})
	if code == 0 && !partial {
		for _, r := range listedReasons() {
			if !reasonsSeen[r] {
				fmt.Printf("no test is refused for %q\n", r)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// listedReasons reads reasons.go.
func listedReasons() (list []string) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "reasons.go", nil, parser.ParseComments)
	if err != nil {
		panic(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if v.Comment == nil {
				panic("reasons.go: " + v.Names[0].Name + " is not explained")
			}
			s, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			list = append(list, s)
		}
		return true
	})
	return list
}

// enrol brings a person in: founders by themselves, others by the one who may, confirmed by custodian 1 or 2.
func (w *world) enrol(name string, role Role, founder bool) *person {
	w.t.Helper()
	p := w.meet(name, role, founder)
	if founder {
		w.facts.Founders = append(w.facts.Founders, p.founder())
		w.do(w.enrolment(name, name))
		return p
	}
	by, then := "custodian", "custodian 2"
	if role.Staff() {
		by, then = "administrator", "custodian"
	}
	w.do(w.enrolment(by, name))
	w.do(w.confirmation(then, name))
	return p
}

func (w *world) enrolment(by, name string) *Event {
	p := w.p(name)
	return w.event(by, ActorOf(p.signer.ID), ActorEnrolled,
		&ActorEnrolledDetails{Keys: p.keys, Role: p.signer.Role, Organization: p.signer.Organization})
}

func (w *world) confirmation(by, name string) *Event {
	p := w.p(name)
	return w.event(by, ActorOf(p.signer.ID), ActorConfirmed, &ActorConfirmedDetails{p.fingerprint(), ByPhone})
}

func (w *world) rotation(by, name string) *Event {
	return w.event(by, ActorOf(w.p(name).signer.ID), ActorKeyRotated, &ActorKeyRotatedDetails{w.keys(w.p(name).signer.Role, false), CauseLoss})
}

// rotate gives a person new, confirmed keys.
func (w *world) rotate(by, then, name string) {
	w.t.Helper()
	e := w.rotation(by, name)
	w.do(e)
	w.people[name].keys = e.Details.(*ActorKeyRotatedDetails).Keys
	w.do(w.confirmation(then, name))
}

func (w *world) suspend(name string, d time.Duration) {
	w.t.Helper()
	w.do(w.event("custodian", ActorOf(w.p(name).signer.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(d)}))
}

var day = 24 * time.Hour

func (w *world) configuration() *VaultConfiguredDetails {
	return &VaultConfiguredDetails{Rules: 1, Recovery: recoveryRecipient, LogKeys: []string{"bG9n"}, Version: "1.0.0",
		Policy: VaultPolicy{ConfirmWait: 7 * 86400, DecisionTime: 7 * 86400, BinWait: 14 * 86400, WithdrawalWait: 3 * 86400, ReviewTime: 3 * 86400, HoldTime: 3 * 86400, BackupHorizon: 30 * 86400}}
}

// newVault is a vault after init: the vault's key, the policy, two founders.
func newVault(t tb) *world { return vaultWorld().fork(t) }

var vaultWorld = sync.OnceValue(func() *world {
	w := &world{t: builder{}, now: At(time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)), people: map[string]*person{}, facts: Facts{Origin: origin, States: map[Stream]State{}}}
	w.enrol("vault", Vault, true)
	w.do(w.event("vault", PolicyOf(origin), VaultConfigured, w.configuration()))
	w.enrol("administrator", Administrator, true)
	w.enrol("custodian", Custodian, true)
	return w
})

// builder fails where no test is running yet.
type builder struct{}

func (builder) Helper()                      {}
func (builder) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (builder) Fatalf(s string, args ...any) { panic(fmt.Sprintf(s, args...)) }

// fork copies a world for a test of its own. States are never changed, so they may be shared.
func (w *world) fork(t tb) *world {
	c := *w
	c.t, c.log, c.facts.Founders = t, slices.Clone(w.log), slices.Clone(w.facts.Founders)
	c.facts.States, c.people = maps.Clone(w.facts.States), map[string]*person{}
	for name, p := range w.people {
		own := *p
		c.people[name] = &own
	}
	return &c
}

// newCase adds everybody, and an open case: the clinician, the investigator and three custodians are members, keyholders are all but the investigator.
func newCase(t tb) *world { return caseWorld().fork(t) }

var caseWorld = sync.OnceValue(func() *world {
	w := newVault(builder{})
	for _, p := range []struct {
		name string
		role Role
	}{
		{"custodian 2", Custodian}, {"custodian 3", Custodian}, {"clinician", Clinician}, {"investigator", Investigator}, {"auditor", Auditor},
		{"auditor 2", Auditor}, {"outsider", Custodian}, {"court", Court}, {"court 2", Court}, {"prosecutor", Prosecutor}, {"police", Police},
		{"defence", Defence}, {"survivor", Survivor}, {"advocate", Advocate}, {"trustee", Trustee}, {"trustee 2", Trustee},
	} {
		w.enrol(p.name, p.role, false)
	}
	w.cas = made[CaseID](w)
	w.do(w.opening())
	return w
})

var allRights = []Right{MayApprove, MayDeposit, OnDuty, MayManage, MayOpen}

func (w *world) member(name string, rights ...Right) Member {
	return Member{w.p(name).signer.ID, rights, 0}
}

func (w *world) holder(name string) Keyholder {
	return Keyholder{w.p(name).signer.ID, w.p(name).fingerprint()}
}

func (w *world) opening() *Event {
	d := &CaseOpenedDetails{Type: "case", Recovery: Fingerprint(nil, recoveryRecipient),
		Members: []Member{w.member("clinician", MayDeposit, MayOpen), w.member("investigator", MayDeposit),
			w.member("custodian", MayApprove, MayManage, MayOpen), w.member("custodian 2", MayApprove, MayOpen), w.member("custodian 3")},
		Keyring: []Keyholder{w.holder("clinician"), w.holder("custodian"), w.holder("custodian 2"), w.holder("custodian 3")}}
	d.LabelKey = w.label(d.Recovery, "clinician", "investigator", "custodian", "custodian 2", "custodian 3")
	sortCase(d)
	return w.event("clinician", CaseOf(w.cas), CaseOpened, d)
}

func sortCase(d *CaseOpenedDetails) {
	slices.SortFunc(d.Members, func(a, b Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
}

// label makes a new label key for recovery and these people.
func (w *world) label(recovery Hash, names ...string) LabelKey {
	k := LabelKey{Recipient: fakeRecipient(w.unique()), Envelopes: []EnvelopeRef{{recovery, w.unique()}}}
	for _, n := range names {
		k.Envelopes = append(k.Envelopes, EnvelopeRef{w.p(n).fingerprint(), w.unique()})
	}
	slices.SortFunc(k.Envelopes, byRecipient)
	return k
}

func (w *world) theCase() *CaseState { return w.facts.States[CaseOf(w.cas)].(*CaseState) }

var everyAnswer = Answers{Examination: Yes, Photographs: Yes, Storage: Yes, PoliceInformation: Yes, PolicePhotographs: Yes, PolicePhysical: Yes,
	Courts: []CourtAnswer{{"DE", Yes, Yes, Yes}}, Research: No}

// newConsented is newCase with a consent that says yes to everything asked.
func newConsented(t tb) *world { return consentedWorld().fork(t) }

var consentedWorld = sync.OnceValue(func() *world {
	w := newCase(builder{})
	w.con = made[ConsentID](w)
	w.form = w.depositForm()
	w.do(w.giving("clinician", everyAnswer))
	return w
})

func (w *world) depositForm() ItemID { return w.formBy("clinician") }

func (w *world) formBy(name string) ItemID {
	w.t.Helper()
	e := w.aForm(name)
	w.do(e)
	return ItemID(e.Stream.ID)
}

// aForm is the deposit of a consent form.
func (w *world) aForm(by string) *Event {
	return w.deposit(by, Testimony, func(e *Event) { e.Details.(*ItemDepositedDetails).Class, e.Consent = ConsentForm, nil })
}

// giving is the next version of the consent.
func (w *world) giving(by string, a Answers) *Event {
	d := &ConsentGivenDetails{Version: 1, Answers: a, From: w.now.Add(-time.Hour), Until: w.now.Add(365 * day), By: "self", Form: w.form}
	if s, ok := w.facts.States[ConsentOf(w.con)].(*ConsentState); ok {
		d.Version = s.Version + 1
	}
	return w.event(by, ConsentOf(w.con), ConsentGiven, d)
}

// answer gives the next version of the consent, with a form of its own.
func (w *world) answer(by string, a Answers, set ...func(*ConsentGivenDetails)) {
	w.t.Helper()
	w.form = w.depositForm()
	e := w.giving(by, a)
	for _, f := range set {
		f(e.Details.(*ConsentGivenDetails))
	}
	w.do(e)
}

func (w *world) withdraw() {
	w.t.Helper()
	w.do(w.event("custodian 3", ConsentOf(w.con), ConsentWithdrawn, &ConsentWithdrawnDetails{"1234-5678"}))
}

func (w *world) consent() *ConsentState { return w.facts.States[ConsentOf(w.con)].(*ConsentState) }

func (w *world) ref() ConsentRef { return ConsentRef{w.con, w.consent().Version} }

// noted adds a note.
func noted(name string, to Audience) func(*Event) {
	return func(e *Event) { e.Notes = []Note{{name, to, SHA256([]byte(name)), 512}} }
}

// envelopes are for the keyring of the case and recovery.
func (w *world) envelopes() []EnvelopeRef {
	c := w.theCase()
	list := []EnvelopeRef{{c.Recovery, w.unique()}}
	for _, k := range c.Keyring {
		list = append(list, EnvelopeRef{k.Fingerprint, w.unique()})
	}
	slices.SortFunc(list, byRecipient)
	return list
}

// deposit is a new original on the consent.
func (w *world) deposit(by string, content Content, set ...func(*Event)) *Event {
	d := &ItemDepositedDetails{ItemRecipient: fakeRecipient(w.unique()), Class: Original, Content: content, Basis: ByConsent,
		Evidence: Evidence{w.unique(), 1000, w.unique()}, Description: File{w.unique(), 4500}, Label: File{w.unique(), 900}, Envelopes: w.envelopes()}
	if content == IdentityContent {
		d.Class = Identity
	}
	onConsent := func(e *Event) {
		if w.con != "" {
			if s, ok := w.facts.States[ConsentOf(w.con)].(*ConsentState); ok {
				e.Consent = []ConsentRef{{w.con, s.Version}}
			}
		}
	}
	return w.event(by, ItemOf(made[ItemID](w)), ItemDeposited, d, append([]func(*Event){onConsent}, set...)...)
}

// onOrder turns a deposit into one on a court order.
func onOrder(e *Event) {
	e.Details.(*ItemDepositedDetails).Basis = CourtOrder
	e.Consent = nil
	e.Authority = &Authority{Basis: CourtOrder}
	e.Notes = []Note{{"authority", ToInternal, SHA256([]byte("n")), 512}}
}

// item deposits an original and returns it.
func (w *world) item(by string, content Content, set ...func(*Event)) ItemID {
	w.t.Helper()
	e := w.deposit(by, content, set...)
	w.do(e)
	return ItemID(e.Stream.ID)
}

func (w *world) state(id ItemID) *ItemState { return w.facts.States[ItemOf(id)].(*ItemState) }

func (w *world) on(id ItemID, by string, k Kind, d Details, set ...func(*Event)) *Event {
	return w.event(by, ItemOf(id), k, d, set...)
}

func (w *world) seal(id ItemID) {
	w.t.Helper()
	w.do(w.on(id, "custodian", ItemSealed, &ItemSealedDetails{1, id}))
}

func (w *world) open(id ItemID, by string) *Event {
	e, _ := w.state(id).Envelope(w.p(by).fingerprint())
	digest := e.SHA256
	if digest.IsZero() {
		digest = w.unique()
	}
	return w.on(id, by, ItemOpened, &ItemOpenedDetails{digest}, func(e *Event) { e.Purpose = ForInvestigation })
}

func (w *world) verify(id ItemID, by, scope string, o Outcome) *Event {
	found := w.state(id).Evidence.SHA256
	if o == Failure {
		found = w.unique()
	}
	return w.on(id, by, ItemVerified, &ItemVerifiedDetails{scope, found}, func(e *Event) { e.Result = &Result{Outcome: o} })
}

// proposal is a grant to a court, police … of the world, for a week from now, in Germany.
func (w *world) proposal(id ItemID, by, to string) *Event {
	refs := []ConsentRef{}
	for _, c := range w.state(id).Consent {
		refs = append(refs, ConsentRef{c, w.facts.States[ConsentOf(c)].(*ConsentState).Version})
	}
	basis := "consent"
	if len(refs) == 0 {
		basis = "court_order"
	}
	r := w.p(to)
	return w.on(id, by, GrantProposed, &GrantProposedDetails{Terms{
		Actions: []Action{Download, View}, Consent: refs, Expires: w.now.Add(7 * day), ID: made[GrantID](w), Item: id, Jurisdiction: "DE",
		LegalBasis: basis, NotBefore: w.now, Purpose: ForAdjudication, Recipient: Keyholder{r.signer.ID, r.fingerprint()}, RecipientClass: r.signer.Role}})
}

func (w *world) approval(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantApproved, &GrantApprovedDetails{g, w.state(id).Grant(g).Terms.Digest()})
}

// granted proposes and approves a grant.
func (w *world) granted(id ItemID, to string) GrantID {
	w.t.Helper()
	e := w.proposal(id, "clinician", to)
	w.do(e)
	g := e.Details.(*GrantProposedDetails).ID
	w.do(w.approval(id, "custodian", g))
	return g
}

func (w *world) wrap(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, ItemEnvelopeAdded, &ItemEnvelopeAddedDetails{
		EnvelopeRef{w.state(id).Grant(g).Terms.Recipient.Fingerprint, w.unique()}, CauseGrant, g})
}

func (w *world) redemption(id ItemID, by string, g GrantID) *Event {
	e, _ := w.state(id).Envelope(w.p(by).fingerprint())
	digest := e.SHA256
	if digest.IsZero() {
		digest = w.unique()
	}
	return w.on(id, by, GrantRedeemed, &GrantRedeemedDetails{g, View, digest})
}

func (w *world) receipt(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantAcknowledged, &GrantAcknowledgedDetails{g, w.state(id).Evidence.SHA256, true, "strongroom-verify 1.0.0"})
}

func (w *world) export(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, ItemExported, &ItemExportedDetails{"package", g, strings.Repeat("a7", 16), w.unique()})
}

func (w *world) revoke(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantRevoked, &GrantRevokedDetails{g, CauseRequest})
}

func (w *world) expire(id ItemID, g GrantID) *Event {
	return w.on(id, "vault", GrantExpired, &GrantExpiredDetails{g})
}

func (w *world) refusal(id ItemID, by string, g GrantID) *Event {
	return w.on(id, by, GrantRefused, &GrantRefusedDetails{g}, func(e *Event) {
		e.Notes = []Note{{"reason", ToInternal, w.unique(), 1024}}
	})
}

// newShared is newConsented with a sealed clinical item and an active grant to the court, whose envelope is written.
func newShared(t tb) (*world, ItemID, GrantID) {
	w := newConsented(t)
	id := w.item("clinician", Clinical)
	w.seal(id)
	g := w.granted(id, "court")
	w.do(w.open(id, "custodian"))
	w.do(w.wrap(id, "custodian", g))
	return w, id, g
}
