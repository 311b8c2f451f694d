package dossier

import (
	"bytes"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// Random bits of what third parties signed, and of what tells of it: never an error of the program, and the same verdict.
func TestIndependentOfBits(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w := a.world
	before := len(w.logged)
	w.open(id)
	s := a.packed(id)
	s.rereceipt(1, func(p *tlog.ReceiptParts) {
		p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(before))), w.checkpoint(before)
		p.Timestamps = [][]byte{a.authority.stamp(p.Signature, w.now)}
	})
	s.proving(w.growth(before, len(w.logged)))
	s.withhold(ev.ItemOf(id), 9, w.now.Add(30*day), func(*Withheld) {})
	f := newForger(s.write(t))
	var list []asked
	for _, l := range f.pkg.Files {
		samples := 0
		if strings.HasPrefix(l.Path, "log/") || l.Path == s.event(ev.ItemOf(id), 1) || strings.HasSuffix(l.Path, "withheld.json") {
			samples = 1
		}
		if samples > 0 {
			seen := 0
			for seen < samples || os.Getenv("STRONGROOM_LONG") != "" && seen < 60 {
				i, bit := mathrand.IntN(int(l.Size)), mathrand.IntN(8)
				f.flip(l.Path, i, bit)
				list = append(list, asked{fmt.Sprintf("bit %d of byte %d of %s", bit, i, l.Path), bytes.Clone(f.data), nil, a.trust})
				f.flip(l.Path, i, bit)
				seen++
			}
		}
	}
	agreed(t, func(own, other *Report) string { // one bit makes several things wrong, and which of them is named is each one's own
		if own.Verdict != other.Verdict {
			return "another verdict"
		}
		return ""
	}, append(list, asked{"as it is", f.data, nil, a.trust}))
}

// put logs an event, lawful or not. It says whether it was.
func (w *world) put(e *ev.Event) error {
	w.t.Helper()
	s := w.sign(e)
	old := w.facts.States[e.Stream.Stream()]
	state, err := ev.Apply(w.facts, e, s.LeafHash())
	if err != nil {
		tip := ev.Tip{Seq: e.Stream.Seq, Leaf: s.LeafHash(), Time: e.Time}
		switch old := old.(type) {
		case *ev.ItemState:
			n := *old
			n.Last, state = tip, &n
		case *ev.PolicyState:
			n := *old
			n.Last, state = tip, &n
		case *ev.ConsentState:
			n := *old
			n.Last, state = tip, &n
		default:
			w.t.Fatalf("%s: %v", e.Kind, err)
		}
	}
	w.accept(s, state)
	return err
}

