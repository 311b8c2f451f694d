package remote_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/translog/remote"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// benchLeaf has the size of a real one: leaf bytes of 0.5 kB, envelope of 3 kB.
func benchLeaf(i int64) tlog.TreeLeaf {
	leaf := translogtest.Leaf(int(i))
	leaf.Value = append(leaf.Value, bytes.Repeat([]byte{' '}, 500)...)
	leaf.Extra = bytes.Repeat([]byte{'e'}, 3000)
	return leaf
}

// BenchmarkAppend appends: many clients a leaf per call, or one, as the ledger is, a wave of them. One operation is a call, after which its
// leaves are durable and integrated. The signer looks every 10 ms.
func BenchmarkAppend(b *testing.B) {
	for _, tt := range []struct{ clients, wave int64 }{{1, 1}, {64, 1}, {1, 64}, {1, 256}} {
		b.Run(fmt.Sprintf("clients=%d/wave=%d", tt.clients, tt.wave), func(b *testing.B) {
			log := open(b, create(b))
			wave := func(n int64) (leaves []tlog.TreeLeaf) {
				for i := range tt.wave {
					leaves = append(leaves, benchLeaf(n*tt.wave+i))
				}
				return leaves
			}
			for i := range int64(20) { // past the birth of a log, when batches are small
				_, err := log.Append(b.Context(), wave(-1-i))
				check(b, err)
			}
			var next atomic.Int64
			var mu sync.Mutex
			var took []time.Duration
			var wait sync.WaitGroup
			b.ResetTimer()
			for range tt.clients {
				wait.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						began := time.Now()
						if _, err := log.Append(b.Context(), wave(i)); err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						took = append(took, time.Since(began))
						mu.Unlock()
					}
				})
			}
			wait.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(int64(len(took))*tt.wave)/b.Elapsed().Seconds(), "leaves/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkMigrate moves an embedded log of 10,000 leaves; one operation is all of them.
func BenchmarkMigrate(b *testing.B) {
	const size = 10_000
	from, err := embedded.Create(b.Context(), filepath.Join(b.TempDir(), "log.db"), embedded.Options{})
	check(b, err)
	defer from.Close()
	for i := range int64(size / 1000) {
		var batch []tlog.TreeLeaf
		for j := range int64(1000) {
			batch = append(batch, benchLeaf(1000*i+j))
		}
		_, err := from.Append(b.Context(), batch)
		check(b, err)
	}
	for b.Loop() {
		b.StopTimer()
		to := open(b, create(b))
		b.StartTimer()
		check(b, remote.Migrate(b.Context(), from, to, nil, nil))
	}
	b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}
