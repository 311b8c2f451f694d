package vault_test

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/vault"
)

// Envelopes of one recipient come and go through two processes over the same records, both of which sweep all the time, until the item is
// shredded: at every moment exactly what the state names is stored.
func TestEnvelopesOfTwoProcesses(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		w := newWorld(t)
		w.envelopesOfTwo(w.config)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		w := newPostgresWorld(t)
		second := w.engine()
		defer second.Close()
		must(0, os.WriteFile(w.path("second"), must(os.ReadFile(w.path("checkpoint"))), 0o600)) // each has its own copy
		other := w.process("second", second, w.tree, w.store)
		defer other.Ledger.Close()
		w.envelopesOfTwo(other)
	})
}

func (w *world) envelopesOfTwo(other vault.Config) {
	w.t.Helper()
	c := w.consented()
	court, stream := w.enrol("court", ev.Court), ev.ItemOf(c.item.id)
	w.open("custodian", c.item.id)
	// act signs anew until nobody else was faster, and reports whether the law allows it.
	act := func(v *vault.Vault, by string, s ev.Stream, k ev.Kind, details func() ev.Details, with ...ledger.Attachment) bool {
		for {
			_, err := v.Submit(ctx(), w.people[by].caller(), vault.Submission{DSSE: w.sign(by, s, k, details()).DSSE(), Attachments: with})
			switch r := ev.ReasonOf(err); {
			case err == nil:
				return true
			case r == ev.ReasonStaleBasis, r == ev.ReasonPosition, r == ev.ReasonEnvelopeList:
			case ev.KindOf(err) == ev.Conflict, r == ev.ReasonGrant:
				return false
			default:
				w.t.Errorf("%s: %v", k, err)
				return false
			}
		}
	}
	is := func(d ev.Details) func() ev.Details { return func() ev.Details { return d } }
	done := make(chan struct{})
	var work, watch sync.WaitGroup
	each := func(f func()) { // again and again until the work is done
		watch.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f()
				}
			}
		})
	}
	var processes []*vault.Vault
	for _, config := range []vault.Config{w.config, other} {
		config.Limits.Answer = time.Millisecond // nobody waits for the log here
		v := vault.New(config)
		processes = append(processes, v)
		work.Go(func() {
			for range 8 {
				terms := w.terms(c, "court", "consent")
				act(v, "custodian", stream, ev.GrantProposed, is(&ev.GrantProposedDetails{Terms: terms}))
				act(v, "second", stream, ev.GrantApproved, is(&ev.GrantApprovedDetails{Grant: terms.ID, Terms: terms.Digest()}))
				body := must(sealing.WriteEnvelope(c.item.key, court.recipient()))
				ref := ev.EnvelopeRef{Recipient: court.fingerprint(), SHA256: ev.SHA256(body)}
				act(v, "custodian", stream, ev.ItemEnvelopeAdded, is(&ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseGrant, Grant: terms.ID}),
					ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
				act(v, "second", stream, ev.GrantRevoked, is(&ev.GrantRevokedDetails{Grant: terms.ID, Cause: ev.CauseRequest}))
			}
		})
		each(func() {
			if err := v.Sweep(ctx()); err != nil && ev.ReasonOf(err) != "erase_incomplete" { // somebody reads
				w.t.Error(err)
			}
		})
	}
	seen := 0
	each(func() {
		if w.exactly(stream) {
			seen++
		}
	})
	work.Wait()
	last := processes[1]
	act(last, "clinician", ev.ConsentOf(c.consent), ev.ConsentWithdrawn, is(&ev.ConsentWithdrawnDetails{Number: "1234-5678"}))
	act(last, "custodian", stream, ev.ItemShredProposed, is(&ev.ItemShredProposedDetails{Cause: ev.CauseWithdrawal, DryRun: ev.SHA256([]byte("list"))}))
	w.pass(2 * time.Second)
	shredded := act(last, "second", stream, ev.ItemShredded, func() ev.Details {
		d := &ev.ItemShreddedDetails{Stores: []string{"records", "backups"}, Horizon: ev.At(w.now().Add(48 * time.Hour))}
		for _, e := range w.itemState(c.item.id).Envelopes {
			d.Envelopes = append(d.Envelopes, e.Recipient)
		}
		return d
	})
	close(done)
	watch.Wait()
	if !shredded || !w.exactly(stream) || seen == 0 {
		w.t.Errorf("shredded %t, looked at %d moments", shredded, seen)
	}
}

// exactly demands that what is stored of an item is what its state names, unless it changed meanwhile.
func (w *world) exactly(s ev.Stream) (still bool) {
	before := w.state(s).(*ev.ItemState)
	list := must(w.db.Attachments(ctx(), 0, 10_000))
	if w.state(s).Tip() != before.Tip() {
		return false
	}
	var stored []ev.EnvelopeRef
	for _, a := range list {
		if a.Stream == s && !a.Destroyed && (a.Kind == ledger.Envelope || before.Shredded != 0) {
			stored = append(stored, ev.EnvelopeRef{Recipient: a.Recipient, SHA256: a.SHA256})
		}
	}
	slices.SortFunc(stored, func(a, b ev.EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) })
	if !slices.Equal(stored, before.Envelopes) {
		w.t.Errorf("stored %v, named %v", stored, before.Envelopes)
	}
	return true
}
