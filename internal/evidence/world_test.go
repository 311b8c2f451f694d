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
	leaves []Hash   // of log

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
	w.log, w.leaves = append(w.log, e), append(w.leaves, s.Tip().Leaf)
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

func (w *world) revokeActor(name string) {
	w.t.Helper()
	w.do(w.event("administrator", ActorOf(w.p(name).signer.ID), ActorRevoked, &ActorRevokedDetails{CauseDeparture}))
}

func (w *world) suspend(name string, d time.Duration) {
	w.t.Helper()
	w.do(w.event("custodian", ActorOf(w.p(name).signer.ID), ActorSuspended, &ActorSuspendedDetails{CauseMisconduct, w.now.Add(d)}))
}

var day = 24 * time.Hour

func (w *world) configuration() *VaultConfiguredDetails {
	return &VaultConfiguredDetails{Rules: RulesVersion, Recovery: recoveryRecipient, LogKeys: []string{"bG9n"}, Version: "1.0.0",
		Policy: VaultPolicy{ConfirmWait: 7 * 86400, DecisionTime: 7 * 86400, BinWait: 14 * 86400, WithdrawalWait: 3 * 86400, ReviewTime: 3 * 86400, HoldTime: 3 * 86400, BackupHorizon: 30 * 86400}}
}

// configure changes the policy as two persons do, and waits until it counts.
func (w *world) configure(change func(*VaultConfiguredDetails)) {
	w.t.Helper()
	policy, d := PolicyOf(origin), w.configuration()
	change(d)
	s := w.do(w.event("administrator", policy, VaultConfigured, d)).(*PolicyState)
	w.do(w.event("custodian", policy, VaultConfirmed, &VaultConfirmedDetails{s.Last.Leaf}))
	w.now = w.facts.States[policy].(*PolicyState).Effective
}

// underRules makes the vault one that lives by an earlier version of the rules.
func (w *world) underRules(version int64) {
	s := *w.facts.States[PolicyOf(origin)].(*PolicyState)
	s.Rules = version
	w.facts.States[PolicyOf(origin)] = &s
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

func (builder) Helper() {}

func (builder) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (builder) Fatalf(s string, args ...any) { panic(fmt.Sprintf(s, args...)) }

// fork copies a world for a test of its own. States are never changed, so they may be shared.
func (w *world) fork(t tb) *world {
	c := *w
	c.t, c.facts.Founders = t, slices.Clone(w.facts.Founders)
	c.log, c.leaves = slices.Clone(w.log), slices.Clone(w.leaves)
	c.facts.States, c.people = maps.Clone(w.facts.States), map[string]*person{}
	for name, p := range w.people {
		own := *p
		c.people[name] = &own
	}
	return &c
}