// lives is a vault with an item that a custodian has exported for himself, made from another one whose history goes on.
func lives(t *testing.T) (w *world, source ev.ItemID, pack func() *sample) {
	w = newWorld(t)
	for _, name := range []string{"trustee", "trustee 2"} {
		w.enrol(name, ev.Trustee, false)
	}
	source = w.deposit("a finding", func(e *ev.Event) { e.Time = w.now })
	w.do(w.on(source, "clinician", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[source].envelopes["clinician"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	made := w.deposit("a copy", func(e *ev.Event) {
		d := e.Details.(*ev.ItemDepositedDetails)
		d.Class, d.Source = ev.Working, source
	})
	w.files[made].envelopes["court"] = w.files[made].envelopes["custodian"] // what contents packs
	w.do(w.on(made, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[made].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	for _, form := range []string{"copy", "print"} {
		w.do(w.on(made, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: form, Nonce: strings.Repeat("n0", 16), Content: ev.SHA256(nil)},
			func(e *ev.Event) { e.Purpose = ev.ForCare }))
	}
	m := Manifest{Items: []ev.ItemID{made}, Nonce: courtNonce, Recipient: w.people["custodian"].fingerprint(), Vault: origin}
	files := w.contents(m)
	w.do(w.on(made, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
	return w, source, func() *sample { return w.finish(m, files, []ev.Stream{ev.ItemOf(made)}) }
}

// fate is something that somebody does, lawfully or not.
func (w *world) fate(r *mathrand.Rand, source ev.ItemID) *ev.Event {
	any := func(names ...string) string { return names[r.IntN(len(names))] }
	state := func(id ev.ItemID) *ev.ItemState { return w.facts.States[ev.ItemOf(id)].(*ev.ItemState) }
	policy := w.facts.States[ev.PolicyOf(origin)].(*ev.PolicyState)
	item := source
	if r.IntN(8) == 0 {
		item = w.form
	}
	custodian := any("custodian", "custodian 2", "custodian", "custodian 2", "custodian", "clinician", "vault", "administrator")
	order := func(e *ev.Event) {
		if r.IntN(4) > 0 {
			e.Authority = &ev.Authority{Basis: ev.Basis(any("court_order", "statutory_duty", "care"))}
		}
		if r.IntN(4) > 0 && e.Kind == ev.ItemShredProposed {
			e.Notes = []ev.Note{{Name: "authority", Audience: ev.ToInternal, SHA256: ev.SHA256([]byte("a")), Size: 512}}
		}
	}
	noted := func(name string) func(e *ev.Event) {
		return func(e *ev.Event) {
			e.Notes = []ev.Note{{Name: name, Audience: ev.ToInternal, SHA256: ev.SHA256([]byte(name)), Size: 512}}
		}
	}
	form := func(e *ev.Event) {
		if item == w.form && r.IntN(2) == 0 {
			e.Consent = []ev.ConsentRef{{ID: w.con, Version: w.facts.States[ev.ConsentOf(w.con)].(*ev.ConsentState).Version}}
		}
	}
	recovery := ev.Fingerprint(nil, w.recovery.Recipient())
	switch r.IntN(17) {
	case 0, 1:
		return w.on(item, custodian, ev.ItemShredProposed, &ev.ItemShredProposedDetails{Cause: ev.Cause(any("draft", "withdrawal", "due", "order")), DryRun: ev.SHA256([]byte("x"))}, order, form)
	case 2:
		return w.on(item, custodian, ev.ItemShredCancelled, &ev.ItemShredCancelledDetails{Cause: ev.CauseError}, form)
	case 3, 4, 5:
		d := &ev.ItemShreddedDetails{Stores: []string{"records", "backups", "cold"}[:2+r.IntN(2)], Horizon: w.now.Add(time.Duration(29+r.IntN(9)) * day)}
		for _, e := range state(item).Envelopes {
			d.Envelopes = append(d.Envelopes, e.Recipient)
		}
		if r.IntN(9) == 0 {
			d.Envelopes = d.Envelopes[min(1, len(d.Envelopes)):]
		}
		return w.on(item, custodian, ev.ItemShredded, d, order, form)
	case 6, 7:
		return w.on(item, custodian, ev.RetentionSet, &ev.RetentionSetDetails{Category: any("a", "b"), Due: w.now.Add(time.Duration(r.IntN(60)-10) * day)}, form)
	case 8:
		return w.on(item, custodian, ev.HoldPlaced, &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder, Expires: w.now.Add(30 * day), Review: w.now.Add(9 * day)}, noted("order"), form)
	case 9:
		if h := state(item).Holds; len(h) > 0 {
			return w.on(item, custodian, ev.HoldConfirmed, &ev.HoldConfirmedDetails{Hold: h[r.IntN(len(h))].ID}, form)
		}
	case 10:
		if h := state(item).Holds; len(h) > 0 {
			return w.on(item, custodian, ev.HoldLifted, &ev.HoldLiftedDetails{Hold: h[r.IntN(len(h))].ID, Cause: ev.CauseError}, form)
		}
	case 11:
		d := &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[item].envelopes["custodian"])}
		if r.IntN(3) > 0 {
			d.Envelope = ev.SHA256([]byte("r"))
		}
		return w.on(item, any("custodian", "custodian", "clinician"), ev.ItemOpened, d, func(e *ev.Event) { e.Purpose = ev.Purpose(any("recovery", "recovery", "care")) }, form)
	case 12:
		d := &ev.ItemEnvelopeRemovedDetails{Recipient: w.people[any("custodian", "clinician")].fingerprint(), Cause: ev.CauseLoss, Horizon: w.now.Add(time.Duration(r.IntN(60)) * day)}
		return w.on(item, custodian, ev.ItemEnvelopeRemoved, d, form)
	case 13:
		if r.IntN(2) == 0 {
			return w.event("clinician", ev.ConsentOf(w.con), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"})
		}
		c := w.facts.States[ev.ConsentOf(w.con)].(*ev.ConsentState)
		answers := c.Answers
		answers.Storage = ev.No
		return w.event("clinician", ev.ConsentOf(w.con), ev.ConsentNarrowed, &ev.ConsentNarrowedDetails{Version: c.Version + 1, Answers: answers, Until: c.Until})
	case 14:
		if r.IntN(3) == 0 {
			return w.event("vault", ev.PolicyOf(origin), ev.VaultRestored, &ev.VaultRestoredDetails{Backup: w.now.Add(time.Duration(r.IntN(5)-4) * day), Before: int64(r.IntN(8)), After: int64(4 + r.IntN(9))})
		}
		return w.event(any("custodian", "custodian 2", "administrator"), ev.PolicyOf(origin), ev.VaultConfirmed, &ev.VaultConfirmedDetails{Event: policy.Last.Leaf})
	case 15:
		d := &ev.VaultRecoveredDetails{Recovery: recovery, Items: []ev.ItemID{any2(r, source, w.form)}, Cause: ev.CauseLoss}
		return w.event(any("trustee", "trustee 2", "trustee", "trustee 2", "custodian"), ev.PolicyOf(origin), ev.VaultRecovered, d)
	case 16:
		d := &ev.VaultConfiguredDetails{Rules: policy.Rules, Recovery: policy.Recovery, Policy: policy.Policy, LogKeys: policy.LogKeys, Witness: policy.Witness, Version: "1.0.1", TimestampRoots: policy.TimestampRoots}
		switch r.IntN(6) {
		case 0:
			d.Policy.BinWait += int64(r.IntN(3)-1) * 86400
		case 1:
			d.Policy.TwoOrganizations = true
		case 2:
			d.TimestampRoots = []ev.Hash{ev.SHA256([]byte{byte(r.IntN(2))})}
		case 3:
			d.Recovery = must(sealing.NewIdentity()).Recipient()
		default:
			d.Rules = 3
		}
		return w.event(any("administrator", "administrator", "vault"), ev.PolicyOf(origin), ev.VaultConfigured, d)
	}
	return w.on(item, "vault", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[item].evidence)}, func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} }, form)
}

