package dossier

import (
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
)

// Statements about the recovery key, taken back, too late, of trustees who are not in force any more: the second verifier comes to the same.
func TestIndependentOfRecovery(t *testing.T) {
	needsPython(t)
	var list []asked
	chosen(120, 12, func(i int) {
		seed := uint64(i)
		r := mathrand.New(mathrand.NewPCG(seed, 9))
		w, source, pack := lives(t)
		said := fmt.Sprint("seed ", seed)
		if w.rules(2); r.IntN(8) > 0 {
			w.rules(3)
		}
		any := func(names ...string) string { return names[r.IntN(len(names))] }
		recovery := ev.Fingerprint(nil, w.recovery.Recipient())
		for done := 0; done < 14; {
			w.now = w.now.Add(time.Duration(r.IntN(2)*r.IntN(18)) * day)
			var e *ev.Event
			switch r.IntN(8) {
			case 0, 1, 2, 3:
				d := &ev.VaultRecoveredDetails{Recovery: recovery, Items: []ev.ItemID{source}, Cause: ev.CauseLoss}
				if r.IntN(7) == 0 {
					d.Items = []ev.ItemID{}
				}
				e = w.event(any("trustee", "trustee 2"), ev.PolicyOf(origin), ev.VaultRecovered, d)
			case 4:
				e = w.event("custodian", ev.ActorOf(w.people[any("trustee", "trustee 2")].ID), ev.ActorSuspended, &ev.ActorSuspendedDetails{Cause: ev.CauseMisconduct, Until: w.now.Add(5 * day)})
			case 5:
				e = w.event("vault", ev.PolicyOf(origin), ev.VaultRestored, &ev.VaultRestoredDetails{Backup: w.now, Before: 4, After: 5})
				if policy := w.facts.States[ev.PolicyOf(origin)].(*ev.PolicyState); !policy.Restored.IsZero() {
					e = w.event("custodian", ev.PolicyOf(origin), ev.VaultConfirmed, &ev.VaultConfirmedDetails{Event: policy.Restored})
				} else if r.IntN(3) > 0 {
					continue
				}
			default:
				ref, _ := w.facts.States[ev.ItemOf(source)].(*ev.ItemState).Envelope(recovery)
				e = w.on(source, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ref.SHA256}, func(e *ev.Event) { e.Purpose = ev.ForRecovery })
			}
			if _, err := ev.Apply(w.facts, e, ev.SHA256([]byte("leaf"))); err != nil && (done < 8 || r.IntN(3) > 0) {
				w.now = w.now.Add(time.Hour)
				if done += r.IntN(2); done < 8 {
					continue
				}
			}
			done++
			err := w.put(e)
			said += fmt.Sprintf("\n\t%s %s %+v by %s: %v", e.Time, e.Kind, e.Details, e.Actor.ID, err)
			if err != nil {
				break
			}
		}
		list = append(list, asked{said, pack().write(t), nil, w.trust})
	})
	agree(t, list...)
}
