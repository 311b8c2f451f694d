package embedded_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// benchLeaf has the size of a real one: leaf bytes of 0.5 kB, envelope of 3 kB.
func benchLeaf(i int64) tlog.TreeLeaf {
	leaf := translogtest.Leaf(int(i))
	leaf.Value = append(leaf.Value, bytes.Repeat([]byte{' '}, 500)...)
	leaf.Extra = bytes.Repeat([]byte{'e'}, 3000)
	return leaf
}

// BenchmarkAppend appends single leaves; one operation is one leaf, durable and integrated.
func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			l := create(b, filepath.Join(b.TempDir(), "log.db"), embedded.Options{})
			var next atomic.Int64
			var wait sync.WaitGroup
			b.ResetTimer()
			for range clients {
				wait.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if _, err := l.Append(b.Context(), []tlog.TreeLeaf{benchLeaf(i)}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wait.Wait()
		})
	}
}

// BenchmarkInclusion asks for proofs in a log of 20,000 leaves.
func BenchmarkInclusion(b *testing.B) {
	const size = 20_000
	l := create(b, filepath.Join(b.TempDir(), "log.db"), embedded.Options{})
	appendTo(b, l, leaves(0, size)...)
	for i := 0; b.Loop(); i++ {
		if _, err := l.Inclusion(b.Context(), int64(i*7919%size), size); err != nil {
			b.Fatal(err)
		}
	}
}