func any2[T any](r *mathrand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// Whatever is done to an item and to the policy, lawfully or not, both verifiers find the same of it lawful.
func TestIndependentOfFates(t *testing.T) {
	needsPython(t)
	var list []asked
	chosen(300, 5, func(i int) {
		seed := uint64(i)
		if os.Getenv("STRONGROOM_LONG") == "" {
			seed = mathrand.Uint64()
		}
		r := mathrand.New(mathrand.NewPCG(seed, 5))
		w, source, pack := lives(t)
		if r.IntN(2) == 0 {
			w.rules(3)
		}
		said, done := fmt.Sprint("seed ", seed), 0
		for range 200 {
			if done == 12 {
				break
			}
			w.now = w.now.Add(time.Duration(r.IntN(3)*r.IntN(8)) * day)
			e := w.fate(r, source)
			_, err := ev.Apply(w.facts, e, ev.SHA256([]byte("leaf")))
			if err != nil && (done < 10 || r.IntN(3) > 0) {
				w.now = w.now.Add(time.Millisecond)
				continue // the first steps are lawful
			}
			done++
			err = w.put(e)
			said += fmt.Sprintf("\n\t%s %s %+v by %s: %v", e.Time, e.Kind, e.Details, e.Actor.Role, err)
			if err != nil {
				break
			}
		}
		list = append(list, asked{said, pack().write(t), nil, w.trust})
	})
	agree(t, list...)
}

// rules configures a newer version of the rules and lets the wait pass.
func (w *world) rules(version int64) {
	s := w.facts.States[ev.PolicyOf(origin)].(*ev.PolicyState)
	w.do(w.event("administrator", ev.PolicyOf(origin), ev.VaultConfigured, &ev.VaultConfiguredDetails{Rules: version, Recovery: s.Recovery, Policy: s.Policy, LogKeys: s.LogKeys,
		Witness: s.Witness, Version: s.Version, Builds: s.Builds}))
	w.do(w.event("custodian", ev.PolicyOf(origin), ev.VaultConfirmed, &ev.VaultConfirmedDetails{Event: w.facts.States[ev.PolicyOf(origin)].Tip().Leaf}))
	w.now = w.now.Add(8 * day)
}

// What was opened before the stored file was found to differ may still be copied or printed: both verifiers find that lawful, and neither finds
// an opening lawful after that.
func TestIndependentOfCopies(t *testing.T) {
	needsPython(t)
	var list []asked
	for _, form := range []string{"copy", "print", "again"} {
		w, source, pack := lives(t)
		opening := func() *ev.Event {
			return w.on(source, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[source].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare })
		}
		w.do(opening())
		w.do(w.on(source, "vault", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256([]byte("other"))},
			func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Failure} }))
		e := opening()
		if form != "again" {
			e = w.on(source, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: form, Nonce: strings.Repeat("n0", 16), Content: ev.SHA256(nil)},
				func(e *ev.Event) { e.Purpose = ev.ForCare })
		}
		if err := w.put(e); (err == nil) != (form != "again") {
			t.Errorf("%s: %v", form, err)
		}
		list = append(list, asked{form, pack().write(t), nil, w.trust})
	}
	agree(t, list...)
}
