package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

// inFlight is how many events are on their way at the same time (P4).
const inFlight = 64

// chain signs one item's next events by the custodian before they are needed: each stands on the one before.
type chain struct {
	w      *world
	stream evidence.Stream
	item   *evidence.ItemState
	facts  evidence.Facts
}

func (w *world) chainOn(ctx context.Context, id evidence.ItemID) *chain {
	stream := evidence.ItemOf(id)
	item := must(w.db.States(ctx, stream))[stream].(*evidence.ItemState)
	c := &chain{w: w, stream: stream, item: item, facts: evidence.Facts{Origin: origin}}
	c.facts.States = must(w.db.States(ctx, append(evidence.StandsOn(item, c.event(evidence.ItemOpened, nil)), stream)...))
	return c
}

func (c *chain) event(kind evidence.Kind, d evidence.Details) *evidence.Event {
	p := c.w.custodian
	return &evidence.Event{
		Vault: origin, Kind: kind, Case: c.item.Case, Tool: tool, Time: max(evidence.At(time.Now()), c.item.Last.Time), Details: d,
		Actor:  evidence.Signer{ID: p.Actor(), Role: p.role, Organization: c.w.org},
		Stream: evidence.Position{Type: c.stream.Type, ID: c.stream.ID, Seq: c.item.Last.Seq + 1, Prev: c.item.Last.Leaf},
	}
}

// access is item.opened: it is answered with a release, too.
func (c *chain) access() *custody.Signed {
	ref, _ := c.item.Envelope(c.w.custodian.fingerprint())
	e := c.event(evidence.ItemOpened, &evidence.ItemOpenedDetails{Envelope: ref.SHA256})
	e.Purpose = evidence.ForInvestigation
	return c.sign(e)
}

// verification is item.verified, of an item that was opened before: it is answered with a receipt alone.
func (c *chain) verification() *custody.Signed {
	e := c.event(evidence.ItemVerified, &evidence.ItemVerifiedDetails{Scope: "content", Evidence: c.item.Evidence.SHA256})
	e.Purpose, e.Result = evidence.ForVerification, &evidence.Result{Outcome: evidence.Success}
	return c.sign(e)
}

func (c *chain) sign(e *evidence.Event) *custody.Signed {
	e.Subject = e.Subjects(c.item)
	e.ReliedOn = evidence.ReliedOn(c.facts, e)
	signed := must(custody.Sign(e, c.w.custodian.key.SPKI(), c.w.custodian.key))
	c.item = must(evidence.Apply(c.facts, signed.Event(), signed.LeafHash())).(*evidence.ItemState)
	c.facts.States[c.stream] = c.item
	return signed
}

// copy is a chain whose events the vault never gets.
func (c *chain) copy() *chain {
	return &chain{c.w, c.stream, c.item, evidence.Facts{Origin: origin, States: maps.Clone(c.facts.States)}}
}

// sign prepares the next n events of every chain, on all cores.
func sign(chains []*chain, n int, next func(*chain) *custody.Signed) [][]*custody.Signed {
	signed := make([][]*custody.Signed, len(chains))
	parallel(len(chains), func(i int) {
		for range n {
			signed[i] = append(signed[i], next(chains[i]))
		}
	})
	return signed
}

// drive has one client for each list of events, which waits for the answer to each before it sends the next. It returns events per
// second, and how long each waited, sorted.
func drive[T any](lists [][]T, do func(T) error) (float64, []time.Duration) {
	var all crew
	waits := make([][]time.Duration, len(lists))
	took := timed(func() {
		for i, list := range lists {
			all.run(func() {
				for _, t := range list {
					waits[i] = append(waits[i], timed(func() { check(do(t)) }))
				}
			})
		}
		all.wait()
	})
	sorted := slices.Sorted(slices.Values(slices.Concat(waits...)))
	return float64(len(sorted)) / took.Seconds(), sorted
}

// verified checks a receipt as its signer does: every byte is the signer's own or proved by the log's key.
func (w *world) verified(signed *custody.Signed, receipt []byte) error {
	r, err := tlog.ParseReceipt(receipt)
	if err != nil {
		return err
	}
	included, err := r.Verify(w.trust.LogKeys())
	if err != nil {
		return err
	}
	if evidence.Hash(included.LeafHash()) != signed.LeafHash() {
		return fmt.Errorf("receipt for another event")
	}
	return nil
}

// submit brings an event in at the vault's door and verifies the receipt.
func (w *world) submit(ctx context.Context, signed *custody.Signed) error {
	o, err := w.vault.Submit(ctx, w.custodian.caller(), vault.Submission{DSSE: signed.DSSE()})
	if err != nil {
		return err
	}
	if o.Receipt == nil || (o.Opening == nil) == (signed.Event().Kind == evidence.ItemOpened) {
		return fmt.Errorf("an answer without receipt or release")
	}
	return w.verified(signed, o.Receipt)
}

