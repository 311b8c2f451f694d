package ledger_test

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// BenchmarkEvents takes events with 64 in flight from acceptance to a verified receipt in hand, and in between the same number of leaves
// of the same size through the tree alone: of-tree is the ledger's share of that speed. Signing is not counted.
func BenchmarkEvents(b *testing.B) {
	w := newWorld(b)
	signed := make([]ledger.Commit, b.N)
	for i := range signed {
		signed[i] = ledger.Commit{Signed: w.openCase("a")}
	}
	inFlight := func(n int, f func(i int)) time.Duration {
		begun := time.Now()
		var next atomic.Int64
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
					f(int(i))
				}
			})
		}
		all.Wait()
		return time.Since(begun)
	}
	b.ResetTimer()
	events := inFlight(b.N, func(i int) {
		if _, err := w.Accept(b.Context(), signed[i], w.Judge(signed[i].Signed)); err != nil {
			b.Error(err)
			return
		}
		w.await(signed[i].Signed.LeafHash())
	})
	b.StopTimer()
	waves := len(must(w.db.Checkpoints(b.Context(), 0, 1<<20)))
	tree := inFlight(b.N, func(i int) {
		leaf := tlog.TreeLeaf{Value: bytes.ToUpper(signed[i].Signed.Leaf()), Extra: signed[i].Signed.DSSE()}
		if _, err := w.tree.Append(b.Context(), []tlog.TreeLeaf{leaf}); err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(float64(b.N)/events.Seconds(), "events/s")
	b.ReportMetric(float64(b.N)/tree.Seconds(), "tree/s")
	b.ReportMetric(tree.Seconds()/events.Seconds(), "of-tree")
	b.ReportMetric(float64(b.N)/float64(waves), "events/wave")
}
