package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// grown is a vault whose log has one size, with what it has cost so far.
type grown struct {
	*world
	size   int64
	chains []*chain
	costs  map[string][]float64
}

// What P8 measures, with the unit.
const (
	oneEvent = "one event, 64 in flight, ms"
	receipt  = "a stored receipt, ms"
	page     = "a history page of 100, ms"
	proof    = "proof of a stream's length, ms"
	startUp  = "start-up, s"
	memory   = "anonymous memory at the most, MiB"
)

// growing is P8: the same work in vaults whose logs differ in size, in turn.
func growing(ctx context.Context, b *bench) result {
	sizes := []int64{1e4, 1e5}
	switch {
	case b.quick:
		sizes = []int64{1e3, 1e4}
	case b.large:
		sizes = append(sizes, 1e6)
	}
	r := result{ID: "P8", Title: "cost against the size of the log"}
	var vaults []*grown
	for _, size := range sizes {
		g := newGrown(ctx, b.dir, size)
		defer g.remove()
		vaults = append(vaults, g)
	}
	for range b.rounds {
		for _, g := range vaults {
			g.measure(ctx)
		}
	}
	for _, g := range vaults {
		for _, what := range []string{oneEvent, receipt, page, proof, startUp, memory} {
			at := strings.LastIndex(what, ", ")
			r.measure(fmt.Sprintf("%d events: %s", g.size, what[:at]), median(g.costs[what]), what[at+2:])
		}
	}
	first, last := vaults[0].costs, vaults[len(vaults)-1].costs
	for _, what := range []string{oneEvent, receipt, page, proof} {
		r.atMost("largest to smallest: "+what, median(last[what])/median(first[what]), 1.3)
	}
	r.atMost(startUp, median(last[startUp]), 2)
	r.atMost(memory, slices.Max(last[memory]), 256)
	return r
}

// newGrown makes a vault with 64 items, one of them with a long history, and fills its log with cases up to size.
func newGrown(ctx context.Context, dir string, size int64) *grown {
	g := &grown{world: newWorld(ctx, dir), size: size, costs: make(map[string][]float64)}
	in := g.openCase(ctx)
	consent := g.consent(ctx, in)
	for range inFlight {
		g.chains = append(g.chains, g.chainOn(ctx, g.deposit(ctx, in, consent, 1000)))
	}
	g.grow(ctx, 2*pageSize, g.chains[0].access, 1)
	g.grow(ctx, size-g.ledger.Size(), func() *custody.Signed { return g.caseOpened(ctx) }, 256)
	return g
}

const pageSize = 100

// grow brings n events in at the ledger, so many in flight: each is made once the one before it from the same client is in the log.
func (w *world) grow(ctx context.Context, n int64, next func() *custody.Signed, atOnce int) {
	var left atomic.Int64
	left.Store(n)
	var all crew
	for range atOnce {
		all.run(func() {
			for left.Add(-1) >= 0 {
				signed := next()
				must(w.ledger.Accept(ctx, ledger.Commit{Signed: signed}, w.ledger.Judge(signed)))
				must(w.ledger.Await(ctx, signed.LeafHash()))
			}
		})
	}
	all.wait()
}

// caseOpened is the first event of a case of its own, with both custodians.
func (w *world) caseOpened(ctx context.Context) *custody.Signed {
	p, recovery := w.custodian, evidence.Fingerprint(nil, w.recovery)
	d := &evidence.CaseOpenedDetails{Type: "case", Recovery: recovery, LabelKey: evidence.LabelKey{Recipient: w.recovery}}
	d.LabelKey.Envelopes = []evidence.EnvelopeRef{{Recipient: recovery, SHA256: evidence.SHA256(nil)}}
	for _, member := range []*person{w.custodian, w.second} {
		d.Members = append(d.Members, evidence.Member{Actor: member.Actor(), Rights: []evidence.Right{evidence.MayApprove, evidence.MayManage, evidence.MayOpen}})
		d.Keyring = append(d.Keyring, evidence.Keyholder{Actor: member.Actor(), Fingerprint: member.fingerprint()})
		d.LabelKey.Envelopes = append(d.LabelKey.Envelopes, evidence.EnvelopeRef{Recipient: member.fingerprint(), SHA256: evidence.SHA256(nil)})
	}
	slices.SortFunc(d.Members, func(a, b evidence.Member) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.Keyring, func(a, b evidence.Keyholder) int { return strings.Compare(string(a.Actor), string(b.Actor)) })
	slices.SortFunc(d.LabelKey.Envelopes, func(a, b evidence.EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) })
	e := &evidence.Event{
		Vault: origin, Kind: evidence.CaseOpened, Tool: tool, Time: evidence.At(time.Now()), Details: d,
		Actor:  evidence.Signer{ID: p.Actor(), Role: p.role, Organization: w.org},
		Stream: evidence.Position{Type: evidence.CaseStream, ID: string(evidence.NewID[evidence.CaseID]())},
	}
	e.Subject = e.Subjects(nil)
	states := must(w.db.States(ctx, evidence.StandsOn(nil, e)...))
	e.ReliedOn = evidence.ReliedOn(evidence.Facts{Origin: origin, States: states}, e)
	return must(custody.Sign(e, p.key.SPKI(), p.key))
}

