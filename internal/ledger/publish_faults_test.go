package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// faultyPublishing fails a call by which publishing writes to the records.
type faultyPublishing struct {
	ledger.Records
	f *faults
}

func (r faultyPublishing) Publish(ctx context.Context, p ledger.Published) error {
	_, err := through(r.f, "Publish", func() (int, error) { return 0, r.Records.Publish(ctx, p) })
	return err
}

func (r faultyPublishing) PutEventStamp(ctx context.Context, event ev.Hash, s ledger.Stamp) error {
	_, err := through(r.f, "PutEventStamp", func() (int, error) { return 0, r.Records.PutEventStamp(ctx, event, s) })
	return err
}

func (r faultyPublishing) StampedUpTo(ctx context.Context, authority string) (int64, error) {
	return through(r.f, "StampedUpTo", func() (int64, error) { return r.Records.StampedUpTo(ctx, authority) })
}

// Each call in turn fails, having taken effect or not, once or for good as in a process that is killed there. What was accepted is included
// as ever; what came from witnesses and authorities is never lost; and everything is final in the end, by itself or after a restart.
func TestPublishingFaults(t *testing.T) {
	step, calls := 3, 12
	if os.Getenv("STRONGROOM_LONG") != "" {
		step, calls = 1, 16
	}
	for _, dead := range []bool{false, true} {
		for at := 1; at <= calls; at += step {
			for _, persist := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %t %t", at, persist, dead), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					witness, a := newFake(t, "witness.example"), newAuthority(t, time.Now)
					witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
					s := w.watch(witness.line()+"quorum witness.example\n", a.trusted)
					w.stop()
					f := newFaults(at, persist, dead)
					err := w.open(s.stamped(a), func(c *ledger.Config) { c.Records = faultyPublishing{c.Records, f} })
					if err != nil && !errors.Is(err, errFault) {
						t.Fatal(err)
					}
					if err != nil {
						w.Ledger = nil
						w.tree.Close()
						w.db.Close()
						w.openWith(s.stamped(a))
					}
					entries := []ledger.Entry{w.put(w.openCase("a")), w.put(w.openCase("b"))}
					var before []ledger.Published
					if dead {
						short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
						w.AwaitFinal(short, entries[1].LeafHash) // as far as it comes
						cancel()
						before = must(w.db.AllPublished(t.Context(), -1, 1000))
						w.stop()
						w.openWith(s.stamped(a))
					}
					for _, e := range entries {
						w.finally(s, e)
					}
					after := must(w.db.AllPublished(t.Context(), -1, 1000))
					for _, row := range before {
						i := slices.IndexFunc(after, func(p ledger.Published) bool { return p.Size == row.Size })
						if i < 0 || len(after[i].Stamps) < len(row.Stamps) || after[i].Final.IsZero() && !row.Final.IsZero() {
							t.Fatalf("a published checkpoint of %d lost something", row.Size)
						}
						for line := range strings.Lines(string(row.Note)) {
							if !strings.Contains(string(after[i].Note), line) {
								t.Errorf("a published checkpoint of %d lost a line", row.Size)
							}
						}
					}
					w.check(entries[0].LeafHash, entries[1].LeafHash)
					t.Logf("%s failed", f.disarm())
				})
			}
		}
	}
}
