package vault_test

import (
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// What is opened with the recovery key is served as long as the statement of two trustees holds: who fetches when it ends is stopped, and what
// was signed on it before is refused.
func TestRecoveryEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, state func(by string, items ...ev.ItemID)){
		"by one of them": func(w *world, state func(string, ...ev.ItemID)) { state("trustee 2") },
		"by a third":     func(w *world, state func(string, ...ev.ItemID)) { state("trustee 3") },
		"by itself":      func(w *world, _ func(string, ...ev.ItemID)) { w.pass(6 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.consented()
			for _, name := range []string{"trustee", "trustee 2", "trustee 3"} {
				w.enrol(name, ev.Trustee)
			}
			recovery := ev.Fingerprint(nil, w.recovery.Recipient())
			state := func(by string, items ...ev.ItemID) {
				w.do(by, ev.PolicyOf(origin), ev.VaultRecovered, &ev.VaultRecoveredDetails{Recovery: recovery, Items: append([]ev.ItemID{}, items...), Cause: ev.CauseLoss})
			}
			ref, _ := w.itemState(c.item.id).Envelope(recovery)
			asking := func(e *ev.Event) { e.Purpose = ev.ForRecovery }
			open := &ev.ItemOpenedDetails{Envelope: ref.SHA256}
			try := func() error {
				_, err := w.try("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.ItemOpened, open, asking), "")
				return err
			}
			refused(t, try(), ev.Forbidden, ev.ReasonNotRecovered)
			state("trustee", c.item.id)
			refused(t, try(), ev.Forbidden, ev.ReasonNotRecovered)
			w.pass(10 * 24 * time.Hour) // the consent lasts for 41 days
			state("trustee 2", c.item.id)
			w.pass(ev.RecoveryTime*time.Second - 5*time.Minute)

			o := w.do("custodian", ev.ItemOf(c.item.id), ev.ItemOpened, open, asking)
			if o.Opening == nil {
				t.Fatal("what two stated opened nothing")
			}
			if _, err := sealing.OpenEnvelope(o.Opening.Envelope, w.recovery, c.item.details.ItemRecipient); err != nil {
				t.Fatal(err)
			}
			by := w.people["custodian"].caller()
			allServed(t, w.fetch(by, o.LeafHash, c.item.id))
			before := w.sign("custodian", ev.ItemOf(c.item.id), ev.ItemOpened, open, asking)

			end(w, state)
			allRefused(t, w.fetch(by, o.LeafHash, c.item.id), ev.Forbidden)
			refused(t, w.StillAllowed(ctx(), by, o.LeafHash), ev.Forbidden, ev.ReasonNotRecovered)
			_, err := w.Vault.Open(ctx(), by, o.LeafHash)
			refused(t, err, ev.Forbidden, ev.ReasonNotRecovered)
			refused(t, try(), ev.Forbidden, ev.ReasonNotRecovered)
			if _, err := w.try("custodian", before, ""); err == nil {
				t.Error("what was signed before is accepted after the end")
			}
		})
	}
}