// post does the same through HTTP.
func (w *world) post(c *http.Client, url, token string, signed *custody.Signed) error {
	req, err := wire.NewSubmitEventRequest(url, wire.Submission{DSSE: signed.DSSE()})
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer wire.Included
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(body))
	}
	return w.verified(signed, answer.Receipt)
}

// token signs the custodian in.
func (w *world) token(ctx context.Context) string {
	challenge := must(w.auth.Challenge(ctx))
	m := custody.SignIn{Vault: origin, Actor: w.custodian.Actor(), Nonce: challenge.Nonce.String(), Time: evidence.At(time.Now())}
	token, _, err := w.auth.SignIn(ctx, must(m.Sign(w.custodian.key.SPKI(), w.custodian.key)))
	check(err)
	return token
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p))]
}

// events is P4.
func events(ctx context.Context, b *bench) result {
	each := 32 // events of each client in one round
	if b.quick {
		each = 8
	}
	w := newWorld(ctx, b.dir)
	defer w.remove()
	in := w.openCase(ctx)
	consent := w.consent(ctx, in)
	chains := make([]*chain, inFlight)
	for i := range chains {
		chains[i] = w.chainOn(ctx, w.deposit(ctx, in, consent, 1000))
	}
	token, web := w.token(ctx), &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	path := filepath.Join(w.dir, "tree-alone.db")
	tree := must(embedded.Create(ctx, path, embedded.Options{Logger: quiet()}))
	defer tree.Close()
	tessera := newTessera(ctx, filepath.Join(w.dir, "tessera"))
	defer tessera.stop(ctx)

	// round measures one round of a contestant: events per second, and beside it how long the slowest hundredth waited and what CPU time an
	// event took, clients included.
	p99, cpu := make(map[string][]float64), make(map[string][]float64)
	round := func(name string, lists func() [][]*custody.Signed, do func(*custody.Signed) error) contestant {
		return contestant{name, func() float64 {
			signed := lists()
			before := cpuTime()
			rate, waits := drive(signed, do)
			p99[name] = append(p99[name], milliseconds(percentile(waits, 0.99)))
			cpu[name] = append(cpu[name], milliseconds(cpuTime()-before)/float64(len(waits)))
			return rate
		}}
	}
	own := func(next func(*chain) *custody.Signed) func() [][]*custody.Signed {
		return func() [][]*custody.Signed { return sign(chains, each, next) }
	}
	others := func() [][]*custody.Signed {
		copies := make([]*chain, len(chains))
		for i, c := range chains {
			copies[i] = c.copy()
		}
		return sign(copies, each, (*chain).verification)
	}
	submit := func(s *custody.Signed) error { return w.submit(ctx, s) }
	_, _ = drive(sign(chains, 1, (*chain).access), submit)
	all := []contestant{
		round("vault.Submit", own((*chain).verification), submit),
		round("vault.Submit, an access with its release", own((*chain).access), submit),
		round("through HTTP", own((*chain).verification), func(s *custody.Signed) error { return w.post(web, w.url, token, s) }),
		round("limit: raw in-process Trillian, same storage", others, func(s *custody.Signed) error {
			_, err := tree.Append(ctx, []tlog.TreeLeaf{{Value: s.Leaf(), Extra: s.DSSE()}})
			return err
		}),
		round("limit: an event's P-256 verified, nothing else", others, verifiedOnce),
		round("peer: Tessera POSIX, checkpoint awaited", others, func(s *custody.Signed) error { return tessera.add(ctx, s.Leaf()) }),
	}
	medians := interleave(b.rounds, all...)
	r := result{ID: "P4", Title: fmt.Sprintf("custody events per second, each with a verified receipt, %d in flight", inFlight)}
	for i, c := range all {
		r.measure(c.name, medians[i], "events/s")
		r.measure(c.name+": p99", median(p99[c.name]), "ms")
		r.measure(c.name+": CPU of one, its client included", median(cpu[c.name]), "ms")
	}
	r.atLeast("of the raw tree", medians[0]/medians[3], 0.5)
	r.atLeast("× Tessera awaiting a checkpoint", medians[0]/medians[5], 3)
	r.atMost("p99, ms", median(p99[all[0].name]), 250)
	return r
}

// verifiedOnce is the least that an event costs in signatures: the vault verifies its signer's. That of a checkpoint serves a whole wave.
func verifiedOnce(s *custody.Signed) error {
	key, digest := must(custody.PublicKey(s.SPKI())), s.PAEDigest()
	if !ecdsa.VerifyASN1(key, digest[:], s.Signature()) {
		return fmt.Errorf("a signature does not verify")
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