// measure does one round.
func (g *grown) measure(ctx context.Context) {
	note := func(what string, value float64) { g.costs[what] = append(g.costs[what], value) }
	g.stop()
	seen := g.elsewhere()
	note(startUp, seen.Started)
	note(memory, seen.Memory)
	g.start(ctx)
	speed, _ := drive(sign(g.chains, 8, (*chain).access), func(s *custody.Signed) error { return g.submit(ctx, s) })
	note(oneEvent, 1000/speed)
	by := g.custodian.caller()
	for range 20 {
		start := rand.Int64N(g.ledger.Size() - 1)
		leaf := must(g.db.LogRange(ctx, start, start+1))[0].LeafHash
		note(receipt, milliseconds(timed(func() { must(g.db.Entry(ctx, leaf)) })))
		note(page, milliseconds(timed(func() { must(g.vault.Stream(ctx, by, g.chains[0].stream, pageSize-1, pageSize, false)) })))
		note(proof, milliseconds(timed(func() { must(g.ledger.Complete(ctx, []evidence.Stream{g.chains[0].stream}, 0)) })))
	}
}

// opened is what a vault in a process of its own reports.
type opened struct {
	Started float64 `json:"started_s"`
	Memory  float64 `json:"anonymous_mib"`
}

// keys are what another process needs to open the vault of this run.
type keys struct {
	Log    []byte           `json:"log"`
	Vault  []byte           `json:"vault"`
	Author evidence.ActorID `json:"author"`
	Trust  []byte           `json:"trust"`
}

// elsewhere opens the vault, which is stopped, in a process of its own and has it answer for a while.
func (w *world) elsewhere() (o opened) {
	k := keys{Log: must(w.logKey.PKCS8()), Vault: must(w.author.Signer.(*custody.Key).PKCS8()), Author: w.author.ID, Trust: w.trust.Marshal()}
	check(os.WriteFile(w.path("keys.json"), must(json.Marshal(k)), 0o600))
	out, err := exec.Command(must(os.Executable()), "-open", w.dir).Output()
	check(err)
	check(json.Unmarshal(out, &o))
	return o
}

// openOnce is that other process.
func openOnce(ctx context.Context, dir string) (o opened) {
	w := &world{dir: dir}
	var k keys
	check(json.Unmarshal(must(os.ReadFile(w.path("keys.json"))), &k))
	w.logKey, w.trust = must(custody.ParsePKCS8(k.Log)), must(tlog.ParseTrust(k.Trust))
	signer := must(custody.ParsePKCS8(k.Vault))
	w.author = ledger.Author{ID: k.Author, SPKI: signer.SPKI(), Signer: signer, Tool: evidence.Tool{Name: "strongroomd", Version: "benchmark"}}
	o.Started = timed(func() { w.start(ctx) }).Seconds()
	look := func() { o.Memory = max(o.Memory, anonymous()) }
	look()
	for range 200 {
		start := rand.Int64N(w.ledger.Size())
		entries := must(w.db.LogRange(ctx, start, start+pageSize))
		var streams []evidence.Stream
		for _, e := range entries[:min(len(entries), 16)] {
			streams = append(streams, e.Stream)
		}
		must(w.ledger.Complete(ctx, streams, 0))
		must(w.tree.Inclusion(ctx, start, w.ledger.Size()))
		look()
	}
	w.stop()
	return o
}

// anonymous is this process's resident memory that no file stands behind, in MiB.
func anonymous() float64 { return anonymousOf(os.Getpid()) }

func anonymousOf(pid int) float64 {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), "RssAnon"), " kB"), 64)
	if err != nil {
		return 0
	}
	return kib / 1024
}
